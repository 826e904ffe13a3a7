package gateway

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// JanitorConfig configures a Janitor.
type JanitorConfig struct {
	// Opts reach the brokers: seed brokers, TLS, SASL.
	Opts []kgo.Opt
	// Topic is the full name of the blocklist topic. Required.
	Topic string
	// Grace is how long an entry stays after its expiry, so that a list can
	// still tell what has just run out. Default: 5 min.
	Grace time.Duration
	// Interval between sweeps. Default: 10 s.
	Interval time.Duration
	// Batch bounds the tombstones of one sweep. Default: 1000.
	Batch int
	// Logger receives what was lifted. Default: none.
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none.
	Registerer prometheus.Registerer
	// Now is the clock against which entries expire. Default: time.Now.
	Now func() time.Time
}

// Janitor follows the topic for all tenants and writes tombstones for entries
// that expired, so that compaction can drop them, and for blocks whose entity is
// allowed.
//
// # The race, and how it ends
//
// The janitor decides on what it has read; the log may have moved on:
//
//	offset 10  scorer   blocks K, until 12:00
//	12:06      janitor  decides that K@10 is to go
//	offset 11  scorer   blocks K again, until 13:00
//	offset 12  janitor  tombstone of K, which was meant for 10
//
// A plain tombstone would lift the block at 11. The janitor's carries "not after
// 10" (HeaderNotAfter), so that every follower which holds 11 ignores it. But
// compaction keeps the last record of a key, whatever its headers: a follower
// that starts later would not see 11 at all. So whoever reads the log as a
// janitor and finds a conditional record that came too late puts back what it
// overwrote, again with a condition:
//
//	offset 13  janitor  the value of 11, not after 12
//
// Should the scorer write once more before 13 arrives, then 13 is itself a
// conditional record that came too late, and is repaired in the same way. The
// rule needs no memory but the log's, so any janitor finishes what another one
// began, and several at once do no harm: the same tombstone twice changes
// nothing, and a repair by the same value is not repaired. One is enough.
//
// A reader that does not know the header sees K lifted between 12 and 13, for
// about a second.
type Janitor struct {
	cfg     JanitorConfig
	follow  follower
	cl      *kgo.Client
	metrics *janitorMetrics
	seed    maphash.Seed

	// mu covers what follows. It is not held while producing.
	mu      sync.Mutex
	keys    map[string]tracked
	allowed map[string]*store // by tenant: allowances only
	recheck bool              // an allowance is new: look at every block
	covered []string          // keys of new blocks whose entity is allowed
	repairs map[string]repair // by key
	dec     entryDecoder
	caught  bool
	swept   time.Time
}

// tracked is the newest record of a key.
type tracked struct {
	offset    int64
	expires   int64  // µs; of a tombstone, the time of its record
	value     uint64 // hash of the value, 0 for a tombstone
	partition int32
	kind      trackedKind
	pending   bool // a tombstone for this record is written and not read yet
}

type trackedKind uint8

const (
	trackedBlock trackedKind = iota
	trackedAllow
	trackedTombstone
	trackedOther // not readable: left alone
)

// repair is a record that a conditional one overwrote.
type repair struct {
	lost tracked
	by   int64 // offset of the conditional record
}

// tombstoneMemory is how long a tombstone is remembered as the newest record of
// its key, for telling that a conditional record came after it.
const tombstoneMemory = 10 * time.Minute

// NewJanitor returns a Janitor that does nothing until Run. Close it.
func NewJanitor(cfg JanitorConfig) (*Janitor, error) {
	list := Config{Topic: cfg.Topic, Logger: cfg.Logger, Now: cfg.Now}
	if err := list.defaults(); err != nil {
		return nil, err
	}
	cfg.Logger, cfg.Now = list.Logger, list.Now
	if cfg.Grace <= 0 {
		cfg.Grace = 5 * time.Minute
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 1000
	}
	metrics, err := newJanitorMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.ProducerLinger(0),
		// A tombstone goes where the entry is, however its writer chose that.
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("configuring the janitor: %w", err)
	}
	return &Janitor{
		cfg: cfg, cl: cl, metrics: metrics, seed: maphash.MakeSeed(),
		follow: follower{
			opts: cfg.Opts, topic: cfg.Topic, logger: cfg.Logger, now: cfg.Now, maxGap: time.Hour,
		},
	}, nil
}

// Run follows and sweeps until ctx ends, when it returns nil. An error means
// options that cannot work. Call it once.
func (j *Janitor) Run(ctx context.Context) error { return j.follow.run(ctx, (*janitorSink)(j)) }

// Close releases the producer. Call it after Run has returned.
func (j *Janitor) Close() { j.cl.Close() }

// Sweep writes the tombstones and repairs that are due, at most Config.Batch,
// and returns how many. Run calls it; before the log has been read it does
// nothing. A failed write is found due again by the next sweep.
func (j *Janitor) Sweep(ctx context.Context) (written int, err error) {
	repaired, err := j.repair(ctx)
	if err != nil {
		return repaired, err
	}
	due, lifts := j.due(j.cfg.Now())
	if len(due) == 0 {
		return repaired, nil
	}
	rs := make([]*kgo.Record, len(due))
	judged := make(map[string]int64, len(due))
	for i, d := range due {
		rs[i] = conditional(j.cfg.Topic, d.key, nil, d.partition, d.offset)
		judged[d.key] = d.offset
	}
	results := j.cl.ProduceSync(ctx, rs...)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, res := range results {
		if res.Err != nil {
			err = fmt.Errorf("writing tombstones: %w", res.Err)
			continue
		}
		written++
		key := string(res.Record.Key)
		if t, ok := j.keys[key]; ok && t.offset == judged[key] {
			t.pending = true
			j.keys[key] = t
		}
	}
	j.metrics.expired.Add(float64(max(0, written-lifts)))
	j.metrics.lifted.Add(float64(min(written, lifts)))
	j.cfg.Logger.Debug("swept the blocklist", "topic", j.cfg.Topic, "tombstones", written, "of_allowed", lifts)
	return repaired + written, err
}

// conditional is a record that replaces what stands at offset or before.
func conditional(topic, key string, value []byte, partition int32, offset int64) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: []byte(key), Value: value, Partition: partition,
		Headers: []kgo.RecordHeader{{Key: HeaderNotAfter, Value: strconv.AppendInt(nil, offset, 10)}},
	}
}

// dueKey is a record to be replaced by a tombstone.
type dueKey struct {
	key       string
	partition int32
	offset    int64
	expires   int64
}

// due finds what is to go: blocks of allowed entities first, since they weigh on
// clients that read without knowing allowances, then the longest expired.
func (j *Janitor) due(now time.Time) (due []dueKey, lifts int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.caught {
		return nil, 0
	}
	limit := now.Add(-j.cfg.Grace).UnixMicro()
	forget := now.Add(-tombstoneMemory).UnixMicro()
	candidates := j.covered
	j.covered = nil
	var expired []dueKey
	for key, t := range j.keys {
		switch {
		case t.kind == trackedTombstone:
			if t.expires < forget {
				delete(j.keys, key)
			}
		case t.pending || t.kind == trackedOther:
		case t.expires <= limit:
			expired = append(expired, dueKey{key, t.partition, t.offset, t.expires})
		case j.recheck && t.kind == trackedBlock && len(j.allowed) > 0:
			if j.isAllowed(key, now) {
				candidates = append(candidates, key)
			}
		}
	}
	j.recheck = false
	slices.Sort(candidates)
	for _, key := range slices.Compact(candidates) {
		t, ok := j.keys[key]
		if !ok || t.kind != trackedBlock || t.pending || t.expires <= limit || !j.isAllowed(key, now) {
			continue
		}
		if len(due) == j.cfg.Batch {
			j.covered = append(j.covered, key)
			continue
		}
		due = append(due, dueKey{key, t.partition, t.offset, t.expires})
	}
	lifts = len(due)
	slices.SortFunc(expired, func(a, b dueKey) int {
		return cmp.Or(cmp.Compare(a.expires, b.expires), cmp.Compare(a.key, b.key))
	})
	return append(due, expired[:min(len(expired), j.cfg.Batch-lifts)]...), lifts
}

// isAllowed tells whether an allowance speaks for the entity of a block's key.
func (j *Janitor) isAllowed(key string, now time.Time) bool {
	k, ok := parseKey([]byte(key))
	if !ok {
		return false
	}
	sc, ok := scopeOf(k.scope)
	s := j.allowed[string(k.tenant)]
	return ok && s != nil && s.allowsEntity(sc, string(k.value), now.UnixMicro)
}

// repair puts back what conditional records overwrote.
func (j *Janitor) repair(ctx context.Context) (written int, err error) {
	j.mu.Lock()
	due := make(map[string]repair)
	if j.caught {
		for key, r := range j.repairs {
			// A newer record of the key has settled it.
			if j.keys[key].offset == r.by {
				due[key] = r
			}
		}
		clear(j.repairs)
	}
	j.mu.Unlock()
	for key, r := range due {
		if err = j.restore(ctx, key, r); err != nil {
			j.mu.Lock()
			if j.keys[key].offset == r.by {
				j.repairs[key] = r
			}
			j.mu.Unlock()
			j.cfg.Logger.Error("restoring a block that a late tombstone overwrote",
				"topic", j.cfg.Topic, "key", clip(key), "offset", r.lost.offset, "err", err)
			continue
		}
		written++
		j.metrics.repaired.Inc()
	}
	return written, err
}

func (j *Janitor) restore(ctx context.Context, key string, r repair) error {
	rec := conditional(j.cfg.Topic, key, nil, r.lost.partition, r.by)
	if r.lost.kind != trackedTombstone {
		fp, _, err := fetchAt(ctx, j.cl, j.cfg.Topic, r.lost.partition, r.lost.offset)
		if err != nil {
			return err
		}
		for _, lost := range fp.Records {
			if lost.Offset != r.lost.offset || string(lost.Key) != key {
				continue
			}
			rec.Value = lost.Value
			for _, h := range lost.Headers {
				if h.Key != HeaderNotAfter {
					rec.Headers = append(rec.Headers, h)
				}
			}
		}
		if rec.Value == nil {
			return fmt.Errorf("offset %d is gone", r.lost.offset)
		}
	}
	if err := j.cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("writing it back: %w", err)
	}
	return nil
}
