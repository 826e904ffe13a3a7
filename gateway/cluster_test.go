package gateway

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

const testTopic = "weir.blocklist"

// testCluster is a broker with the blocklist topic and a producer for it.
type testCluster struct {
	t     testing.TB
	fake  *kfake.Cluster
	opts  []kgo.Opt
	admin *kgo.Client
}

func newCluster(t testing.TB, opts ...kfake.Opt) *testCluster {
	t.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, testTopic)}, opts...)
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := &testCluster{t: t, fake: fake, opts: []kgo.Opt{kgo.SeedBrokers(fake.ListenAddrs()...)}}
	c.admin = c.client()
	return c
}

func (c *testCluster) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, c.opts...), opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// write produces records one after another and returns the last offset.
func (c *testCluster) write(rs ...*kgo.Record) (offset int64) {
	c.t.Helper()
	for _, r := range rs {
		r.Topic = testTopic
		got, err := c.admin.ProduceSync(context.Background(), r).First()
		if err != nil {
			c.t.Fatal(err)
		}
		offset = got.Offset
	}
	return offset
}

func (c *testCluster) records() (rs []*kgo.Record) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	end := c.fake.PartitionInfo(testTopic, 0).HighWatermark
	if end == 0 {
		return nil
	}
	cl := c.client(kgo.ConsumeTopics(testTopic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			c.t.Fatal(err)
		}
		rs = append(rs, fs.Records()...)
		if n := len(rs); n > 0 && rs[n-1].Offset == end-1 {
			return rs
		}
	}
}

// compacted is the log as compaction would leave it: the last value of each key.
func (c *testCluster) compacted() map[string]string {
	c.t.Helper()
	m := make(map[string]string)
	for _, r := range c.records() {
		if r.Value == nil {
			delete(m, string(r.Key))
		} else {
			m[string(r.Key)] = string(r.Value)
		}
	}
	return m
}

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// clock is driven by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func entry(action schemas.Action, ttl time.Duration, id string) schemas.BlockEntry {
	return schemas.BlockEntry{
		VerdictID: id, Action: action, Attack: schemas.AttackScraping, Confidence: 0.97,
		Reason: "4 210 requests in a minute, 38 expected", Created: epoch, ExpiresAt: epoch.Add(ttl),
	}
}

func put(key string, e schemas.BlockEntry) *kgo.Record {
	value, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return &kgo.Record{Key: []byte(key), Value: value}
}

func block(scope, value string) *kgo.Record {
	return put(schemas.BlockKey("", scope, value), entry(schemas.ActionBlock, time.Hour, "v-"+value))
}

func allow(scope, value string) *kgo.Record {
	return put(schemas.AllowKey("", scope, value), entry(schemas.AllowAction, time.Hour, "a-"+value))
}

func tombstone(key string) *kgo.Record { return &kgo.Record{Key: []byte(key)} }

func unless(offset int64, r *kgo.Record) *kgo.Record {
	r.Headers = append(r.Headers, kgo.RecordHeader{
		Key: HeaderNotAfter, Value: strconv.AppendInt(nil, offset, 10),
	})
	return r
}

// start runs a Blocklist and waits until it is ready.
func (c *testCluster) start(cfg Config) *Blocklist {
	c.t.Helper()
	b := c.startUnready(cfg)
	wait(c.t, "ready", b.IsReady)
	return b
}

func (c *testCluster) startUnready(cfg Config) *Blocklist {
	c.t.Helper()
	if cfg.Opts == nil {
		cfg.Opts = c.opts
	}
	if cfg.Topic == "" {
		cfg.Topic = testTopic
	}
	if cfg.Now == nil {
		cfg.Now = newClock().Now
	}
	b, err := NewBlocklist(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	run(c.t, b.Run)
	return b
}

// run calls f in the background and stops it at the end of the test.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// wait polls until cond holds.
func wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
