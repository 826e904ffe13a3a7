package services_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/internal/services"
)

func unique(prefix string) string { return prefix + "-" + rand.Text()[:10] }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, seeds []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seeds...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, client *kgo.Client, partitions int32, replicas int16, configs map[string]string) string {
	t.Helper()
	topic := unique("smoke")
	set := make(map[string]*string, len(configs))
	for k, v := range configs {
		set[k] = kadm.StringPtr(v)
	}
	if _, err := kadm.NewClient(client).CreateTopic(testContext(t), partitions, replicas, set, topic); err != nil {
		t.Fatal(err)
	}
	return topic
}

// consume reads n records of the topic from its start.
func consume(t *testing.T, seeds []string, topic string, n int, opts ...kgo.Opt) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	client := newClient(t, seeds, append(opts, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func values(records []*kgo.Record) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = string(r.Value)
	}
	return out
}

func TestBrokerKeepsPartitionOrder(t *testing.T) {
	seeds := services.Kafka(t)
	client := newClient(t, seeds)
	topic := createTopic(t, client, 1, 1, nil)
	var want []string
	var batch []*kgo.Record
	for i := range 1000 {
		want = append(want, fmt.Sprint(i))
		batch = append(batch, &kgo.Record{Topic: topic, Value: []byte(want[i])})
	}
	if err := client.ProduceSync(testContext(t), batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, values(consume(t, seeds, topic, len(want)))); diff != "" {
		t.Errorf("records changed (-want +got):\n%s", diff)
	}
}

func TestBrokerDoesNotCreateTopicsByItself(t *testing.T) {
	client := newClient(t, services.Kafka(t), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
	err := client.ProduceSync(testContext(t), &kgo.Record{Topic: unique("missing"), Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("producing to a missing topic: got %v, want unknown topic", err)
	}
}

func TestBrokerHidesAbortedTransactions(t *testing.T) {
	seeds := services.Kafka(t)
	producer := newClient(t, seeds, kgo.TransactionalID(unique("txn")))
	topic := createTopic(t, producer, 1, 1, nil)
	ctx := testContext(t)
	for _, step := range []struct {
		value string
		end   kgo.TransactionEndTry
	}{{"a", kgo.TryCommit}, {"b", kgo.TryAbort}, {"c", kgo.TryCommit}} {
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(step.value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := producer.EndTransaction(ctx, step.end); err != nil {
			t.Fatal(err)
		}
	}
	committed := consume(t, seeds, topic, 2, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if diff := cmp.Diff([]string{"a", "c"}, values(committed)); diff != "" {
		t.Errorf("read committed (-want +got):\n%s", diff)
	}
	all := consume(t, seeds, topic, 3, kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
	if diff := cmp.Diff([]string{"a", "b", "c"}, values(all)); diff != "" {
		t.Errorf("read uncommitted (-want +got):\n%s", diff)
	}
}

func TestBrokerStampsLogAppendTime(t *testing.T) {
	seeds := services.Kafka(t)
	client := newClient(t, seeds)
	topic := createTopic(t, client, 1, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	old := time.Now().Add(-24 * time.Hour)
	before := time.Now().Add(-time.Second)
	if err := client.ProduceSync(testContext(t), &kgo.Record{Topic: topic, Timestamp: old, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := consume(t, seeds, topic, 1)[0]
	if got.Timestamp.Before(before) || got.Attrs.TimestampType() != 1 {
		t.Errorf("record has timestamp %v of type %d, want the broker's time and type 1", got.Timestamp, got.Attrs.TimestampType())
	}
}

func TestGroupResumesFromCommittedOffset(t *testing.T) {
	seeds := services.Kafka(t)
	producer := newClient(t, seeds)
	topic := createTopic(t, producer, 1, 1, nil)
	group := unique("group")
	ctx := testContext(t)
	for _, value := range []string{"first", "second"} {
		if err := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		member := newClient(t, seeds, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		fetches := member.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{value}, values(fetches.Records())); diff != "" {
			t.Fatalf("the member read (-want +got):\n%s", diff)
		}
		if err := member.CommitUncommittedOffsets(ctx); err != nil {
			t.Fatal(err)
		}
		member.Close()
	}
}

func TestPrivateClusterSurvivesKilledBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker of its own")
	}
	cluster := services.PrivateKafka(t, 1)
	client := newClient(t, cluster.Addrs)
	topic := createTopic(t, client, 1, 1, nil)
	ctx := testContext(t)
	send := func(value string) {
		t.Helper()
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send("before")
	if err := cluster.Kill(1); err != nil {
		t.Fatal(err)
	}
	down, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := newClient(t, cluster.Addrs).Ping(down); err == nil {
		t.Fatal("the broker answers after it was killed")
	}
	if err := cluster.Start(1); err != nil {
		t.Fatal(err)
	}
	send("after")
	if diff := cmp.Diff([]string{"before", "after"}, values(consume(t, cluster.Addrs, topic, 2))); diff != "" {
		t.Errorf("records after the restart (-want +got):\n%s", diff)
	}
}
