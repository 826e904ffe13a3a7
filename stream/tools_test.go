package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPartitionForEqualsKafka(t *testing.T) {
	t.Parallel()
	// From the tests of Kafka's Utils.murmur2.
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
		if got := PartitionFor([]byte(key), 7); got != want&0x7fffffff%7 {
			t.Errorf("PartitionFor(%q, 7) = %d", key, got)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		key := make([]byte, rng.IntN(40))
		for i := range key {
			key[i] = byte(rng.Uint32())
		}
		n := 1 + rng.IntN(200)
		want := kgo.StickyKeyPartitioner(nil).ForTopic("t").Partition(&kgo.Record{Key: key}, n)
		if got := PartitionFor(key, int32(n)); int(got) != want {
			t.Fatalf("PartitionFor(%x, %d) = %d, want %d", key, n, got, want)
		}
	}
}

func TestOutputCopiesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []*kgo.Record
	out := &Output{emitter: keepRecords{&got}, ctx: t.Context(), metrics: m}
	for size := range 10_000 {
		b := make([]byte, size%5000)
		for i := range b {
			b[i] = byte(size)
		}
		out.EmitTo("t", 0, b, b)
		clear(b)
	}
	out.EmitTo("t", 0, []byte("k"), nil)
	for size, rec := range got[:10_000] {
		if len(rec.Key) != size%5000 || len(rec.Value) != size%5000 {
			t.Fatalf("record %d has %d bytes of key and %d of value", size, len(rec.Key), len(rec.Value))
		}
		for i := range rec.Key {
			if rec.Key[i] != byte(size) || rec.Value[i] != byte(size) {
				t.Fatalf("record %d was changed after it was emitted", size)
			}
		}
	}
	if got[10_000].Value != nil {
		t.Error("a tombstone became an empty value")
	}
	out.EmitTo("t", 1, nil, nil)
	if out.err == nil {
		t.Error("a partition that does not exist was accepted")
	}
}

// keepRecords is an emitter to topics of one partition.
type keepRecords struct{ recs *[]*kgo.Record }

func (k keepRecords) emit(_ context.Context, rec *kgo.Record)         { *k.recs = append(*k.recs, rec) }
func (keepRecords) partitions(context.Context, string) (int32, error) { return 1, nil }

func TestTickTime(t *testing.T) {
	t.Parallel()
	f := func(rec *kgo.Record, want int64, wantOK bool) {
		t.Helper()
		if us, ok := TickTime(rec); us != want || ok != wantOK {
			t.Errorf("got %d, %t; want %d, %t", us, ok, want, wantOK)
		}
	}
	header := func(v string) []kgo.RecordHeader {
		return []kgo.RecordHeader{{Key: "other"}, {Key: TickHeader, Value: []byte(v)}}
	}
	f(TickRecord("t", 3, 1234567890123456), 1234567890123456, true)
	f(TickRecord("t", 3, 0), 0, true)
	f(&kgo.Record{Headers: header("17")}, 17, true)
	f(&kgo.Record{}, 0, false)
	f(&kgo.Record{Headers: header("")}, 0, false)
	f(&kgo.Record{Headers: header("-1")}, 0, false)
	f(&kgo.Record{Headers: header("1e9")}, 0, false)
	f(&kgo.Record{Headers: header("9999999999999999999")}, 0, false)
	f(&kgo.Record{Headers: header("17"), Value: []byte("x")}, 0, false)
	f(&kgo.Record{Headers: header("17"), Key: []byte("x")}, 0, false)
}

func TestTicksGoToIdlePartitionsOnly(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(2, "in")...)
	now := time.UnixMicro(1_700_000_000_000_000)
	tk := ticker{
		cfg:     TickerConfig{Topic: "in", Now: func() time.Time { return now }},
		cl:      b.cl,
		adm:     b.adm,
		ends:    make(map[int32]int64),
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}),
	}
	step := func(want0, want1 int) {
		t.Helper()
		if err := tk.tick(b.ctx()); err != nil {
			t.Fatal(err)
		}
		all := b.readAll("in")
		if len(all[0]) != want0 || len(all[1]) != want1 {
			t.Errorf("partitions have %d and %d records, want %d and %d", len(all[0]), len(all[1]), want0, want1)
		}
	}
	step(0, 0) // nothing is known to be idle yet
	b.produce(windowEvent("in", 0, "k", 1))
	step(1, 1) // partition 0 had traffic
	step(2, 2)
	step(3, 3) // the ticks themselves are no traffic
	if us, ok := TickTime(b.readAll("in")[1][0]); !ok || us != now.UnixMicro() {
		t.Errorf("tick has time %d, %t", us, ok)
	}
}

func TestRunTickerTicksUntilStopped(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(2, "in")...)
	reg := prometheus.NewRegistry()
	w := &worker{reg: reg}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- RunTicker(ctx, TickerConfig{Opts: []kgo.Opt{kgo.SeedBrokers(b.addrs...)}, Topic: "in", Interval: 10 * time.Millisecond, Registerer: reg})
	}()
	eventually(t, "ticks", func() bool { return w.metric(t, "weir_stream_ticks_total") >= 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := b.written("in"); n < 4 {
		t.Errorf("%d ticks in the topic", n)
	}
	if err := RunTicker(ctx, TickerConfig{}); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}

func TestLagInRecordsAndTime(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(3, "in")...)
	old := time.Now().Add(-time.Hour)
	for i := range 10 {
		rec := windowEvent("in", 0, "k", 1)
		rec.Timestamp = old.Add(time.Duration(i) * time.Minute)
		b.produce(rec)
	}
	b.produce(windowEvent("in", 1, "k", 1))
	b.commit("g", "in", 0, 6)
	b.commit("g", "in", 1, 1)
	b.commit("other", "in", 0, 10)

	lags, err := Lag(b.ctx(), b.cl, "g")
	if err != nil {
		t.Fatal(err)
	}
	for i := range lags {
		if i == 0 {
			// Record 6 is 54 minutes old.
			if d := lags[0].Time - 54*time.Minute; d < -time.Minute || d > time.Minute {
				t.Errorf("time lag is %s, want about 54m", lags[0].Time)
			}
			lags[0].Time = 0
		}
	}
	want := []PartitionLag{
		{Group: "g", Topic: "in", Partition: 0, Committed: 6, End: 10, Records: 4},
		{Group: "g", Topic: "in", Partition: 1, Committed: 1, End: 1},
		{Group: "g", Topic: "in", Partition: 2, Committed: -1},
	}
	if !slices.Equal(lags, want) {
		t.Errorf("got  %+v\nwant %+v", lags, want)
	}
	all, err := Lag(b.ctx(), b.cl)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 || all[3].Group != "other" {
		t.Errorf("lag of all groups: %+v", all)
	}
}

func TestTopicsAreCreatedAndCompared(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	want := []TopicSpec{
		{Name: "a", Partitions: 3, Config: map[string]string{"retention.ms": "60000", "message.timestamp.type": "LogAppendTime"}},
		{Name: "b", Partitions: 2, Config: map[string]string{"cleanup.policy": "compact"}},
	}
	check := func(expect ...string) {
		t.Helper()
		diffs, err := CheckTopics(b.ctx(), b.adm, want)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range diffs {
			got = append(got, d.String())
		}
		if !slices.Equal(got, expect) {
			t.Errorf("got %q, want %q", got, expect)
		}
	}
	check("topic a is missing", "topic b is missing")
	for range 2 { // the second time there is nothing to do
		if err := EnsureTopics(b.ctx(), b.adm, want, 1); err != nil {
			t.Fatal(err)
		}
		check()
	}
	want[0].Config["retention.ms"] = "1"
	want[1].Partitions = 5
	want = append(want, TopicSpec{Name: "c", Partitions: 1})
	check(`topic a: retention.ms is "60000", want "1"`, `topic b: partitions is "2", want "5"`, "topic c is missing")
	if err := EnsureTopics(b.ctx(), b.adm, []TopicSpec{{Name: "d", Partitions: 0}}, 1); err == nil {
		t.Error("a topic without partitions was created")
	}
}

func TestEmbeddedBrokerStampsAppendTime(t *testing.T) {
	t.Parallel()
	s := specs(1, "appended", "created")
	s[0].Config["message.timestamp.type"] = "LogAppendTime"
	b := newBed(t, s...)
	past := time.UnixMilli(1_000_000_000_000)
	before := time.Now().Truncate(time.Millisecond)
	for _, topic := range []string{"appended", "created"} {
		var recs []*kgo.Record
		for i := range 500 { // enough to be compressed
			recs = append(recs, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "value %d", i), Timestamp: past})
		}
		b.produce(recs...)
	}
	after := time.Now()
	check := func() {
		t.Helper()
		for _, rec := range b.readAll("appended")[0] {
			if rec.Timestamp.Before(before) || rec.Timestamp.After(after) {
				t.Fatalf("record %d was appended at %s, not between %s and %s", rec.Offset, rec.Timestamp, before, after)
			}
		}
		for _, rec := range b.readAll("created")[0] {
			if !rec.Timestamp.Equal(past) {
				t.Fatalf("record %d was created at %s", rec.Offset, rec.Timestamp)
			}
		}
		if n, m := b.count("appended"), b.count("created"); n != 500 || m != 500 {
			t.Fatalf("%d and %d records", n, m)
		}
	}
	check()
	b.restart()
	check()
}

func TestEmbeddedBrokerDropsItsHookBeforeItCloses(t *testing.T) {
	t.Parallel()
	s := specs(1, "appended")
	s[0].Config["message.timestamp.type"] = "LogAppendTime"
	b := newBed(t, s...)
	if err := b.emb.dropHook(); err != nil {
		t.Fatal(err)
	}
	past := time.UnixMilli(1_000_000_000_000)
	b.produce(&kgo.Record{Topic: "appended", Timestamp: past})
	if rec := b.readAll("appended")[0][0]; !rec.Timestamp.Equal(past) {
		t.Errorf("the hook still stamps: %s", rec.Timestamp)
	}
}

func TestEmbeddedBrokerGuardsItsDirectory(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	_, err := StartEmbedded(EmbeddedConfig{DataDir: b.dir, Addr: "127.0.0.1:0"})
	if !errors.Is(err, ErrDataDirInUse) {
		t.Errorf("a second broker on the directory: %v", err)
	}
	b.restart() // closing gives the lock back

	for _, addr := range []string{"127.0.0.1", "127.0.0.1:x", ":9092", "0.0.0.0:9092", "[::]:0"} {
		if _, err := StartEmbedded(EmbeddedConfig{DataDir: t.TempDir(), Addr: addr}); !errors.Is(err, ErrConfig) {
			t.Errorf("address %q: %v", addr, err)
		}
	}
}

func TestEmbeddedBrokerRemovesItsTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	e, err := StartEmbedded(EmbeddedConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Addrs()) != 1 {
		t.Errorf("addresses %v", e.Addrs())
	}
	e.Close()
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "weir-broker-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	f := func(change func(*Config)) {
		t.Helper()
		cfg := windowsConfig()
		change(&cfg)
		if err := Run(t.Context(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("got %v", err)
		}
	}
	f(func(c *Config) { c.Group = "" })
	f(func(c *Config) { c.Inputs = nil })
	f(func(c *Config) { c.Inputs = []string{""} })
	f(func(c *Config) { c.Inputs = []string{"a", "a"} })
	f(func(c *Config) { c.Inputs = []string{"out"} })
	f(func(c *Config) { c.NewProcessor = nil })
	f(func(c *Config) { c.Delivery = 7 })
	f(func(c *Config) { c.CommitInterval = -1 })
	f(func(c *Config) { c.CommitInterval = time.Minute })
	f(func(c *Config) { c.HeartbeatInterval = time.Minute })
	f(func(c *Config) { c.MaxFailures = -1 })
	f(func(c *Config) { c.StopTimeout = time.Second })
}

func TestMetricLabelsOfDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg, "g")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		m.deadLetter(fmt.Sprintf("reason %d", i))
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "weir_stream_dead_letters_total" && len(f.GetMetric()) != maxReasons+1 {
			t.Errorf("%d series", len(f.GetMetric()))
		}
	}
	if _, err := newMetrics(reg, "g"); err == nil {
		t.Error("the same group was registered twice")
	}
	m.unregister()
	if _, err := newMetrics(reg, "g"); err != nil {
		t.Error(err)
	}
}

func TestLagMetricsGrowWhileAWorkerIsStuck(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_000_000)
	c := newLagCollector(func() time.Time { return now })
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	w := &worker{reg: reg}
	tp := topicPartition{"in", 0}
	c.update(tp, 10, 15, now.Add(-3*time.Second))
	c.update(topicPartition{"in", 1}, 20, 20, now.Add(-time.Hour)) // at the end: idle, not late
	check := func(records, seconds float64) {
		t.Helper()
		if n := w.metric(t, "weir_stream_lag_records"); n != records {
			t.Errorf("%v records behind, want %v", n, records)
		}
		if s := w.metric(t, "weir_stream_lag_seconds"); s != seconds {
			t.Errorf("%v seconds behind, want %v", s, seconds)
		}
	}
	check(5, 3)
	now = now.Add(10 * time.Second)
	check(5, 13)
	c.update(tp, 15, 15, now)
	check(0, 0)
	c.remove(tp)
	if n := w.metric(t, "weir_stream_partitions"); n != 1 {
		t.Errorf("%v partitions owned, want 1", n)
	}
}
