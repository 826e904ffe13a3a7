package features

import (
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/schemas"
)

const (
	minNormVotes   = 30
	minNormClients = 3
	maxNorms       = 5000 // routes of an API
	maxLearntAPIs  = 1000
	voteInterval   = 15 * 60 * second
)

// KnowledgeLearner learns what calls of each API's routes usually take, and in
// which order clients call them. Each client has one vote a route in a quarter of
// an hour, so that a busy one does not define what is usual.
type KnowledgeLearner struct {
	routes *RouteTable
	rules  RouteRules
	apis   map[string]*apiLearner
	params *parameters.Learner
	call   routeCall
	client []byte
	in     inspector
	judge  *Knowledge
	place  []byte
}

type apiLearner struct {
	norms            map[string]*normSums
	voted            map[uint64]int64
	people, programs *sequence.Learner
	callers          map[string]*bitmap256 // distinct clients of a route
	flagged          map[string]*bitmap256 // and those with a value that looks like code, by place
}

type normSums struct {
	votes                       int
	clients                     bitmap64
	duration, request, response logSums
}

type logSums struct{ n, sum, sumSq float64 }

func (s *logSums) add(x float64) { s.n, s.sum, s.sumSq = s.n+1, s.sum+x, s.sumSq+x*x }

func (s *logSums) norm() LogNorm {
	if s.n < minNormVotes {
		return LogNorm{}
	}
	mean := s.sum / s.n
	// A quantity that never varies is known to a tenth.
	return LogNorm{Mean: mean, SD: math.Sqrt(max(s.sumSq/s.n-mean*mean, 0.01))}
}

// NewKnowledgeLearner returns a learner that names routes by rules.
func NewKnowledgeLearner(rules RouteRules) *KnowledgeLearner {
	judge, err := NewKnowledge(&Learnt{Routes: rules}, nil)
	if err != nil {
		judge = nil // without the shipped payload model no place is noisy
	}
	return &KnowledgeLearner{judge: judge, in: inspector{parameters: parameters.NewScratch()}, routes: NewRouteTable(rules), rules: rules, apis: map[string]*apiLearner{}, params: parameters.NewLearner(parameters.Config{})}
}

// Observe takes one event in; those of a client must come in order of time.
func (l *KnowledgeLearner) Observe(e *schemas.Event) {
	name := e.API
	if len(name) == 0 {
		name = e.Host
	}
	a := l.apis[string(name)]
	if a == nil {
		if len(l.apis) >= maxLearntAPIs {
			return
		}
		a = &apiLearner{
			norms: map[string]*normSums{}, voted: map[uint64]int64{},
			people: sequence.NewLearner(), programs: sequence.NewLearner(),
			callers: map[string]*bitmap256{}, flagged: map[string]*bitmap256{},
		}
		l.apis[string(name)] = a
	}
	l.routes.match(&l.call, e)
	o := observe(e, e.Time, &l.call)
	if o.flags&(isStatic|isMissing) != 0 {
		return
	}
	l.client = AppendClientKey(l.client[:0], e)
	l.params.Add(e, l.call.template, l.client)
	client := xxhash.Sum64(l.client)
	if strings.HasPrefix(string(l.client), ClientConsumer+":") {
		a.programs.Add(client, l.call.template, e.Time)
	} else {
		a.people.Add(client, l.call.template, e.Time)
	}
	if e.Status < 200 || e.Status >= 400 || !a.mayVote(client, o.route, e.Time) {
		return
	}
	n := a.norms[string(l.call.template)]
	if n == nil {
		if len(a.norms) >= maxRouteNodes {
			return
		}
		n = &normSums{}
		a.norms[string(l.call.template)] = n
	}
	n.votes++
	n.clients.add(client)
	l.look(a, e, client)
	if o.duration > 0 {
		n.duration.add(math.Log(float64(o.duration)))
	}
	if o.reqBytes > 0 {
		n.request.add(math.Log1p(float64(o.reqBytes)))
	}
	if o.respBytes > 0 && e.Status < 300 {
		n.response.add(math.Log1p(float64(o.respBytes)))
	}
}

// A place is noisy from so many clients on, who are so large a share of those that
// call its route: fewer may be attackers.
const (
	noisyClients = 10
	noisyShare   = 0.05
)

// look notes who sent a value that looks like code, and where.
func (l *KnowledgeLearner) look(a *apiLearner, e *schemas.Event, client uint64) {
	if l.judge == nil {
		return
	}
	route := string(l.call.template)
	if a.callers[route] == nil {
		a.callers[route] = new(bitmap256)
	}
	a.callers[route].add(client)
	var o observation
	if l.judge.inspect(&l.in, &o, e, nil, l.call.template); o.flags&isPayloadHit == 0 {
		return
	}
	l.place = appendPlace(l.place[:0], l.call.template, l.in.found.where)
	b := a.flagged[string(l.place)]
	if b == nil {
		if len(a.flagged) >= maxRouteNodes {
			return
		}
		b = new(bitmap256)
		a.flagged[string(l.place)] = b
		a.callers[string(l.place)] = a.callers[route]
	}
	b.add(client)
}

// noisy are the places that enough clients' ordinary values make so.
func (a *apiLearner) noisy() []string {
	var out []string
	for place, clients := range a.flagged {
		if n := clients.estimate(); n >= noisyClients && n >= noisyShare*a.callers[place].estimate() {
			out = append(out, place)
		}
	}
	slices.Sort(out)
	return out
}

func (a *apiLearner) mayVote(client, route uint64, at int64) bool {
	key := client*0x9e3779b97f4a7c15 ^ route
	if v, ok := a.voted[key]; ok && v == at/voteInterval {
		return false
	}
	a.voted[key] = at / voteInterval
	return true
}

// Learnt is what was learnt so far.
func (l *KnowledgeLearner) Learnt() Learnt {
	out := Learnt{Routes: l.rules, APIs: map[string]*LearntAPI{}, Parameters: l.params.Append(nil)}
	for name, a := range l.apis {
		own := &LearntAPI{People: a.people.Steps(), Programs: a.programs.Steps()}
		for route, n := range a.norms {
			if n.votes >= minNormVotes && n.clients.estimate() > minNormClients-0.5 {
				own.Norms = append(own.Norms, RouteNorm{
					Route: route, N: n.votes, Duration: n.duration.norm(), Request: n.request.norm(), Response: n.response.norm(),
				})
			}
		}
		slices.SortFunc(own.Norms, func(a, b RouteNorm) int {
			if a.N != b.N {
				return b.N - a.N
			}
			return strings.Compare(a.Route, b.Route)
		})
		own.Norms = own.Norms[:min(len(own.Norms), maxNorms)]
		own.Noisy = a.noisy()
		out.APIs[name] = own
	}
	return out
}
