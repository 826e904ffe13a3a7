// Package eval measures detection quality: verdicts against labelled traffic.
//
// A Report compares one run's verdicts with its labels; an Engine makes the
// verdicts with the same extraction and scoring as the service. The suites run
// both over simulated worlds, beside the targets that detection has to meet.
package eval

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// grace is how long after the end of an attack a block still counts as found.
const grace = 60 * time.Second

const dayUS = 24 * 3600 * 1_000_000

// Caller is what is known of who made a call beyond what the call says.
type Caller struct {
	Class    string // of a benign client; empty: not known
	Person   int    // number of the benign person or machine; -1: not known
	Instance int    // number of the attack instance; -1: benign or not known
	Cover    bool   // an attacker's ordinary life: neither hostile nor benign
}

// Unknown is the Caller of traffic that carries labels and nothing else.
func Unknown() Caller { return Caller{Person: -1, Instance: -1} }

// Report compares verdicts with labels. Feed it every call before the verdicts
// that rest on it, in order. One that is told no calls at all knows no requests,
// no damage and no client-days without a block.
type Report struct {
	gap    time.Duration
	labels map[string][]*labelled // by entity
	all    []*labelled
	days   map[clientDay]*benignDay
	wrong  []FalseBlock
	active activeBlocks
	key    []byte
	names  []string // of instances, beside their attack's name
	called bool
	allow  map[string]bool
}

// labelled is one label and what happened under it.
type labelled struct {
	label    schemas.Label
	instance int // -1 until a call tells
	calls    []hostileCall
	blocked  bool
	at       time.Time // of the first block
	named    bool
}

type hostileCall struct {
	time           int64 // µs
	served, signIn bool  // answered with 2xx; a login attempt
}

// clientDay is the unit of false blocks: a client on an API for a day.
type clientDay struct {
	id  uint64
	day int64
}

type benignDay struct {
	class   string
	known   bool // a benign caller was named, not merely no attacker
	blocked bool
}

// FalseBlock is the first block of a benign client-day.
type FalseBlock struct {
	Class   string
	Verdict *schemas.Verdict
}

// NewReport prepares a report over labels. Labels whose calls name no instance
// are grouped: those of one attack whose starts lie within gap of each other.
func NewReport(labels []schemas.Label, gap time.Duration) *Report {
	r := &Report{gap: gap, labels: map[string][]*labelled{}, days: map[clientDay]*benignDay{}, active: newActiveBlocks()}
	for _, l := range labels {
		in := &labelled{label: l, instance: -1}
		r.all = append(r.all, in)
		key := l.EntityType + ":" + l.Entity
		r.labels[key] = append(r.labels[key], in)
	}
	return r
}

// NameInstances gives the attack instances that Callers number a name each, such
// as the attack's variant.
func (r *Report) NameInstances(names []string) { r.names = names }

// Allow names client keys that an operator has put on the allow list: they are
// refused nothing, whatever is said of them.
func (r *Report) Allow(keys []string) {
	r.allow = make(map[string]bool, len(keys))
	for _, k := range keys {
		r.allow[k] = true
	}
}

// Block takes a change of the blocklist in; nil lifts the block of key.
func (r *Report) Block(key string, entry *schemas.BlockEntry) { r.active.entry(key, entry) }

func (l *labelled) holds(t time.Time) bool {
	return !t.Before(l.label.Start) && !t.After(l.label.End)
}

// Call takes in one call.
func (r *Report) Call(ev *schemas.Event, c Caller) {
	r.called = true
	r.key = features.AppendClientKey(r.key[:0], ev)
	if r.allow[string(r.key)] {
		return
	}
	at := time.UnixMicro(ev.Time).UTC()
	labels := r.labels[string(r.key)]
	hostile := false
	if !c.Cover && (c.Instance >= 0 || c.Person < 0) {
		for _, l := range labels {
			if !l.holds(at) || c.Instance >= 0 && l.instance >= 0 && l.instance != c.Instance {
				continue
			}
			if c.Instance >= 0 && l.instance < 0 {
				if ev.Time != l.label.Start.UnixMicro() {
					continue // another instance's label: each begins with a call of its own
				}
				l.instance = c.Instance
			}
			hostile = true
			l.calls = append(l.calls, hostileCall{ev.Time, ev.Status >= 200 && ev.Status < 300, len(ev.LoginUser) > 0})
			for _, b := range r.active.of(ev, r.key) {
				b.hostile++
				// A cohort's block stops those who join the cohort later.
				if b.conditions != nil || !b.since.Before(l.label.Start) {
					l.block(maxTime(b.since, l.label.Start), b.attack)
				}
			}
			break
		}
	}
	if hostile || c.Cover || c.Instance >= 0 {
		return
	}
	if len(labels) == 0 {
		k := dayOf(r.key, ev.Tenant, apiOf(ev), ev.Time)
		d := r.days[k]
		if d == nil {
			d = &benignDay{class: c.Class}
			r.days[k] = d
		}
		d.known = d.known || c.Person >= 0
	}
	for _, b := range r.active.of(ev, r.key) {
		b.refuse(c, r.key)
	}
}

func apiOf(ev *schemas.Event) []byte {
	if len(ev.API) == 0 {
		return ev.Host
	}
	return ev.API
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// dayOf names a client-day as the scorer counts them.
func dayOf(client, tenant, api []byte, us int64) clientDay {
	if string(tenant) == schemas.DefaultTenant {
		tenant = nil
	}
	return clientDay{xxhash.Sum64(client)*31 + xxhash.Sum64(api)*7 + xxhash.Sum64(tenant), us / dayUS}
}

// block notes a label's first block.
func (l *labelled) block(at time.Time, attack string) {
	if l.blocked {
		return
	}
	l.blocked, l.at, l.named = true, at, attack == l.label.Attack
}

// Verdict takes one verdict in. Only blocks count, provisional or not: a
// provisional block stops calls like any other.
func (r *Report) Verdict(v *schemas.Verdict) {
	if v.Withdrawn {
		r.active.lift(v)
	}
	if v.Action != schemas.ActionBlock {
		return
	}
	entity := v.Entity.String()
	if r.allow[entity] {
		return
	}
	own := r.labels[entity]
	unit := dayOf([]byte(entity), []byte(v.Tenant), []byte(v.API), v.Time.UnixMicro())
	day := r.days[unit]
	if day == nil && !r.called && len(own) == 0 {
		day = new(benignDay)
		r.days[unit] = day
	}
	// The block of somebody who is known to be benign finds no attack, whatever
	// the attack shares with them.
	linked := day == nil || !day.known
	hit := r.found(own, v)
	for _, e := range v.Linked {
		if linked && r.found(r.labels[e.String()], v) {
			hit = true
		}
	}
	r.active.add(v, hit)
	if len(own) == 0 && !hit && day != nil && !day.blocked {
		day.blocked = true
		r.wrong = append(r.wrong, FalseBlock{day.class, v})
	}
}

func (r *Report) found(labels []*labelled, v *schemas.Verdict) bool {
	hit := false
	for _, l := range labels {
		if v.Time.Before(l.label.Start) || v.Time.After(l.label.End.Add(grace)) {
			continue
		}
		hit = true
		l.block(v.Time, v.Attack)
	}
	return hit
}

// FalseBlocks are the first block of each benign client-day, in order of their
// verdicts.
func (r *Report) FalseBlocks() []FalseBlock { return slices.Clone(r.wrong) }
