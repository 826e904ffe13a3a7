package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

func TestRunStoresEveryRecordOnceInContiguousChunks(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 3, eventsTopic)
	ids := produceEvents(t, c, 3, 0, 400)
	store := newMemoryStore()
	run := start(t, base(c, store))
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, ids)
	for _, chunk := range store.snapshot() {
		if n := len(chunk.ids); n > 50 {
			t.Errorf("chunk of %d rows, limit 50", n)
		}
	}
	for p := range int32(3) {
		if at, meta := c.Committed(t, "sink", eventsTopic, p); at != 400 || meta != "" {
			t.Errorf("partition %d committed %d %q, want 400 without an intent", p, at, meta)
		}
	}
}

func TestRunWritesTheBufferWhenItIsStopped(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	ids := produceEvents(t, c, 1, 0, 30)
	store := newMemoryStore()
	cfg := base(c, store)
	cfg.ChunkInterval = time.Hour
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	run := start(t, cfg)
	kafkatest.Until(t, "the records are read", func() bool { return gauge(t, reg, "weir_sink_buffered_bytes") > 0 })
	if store.rows() != 0 {
		t.Fatal("stored before the chunk was due")
	}
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	// One poll may have brought only a part; what it brought is stored whole.
	at, meta := c.Committed(t, "sink", eventsTopic, 0)
	if meta != "" || at != int64(store.rows()) || at == 0 {
		t.Fatalf("committed %d %q with %d rows stored", at, meta, store.rows())
	}
	store.checkExactlyOnce(t, ids[:at])
}

func TestTicksAndUnusableRecordsAreNoRowsButCounted(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic, "weir.features", "weir.verdicts")
	ids := produceEvents(t, c, 1, 0, 3)
	good := kafkatest.EventProto(eventsTopic, 0, schemas.NewEvent())
	good.Value = []byte{0x12, 1, 'x'}
	future := *good
	future.Headers = []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte("event/9")}}
	moved := schemas.NewEvent()
	moved.ID, moved.User = []byte("moved"), []byte("elsewhere")
	c.Produce(t,
		&kgo.Record{Topic: eventsTopic, Value: []byte(`{"id":`)},
		&kgo.Record{Topic: eventsTopic, Value: nil},
		&future,
		kafkatest.Event(eventsTopic, 0, moved),
	)
	for range 4 {
		c.Produce(t, &kgo.Record{Topic: eventsTopic, Headers: []kgo.RecordHeader{{Key: HeaderTick}}})
	}
	early := schemas.ClientFeatures{Client: []byte("user:early"), ASN: schemas.Unknown}
	final := schemas.ClientFeatures{Client: []byte("user:final"), ASN: schemas.Unknown, Final: true}
	c.Produce(t,
		&kgo.Record{Topic: "weir.features", Value: early.AppendProto(nil)},
		&kgo.Record{Topic: "weir.features", Value: final.AppendProto(nil)},
		&kgo.Record{Topic: "weir.verdicts", Value: []byte(`{"id":"v1","entity":{"type":"user","value":"u"}}`)},
		&kgo.Record{Topic: "weir.verdicts", Value: []byte(`not json`)},
	)
	store := newMemoryStore()
	cfg := base(c, store)
	cfg.Topics = TopicsWithPrefix("weir.")
	cfg.Skip = func(_ *kgo.Record, ev *schemas.Event) bool { return string(ev.User) == "elsewhere" }
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	run := start(t, cfg)
	kafkatest.Until(t, "the offsets behind the ticks are committed", func() bool {
		at, _ := c.Committed(t, "sink", eventsTopic, 0)
		return at == 11 && store.rows() == 5
	})
	kafkatest.Until(t, "every table's skips are counted", func() bool {
		return counter(t, reg, "weir_sink_skipped_total") == 6
	})
	want := map[string]float64{
		"features/early": 1, "events/empty": 1, "events/malformed_json": 1, "verdicts/malformed_json": 1,
		"events/rerouted": 1, "events/unknown_version": 1,
	}
	got := make(map[string]float64)
	for _, m := range family(t, reg, "weir_sink_skipped_total").GetMetric() {
		labels := make(map[string]string)
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["sink"] != "sink" {
			t.Errorf("labels %v do not name the sink", labels)
		}
		got[labels["table"]+"/"+labels["reason"]] = m.GetCounter().GetValue()
	}
	if !maps.Equal(got, want) {
		t.Errorf("skipped %v, want %v", got, want)
	}
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, append(ids, "user:final", "v1"))
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%d metrics are registered after Run (%v), want none", len(families), err)
	}
}

func TestRecordsThatRetentionTookAreCountedAndDoNotStallAnIntent(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	ids := produceEvents(t, c, 1, 0, 100)
	// A former life decided 10..40; the log now starts at 60.
	c.Commit(t, "sink", eventsTopic, 0, 10, `{"end":40}`)
	if err := c.Fake.DeleteRecords(eventsTopic, 0, 60); err != nil {
		t.Fatal(err)
	}
	store := newMemoryStore()
	cfg := base(c, store)
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	run := start(t, cfg)
	kafkatest.Until(t, "the rest is stored", func() bool { return store.rows() == 40 })
	if lost := counter(t, reg, "weir_sink_lost_records_total"); lost != 50 {
		t.Errorf("lost_records_total %v, want 50", lost)
	}
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, ids[60:])
}

func TestATruncatedTopicStopsTheSink(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	produceEvents(t, c, 1, 0, 20)
	c.Commit(t, "sink", eventsTopic, 0, 500, "")
	store := newMemoryStore()
	if err := start(t, base(c, store)).wait(); !errors.Is(err, ErrOffsetsWentBack) {
		t.Fatalf("Run returned %v, want ErrOffsetsWentBack", err)
	}
	if store.rows() != 0 {
		t.Errorf("%d rows stored", store.rows())
	}
}

// Every partition waits for the rest of a large intended chunk, and together
// they need more than the buffers may hold: the sink has to go on reading.
func TestIntendedChunksLargerThanTheBufferAreCompleted(t *testing.T) {
	t.Parallel()
	const partitions = 4
	c := kafkatest.New(t, partitions, eventsTopic)
	ids := produceEvents(t, c, partitions, 0, 500)
	for p := range int32(partitions) {
		c.Commit(t, "sink", eventsTopic, p, 0, `{"end":500,"at":1767225600}`)
	}
	store := newMemoryStore()
	cfg := base(c, store)
	cfg.BufferBytes = 20 << 10
	cfg.Opts = append(slices.Clone(cfg.Opts), kgo.FetchMaxBytes(8<<10), kgo.FetchMaxPartitionBytes(4<<10))
	run := start(t, cfg)
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })
	if err := run.stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	store.checkExactlyOnce(t, ids)
	if n := len(store.snapshot()); n != partitions {
		t.Errorf("%d chunks, want one per partition", n)
	}
}

// preparing is a store that is not up at first.
type preparing struct {
	*memoryStore
	failures atomic.Int64
	err      error
}

func (p *preparing) Prepare(context.Context) error {
	if p.failures.Add(-1) >= 0 {
		return p.err
	}
	return nil
}

func TestAStoreThatIsNotUpYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, eventsTopic)
	ids := produceEvents(t, c, 1, 0, 10)
	store := &preparing{memoryStore: newMemoryStore(), err: &RetryError{Code: "network", Err: errors.New("refused")}}
	store.failures.Store(5)
	start(t, base(c, store))
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })

	broken := &preparing{memoryStore: newMemoryStore(), err: errors.New("wrong password")}
	broken.failures.Store(1 << 30)
	if err := Run(context.Background(), base(c, broken)); !errors.Is(err, broken.err) {
		t.Errorf("Run returned %v, want %v", err, broken.err)
	}
}

func TestARefusedGroupStopsTheSink(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("anything"), context.Canceled, fmt.Errorf("x: %w", kgo.ErrClientClosed)} {
		if permanent(err) {
			t.Errorf("%v stops the sink", err)
		}
	}
	c := kafkatest.New(t, 1, eventsTopic)
	for name, cfg := range map[string]Config{
		"no writer": {Group: "g", Topics: Topics{Events: "e"}, Opts: c.Opts},
		"no group":  {Writer: newMemoryStore(), Topics: Topics{Events: "e"}, Opts: c.Opts},
		"no topics": {Writer: newMemoryStore(), Group: "g", Opts: c.Opts},
		"negative":  {Writer: newMemoryStore(), Group: "g", Topics: Topics{Events: "e"}, ChunkRows: -1},
	} {
		if err := Run(context.Background(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: Run returned %v, want ErrConfig", name, err)
		}
	}
}
