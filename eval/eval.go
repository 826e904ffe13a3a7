// Package eval measures detection quality: verdicts against labelled traffic.
package eval

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// grace is how long after the end of an attack a block still counts as found.
const grace = 60 * time.Second

// Attack is the result for one attack: the labelled entities that carry it from
// the same start on.
type Attack struct {
	Name     string
	Start    time.Time
	Entities int // labelled
	Blocked  int // of those, blocked in time
	// FirstBlock is the first block of any of them; zero when there is none.
	FirstBlock time.Time
	// Named counts blocked entities whose verdict gave the attack its name.
	Named int
	// Delays are the times from each blocked entity's first hostile call to its block.
	Delays []time.Duration
}

// Found tells whether any entity of the attack was blocked in time.
func (a *Attack) Found() bool { return a.Blocked > 0 }

// MedianDelay is the median of Delays; 0 without any.
func (a *Attack) MedianDelay() time.Duration {
	if len(a.Delays) == 0 {
		return 0
	}
	d := slices.Sorted(slices.Values(a.Delays))
	return d[len(d)/2]
}

// Report compares verdicts with labels. Feed it every verdict, in order.
type Report struct {
	labels  map[string][]*instance
	attacks []*Attack
	benign  map[string]*schemas.Verdict
}

type instance struct {
	label   schemas.Label
	attack  *Attack
	blocked bool
}

// NewReport prepares a report over labels; labels of one attack whose starts
// lie within gap of each other belong to one instance of it.
func NewReport(labels []schemas.Label, gap time.Duration) *Report {
	r := &Report{labels: map[string][]*instance{}, benign: map[string]*schemas.Verdict{}}
	ordered := slices.Clone(labels)
	slices.SortStableFunc(ordered, func(a, b schemas.Label) int {
		return cmp.Or(cmp.Compare(a.Attack, b.Attack), a.Start.Compare(b.Start))
	})
	var current *Attack
	var last time.Time
	for _, l := range ordered {
		if current == nil || current.Name != l.Attack || l.Start.Sub(last) > gap {
			current = &Attack{Name: l.Attack, Start: l.Start}
			r.attacks = append(r.attacks, current)
		}
		last = l.Start
		current.Entities++
		key := l.EntityType + ":" + l.Entity
		r.labels[key] = append(r.labels[key], &instance{label: l, attack: current})
	}
	return r
}

// Verdict takes one verdict in. Only blocks count, provisional or not: a
// provisional block stops calls like any other.
func (r *Report) Verdict(v *schemas.Verdict) {
	if v.Action != schemas.ActionBlock {
		return
	}
	own := r.labels[v.Entity.String()]
	instances := own
	for _, e := range v.Linked {
		instances = append(slices.Clip(instances), r.labels[e.String()]...)
	}
	hit := false
	for _, in := range instances {
		if v.Time.Before(in.label.Start) || v.Time.After(in.label.End.Add(grace)) {
			continue
		}
		hit = true
		if in.blocked {
			continue
		}
		in.blocked = true
		a := in.attack
		a.Blocked++
		if v.Attack == a.Name {
			a.Named++
		}
		a.Delays = append(a.Delays, v.Time.Sub(in.label.Start))
		if a.FirstBlock.IsZero() || v.Time.Before(a.FirstBlock) {
			a.FirstBlock = v.Time
		}
	}
	// An entity without a label is benign, also where it once shared an address
	// with an attacker.
	if len(own) == 0 && !hit {
		if _, ok := r.benign[v.Entity.String()]; !ok {
			r.benign[v.Entity.String()] = v
		}
	}
}

// Attacks are the results, by name and start.
func (r *Report) Attacks() []*Attack { return r.attacks }

// FalseBlocks are the first block of each entity without a label, by entity.
func (r *Report) FalseBlocks() []*schemas.Verdict {
	out := make([]*schemas.Verdict, 0, len(r.benign))
	for _, v := range r.benign {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *schemas.Verdict) int { return cmp.Compare(a.Entity.String(), b.Entity.String()) })
	return out
}
