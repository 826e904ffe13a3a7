package parameters

import "slices"

// pruneAPIs makes room by forgetting the APIs that few clients ever called: where
// an API goes by the host, anybody can make them up.
func (l *Learner) pruneAPIs() bool {
	for name, a := range l.apis {
		if a.headers.seen.enough() {
			continue
		}
		l.params -= len(a.headers.params)
		for _, r := range a.routes {
			l.params -= len(r.params)
		}
		delete(l.apis, name)
	}
	return len(l.apis) < l.cfg.MaxAPIs
}

// prune makes room by forgetting the routes that few clients ever called.
func (l *Learner) prune(api *apiState) bool {
	for name, r := range api.routes {
		if !r.seen.enough() {
			l.params -= len(r.params)
			delete(api.routes, name)
		}
	}
	return len(api.routes) < maxRoutes
}

// pruneParams makes room by forgetting the names that few clients ever sent.
func (l *Learner) pruneParams(r *routeState) bool {
	kept := slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return !r.params[n].seen.enough() })
	if len(kept) == len(r.names) {
		return false
	}
	l.params -= len(r.names) - len(kept)
	r.renumber(kept)
	return true
}

// renumber keeps the parameters of names, in that order.
func (r *routeState) renumber(names []string) {
	place := map[uint8]uint8{}
	params := map[string]*paramState{}
	for i, n := range names {
		p := r.params[n]
		if p.ordinal < maxOrdered && i < maxOrdered {
			place[p.ordinal] = uint8(i)
		}
		p.ordinal = uint8(i)
		params[n] = p
	}
	var order histogram
	for i := range r.order {
		from, okF := place[r.order[i].key>>4]
		to, okT := place[r.order[i].key&15]
		if okF && okT {
			b := order.at(from<<4 | to)
			b.count, b.seen = r.order[i].count, r.order[i].seen
		}
	}
	r.names, r.params, r.order = names, params, order
}
