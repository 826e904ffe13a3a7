package e2e

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/stream"
)

// deployment is one set of topics and groups on a broker.
type deployment struct {
	t          testing.TB
	brokers    []string
	prefix     string // of topics and groups, ends in a dot
	partitions int32
	topics     pipeline.Topics
	cl         *kgo.Client
	adm        *kadm.Client

	mu     sync.Mutex // guards failed
	failed error      // of the first event that could not be written
}

// deploy creates the topics under a prefix.
func deploy(t testing.TB, brokers []string, prefix string, partitions int32) *deployment {
	t.Helper()
	d := &deployment{t: t, brokers: brokers, prefix: prefix, partitions: partitions, topics: pipeline.TopicsUnder(prefix)}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		// One request at a time: the embedded broker keeps no account of sequence
		// numbers over a kill, and several could change places.
		kgo.MaxProduceRequestsInflightPerBroker(1), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	d.cl, d.adm = cl, kadm.NewClient(cl)
	if err := pipeline.EnsureTopics(t.Context(), d.kafka(), []kgo.Opt{kgo.SeedBrokers(brokers...)}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *deployment) kafka() config.Kafka {
	c := config.Default().Kafka
	c.Brokers, c.TopicPrefix, c.GroupPrefix = d.brokers, d.prefix, d.prefix
	c.Partitions = int(d.partitions)
	return c
}

// send writes one event to the partition of its client, without waiting.
func (d *deployment) send(r simulate.Record) {
	rec := &kgo.Record{Topic: d.topics.Events, Partition: stream.PartitionFor(r.Key, d.partitions), Key: r.Key, Value: r.Value}
	d.cl.Produce(context.Background(), rec, d.sent)
}

func (d *deployment) sent(_ *kgo.Record, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && d.failed == nil {
		d.failed = err
	}
}

// flush returns when everything sent is written.
func (d *deployment) flush() {
	d.t.Helper()
	if err := d.cl.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		d.t.Fatalf("writing events: %v", d.failed)
	}
}

// tick says in every partition that event time has come to us.
func (d *deployment) tick(us int64) {
	d.t.Helper()
	var ticks []*kgo.Record
	for p := range d.partitions {
		ticks = append(ticks, stream.TickRecord(d.topics.Events, p, us))
	}
	if err := d.cl.ProduceSync(d.t.Context(), ticks...).FirstErr(); err != nil {
		d.t.Fatal(err)
	}
}

// ask calls the broker until it answers: it may be on its way back.
func ask[T any](d *deployment, what string, call func(context.Context) (T, error)) T {
	d.t.Helper()
	var out T
	var err error
	if !poll(d.t.Context(), 30*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
		defer cancel()
		out, err = call(ctx)
		return err == nil
	}) {
		d.t.Fatalf("%s: %v", what, err)
	}
	return out
}

// written is the number of offsets used in a topic.
func (d *deployment) written(topic string) (n int64) {
	d.t.Helper()
	for _, end := range d.ends(topic) {
		n += end
	}
	return n
}

func (d *deployment) ends(topic string) map[int32]int64 {
	d.t.Helper()
	return ask(d, "listing end offsets", func(ctx context.Context) (map[int32]int64, error) {
		return offsets(d.adm.ListEndOffsets(ctx, topic))
	})
}

// stableEnds are the ends up to which no transaction is open.
func (d *deployment) stableEnds(topic string) map[int32]int64 {
	d.t.Helper()
	return ask(d, "listing stable offsets", func(ctx context.Context) (map[int32]int64, error) {
		return offsets(d.adm.ListCommittedOffsets(ctx, topic))
	})
}

func offsets(listed kadm.ListedOffsets, err error) (map[int32]int64, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out, nil
}

// behind is how many records of a topic a role has still to commit.
func (d *deployment) behind(role, topic string) (n int64) {
	d.t.Helper()
	ends := d.ends(topic)
	committed := ask(d, "fetching committed offsets", func(ctx context.Context) (kadm.OffsetResponses, error) {
		r, err := d.adm.FetchOffsets(ctx, d.prefix+role)
		if err == nil {
			err = r.Error()
		}
		return r, err
	})
	for p, end := range ends {
		at := int64(0)
		if o, ok := committed.Lookup(topic, p); ok && o.At > 0 {
			at = o.At
		}
		n += end - at
	}
	return n
}

// drain returns when extractors and scorers have committed everything and all
// that they wrote is to be seen.
func (d *deployment) drain(within time.Duration, alive ...*process) {
	d.t.Helper()
	check := func() {
		for _, p := range alive {
			p.ended(d.t)
		}
	}
	eventually(d.t, "the extractors to catch up", within, func() bool {
		check()
		return d.behind(config.RoleExtract, d.topics.Events) == 0
	})
	eventually(d.t, "the extractors' transactions to end", within, func() bool {
		return maps.Equal(d.ends(d.topics.Features), d.stableEnds(d.topics.Features)) &&
			maps.Equal(d.ends(d.topics.Aggregates), d.stableEnds(d.topics.Aggregates))
	})
	eventually(d.t, "the scorers to catch up", within, func() bool {
		check()
		return d.behind(config.RoleScore, d.topics.Features) == 0 && d.behind(config.RoleScore, d.topics.Aggregates) == 0
	})
}

// read returns the committed records of a topic, partition by partition.
func (d *deployment) read(topic string) [][]*kgo.Record {
	d.t.Helper()
	ends := d.stableEnds(topic)
	out := make([][]*kgo.Record, len(ends))
	from := map[int32]kgo.Offset{}
	for p, end := range ends {
		if end > 0 {
			from[p] = kgo.NewOffset().At(0)
		}
	}
	if len(from) == 0 {
		return out
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(d.brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// What ends a partition may be a marker.
		kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MaxDecompressBatchBytes(256<<20),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		d.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	for left := slices.Collect(maps.Keys(from)); len(left) > 0; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			d.t.Fatalf("reading %s: partitions %v did not end", topic, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() && r.Offset < ends[r.Partition] {
				out[r.Partition] = append(out[r.Partition], r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				left = slices.DeleteFunc(left, func(p int32) bool { return p == r.Partition })
			}
		})
	}
	return out
}

// headerOf is the value of a record header.
func headerOf(r *kgo.Record, key string) (string, bool) {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value), true
		}
	}
	return "", false
}
