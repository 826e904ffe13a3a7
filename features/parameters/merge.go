package parameters

import "fmt"

// Merge adds what another Learner saw, of other traffic. What both saw counts
// twice. The other is left as it is.
func (l *Learner) Merge(o *Learner) error {
	if l.cfg.VoteInterval != o.cfg.VoteInterval || l.cfg.Vouched != o.cfg.Vouched {
		return fmt.Errorf("merging parameters: %w", ErrConfig)
	}
	for _, name := range sortedKeys(o.apis) {
		b := o.apis[name]
		a := l.apis[name]
		if a == nil {
			if len(l.apis) >= l.cfg.MaxAPIs {
				continue
			}
			a = newAPI()
			l.apis[name] = a
		}
		a.calls = saturate(a.calls, b.calls)
		a.missed.merge(b.missed)
		a.lost.merge(b.lost)
		l.mergeRoute(a.headers, b.headers)
		for _, route := range sortedKeys(b.routes) {
			if r := l.route(a, []byte(route)); r != nil {
				l.mergeRoute(r, b.routes[route])
			} else {
				a.lost.merge(histogram{{count: b.routes[route].calls, seen: b.routes[route].seen}})
			}
		}
	}
	return nil
}

func (l *Learner) mergeRoute(a, b *routeState) {
	for _, n := range a.names {
		if b.params[n] == nil {
			a.params[n].absentFrom(b, n)
		}
	}
	before := *a
	a.calls = saturate(a.calls, b.calls)
	a.lost.merge(b.lost)
	a.seen.merge(&b.seen)
	for i := range a.byBody {
		a.byBody[i] = saturate(a.byBody[i], b.byBody[i])
	}
	for i := range b.formats {
		f := &b.formats[i]
		a.format([]byte(f.name), f.count, &f.seen)
	}
	a.sizes.merge(b.sizes)
	for _, n := range b.names {
		p := a.params[n]
		if p == nil {
			if len(a.params) >= maxParams && !l.pruneParams(a) || l.params >= l.cfg.MaxParameters {
				a.lost.merge(histogram{{count: b.params[n].present, seen: b.params[n].seen}})
				continue
			}
			p = &paramState{ordinal: uint8(len(a.names))}
			p.absentFrom(&before, n)
			a.params[n] = p
			a.names = append(a.names, n)
			l.params++
		}
		p.merge(b.params[n])
	}
	a.mergeOrder(b)
}

// absentFrom counts the calls of a route that never had the parameter.
func (p *paramState) absentFrom(r *routeState, name string) {
	if calls := r.groupCalls(Location(name[0])); calls > 0 {
		p.absent.merge(histogram{{count: calls, seen: r.seen}})
	}
}

// mergeOrder adds the pairs of b under the numbers that a gave the names.
func (r *routeState) mergeOrder(b *routeState) {
	place := func(i uint8) (uint8, bool) {
		if int(i) >= len(b.names) {
			return 0, false
		}
		p := r.params[b.names[i]]
		return p.place()
	}
	for i := range b.order {
		o := &b.order[i]
		from, okF := place(o.key >> 4)
		to, okT := place(o.key & 15)
		if okF && okT {
			c := r.order.at(from<<4 | to)
			c.count = saturate(c.count, o.count)
			c.seen.merge(&o.seen)
		}
	}
}

// place is a parameter's number, if its order is learnt.
func (p *paramState) place() (uint8, bool) {
	if p == nil || p.ordinal >= maxOrdered {
		return 0, false
	}
	return p.ordinal, true
}

func (p *paramState) merge(o *paramState) {
	p.present, p.votes = saturate(p.present, o.present), saturate(p.votes, o.votes)
	p.seen.merge(&o.seen)
	p.absent.merge(o.absent)
	p.repeated.merge(o.repeated)
	p.types.merge(o.types)
	p.lengths.merge(o.lengths)
	p.numbers.merge(o.numbers)
	p.chars.merge(o.chars)
	p.values.merge(&o.values)
	p.patterns.merge(&o.patterns)
}
