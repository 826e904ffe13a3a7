package sinks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

func TestWhileTheStoreIsAwayMemoryIsBoundedAndTheSameChunkIsTriedAgain(t *testing.T) {
	t.Parallel()
	const partitions = 4
	c := kafkatest.New(t, partitions, eventsTopic)
	ids := produceEvents(t, c, partitions, 0, 2000)
	store := newMemoryStore()
	var tries atomic.Int64
	tokens := make(chan string, 10_000)
	store.set(func(_ context.Context, c *Chunk) error {
		tries.Add(1)
		tokens <- c.Token()
		return &RetryError{Code: "network", Err: errors.New("connection refused")}
	}, nil)
	cfg := base(c, store)
	cfg.BufferBytes = 100 << 10 // about 400 of the 8000 records
	cfg.Opts = append(slices.Clone(cfg.Opts), kgo.FetchMaxBytes(16<<10), kgo.FetchMaxPartitionBytes(4<<10))
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	run := start(t, cfg)
	kafkatest.Until(t, "many tries failed", func() bool { return tries.Load() > 200 })
	// What the client had fetched already comes on top of the bound; all records
	// together are more than 2 MiB.
	if held := gauge(t, reg, "weir_sink_buffered_bytes"); held > 400<<10 {
		t.Errorf("%.0f bytes held, want about %d", held, 100<<10)
	}
	distinct := make(map[string]bool)
	for len(tokens) > 0 {
		distinct[<-tokens] = true
	}
	if len(distinct) > partitions {
		t.Errorf("%d chunks tried, want at most one per partition: %v", len(distinct), distinct)
	}
	if got := counter(t, reg, "weir_sink_retries_total"); got < 200 {
		t.Errorf("retries_total %v, want at least 200", got)
	}
	store.set(nil, nil)
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, ids)
}

func TestARefusedChunkStopsTheSinkAndKeepsItsIntent(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	ids := produceEvents(t, c, 1, 0, 100)
	refusal := errors.New("no such column")
	store := newMemoryStore()
	store.set(func(_ context.Context, c *Chunk) error {
		if c.First >= 50 {
			return refusal
		}
		return nil
	}, nil)
	err := start(t, base(c, store)).wait()
	if !errors.Is(err, refusal) || !strings.Contains(err.Error(), "weir.events:0:50-") {
		t.Fatalf("Run returned %v, want the refusal and the chunk's name", err)
	}
	at, meta := c.Committed(t, "sink", eventsTopic, 0)
	if at != 50 || !strings.HasPrefix(meta, `{"end":100`) {
		t.Errorf("committed %d %q, want 50 with an intent up to 100", at, meta)
	}
	store.set(nil, nil)
	run := start(t, base(c, store))
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, ids)
}

// manualClock stands still until it is moved.
type manualClock struct {
	now     atomic.Int64
	pending chan chan time.Time
}

func newManualClock(now time.Time) *manualClock {
	m := &manualClock{pending: make(chan chan time.Time, 1024)}
	m.now.Store(now.UnixNano())
	return m
}

func (m *manualClock) Now() time.Time { return time.Unix(0, m.now.Load()).UTC() }

func (m *manualClock) After(time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	m.pending <- ch
	return ch
}

// advance moves the clock and fires every timer, due or not: waiters look at the
// clock themselves.
func (m *manualClock) advance(d time.Duration) {
	m.now.Add(int64(d))
	for range len(m.pending) {
		(<-m.pending) <- m.Now()
	}
}

func TestAChunkClosesByAgeOfTheInjectedClock(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	ids := produceEvents(t, c, 1, 0, 5)
	store := newMemoryStore()
	clock := newManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	cfg := base(c, store)
	cfg.Clock, cfg.ChunkInterval = clock, time.Minute
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	start(t, cfg)
	kafkatest.Until(t, "the records are read", func() bool { return gauge(t, reg, "weir_sink_buffered_bytes") > 1000 })
	clock.advance(59 * time.Second)
	if store.rows() != 0 {
		t.Fatal("stored before the interval was over")
	}
	kafkatest.Until(t, "the rows are stored", func() bool {
		clock.advance(time.Second)
		return store.rows() == len(ids)
	})
}
