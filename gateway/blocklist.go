package gateway

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// Config configures a Blocklist.
type Config struct {
	// Opts reach the brokers: seed brokers, TLS, SASL. Consumer options in it
	// are overridden.
	Opts []kgo.Opt
	// Topic is the full name of the blocklist topic. Required.
	Topic string
	// Tenant is the only tenant whose entries are kept. Default: "default".
	Tenant string
	// SweepInterval is how often expired entries are freed. A lookup never
	// returns one, however long ago the last sweep was. Default: 30 s.
	SweepInterval time.Duration
	// RebuildAfter is the longest time without an answer from the brokers after
	// which the list is trusted to continue; after a longer one it is read again
	// from the start, because tombstones may have been missed. It must be well
	// below the topic's delete.retention.ms. Default: 1 h.
	RebuildAfter time.Duration
	// Logger receives refused entries and outages. Default: none.
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none.
	Registerer prometheus.Registerer
	// Now is the clock against which entries expire. Default: time.Now.
	Now func() time.Time
}

func (c *Config) defaults() error {
	if c.Topic == "" {
		return errNoTopic
	}
	if c.Tenant == "" {
		c.Tenant = schemas.DefaultTenant
	}
	if c.SweepInterval <= 0 {
		c.SweepInterval = 30 * time.Second
	}
	if c.RebuildAfter <= 0 {
		c.RebuildAfter = time.Hour
	}
	if c.Logger == nil {
		c.Logger = discard()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

var errNoTopic = errors.New("configuring the blocklist: no topic")

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Item is one entry of the list with the entity that it is about.
type Item struct {
	Scope string
	Value string
	Allow bool // the entry allows instead of blocking
	Entry schemas.BlockEntry
	// Offset is the position in the log of the record that holds the entry.
	Offset int64
}

// Blocklist holds a tenant's blocks and allowances in memory and follows the
// topic. Lookups are local, do not allocate, and may be made from any goroutine
// at any time; before Ready they see what has been read so far.
type Blocklist struct {
	cfg     Config
	follow  follower
	metrics *listMetrics
	live    atomic.Pointer[store]
	now     func() int64 // cfg.Now in µs since 1970; made once, lookups do not allocate
	ready   chan struct{}

	// mu serialises every writer: the follower's batches, Sweep, and changes to
	// subs. Readers of entries do not take it. Lock order: mu, then a shard's.
	mu   sync.Mutex
	subs map[int]func(Change)
	next int // key of the next subscriber

	// The rest belongs to the goroutine of Run, under mu.
	filling *store // the store being read; equal to live once caught up
	dec     entryDecoder
	pack    []byte
	changes []Change
	swept   time.Time
	started time.Time

	warn warnLimit
}

// NewBlocklist returns a Blocklist that is empty until Run.
func NewBlocklist(cfg Config) (*Blocklist, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	b := &Blocklist{
		cfg:   cfg,
		ready: make(chan struct{}),
		subs:  make(map[int]func(Change)),
		follow: follower{
			opts: cfg.Opts, topic: cfg.Topic, logger: cfg.Logger,
			now: cfg.Now, maxGap: cfg.RebuildAfter,
		},
	}
	b.now = func() int64 { return cfg.Now().UnixMicro() }
	b.live.Store(newStore())
	var err error
	if b.metrics, err = newListMetrics(cfg.Registerer, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Run reads the topic from its first record and then follows it until ctx ends,
// when it returns nil. It waits out broker outages and a topic that does not
// exist yet; an error means options that cannot work. Call it once.
func (b *Blocklist) Run(ctx context.Context) error {
	return b.follow.run(ctx, (*listSink)(b))
}

// Ready is closed once everything that was in the topic when Run started has
// been applied. It stays closed: while the list is read again after an outage,
// the previous one goes on answering.
func (b *Blocklist) Ready() <-chan struct{} { return b.ready }

// IsReady tells whether Ready is closed.
func (b *Blocklist) IsReady() bool {
	select {
	case <-b.ready:
		return true
	default:
		return false
	}
}

// Lookup finds the block of one entity, whatever its action. Allowances are not
// considered; Match does that. Addresses are compared in canonical form,
// networks by their exact prefix. The entry's text stays valid for ever.
func (b *Blocklist) Lookup(scope, value string) (schemas.BlockEntry, bool) {
	var buf [128]byte
	return b.LookupBytes(scope, append(buf[:0], value...))
}

// LookupBytes is Lookup for a value in a buffer, which it does not keep.
func (b *Blocklist) LookupBytes(scope string, value []byte) (schemas.BlockEntry, bool) {
	sc, ok := scopeOf([]byte(scope))
	if !ok {
		return schemas.BlockEntry{}, false
	}
	p, ok := b.live.Load().get(sc, false, value)
	if !ok || p.expires() <= b.now() {
		return schemas.BlockEntry{}, false
	}
	return p.entry(), true
}

// All iterates over the entries in force, in no order. Entries that change
// meanwhile may be seen before or after their change.
func (b *Blocklist) All() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		now := b.now()
		b.live.Load().each(func(sc scope, allow bool, p packed) bool {
			return p.expires() <= now || yield(item(sc, allow, p))
		})
	}
}

func item(sc scope, allow bool, p packed) Item {
	return Item{Scope: sc.String(), Value: p.value(), Allow: allow, Entry: p.entry(), Offset: p.offset()}
}

// Sweep frees expired entries and returns how many. Run calls it every
// Config.SweepInterval.
func (b *Blocklist) Sweep() (freed int) {
	now := b.now()
	sweepShard := func(s *store, sc scope, allow bool, sh *shard) {
		// Held for one shard only, so that a sweep of a long list does not
		// delay the blocks that arrive meanwhile.
		b.mu.Lock()
		defer b.mu.Unlock()
		// No writer without b.mu, hence no lock of the shard for reading it.
		var expired []packed
		for _, slot := range sh.entries.slots {
			if slot.tag != 0 && slot.p.expires() <= now {
				expired = append(expired, slot.p)
			}
		}
		for _, p := range expired {
			s.remove(sc, allow, []byte(p.value()))
			b.queueRemoval(s, ChangeExpired, sc, allow, p, time.Time{})
		}
		freed += len(expired)
		b.deliverChanges()
	}
	s := b.live.Load()
	for _, allow := range [...]bool{false, true} {
		for sc := range scopeNetwork {
			t := s.table(sc, allow)
			for i := range t.shards {
				sweepShard(s, sc, allow, &t.shards[i])
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, allow := range [...]bool{false, true} {
		for _, p := range s.set(allow).entries {
			if p.expires() <= now {
				s.remove(scopeNetwork, allow, []byte(p.value()))
				b.queueRemoval(s, ChangeExpired, scopeNetwork, allow, p, time.Time{})
				freed++
			}
		}
	}
	s.publish()
	b.deliverChanges()
	b.metrics.expired.Add(float64(freed))
	return freed
}
