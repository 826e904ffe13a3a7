package simulate

import (
	"strconv"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// request is one call before it has text.
type request struct {
	api    *api
	route  *route
	object uint64
	page   int
	auth   authority
	status int64
	login  uint64 // user number tried; read only on the login route
	// path and query replace the route's, for calls to what does not exist. The
	// event then has no template. method replaces the route's if set.
	// template is the route that the gateway knows for such a path, if any.
	method, path, query, template []byte

	// What an attack makes other than the route has it; zero leaves it.
	id, text    []byte       // in place of the object's id, and of free text in the body
	body        []byte       // in place of the route's body
	contentType []byte       // of the body
	scheme      []byte       // of the call
	headers     []schemas.KV // that the gateway was told to pass on
	size        float64      // factor of the request's size
	slow, grown float64      // factors of the answer's time and size
	replied     int64        // size of the answer
}

var (
	https       = []byte("https")
	jsonBody    = []byte("application/json")
	peer        = []byte("10.0.3.7")
	searchWords = [][]byte{
		[]byte("red"), []byte("steel"), []byte("small"), []byte("lamp"), []byte("chair"), []byte("running"), []byte("tea"),
		[]byte("set"), []byte("wool"), []byte("usb+c"), []byte("kids"), []byte("garden"), []byte("mug"), []byte("black"),
		[]byte("2026"), []byte("gift"), []byte("light"), []byte("box"), []byte("vintage"), []byte("concert"),
	}
)

// incidentSlot is how often each API may begin or end a bad spell; about one
// slot a day is bad.
const (
	incidentSlot  = 5 * minute
	incidentsEach = 288
)

// incident says whether the backend of an API is in trouble. It hits every
// client alike, because it depends on nothing but the seed and the time.
func (g *Generator) incident(a *api, at int64) bool {
	return derive(g.cfg.Seed, domainIncident, uint64(at/incidentSlot)<<8|uint64(a.index))%incidentsEach == 0
}

// outcome draws the status that a well-meaning call gets. browser says that
// the client keeps a cache, and may so be told that nothing changed.
func (g *Generator) outcome(a *api, r *route, at int64, browser bool) int64 {
	if g.down(a, at) {
		if status, refused := g.refusal(); refused {
			return status
		}
	}
	broken := 0.0012
	if g.incident(a, at) {
		broken = 0.07
	}
	x := g.dice.float()
	if x < broken {
		switch x /= broken; {
		case x < .35:
			return 500
		case x < .55:
			return 502
		case x < .85:
			return 503
		case x < .97:
			return 504
		}
		return 0
	}
	x -= broken
	for _, e := range r.errors {
		if x < e.Share {
			if e.Status == 304 && !browser {
				break
			}
			return e.Status
		}
		x -= e.Share
	}
	return r.ok
}

// emit writes a request as an event.
func (g *Generator) emit(a *agent, q *request, ev *schemas.Event) {
	g.adapt(a, q)
	d, r := g.dice, q.route
	at := len(g.buf)
	g.buf = g.appendEventID(g.buf, a)
	ev.ID = g.cut(at)
	ev.Time = a.at
	if g.cfg.Tenant != "" {
		at = len(g.buf)
		g.buf = append(g.buf, g.cfg.Tenant...)
		ev.Tenant = g.cut(at)
	}
	ev.Gateway, ev.GatewayType = q.api.gateway, q.api.gatewayType
	ev.API, ev.APIVersion = q.api.name, q.api.version
	ev.Scheme, ev.Host = https, q.api.host
	if q.scheme != nil {
		ev.Scheme = q.scheme
	}
	ev.Headers = append(ev.Headers, q.headers...)
	ev.Method, ev.Path, ev.Query, ev.Route = r.method, q.path, q.query, q.template
	if q.path == nil {
		if q.api.templates {
			ev.Route = r.template
		}
		ev.Path = g.write(r, r.path, q, a.at)
	}
	if q.query == nil && len(r.query) > 0 {
		ev.Query = g.write(r, r.query, q, a.at)
	}
	if q.method != nil {
		ev.Method = q.method
	}
	if r.role == RoleLogin {
		at = len(g.buf)
		g.buf = g.userName(g.buf, q.login)
		ev.LoginUser = g.cut(at)
	}
	g.fillIdentity(ev, q.api, a.id, q.auth)
	ev.PeerIP = peer
	ev.ClientPort = 32768 + int64(d.Uint64()>>50)

	ev.Status = q.status
	ev.ReqBytes = int64(d.draw(r.request))
	if q.size > 0 {
		ev.ReqBytes = int64(float64(ev.ReqBytes) * q.size)
	}
	if r.mutation && ev.ReqBytes > 0 {
		ev.ContentType = jsonBody
	}
	g.fillReply(q, ev)
	g.fillBody(a, q, ev)
}

// bodyLimit is how much of a body the simulated gateways sample.
const bodyLimit = 300

// fillBody writes the sample of the request's body. It draws nothing, so that
// bodies change nothing else.
func (g *Generator) fillBody(a *agent, q *request, ev *schemas.Event) {
	if q.contentType != nil {
		ev.ContentType = q.contentType
	}
	body, r := q.body, q.route
	if body == nil && len(r.body) > 0 && q.path == nil && ev.ReqBytes > 0 && g.cfg.Bodies {
		at := len(g.buf)
		g.appendPattern(r, r.body, q, a.at, mix(uint64(a.at)^uint64(a.index)<<40), ev.ReqBytes)
		body = g.cut(at)
	}
	if len(body) == 0 {
		return
	}
	// What has come was announced.
	ev.ReqBytes = max(ev.ReqBytes, int64(len(body)))
	if ev.ContentType == nil {
		ev.ContentType = jsonBody
	}
	if g.cfg.Bodies {
		ev.BodySample = body[:min(len(body), bodyLimit)]
	}
}

// fillReply draws the size and the times of the answer.
func (g *Generator) fillReply(q *request, ev *schemas.Event) {
	d, r := g.dice, q.route
	took := d.draw(r.latency)
	if q.slow > 0 {
		took = min(took*q.slow, 29*second)
	}
	switch {
	case q.status == 0:
		ev.RespBytes = 0
		took *= 8
	case q.status == 304 || q.status == 204:
		ev.RespBytes = 0
		took *= .5
	case q.status >= 400:
		ev.RespBytes = int64(d.lognormal(170, .25))
		switch {
		case q.status == 504:
			took = 30 * second
		case q.status < 500 && r.role != RoleLogin:
			took *= .4
		}
	default:
		ev.RespBytes = int64(d.draw(r.reply))
		if q.grown > 0 {
			ev.RespBytes = int64(float64(ev.RespBytes) * q.grown)
		}
	}
	if q.replied > 0 {
		ev.RespBytes = q.replied
	}
	if g.incident(q.api, ev.Time) {
		took *= 3
	}
	ev.DurationUS = int64(took) + 300
	ev.UpstreamUS = int64(took)
}

// write fills in a pattern.
func (g *Generator) write(r *route, p pattern, q *request, now int64) []byte {
	if len(p) == 1 && p[0].kind == partLiteral {
		return p[0].literal
	}
	at := len(g.buf)
	// What is chosen goes with the object, so that turning over keeps it.
	g.appendPattern(r, p, q, now, mix(q.object^0x51), 0)
	return g.cut(at)
}

// appendPattern fills in a pattern; salt decides its choices and size is what
// the whole is to come to, if it says how to get there.
func (g *Generator) appendPattern(r *route, p pattern, q *request, now int64, salt uint64, size int64) {
	at := len(g.buf)
	for i := range p {
		h := salt
		if p[i].kind >= partChoice {
			h = mix(salt + uint64(i))
		}
		switch p[i].kind {
		case partLiteral:
			g.buf = append(g.buf, p[i].literal...)
		case partObject:
			if q.id != nil {
				g.buf = append(g.buf, q.id...)
				continue
			}
			g.buf = r.objects.appendID(g.buf, q.object)
		case partPage:
			g.buf = strconv.AppendInt(g.buf, int64(max(q.page, 1)), 10)
		case partWords:
			// The object's number stands for the search, so that paging through
			// one search keeps its words.
			h := mix(q.object)
			g.buf = append(g.buf, searchWords[h%uint64(len(searchWords))]...)
			if h>>32&3 != 0 {
				g.buf = append(g.buf, '+')
				g.buf = append(g.buf, searchWords[h>>8%uint64(len(searchWords))]...)
			}
		case partDate:
			t := time.UnixMicro(now - now%day - int64(q.object%90)*day).UTC()
			g.buf = t.AppendFormat(g.buf, time.DateOnly)
		case partToday:
			g.buf = time.UnixMicro(now).UTC().AppendFormat(g.buf, time.DateOnly)
		case partChoice:
			g.buf = append(g.buf, p[i].choices[h%uint64(len(p[i].choices))]...)
		case partAmount:
			g.buf = appendAmount(g.buf, h)
		case partNumber:
			g.buf = strconv.AppendUint(g.buf, 10_000_000+h%90_000_000, 10)
		case partText:
			if q.text != nil {
				g.buf = append(g.buf, q.text...)
				continue
			}
			g.buf = append(g.buf, freeTexts[h%uint64(len(freeTexts))]...)
		case partRest:
			tail := 0
			for _, after := range p[i+1:] {
				tail += len(after.literal)
			}
			// Nobody looks at more than the limit.
			n := min(int(size)-tail, bodyLimit) - (len(g.buf) - at)
			for ; n > 0; n -= 16 {
				g.buf = appendHex(g.buf, h, min(n, 16))
				h = mix(h)
			}
		}
	}
}

// appendAmount writes money: most amounts are small, many are round.
func appendAmount(dst []byte, h uint64) []byte {
	units := 1 + h%(9<<(h>>8%10))
	dst = strconv.AppendUint(dst, units, 10)
	dst = append(dst, '.')
	if h>>16&3 == 0 {
		return append(dst, "00"...)
	}
	return append(dst, byte('0'+h>>20%10), byte('0'+h>>28%10))
}

// freeTexts are what people write where they may write what they like.
var freeTexts = [][]byte{
	[]byte("rent"), []byte("Thank you!"), []byte("invoice 2026-031"), []byte("for dinner on Friday"), []byte("please ring twice"),
	[]byte("gift"), []byte("Holiday & travel"), []byte("O'Neill account"), []byte("2nd floor, left"), []byte("tickets"),
	[]byte("leave at the door"), []byte("birthday: Anna"), []byte("50% share of the bill"), []byte("ref #4411"), []byte(""),
	[]byte("monthly savings"), []byte("table; two chairs"), []byte("see e-mail of 3/2"), []byte("garden (back)"), []byte("-"),
}
