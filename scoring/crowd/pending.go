package crowd

import (
	"slices"
	"strings"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// maxPending bounds the cohorts and routes of one window that wait to be judged.
const maxPending = 16_384

// window is a window of an API whose sources have not all arrived.
type window struct {
	start, end int64
	entities   map[string]*entity // by type and name
}

// entity is what the sources have said of one entity in one window.
type entity struct {
	kind   string // entity type
	name   string
	shares []share // at most one of each source
}

type share struct {
	source int32
	seq    uint32
	tally
}

// tally is the content of an aggregate.
type tally struct {
	requests, status2xx, status5xx            uint64
	logins, failures, successes               uint64
	identified, anonymous, plain, errors, bad uint64
	clients, failed, fresh                    []byte // registers
	latency                                   []uint32
}

// set copies an aggregate's numbers.
func (t *tally) set(a *schemas.Aggregate) {
	t.requests, t.status2xx, t.status5xx = a.Requests, a.Status2xx, a.Status5xx
	t.logins, t.failures, t.successes = a.LoginAttempts, a.LoginFailures, a.LoginSuccesses
	t.identified, t.anonymous, t.plain, t.errors, t.bad = a.Identified, a.Anonymous, a.Plain, a.Errors, a.Verbose
	t.clients = append(t.clients[:0], a.Clients...)
	t.failed = append(t.failed[:0], a.FailedClients...)
	t.fresh = append(t.fresh[:0], a.NewClients...)
	t.latency = append(t.latency[:0], a.Latency...)
}

// add merges another share; the order of merging does not show.
func (t *tally) add(o *tally) {
	for _, p := range [...]struct {
		to   *uint64
		from uint64
	}{
		{&t.requests, o.requests}, {&t.status2xx, o.status2xx}, {&t.status5xx, o.status5xx},
		{&t.logins, o.logins}, {&t.failures, o.failures}, {&t.successes, o.successes},
		{&t.identified, o.identified}, {&t.anonymous, o.anonymous}, {&t.plain, o.plain},
		{&t.errors, o.errors}, {&t.bad, o.bad},
	} {
		*p.to += p.from
	}
	t.clients = features.MergeRegisters(t.clients, o.clients)
	t.failed = features.MergeRegisters(t.failed, o.failed)
	t.fresh = features.MergeRegisters(t.fresh, o.fresh)
	for len(t.latency) < len(o.latency) {
		t.latency = append(t.latency, 0)
	}
	for i, n := range o.latency {
		t.latency[i] += n
	}
}

// reset empties the tally and keeps its buffers.
func (t *tally) reset() {
	*t = tally{clients: t.clients[:0], failed: t.failed[:0], fresh: t.fresh[:0], latency: t.latency[:0]}
}

// merge makes t the sum of an entity's shares.
func (t *tally) merge(e *entity) {
	t.reset()
	for i := range e.shares {
		t.add(&e.shares[i].tally)
	}
}

// hold keeps an aggregate until its window is complete; of two records of one
// source the later holds.
func (c *Crowd) hold(p *api, a *schemas.Aggregate) {
	w := p.window(a.WindowStart, a.WindowEnd)
	key := string(a.EntityType) + "\x00" + string(a.Entity)
	e := w.entities[key]
	if e == nil {
		if len(w.entities) >= maxPending && string(a.EntityType) != schemas.EntityAPI {
			c.Stats.Overflow++
			return
		}
		kind, name, _ := strings.Cut(key, "\x00")
		e = &entity{kind: kind, name: name}
		w.entities[key] = e
	}
	for i := range e.shares {
		if s := &e.shares[i]; s.source == a.Source {
			if a.Seq >= s.seq {
				s.seq = a.Seq
				s.set(a)
			}
			return
		}
	}
	e.shares = append(e.shares, share{source: a.Source, seq: a.Seq})
	e.shares[len(e.shares)-1].set(a)
}

// window returns the pending window, making it if needed. They stand in the
// order in which they end.
func (p *api) window(start, end int64) *window {
	i, ok := slices.BinarySearchFunc(p.pending, end, func(w *window, end int64) int { return compareWindows(w, start, end) })
	if ok {
		return p.pending[i]
	}
	w := &window{start: start, end: end, entities: map[string]*entity{}}
	p.pending = slices.Insert(p.pending, i, w)
	return w
}

// compareWindows orders windows by their end, of equals the shorter first.
func compareWindows(w *window, start, end int64) int {
	switch {
	case w.end != end:
		return int(max(min(w.end-end, 1), -1))
	default:
		return int(max(min(start-w.start, 1), -1))
	}
}

// sorted lists the entities of one type by name.
func (w *window) sorted(kind string, dst []*entity) []*entity {
	dst = dst[:0]
	for _, e := range w.entities {
		if e.kind == kind {
			dst = append(dst, e)
		}
	}
	slices.SortFunc(dst, func(a, b *entity) int { return strings.Compare(a.name, b.name) })
	return dst
}
