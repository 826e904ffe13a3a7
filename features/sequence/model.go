// Package sequence knows in which order the clients of an API call its routes.
//
// A Model is a variable-order Markov model of at most two routes of context,
// with interpolated probabilities, and a list of routes that others nearly always
// precede. It is learnt by a Learner and immutable afterwards.
package sequence

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Route is the hash of a route's name, "METHOD template". 0 is no route.
type Route = uint64

// Hash is the Route of a name.
func Hash(name []byte) Route {
	if h := xxhash.Sum64(name); h != 0 {
		return h
	}
	return 1
}

// Start stands before the first route of a session, in Steps as the route of this
// name.
var Start = Hash([]byte(StartName))

// StartName is the name of Start.
const StartName = "(start)"

// Repeats tells whether a repetition of a route is a step: reads are repeated by
// polling and paging, which says nothing of a way.
func Repeats(name []byte) bool {
	return !bytes.HasPrefix(name, []byte("GET ")) && !bytes.HasPrefix(name, []byte("HEAD ")) && !bytes.HasPrefix(name, []byte("OPTIONS "))
}

// Wander is the prior share of a step that an attacker takes to any route at
// all: a step gains ln((1-w) + w / (K P)) nats, where P is the step's probability
// and K the number of routes. Over the steps of a client that follows the model
// the expectation of exp of each gain is one, so that their product is a test
// martingale (Ville); one ordinary step loses at most -ln(1-w) = 0.22 nats.
const Wander = 0.2

// blend is how many observations the shorter context weighs in the interpolation
// P_o = (c_o + k P_{o-1}) / (n_o + k).
const blend = 2

// Steps is a Model as it is stored: counts of steps by the routes before them.
type Steps struct {
	Routes []string `json:"routes"` // sorted
	// Counts are by context: with two routes before, with one, and with none (-1).
	Counts        []Count        `json:"counts"`
	Prerequisites []Prerequisite `json:"prerequisites,omitempty"`
}

// Count is how often a route followed two others; indexes of Steps.Routes, -1
// for none. Before may be -1 alone; both -1 count the route by itself.
type Count struct {
	Before, Last, Next int
	N                  int
}

// Prerequisite says that sessions call a route before another.
type Prerequisite struct {
	First, Then int     // indexes of Steps.Routes
	Share       float64 // of the sessions that call Then, those that called First before
	N           int     // sessions that called Then
}

// ErrModel says that Steps make no sense: an index without a route, a count that
// is not positive.
var ErrModel = errors.New("sequence model")

// Model answers how likely a step is. It is immutable and safe for concurrent use.
type Model struct {
	names    map[Route]string
	routes   float64 // K
	single   map[Route]float64
	contexts map[uint64]context
	steps    map[uint64]float64 // (context, next): c / (n + k)
	needs    map[Route][]need
}

type context struct{ n float64 }

type need struct {
	first Route
	share float64
}

func pair(a, b uint64) uint64 {
	h := a*0x9e3779b97f4a7c15 ^ b
	h ^= h >> 29
	return h * 0xbf58476d1ce4e5b9
}

// New builds a Model. The error is ErrModel.
func New(s *Steps) (*Model, error) {
	m := &Model{
		names: map[Route]string{}, routes: float64(max(len(s.Routes), 1)), single: map[Route]float64{},
		contexts: map[uint64]context{}, steps: map[uint64]float64{}, needs: map[Route][]need{},
	}
	hashes := make([]Route, len(s.Routes))
	for i, name := range s.Routes {
		hashes[i] = Hash([]byte(name))
		m.names[hashes[i]] = name
	}
	at := func(i int) (Route, error) {
		switch {
		case i == -1:
			return 0, nil
		case i < -1 || i >= len(hashes):
			return 0, fmt.Errorf("%w: route %d of %d", ErrModel, i, len(hashes))
		}
		return hashes[i], nil
	}
	total := 0.0
	for _, c := range s.Counts {
		before, err1 := at(c.Before)
		last, err2 := at(c.Last)
		next, err3 := at(c.Next)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, err
		}
		if next == 0 || c.N <= 0 || before != 0 && last == 0 {
			return nil, fmt.Errorf("%w: a count of %d without its routes", ErrModel, c.N)
		}
		if last == 0 {
			m.single[next] += float64(c.N)
			total += float64(c.N)
			continue
		}
		ctx := pair(before, last)
		m.steps[pair(ctx, next)] += float64(c.N)
		m.contexts[ctx] = context{m.contexts[ctx].n + float64(c.N)}
	}
	for r := range m.single {
		// A route that was seen once less than never seen: K + 1 outcomes.
		m.single[r] = (m.single[r] + 1) / (total + m.routes + 1)
	}
	for _, p := range s.Prerequisites {
		first, err1 := at(p.First)
		then, err2 := at(p.Then)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		if first == 0 || then == 0 || !(p.Share > 0 && p.Share <= 1) {
			return nil, fmt.Errorf("%w: a prerequisite of share %v", ErrModel, p.Share)
		}
		m.needs[then] = append(m.needs[then], need{first, p.Share})
	}
	return m, nil
}

// Knows tells whether a route was learnt.
func (m *Model) Knows(r Route) bool { return m != nil && m.single[r] > 0 }

// Name is the name of a learnt route; "" of another.
func (m *Model) Name(r Route) string {
	if m == nil {
		return ""
	}
	return m.names[r]
}

// P is the probability that next follows last after before; before may be 0.
// next must be known.
func (m *Model) P(before, last, next Route) float64 {
	p := m.single[next]
	if last == 0 {
		return p
	}
	p = m.order(pair(0, last), next, p)
	if before != 0 {
		p = m.order(pair(before, last), next, p)
	}
	return p
}

func (m *Model) order(ctx uint64, next Route, shorter float64) float64 {
	c, ok := m.contexts[ctx]
	if !ok {
		return shorter
	}
	return (m.steps[pair(ctx, next)] + blend*shorter) / (c.n + blend)
}

// Gain is the log likelihood ratio, in nats, of wandering against the model for
// a step of probability p.
func (m *Model) Gain(p float64) float64 {
	return math.Log((1 - Wander) + Wander/(m.routes*p))
}

// Missing is the commonest prerequisite of a route that is not among the routes
// called before, 0 if none is missing, and the share of sessions that do call it,
// or that call the commonest one; needed tells whether the route has any.
func (m *Model) Missing(then Route, called []uint32) (first Route, share float64, needed bool) {
	if m == nil || len(m.needs[then]) == 0 {
		return 0, 0, false
	}
	needs := m.needs[then]
	for _, n := range needs {
		if !slices.Contains(called, Short(n.first)) {
			return n.first, n.share, true
		}
	}
	return 0, needs[0].share, true
}

// SkipGain is the log likelihood ratio, nats, of a client that leaves steps out in
// nine cases of ten in half of its calls, for a call whose prerequisite is kept in
// the given share of sessions and was kept or skipped by this one.
func SkipGain(share float64, skipped bool) float64 {
	const half, most = 0.5, 0.9
	share = min(share, 0.999)
	if skipped {
		return math.Log(half + half*most/(1-share))
	}
	return math.Log(half + half*(1-most)/share)
}

// Short is a route as a client's recent routes keep it.
func Short(r Route) uint32 {
	if s := uint32(r >> 32); s != 0 {
		return s
	}
	return 1
}
