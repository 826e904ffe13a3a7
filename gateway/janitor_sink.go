package gateway

import (
	"context"
	"hash/maphash"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// janitorSink is the Janitor as its follower sees it.
type janitorSink Janitor

func (s *janitorSink) begin() {
	j := (*Janitor)(s)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keys = make(map[string]tracked)
	j.allowed = make(map[string]*store)
	j.repairs = make(map[string]repair)
	j.covered, j.recheck, j.caught = nil, false, false
}

func (s *janitorSink) apply(rs []*kgo.Record) {
	j := (*Janitor)(s)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range rs {
		j.track(r)
	}
	for _, st := range j.allowed {
		st.publish()
	}
}

// track notes a record. The caller holds mu.
func (j *Janitor) track(r *kgo.Record) {
	k, ok := parseKey(r.Key)
	if !ok {
		return
	}
	sc, ok := scopeOf(k.scope)
	if !ok {
		return
	}
	next := tracked{offset: r.Offset, partition: r.Partition, kind: trackedBlock}
	if k.allow {
		next.kind = trackedAllow
	}
	var e rawEntry
	if r.Value == nil {
		next.kind, next.expires = trackedTombstone, r.Timestamp.UnixMicro()
	} else {
		// Zero stands for a tombstone.
		next.value = max(1, maphash.Bytes(j.seed, r.Value))
		if bad := decodeRecord(&j.dec, r, k.allow, &e); bad != nil {
			next.kind = trackedOther
		} else {
			next.expires = e.expires
		}
	}
	prev, known := j.keys[string(r.Key)]
	delete(j.repairs, string(r.Key))
	if n, conditional := notAfter(r); conditional && known && prev.offset > n && prev.value != next.value {
		j.repairs[string(r.Key)] = repair{lost: prev, by: r.Offset}
	}
	j.keys[string(r.Key)] = next
	if k.allow {
		j.trackAllow(sc, k, next, r.Offset, &e)
		return
	}
	if next.kind == trackedBlock && j.caught && j.isAllowed(string(r.Key), j.cfg.Now()) {
		j.covered = append(j.covered, string(r.Key))
	}
}

func (j *Janitor) trackAllow(sc scope, k blockKey, t tracked, offset int64, e *rawEntry) {
	st := j.allowed[string(k.tenant)]
	if t.kind != trackedAllow {
		if st != nil {
			st.remove(sc, true, k.value)
		}
		return
	}
	if st == nil {
		st = newStore()
		j.allowed[string(k.tenant)] = st
	}
	id, _, ok := identify(nil, sc, k.value)
	if !ok {
		return
	}
	st.put(sc, true, packed(appendPacked(nil, k.value, id, offset, e)))
	j.recheck = true
}

func (s *janitorSink) caughtUp(int64) error {
	j := (*Janitor)(s)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.caught = true
	return nil
}

func (s *janitorSink) tick(ctx context.Context) {
	j := (*Janitor)(s)
	if _, err := j.repair(ctx); err != nil {
		return // logged there, and due again
	}
	if now := j.cfg.Now(); now.Sub(j.swept) >= j.cfg.Interval {
		j.swept = now
		if _, err := j.Sweep(ctx); err != nil && ctx.Err() == nil {
			j.cfg.Logger.Error("sweeping the blocklist", "topic", j.cfg.Topic, "err", err)
		}
	}
}

// janitorMetrics are a Janitor's counters.
type janitorMetrics struct{ expired, lifted, repaired prometheus.Counter }

func newJanitorMetrics(reg prometheus.Registerer) (*janitorMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "weir", Subsystem: "janitor", Name: name, Help: help,
		})
	}
	m := &janitorMetrics{
		expired:  counter("expired_total", "Tombstones written for expired entries."),
		lifted:   counter("lifted_total", "Tombstones written for blocks of allowed entities."),
		repaired: counter("repaired_total", "Entries put back after a late tombstone."),
	}
	return m, register(reg, m.expired, m.lifted, m.repaired)
}
