package parameters

// vouch counts one client as enough.
func (l *Learner) vouch(r *routeState) {
	full := fullWitness
	r.seen = full
	for i := range r.formats {
		r.formats[i].seen = full
	}
	r.sizes.vouch(full)
	r.order.vouch(full)
	for _, n := range r.names {
		r.params[n].absent.vouch(full)
	}
	for _, it := range l.scratch.items {
		l.key = append(append(l.key[:0], byte(it.loc)), it.name...)
		p := r.params[string(l.key)]
		if p == nil {
			continue
		}
		p.seen = full
		for _, h := range [...]histogram{p.repeated, p.types, p.lengths, p.numbers, p.chars} {
			h.vouch(full)
		}
		p.values.vouch(full)
		p.patterns.vouch(full)
	}
}

func (s *valueSet) vouch(w witness) {
	for i := range s.values {
		s.values[i].seen = w
	}
	if s.spilled.count > 0 {
		s.spilled.seen = w
	}
}

func (h histogram) vouch(w witness) {
	for i := range h {
		h[i].seen = w
	}
}
