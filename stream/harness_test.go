package stream

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bed is an embedded broker with topics and a client.
type bed struct {
	t     testing.TB
	addrs []string
	cl    *kgo.Client
	adm   *kadm.Client
	emb   *Embedded
	dir   string
}

func newBed(t testing.TB, specs ...TopicSpec) *bed {
	t.Helper()
	dir := t.TempDir()
	emb, err := StartEmbedded(EmbeddedConfig{DataDir: dir, Addr: "127.0.0.1:0", MinSessionTimeout: 100 * time.Millisecond, Logger: testLogger()})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, emb: emb, addrs: emb.Addrs(), dir: dir}
	t.Cleanup(func() { b.emb.Close() })
	b.cl, err = kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.cl.Close)
	b.adm = kadm.NewClient(b.cl)
	if err := EnsureTopics(b.ctx(), b.adm, specs, 1); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) ctx() context.Context { return b.t.Context() }

// restart stops the broker and starts it on the same data and address.
func (b *bed) restart() {
	b.t.Helper()
	b.emb.Close()
	emb, err := StartEmbedded(EmbeddedConfig{DataDir: b.dir, Addr: b.addrs[0], MinSessionTimeout: 100 * time.Millisecond, Logger: testLogger()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.emb = emb
}

func (b *bed) produce(recs ...*kgo.Record) {
	b.t.Helper()
	if err := b.cl.ProduceSync(b.ctx(), recs...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// readAll returns the committed records of a topic by partition.
func (b *bed) readAll(topic string) map[int32][]*kgo.Record {
	b.t.Helper()
	c := clusterOf(b.cl)
	n, err := c.partitions(b.ctx(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	all := make(map[int32][]*kgo.Record)
	for p := range n {
		from, to, err := c.stableRange(b.ctx(), topic, p)
		if err != nil {
			b.t.Fatal(err)
		}
		err = c.read(b.ctx(), topic, p, from, to, readCommitted, func(rec *kgo.Record) error {
			all[p] = append(all[p], rec)
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return all
}

func (b *bed) count(topic string) int {
	n := 0
	for _, recs := range b.readAll(topic) {
		n += len(recs)
	}
	return n
}

// written is a measure of progress: the committed length of a topic, markers
// included; -1 if the broker does not answer.
func (b *bed) written(topic string) int64 {
	ends, err := b.adm.ListCommittedOffsets(b.ctx(), topic)
	if err != nil || ends.Error() != nil {
		return -1
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

// behind returns the records of topics that the group has not committed;
// without any commit that is more than any test writes.
func (b *bed) behind(group string, topics ...string) int64 {
	b.t.Helper()
	lags, err := Lag(b.ctx(), b.cl, group)
	if err != nil {
		return 1 << 40 // the broker may be restarting
	}
	seen := make(map[string]bool)
	var sum int64
	for _, l := range lags {
		seen[l.Topic] = true
		if slices.Contains(topics, l.Topic) {
			sum += l.Records
		}
	}
	for _, topic := range topics {
		if !seen[topic] {
			return 1 << 40
		}
	}
	return sum
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(25 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("waited too long for: %s", what)
		case <-poll.C:
		}
	}
}

func testLogger() *slog.Logger {
	if os.Getenv("STREAM_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// worker is a Run in this process that can be stopped or killed.
type worker struct {
	cancel context.CancelFunc
	done   chan error
	cut    *cutter
	ready  chan struct{} // closed when first ready
	reg    *prometheus.Registry
}

// fast are settings for tests: rebalances and time-outs within a second.
func fast(addrs []string, cfg Config) Config {
	cfg.Opts = append([]kgo.Opt{kgo.SeedBrokers(addrs...), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20 * time.Millisecond)}, cfg.Opts...)
	cfg.Logger = testLogger()
	cfg.CommitInterval = cmp.Or(cfg.CommitInterval, 10*time.Millisecond)
	cfg.SessionTimeout = cmp.Or(cfg.SessionTimeout, 1200*time.Millisecond)
	cfg.HeartbeatInterval = cmp.Or(cfg.HeartbeatInterval, 100*time.Millisecond)
	cfg.TransactionTimeout = cmp.Or(cfg.TransactionTimeout, 1500*time.Millisecond)
	cfg.CommitTimeout = cmp.Or(cfg.CommitTimeout, 2*time.Second)
	cfg.RetryBackoff = cmp.Or(cfg.RetryBackoff, 20*time.Millisecond)
	return cfg
}

func startWorker(t testing.TB, addrs []string, cfg Config) *worker {
	t.Helper()
	w := &worker{done: make(chan error, 1), cut: &cutter{}, ready: make(chan struct{}), reg: prometheus.NewRegistry()}
	cfg = fast(addrs, cfg)
	cfg.Opts = append(cfg.Opts, kgo.Dialer(w.cut.dial))
	cfg.Registerer = w.reg
	var once sync.Once
	cfg.OnReady = func(ready bool) {
		if ready {
			once.Do(func() { close(w.ready) })
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() { w.done <- Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		w.cut.cut() // what is not stopped by now may hang on a closed broker
	})
	return w
}

// kill takes the network away, so that nothing the worker still does reaches
// the cluster, as if the process were gone.
func (w *worker) kill() {
	w.cut.cut()
	w.cancel()
}

// stop stops gracefully and returns what Run returned.
func (w *worker) stop(t testing.TB) error {
	t.Helper()
	w.cancel()
	return w.wait(t)
}

func (w *worker) wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-w.done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("worker does not return")
		return nil
	}
}

// metric returns the sum over all label values.
func (w *worker) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// cutter dials until it is cut.
type cutter struct {
	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

var errCut = errors.New("network is cut")

func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil, errCut
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, conn := range c.conns {
		conn.Close()
	}
}

// collect is an emitter that keeps what it gets.
type collect struct {
	to map[int32][]string
	n  int32
}

func (c collect) emit(_ context.Context, rec *kgo.Record) {
	c.to[rec.Partition] = append(c.to[rec.Partition], line(rec))
}

func (c collect) partitions(context.Context, string) (int32, error) { return c.n, nil }

func line(rec *kgo.Record) string { return string(rec.Key) + "=" + string(rec.Value) }

func lines(recs map[int32][]*kgo.Record) map[int32][]string {
	m := make(map[int32][]string)
	for p, rs := range recs {
		for _, r := range rs {
			m[p] = append(m[p], line(r))
		}
	}
	return m
}

// compare fails with the first difference of each partition.
func compare(t testing.TB, got, want map[int32][]string, partitions int32) {
	t.Helper()
	for p := range partitions {
		g, w := got[p], want[p]
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Errorf("partition %d, output %d: got %s, want %s", p, i, g[i], w[i])
				break
			}
		}
		if len(g) != len(w) {
			t.Errorf("partition %d: got %d outputs, want %d", p, len(g), len(w))
		}
	}
}

func specs(partitions int32, names ...string) []TopicSpec {
	s := make([]TopicSpec, len(names))
	for i, n := range names {
		s[i] = TopicSpec{Name: n, Partitions: partitions, Config: map[string]string{"retention.ms": "3600000"}}
		if n == "state" {
			s[i].Config = map[string]string{"cleanup.policy": "compact"}
		}
	}
	return s
}
