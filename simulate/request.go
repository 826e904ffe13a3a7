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
	method, path, query []byte
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
	ev.Method, ev.Path, ev.Query = r.method, q.path, q.query
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
	if r.mutation && ev.ReqBytes > 0 {
		ev.ContentType = jsonBody
	}
	g.fillReply(q, ev)
}

// fillReply draws the size and the times of the answer.
func (g *Generator) fillReply(q *request, ev *schemas.Event) {
	d, r := g.dice, q.route
	took := d.draw(r.latency)
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
	for i := range p {
		switch p[i].kind {
		case partLiteral:
			g.buf = append(g.buf, p[i].literal...)
		case partObject:
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
		}
	}
	return g.cut(at)
}
