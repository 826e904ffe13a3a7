package features

import (
	"bytes"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/features/payload"
	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/schemas"
)

// Learnt is what was learnt of APIs that extraction needs, as a model stores it.
type Learnt struct {
	Routes RouteRules            `json:"routes"`
	APIs   map[string]*LearntAPI `json:"apis,omitempty"`
	// Parameters is an encoded parameters.Learner of all APIs.
	Parameters []byte `json:"parameters,omitempty"`
	// Status says how far each API is learnt.
	Status map[string]Status `json:"status,omitempty"`
}

// LearntAPI is what was learnt of one API.
type LearntAPI struct {
	Norms []RouteNorm `json:"norms,omitempty"`
	// People and Programs are the orders in which routes are called, by people's
	// clients and by applications with credentials of their own (consumers).
	People   *sequence.Steps `json:"people,omitempty"`
	Programs *sequence.Steps `json:"programs,omitempty"`
	// Noisy are the places, "METHOD template place", whose ordinary values look like
	// code: nothing is concluded from them.
	Noisy []string `json:"noisy,omitempty"`
}

// RouteNorm is what calls of a route usually take. Means and standard deviations
// are of logarithms: of the duration in µs, and of 1 + body bytes.
type RouteNorm struct {
	Route    string `json:"route"` // "METHOD template"
	N        int    `json:"n"`     // votes behind it
	Duration LogNorm
	Request  LogNorm
	Response LogNorm
}

// LogNorm is the mean and the standard deviation of a logarithm; a zero SD means
// that it is not known.
type LogNorm struct{ Mean, SD float64 }

// far is how many standard deviations, and farAtLeast how many nats, a quantity
// must lie above its norm to count as far beyond it: five times the usual is the
// least.
const (
	far        = 4
	farAtLeast = 1.609
)

func (n *LogNorm) far(x float64) bool {
	return n.SD > 0 && x > n.Mean+max(far*n.SD, farAtLeast)
}

// Knowledge is what an Extractor knows of the APIs that it sees. It is immutable
// and may be shared. The zero Knowledge knows nothing.
type Knowledge struct {
	routes *RouteTable
	apis   map[string]*apiKnowledge
	decoys map[uint64]bool
	// structure is of the parameters of known routes, payload finds code in values,
	// from a confidence of threshold on.
	structure *parameters.Model
	payload   *payload.Detector
	threshold float64
}

type apiKnowledge struct {
	norms            map[uint64]*RouteNorm // by hash of the route
	people, programs *sequence.Model
	noisy            map[uint64]bool
}

// Decoy is a route that exists to be found by those who look for what they were
// not given: nobody is ever told of it.
type Decoy struct {
	API   string // "*": on every API
	Route string // path template, such as "/v1/internal/backup"
}

// NewKnowledge builds what was learnt for use. The error says which part of it
// makes no sense.
func NewKnowledge(l *Learnt, decoys []Decoy) (*Knowledge, error) {
	k := &Knowledge{routes: NewRouteTable(l.Routes), apis: map[string]*apiKnowledge{}, decoys: map[uint64]bool{}}
	for name, a := range l.APIs {
		if a == nil {
			continue
		}
		own := &apiKnowledge{norms: make(map[uint64]*RouteNorm, len(a.Norms))}
		if len(a.Noisy) > 0 {
			own.noisy = make(map[uint64]bool, len(a.Noisy))
			for _, place := range a.Noisy {
				own.noisy[xxhash.Sum64String(place)] = true
			}
		}
		for i := range a.Norms {
			own.norms[sequence.Hash([]byte(a.Norms[i].Route))] = &a.Norms[i]
		}
		var err error
		if own.people, err = model(a.People); err != nil {
			return nil, fmt.Errorf("reading how people call %s: %w", name, err)
		}
		if own.programs, err = model(a.Programs); err != nil {
			return nil, fmt.Errorf("reading how programs call %s: %w", name, err)
		}
		k.apis[name] = own
	}
	if len(l.Parameters) > 0 {
		learner, err := parameters.DecodeLearner(parameters.Config{}, l.Parameters)
		if err != nil {
			return nil, fmt.Errorf("reading the structure of parameters: %w", err)
		}
		k.structure = learner.Model()
	}
	var err error
	if k.payload, err = payload.Prior(); err != nil {
		return nil, fmt.Errorf("loading the payload model: %w", err)
	}
	k.threshold = k.payload.DefaultThreshold()
	for _, d := range decoys {
		k.decoys[decoyKey([]byte(d.API), []byte(d.Route))] = true
	}
	return k, nil
}

func model(s *sequence.Steps) (*sequence.Model, error) {
	if s == nil {
		return nil, nil
	}
	return sequence.New(s)
}

func decoyKey(api, path []byte) uint64 {
	return xxhash.Sum64(api)*0x9e3779b97f4a7c15 ^ xxhash.Sum64(bytes.TrimRight(path, "/"))
}

func (k *Knowledge) isDecoy(api, template []byte) bool {
	if len(k.decoys) == 0 {
		return false
	}
	path := template[bytes.IndexByte(template, ' ')+1:]
	return k.decoys[decoyKey(api, path)] || k.decoys[decoyKey(anyAPI, path)]
}

var anyAPI = []byte("*")

// sequence is the model that a client's steps on an API are judged by.
func (k *Knowledge) sequence(api, client []byte) *sequence.Model {
	a := k.apis[string(api)]
	switch {
	case a == nil:
		return nil
	case bytes.HasPrefix(client, consumerPrefix):
		return a.programs
	}
	return a.people
}

var consumerPrefix = []byte(ClientConsumer + ":")

// judge notes on an observation how a call compares with what is known of its
// route.
func (k *Knowledge) judge(o *observation, e *schemas.Event, api, template []byte) {
	if o.flags&isStatic != 0 {
		return
	}
	if k.isDecoy(api, template) {
		o.flags |= isDecoy
	}
	a := k.apis[string(api)]
	if a == nil {
		return
	}
	n := a.norms[o.route]
	if n == nil {
		return
	}
	o.norm = n.Duration.Mean
	o.flags |= hasNorms
	if o.duration > 0 && n.Duration.far(math.Log(float64(o.duration))) {
		o.flags |= isSlow
	}
	if o.reqBytes > 0 && n.Request.far(math.Log1p(float64(o.reqBytes))) {
		o.flags |= isLargeRequest
	}
	// What an error says too much is the API's own doing.
	if o.respBytes > 0 && o.status < 400 && n.Response.far(math.Log1p(float64(o.respBytes))) {
		o.flags |= isLargeResponse
	}
}

func noKnowledge() *Knowledge {
	return &Knowledge{routes: NewRouteTable(RouteRules{})}
}
