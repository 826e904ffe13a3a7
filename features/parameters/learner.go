package parameters

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

// Bounds of what is learnt.
const (
	maxParams    = 64   // of a route, over all locations
	maxRoutes    = 4096 // of an API
	maxRouteName = 512  // bytes of "METHOD template"
	maxOrdered   = 16   // parameters whose order is learnt: the first ones
	maxFormats   = 16   // content types of a route
)

// DefaultVoteInterval is how often a client may vote on one parameter.
const DefaultVoteInterval = 15 * time.Minute

// Config bounds a Learner. Its zero value is of use.
type Config struct {
	// VoteInterval is how often a client may vote on one parameter; 0: 15 minutes.
	VoteInterval time.Duration
	// MaxAPIs bounds the APIs, of which those go first that few clients called;
	// calls of others teach nothing. 0: 1024.
	MaxAPIs int
	// MaxParameters bounds the parameters of all routes together; 0: 262144.
	MaxParameters int
	// Vouched says that somebody vouches for the traffic, such as a recorded run
	// of the operator's own tests: then calls teach whatever became of them, each
	// counts, and nothing needs a second client.
	Vouched bool
}

func (c Config) withDefaults() Config {
	if c.VoteInterval <= 0 {
		c.VoteInterval = DefaultVoteInterval
	}
	if c.MaxAPIs <= 0 {
		c.MaxAPIs = 1024
	}
	if c.MaxParameters <= 0 {
		c.MaxParameters = 1 << 18
	}
	return c
}

// Learner gathers what Models are made of. It is for one goroutine; Learners
// of parts of the traffic are merged.
type Learner struct {
	cfg    Config
	apis   map[string]*apiState // key: tenant, NUL, API
	params int                  // of all routes
	// votes remembers by hash who voted on what in which interval. It forgets by
	// being overwritten, which costs no more than a vote too many.
	votes   []uint64
	scratch *Scratch
	key     []byte
}

// voteSlots is the size of the memory of votes: a power of two.
const voteSlots = 1 << 18

// apiState is what was seen of one API.
type apiState struct {
	calls   uint32
	missed  histogram // votes of calls to routes that are not there (key 0)
	lost    histogram // votes of calls to routes beyond the bound (key 0)
	routes  map[string]*routeState
	headers *routeState
}

// routeState is what was seen of one route.
type routeState struct {
	calls   uint32
	seen    witness
	byBody  [4]uint32 // calls by bodyKind, of bodies read to their end
	lost    histogram // calls with a name beyond the bounds (key 0)
	formats []format
	sizes   histogram // octaves of body sizes
	order   histogram // key i<<4|j: parameter i came before parameter j
	params  map[string]*paramState
	names   []string // keys of params in the order they were first seen
}

// format is how bodies come: a content type, and whether they parse.
type format struct {
	name  string
	count uint32
	seen  witness
}

// paramState is what was seen of one parameter.
type paramState struct {
	ordinal  uint8
	present  uint32    // calls of the route that brought it
	absent   histogram // calls that did not, of those that could (key 0)
	brought  uint32    // the call that brought it last, by its number; not encoded
	repeated histogram
	votes    uint32
	seen     witness
	types    histogram
	lengths  histogram
	numbers  histogram
	chars    histogram
	values   valueSet
	patterns valueSet // hashes of patterns, 8 bytes each
}

// NewLearner returns a Learner that has seen nothing.
func NewLearner(cfg Config) *Learner {
	return &Learner{cfg: cfg.withDefaults(), apis: map[string]*apiState{}, scratch: NewScratch()}
}

// ErrConfig says that two Learners cannot be merged.
var ErrConfig = errors.New("learners under different rules")

// appendAPI appends what names an API: its tenant and itself.
func appendAPI(dst []byte, e *schemas.Event) []byte {
	api, tenant := e.API, e.Tenant
	if len(api) == 0 {
		api = e.Host
	}
	if len(tenant) == 0 {
		return append(append(dst, "default\x00"...), api...)
	}
	return append(append(append(dst, tenant...), 0), api...)
}

// Add takes one call in. The route is "METHOD template", the client whatever
// tells clients apart; a call that names none is a client of its own address.
// Calls that did not succeed teach only that there are such calls.
func (l *Learner) Add(e *schemas.Event, route, client []byte) {
	success := e.Status >= 200 && e.Status < 400 || l.cfg.Vouched
	if !success && e.Status != 404 || len(route) == 0 || len(route) > maxRouteName {
		return
	}
	if len(client) == 0 {
		client = e.ClientIP
	}
	who := xxhash.Sum64(client)
	l.key = appendAPI(l.key[:0], e)
	api := l.api(success)
	if api == nil {
		return
	}
	where := xxhash.Sum64(l.key)
	if !success {
		if r := api.routes[string(route)]; r == nil && l.vote(where, who, e.Time) {
			api.missed.add(0, short(who))
		}
		return
	}
	l.scratch.read(e, route)
	r := l.route(api, route)
	if r == nil {
		if l.vote(where, who, e.Time) {
			api.lost.add(0, short(who))
		}
		return
	}
	where ^= xxhash.Sum64(route)
	voted := l.vote(where, who, e.Time)
	if voted {
		api.calls = saturate(api.calls, 1)
		r.observe(e, l.scratch, short(who))
	}
	l.learn(r, where, who, e.Time, voted, l.scratch.items[:l.scratch.params])
	l.learn(api.headers, where^xxhash.Sum64String("headers"), who, e.Time, voted, l.scratch.items[l.scratch.params:])
	if voted {
		api.headers.calls = saturate(api.headers.calls, 1)
		api.headers.seen.see(short(who))
	}
	if l.cfg.Vouched {
		l.vouch(r)
		l.vouch(api.headers)
	}
}

// short is a client as witnesses remember it; 0 means nobody.
func short(client uint64) uint32 { return uint32(client>>32) | 1 }

// vote tells whether a client may vote on something now.
func (l *Learner) vote(what, client uint64, time int64) bool {
	if l.cfg.Vouched {
		return true
	}
	if l.votes == nil {
		l.votes = make([]uint64, voteSlots)
	}
	interval := uint64(time / l.cfg.VoteInterval.Microseconds())
	h := mix(mix(what^interval*0x9e3779b97f4a7c15) ^ client)
	slot := &l.votes[h%voteSlots]
	if *slot == h {
		return false
	}
	*slot = h
	return true
}

// mix is the finaliser of splitmix64 (G. Steele et al., OOPSLA 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (l *Learner) api(create bool) *apiState {
	a := l.apis[string(l.key)]
	if a == nil && create && len(l.key) <= maxRouteName && (len(l.apis) < l.cfg.MaxAPIs || l.pruneAPIs()) {
		a = newAPI()
		l.apis[string(l.key)] = a
	}
	return a
}

func newAPI() *apiState {
	return &apiState{routes: map[string]*routeState{}, headers: newRoute()}
}

func newRoute() *routeState { return &routeState{params: map[string]*paramState{}} }

func (l *Learner) route(api *apiState, name []byte) *routeState {
	r := api.routes[string(name)]
	if r == nil {
		if len(api.routes) >= maxRoutes && !l.prune(api) {
			return nil
		}
		r = newRoute()
		api.routes[string(name)] = r
	}
	return r
}

// observe counts what concerns the call as a whole.
func (r *routeState) observe(e *schemas.Event, s *Scratch, who uint32) {
	r.calls = saturate(r.calls, 1)
	r.seen.see(who)
	if s.complete {
		r.byBody[s.body] = saturate(r.byBody[s.body], 1)
	}
	if s.body != bodyNone || len(e.ContentType) > 0 {
		r.format(s.format(e.ContentType), 1, &witness{who})
	}
	if e.ReqBytes > 0 {
		r.sizes.add(sizeBin(e.ReqBytes), who)
	}
}

// sizeBin is the octave of a body's size.
func sizeBin(n int64) uint8 { return uint8(bits.Len64(uint64(n))) }

func (r *routeState) format(name []byte, count uint32, seen *witness) {
	for i := range r.formats {
		if r.formats[i].name == string(name) {
			r.formats[i].count = saturate(r.formats[i].count, count)
			r.formats[i].seen.merge(seen)
			return
		}
	}
	if len(r.formats) < maxFormats {
		r.formats = append(r.formats, format{name: string(name), count: count, seen: *seen})
	}
}

// format names how the body came. It aliases the scratch.
func (s *Scratch) format(contentType []byte) []byte {
	from := len(s.buf)
	for _, c := range contentType[:min(len(contentType), maxNameBytes)] {
		if c == ';' || c == ' ' {
			break
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		s.buf = append(s.buf, c)
	}
	if s.malformed {
		s.buf = append(s.buf, " that does not parse"...)
	}
	return s.buf[from:len(s.buf):len(s.buf)]
}

// learn takes the parameters of one call in.
func (l *Learner) learn(r *routeState, where, who uint64, time int64, voted bool, items []item) {
	lost := false
	var earlier [maxOrdered]uint8 // ordinals already met
	met := 0
	for i := range items {
		it := &items[i]
		l.key = append(append(l.key[:0], byte(it.loc)), it.name...)
		p := r.params[string(l.key)]
		if p == nil {
			if len(it.name) > maxNameBytes || len(r.params) >= maxParams && !l.pruneParams(r) || l.params >= l.cfg.MaxParameters {
				lost = true
				continue
			}
			p = &paramState{ordinal: uint8(len(r.names))}
			p.missed(r.groupCalls(it.loc), voted, &r.seen)
			r.params[string(l.key)] = p
			r.names = append(r.names, string(l.key))
			l.params++
		}
		first := true
		for j := range i {
			if items[j].loc == it.loc && string(items[j].name) == string(it.name) {
				first = false
				break
			}
		}
		if voted && !first && it.loc != JSON {
			p.repeated.add(0, short(who))
		}
		if !first {
			continue
		}
		if voted {
			p.brought = r.calls
			p.present = saturate(p.present, 1)
			p.seen.see(short(who))
			if ordered(it.loc) && p.ordinal < maxOrdered {
				for _, o := range earlier[:met] {
					r.order.add(o<<4|p.ordinal, short(who))
				}
				if met < maxOrdered {
					earlier[met] = p.ordinal
					met++
				}
			}
		}
		if l.vote(where^xxhash.Sum64(l.key)|1, who, time) {
			p.observe(it, short(who))
		}
	}
	if voted {
		r.noteAbsent(l.scratch, short(who))
	}
	if voted && lost {
		r.lost.add(0, short(who))
	}
}

// groupCalls is how many calls could have brought a parameter.
func (r *routeState) groupCalls(loc Location) uint32 {
	switch loc {
	case Form:
		return r.byBody[bodyForm]
	case JSON:
		return r.byBody[bodyJSON]
	}
	return r.calls
}

// missed counts the calls of clients before a parameter was first seen. The
// one at hand is not among them.
func (p *paramState) missed(calls uint32, voted bool, clients *witness) {
	if voted && calls > 0 {
		calls--
	}
	if calls > 0 {
		p.absent = histogram{{count: calls, seen: *clients}}
	}
}

// noteAbsent counts the parameters that a call could have brought, and did not.
func (r *routeState) noteAbsent(s *Scratch, who uint32) {
	for _, n := range r.names {
		p := r.params[n]
		switch loc := Location(n[0]); {
		case p.brought == r.calls, loc == Header, loc == Path:
		case loc == Form && (s.body != bodyForm || !s.complete), loc == JSON && (s.body != bodyJSON || !s.complete):
		default:
			p.absent.add(0, who)
		}
	}
}

// ordered tells where parameters have an order that clients keep.
func ordered(l Location) bool { return l == Query || l == Form }

func (p *paramState) observe(it *item, who uint32) {
	p.votes = saturate(p.votes, 1)
	p.types.add(uint8(it.shape.typ), who)
	p.lengths.add(it.shape.length, who)
	if it.shape.typ == TypeInt || it.shape.typ == TypeFloat {
		p.numbers.add(it.shape.number, who)
	}
	for set := it.shape.chars; set != 0; set &= set - 1 {
		p.chars.add(set.first(), who)
	}
	p.values.add(it.value, 1, &witness{who})
	var pattern [8]byte
	binary.LittleEndian.PutUint64(pattern[:], it.shape.pattern)
	p.patterns.add(pattern[:], 1, &witness{who})
}
