package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// SchemaHeader is the value of the schema header (schemas.HeaderSchema) on
// records that this package writes to the blocklist topic.
const SchemaHeader = "blocklist/1"

// Forever is the expiry of an allowance without an end. Entries always carry an
// expiry, so that a reader needs one rule only.
var Forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Reasons for which a record is refused; the label of a metric.
const (
	refusedKey     = "key"
	refusedScope   = "scope"
	refusedValue   = "value"
	refusedAction  = "action"
	refusedExpiry  = "expiry"
	refusedVersion = "version"
)

// refusal is a record that is not applied, and why.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.reason + ": " + r.err.Error() }

// checkVersion accepts records without a schema header and version 1.
func checkVersion(r *kgo.Record) error {
	for i := range r.Headers {
		if r.Headers[i].Key == schemas.HeaderSchema {
			name := string(r.Headers[i].Value)
			if _, version, ok := strings.Cut(name, "/"); !ok || version != "1" {
				return fmt.Errorf("schema %q is not known", name)
			}
		}
	}
	return nil
}

var (
	errNoExpiry    = errors.New("a block without expires_at")
	errUnknownName = errors.New("no such name")
	errAllowAction = errors.New("an allow entry has action allow, a block has not")
	errTooLong     = errors.New("text too long")
)

// decodeRecord checks and decodes the value of a record that is no tombstone.
// An allowance without an expiry is one without an end: dropping it would block
// a client that an operator let through.
func decodeRecord(d *entryDecoder, r *kgo.Record, allow bool, e *rawEntry) *refusal {
	if err := checkVersion(r); err != nil {
		return &refusal{refusedVersion, err}
	}
	if err := d.decode(r.Value, e); err != nil {
		return &refusal{refusedValue, err}
	}
	if actionCode(e.action) < 0 {
		return &refusal{refusedAction, fmt.Errorf("action %q: %w", e.action, errUnknownName)}
	}
	if (e.action == schemas.AllowAction) != allow {
		return &refusal{refusedAction, errAllowAction}
	}
	if e.expires == zeroTime {
		if !allow {
			return &refusal{refusedExpiry, errNoExpiry}
		}
		e.expires = Forever.UnixMicro()
	}
	if max(len(e.verdictID), len(e.attack)) > math.MaxUint16 {
		return &refusal{refusedValue, errTooLong}
	}
	return nil
}

// listSink is the Blocklist as its follower sees it.
type listSink Blocklist

func (s *listSink) begin() {
	b := (*Blocklist)(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = b.cfg.Now()
	if b.IsReady() {
		// The list that answered so far goes on answering while another is read.
		b.filling = newStore()
		b.metrics.rebuilds.Inc()
		b.metrics.rebuiltTotal.Add(1)
		return
	}
	// A first read that broke off is thrown away whole.
	b.filling = newStore()
	b.live.Store(b.filling)
}

func (s *listSink) apply(rs []*kgo.Record) {
	b := (*Blocklist)(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	live := b.live.Load() == b.filling && b.IsReady()
	for _, r := range rs {
		b.applyOne(r, live)
	}
	b.filling.publish()
	if live {
		now := b.cfg.Now()
		for _, r := range rs {
			b.metrics.latency.Observe(max(0, now.Sub(r.Timestamp).Seconds()))
		}
		b.deliverChanges()
	}
	b.metrics.records.Add(float64(len(rs)))
}

// applyOne applies a record to the store being filled. The state after it is a
// function of the log alone: an entry that cannot be read removes the one that
// it replaces, exactly as it would look after compaction, and blocks nobody.
func (b *Blocklist) applyOne(r *kgo.Record, live bool) {
	k, ok := parseKey(r.Key)
	if !ok {
		b.refuse(r, &refusal{refusedKey, schemas.ErrBlockKey})
		return
	}
	if string(k.tenant) != b.cfg.Tenant {
		b.metrics.otherTenant.Inc()
		return
	}
	sc, ok := scopeOf(k.scope)
	if !ok {
		b.refuse(r, &refusal{refusedScope, ErrScope})
		return
	}
	if len(k.value) > maxKeyValue {
		b.refuse(r, &refusal{refusedKey, errTooLong})
		return
	}
	var buf [64]byte
	id, _, ok := identify(buf[:0], sc, k.value)
	if !ok {
		b.refuse(r, &refusal{refusedKey, ErrValue})
		return
	}
	if n, conditional := notAfter(r); conditional {
		if current := b.filling.standing(sc, k.allow, k.value); current != "" && current.offset() > n {
			b.metrics.outdated.Inc()
			return
		}
	}
	if r.Value == nil {
		b.drop(r, sc, k, live)
		b.metrics.tombstones.Inc()
		return
	}
	var e rawEntry
	if bad := decodeRecord(&b.dec, r, k.allow, &e); bad != nil {
		b.refuse(r, bad)
		b.drop(r, sc, k, live)
		return
	}
	b.pack = appendPacked(b.pack[:0], k.value, id, r.Offset, &e)
	p := packed(b.pack)
	old := b.filling.put(sc, k.allow, p)
	if live {
		kind := ChangeAdded
		if old != "" {
			kind = ChangeReplaced
		}
		b.queue(Change{Kind: kind, Item: item(sc, k.allow, p), Written: r.Timestamp})
	}
}

func (b *Blocklist) drop(r *kgo.Record, sc scope, k blockKey, live bool) {
	if p := b.filling.remove(sc, k.allow, k.value); p != "" && live {
		b.queueRemoval(b.filling, ChangeRemoved, sc, k.allow, p, r.Timestamp)
	}
}

// refuse counts a record that is not applied and says so.
func (b *Blocklist) refuse(r *kgo.Record, bad *refusal) {
	b.metrics.refused.WithLabelValues(bad.reason).Inc()
	b.metrics.refusedTotal.Add(1)
	if n, ok := b.warn.allow(time.Now()); ok {
		b.cfg.Logger.Error("refusing a blocklist record", "topic", b.cfg.Topic,
			"partition", r.Partition, "offset", r.Offset, "key", clip(string(r.Key)),
			"reason", bad.reason, "err", bad.err, "suppressed", n)
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200]
	}
	return s
}

func (s *listSink) caughtUp(position int64) error {
	b := (*Blocklist)(s)
	b.mu.Lock()
	rebuilt := b.live.Load() != b.filling
	b.live.Store(b.filling)
	took := b.cfg.Now().Sub(b.started)
	b.metrics.bootstrap.Store(int64(took))
	b.swept = b.cfg.Now()
	if !b.IsReady() {
		close(b.ready)
	}
	if rebuilt {
		b.queue(Change{Kind: ChangeRebuilt})
		b.deliverChanges()
	}
	b.mu.Unlock()
	b.cfg.Logger.Info("blocklist is ready", "topic", b.cfg.Topic, "position", position,
		"blocks", b.live.Load().len(false), "allows", b.live.Load().len(true), "took", took)
	return nil
}

func (s *listSink) tick(context.Context) {
	b := (*Blocklist)(s)
	if now := b.cfg.Now(); now.Sub(b.swept) >= b.cfg.SweepInterval {
		b.swept = now
		b.Sweep()
	}
}

// warnLimit lets one message through per second, so that a topic full of
// garbage does not fill the disk with its description.
type warnLimit struct {
	last       time.Time
	suppressed int
}

func (w *warnLimit) allow(now time.Time) (suppressed int, ok bool) {
	if now.Sub(w.last) < time.Second {
		w.suppressed++
		return 0, false
	}
	suppressed, w.suppressed, w.last = w.suppressed, 0, now
	return suppressed, true
}
