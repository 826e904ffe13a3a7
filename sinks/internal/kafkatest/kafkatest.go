// Package kafkatest is an in-process Kafka for the tests of the sinks.
package kafkatest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// Cluster is a broker with the topics of a test.
type Cluster struct {
	Fake *kfake.Cluster
	// Opts reach it, with a session life that suits tests.
	Opts []kgo.Opt
	cl   *kgo.Client
}

// New starts a broker that ends with the test.
func New(t testing.TB, partitions int32, topics ...string) *Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...),
		kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatalf("starting the broker: %v", err)
	}
	t.Cleanup(fake.Close)
	c := &Cluster{Fake: fake, Opts: []kgo.Opt{
		kgo.SeedBrokers(fake.ListenAddrs()...),
		kgo.HeartbeatInterval(50 * time.Millisecond),
		kgo.SessionTimeout(6 * time.Second),
		kgo.FetchMaxWait(50 * time.Millisecond),
		kgo.MetadataMinAge(10 * time.Millisecond),
	}}
	c.cl, err = kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		// Fetches return whole batches: small ones let a test bound what is read.
		kgo.ProducerBatchMaxBytes(4<<10))
	if err != nil {
		t.Fatalf("connecting to the broker: %v", err)
	}
	t.Cleanup(c.cl.Close)
	return c
}

// Produce appends records to the partitions they name, in order.
func (c *Cluster) Produce(t testing.TB, recs ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		t.Fatalf("producing: %v", err)
	}
}

// Committed is the offset a group committed for a partition and its metadata;
// -1 without one.
func (c *Cluster) Committed(t testing.TB, group, topic string, partition int32) (int64, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	offsets, err := kadm.NewClient(c.cl).FetchOffsets(ctx, group)
	if err != nil {
		return -1, ""
	}
	o, ok := offsets.Lookup(topic, partition)
	if !ok || o.Err != nil {
		return -1, ""
	}
	return o.At, o.Metadata
}

// Commit sets a group's offset and metadata.
func (c *Cluster) Commit(t testing.TB, group, topic string, partition int32, at int64, metadata string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1, Metadata: metadata})
	if _, err := kadm.NewClient(c.cl).CommitOffsets(ctx, group, offsets); err != nil {
		t.Fatalf("committing: %v", err)
	}
}

// Event is a record of the events topic that holds ev as JSON.
func Event(topic string, partition int32, ev *schemas.Event) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: partition, Value: ev.AppendJSON(nil)}
}

// EventProto is a record of the events topic that holds ev as Protobuf, with headers.
func EventProto(topic string, partition int32, ev *schemas.Event) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: partition, Value: ev.AppendProto(nil),
		Headers: []kgo.RecordHeader{
			{Key: schemas.HeaderSchema, Value: []byte(schemas.SchemaEvent)},
			{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeProtobuf)},
		},
	}
}

// Until polls cond until it holds; it fails the test after 15 seconds.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("waited too long until %s", what)
		case <-tick.C:
		}
	}
}
