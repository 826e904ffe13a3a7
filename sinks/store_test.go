package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

// memoryStore is a Writer that keeps chunks by token, as real stores do.
type memoryStore struct {
	mu     *sync.Mutex
	chunks map[string]storedChunk
	calls  []string
	// before and after run around storing; an error of before stores nothing, one
	// of after has stored.
	before, after func(ctx context.Context, c *Chunk) error
}

type storedChunk struct {
	topic      string
	partition  int32
	first, end int64
	ids        []string
}

func newMemoryStore() *memoryStore {
	return &memoryStore{mu: new(sync.Mutex), chunks: make(map[string]storedChunk)}
}

func (m *memoryStore) WriteChunk(ctx context.Context, c *Chunk) (Written, error) {
	m.mu.Lock()
	before, after := m.before, m.after
	m.mu.Unlock()
	if before != nil {
		if err := before(ctx, c); err != nil {
			return Written{}, err
		}
	}
	s := storedChunk{topic: c.Topic, partition: c.Partition, first: c.First, end: c.End}
	var err error
	switch c.Table {
	case TableEvents:
		err = c.Events(func(rows []EventRow) error {
			for _, r := range rows {
				s.ids = append(s.ids, string(r.ID))
			}
			return nil
		})
	case TableFeatures:
		err = c.Features(func(rows []FeatureRow) error {
			for _, r := range rows {
				s.ids = append(s.ids, string(r.Features.Client))
			}
			return nil
		})
	case TableVerdicts:
		err = c.Verdicts(func(rows []VerdictRow) error {
			for _, r := range rows {
				s.ids = append(s.ids, r.Verdict.ID)
			}
			return nil
		})
	}
	if err != nil {
		return Written{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c.Token())
	if old, ok := m.chunks[c.Token()]; ok && !slices.Equal(old.ids, s.ids) {
		return Written{}, fmt.Errorf("token %s came with other rows", c.Token())
	}
	m.chunks[c.Token()] = s
	if after != nil {
		if err := after(ctx, c); err != nil {
			return Written{}, err
		}
	}
	return Written{Rows: int64(len(s.ids))}, nil
}

func (m *memoryStore) set(before, after func(context.Context, *Chunk) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = before, after
}

func (m *memoryStore) rows() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.chunks {
		n += len(c.ids)
	}
	return n
}

func (m *memoryStore) snapshot() []storedChunk {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.chunks))
}

// checkExactlyOnce fails if the ranges of different chunks overlap, or the rows
// are not exactly want.
func (m *memoryStore) checkExactlyOnce(t *testing.T, want []string) {
	t.Helper()
	chunks := m.snapshot()
	slices.SortFunc(chunks, func(a, b storedChunk) int {
		return int(a.first - b.first)
	})
	ends := make(map[string]int64)
	var got []string
	for _, c := range chunks {
		key := c.topic + "/" + strconv.Itoa(int(c.partition))
		if c.first < ends[key] {
			t.Errorf("chunk %s %d-%d overlaps one that ends at %d", key, c.first, c.end, ends[key])
		}
		ends[key] = c.end
		got = append(got, c.ids...)
	}
	want = slices.Clone(want)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("stored %d rows (%d distinct), want %d", len(got), len(slices.Compact(slices.Clone(got))), len(want))
	}
}

const eventsTopic = "weir.events"

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// base is a configuration for tests: small chunks, quick retries.
func base(c *kafkatest.Cluster, w Writer) Config {
	return Config{
		Opts: c.Opts, Topics: Topics{Events: eventsTopic}, Group: "sink", Writer: w,
		ChunkRows: 50, ChunkInterval: 20 * time.Millisecond,
		RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, StopTimeout: 5 * time.Second,
		Logger: quiet(),
	}
}

// produceEvents appends n events to each partition and returns their ids.
func produceEvents(t testing.TB, c *kafkatest.Cluster, partitions int32, from, n int) []string {
	t.Helper()
	var recs []*kgo.Record
	var ids []string
	for i := from; i < from+n; i++ {
		for p := range partitions {
			ev := schemas.NewEvent()
			ev.ID = fmt.Appendf(nil, "e-%d-%d", p, i)
			ev.Time = time.Date(2026, 5, 1, 10, 0, i%60, 0, time.UTC).UnixMicro()
			ev.User = fmt.Appendf(nil, "u%d", i%7)
			ev.Status = 200
			ids = append(ids, string(ev.ID))
			if i%2 == 0 {
				recs = append(recs, kafkatest.Event(eventsTopic, p, ev))
			} else {
				recs = append(recs, kafkatest.EventProto(eventsTopic, p, ev))
			}
		}
	}
	c.Produce(t, recs...)
	return ids
}

// running is a Run in the background.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = Run(ctx, cfg)
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *running) stop() error {
	r.cancel()
	<-r.done
	return r.err
}

var errKilled = errors.New("killed")

// gauge and counter sum a metric over its labels.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 { return sum(t, reg, name) }

func counter(t *testing.T, reg *prometheus.Registry, name string) float64 { return sum(t, reg, name) }

func sum(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	total := 0.0
	for _, m := range family(t, reg, name).GetMetric() {
		total += m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return total
}

// family is nil where the metric has no value yet; its getters take that.
func family(t *testing.T, reg *prometheus.Registry, name string) *dto.MetricFamily {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("gathering: %v", err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f
		}
	}
	return nil
}
