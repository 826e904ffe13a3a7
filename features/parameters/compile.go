package parameters

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// paramInfo is what explanations need of a parameter.
type paramInfo struct {
	name    []byte
	votes   uint32
	present uint32
	share   float64 // of the commonest type
	main    Type
	minLen  int
	maxLen  int
	values  []string // commonest first
}

// Model is what the Learner knows now. It costs about a microsecond a
// parameter and leaves the Learner as it is.
func (l *Learner) Model() *Model {
	m := &Model{apis: map[uint64]*apiModel{}, routes: map[uint64]*routeModel{}, paths: map[uint64]struct{}{}}
	for name, a := range l.apis {
		tenant, api := splitAPI(name)
		key := xxhash.Sum64String(tenant) ^ mix(xxhash.Sum64String(api))
		m.apis[key] = l.compileAPI(m, key, name, a)
	}
	return m
}

func splitAPI(key string) (tenant, api string) {
	for i := range len(key) {
		if key[i] == 0 {
			return key[:i], key[i+1:]
		}
	}
	return "", key
}

func (l *Learner) compileAPI(m *Model, key uint64, name string, a *apiState) *apiModel {
	routes := sortedKeys(a.routes)
	// The pool is summed in a fixed order: sums of floats depend on it.
	var shared pool
	for _, r := range routes {
		a.routes[r].pooled(&shared)
	}
	a.headers.pooled(&shared)
	out := &apiModel{name: name, calls: a.calls, headers: a.headers.compile("", &shared)}
	strangers := crowd{}
	for _, r := range routes {
		c := a.routes[r].compile(r, &shared)
		m.routes[routeHash(key, []byte(r))] = c
		if c.familiar {
			out.routes++
			m.paths[routeHash(key, pathOf([]byte(r)))] = struct{}{}
		} else {
			strangers.add(&a.routes[r].seen)
		}
	}
	missed := a.missed.believed()
	odd := min(float64(len(strangers))+a.lost.believed()+missed, float64(a.calls)+missed)
	out.newRoute = math.Log((odd + eventStrength) / (float64(a.calls) + missed + 2*eventStrength))
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (r *routeState) pooled(o *pool) {
	for _, n := range r.names {
		e := evidenceOf(r.params[n])
		o.add(&e, 1)
	}
}

func (r *routeState) compile(name string, shared *pool) *routeModel {
	out := &routeModel{
		name: name, calls: r.calls, familiar: r.seen.enough(), known: r.seen.enough() && r.calls >= minCalls,
		hashes: make([]uint64, len(r.names)), params: make([]paramModel, len(r.names)), info: make([]paramInfo, len(r.names)),
	}
	calls := float64(r.calls)
	strangers := crowd{}
	for i, n := range r.names {
		p := r.params[n]
		if !p.seen.enough() {
			strangers.add(&p.seen)
		}
		loc := Location(n[0])
		out.hashes[i] = loc.hash([]byte(n[1:]))
		self := evidenceOf(p)
		c := &out.params[i]
		c.loc, c.known = loc, p.seen.enough()
		p.compile(c, &out.info[i], shared.prior(&self))
		out.info[i].name = []byte(n[1:])
		r.compilePresence(out, i, p)
	}
	out.unknown = math.Log((min(float64(len(strangers))+r.lost.believed(), calls) + eventStrength) / (calls + 2*eventStrength))
	r.compileOrder(out)
	r.compileBody(out)
	return out
}
