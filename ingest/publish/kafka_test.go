package publish

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

const partitions = 6

// newKafka returns a publisher on a broker of its own, and the broker.
func newKafka(t *testing.T, cfg Config) (*Kafka, *kfake.Cluster) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.SeedTopics(partitions, "weir.events"), kfake.SeedTopics(1, "weir.deadletter"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg.Brokers = cluster.ListenAddrs()
	k, err := NewKafka(cfg, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := k.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return k, cluster
}

// consume reads n records of a topic.
func consume(t *testing.T, cluster *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records of %s: %v", len(records), n, topic, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func headerOf(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func TestEventsCarryKeyPartitionHeadersAndValue(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%v", asJSON), func(t *testing.T) {
			k, cluster := newKafka(t, Config{JSON: asJSON, KeyID: "0badcafe"})
			const n = 300
			failed := make(chan error, n)
			ev := schemas.NewEvent()
			for i := range n {
				// The event is reused at once: Publish must have copied it.
				ev.Reset()
				ev.Time = int64(1e15) + int64(i)
				ev.ClientIP = fmt.Appendf(nil, "198.51.100.%d", i%50)
				ev.Path = fmt.Appendf(nil, "/v1/orders/%d", i)
				k.Publish(context.Background(), ev, func(err error) { failed <- err })
			}
			for range n {
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
			}
			contentType := schemas.ContentTypeProtobuf
			if asJSON {
				contentType = schemas.ContentTypeJSON
			}
			byKey := kgo.StickyKeyPartitioner(nil).ForTopic("weir.events")
			seen := make(map[string]bool)
			for _, r := range consume(t, cluster, "weir.events", n) {
				if got := headerOf(r, schemas.HeaderSchema); got != schemas.SchemaEvent {
					t.Fatalf("schema header %q", got)
				}
				if got := headerOf(r, schemas.HeaderContentType); got != contentType {
					t.Fatalf("content type header %q", got)
				}
				if got := headerOf(r, HeaderKeyID); got != "0badcafe" {
					t.Fatalf("key id header %q", got)
				}
				got := schemas.NewEvent()
				if err := got.Decode(contentType, r.Value); err != nil {
					t.Fatal(err)
				}
				if want := "ip:" + string(got.ClientIP); string(r.Key) != want {
					t.Fatalf("key %q, want %q", r.Key, want)
				}
				if want := byKey.Partition(r, partitions); int(r.Partition) != want {
					t.Fatalf("key %q is in partition %d, want %d", r.Key, r.Partition, want)
				}
				seen[string(got.Path)] = true
			}
			if len(seen) != n {
				t.Errorf("%d distinct events of %d", len(seen), n)
			}
		})
	}
}

func TestOversizeEventsAreRefusedAndBigDeadLettersCut(t *testing.T) {
	k, cluster := newKafka(t, Config{})
	result := make(chan error, 1)
	ev := schemas.NewEvent()
	ev.Path = []byte("/" + strings.Repeat("a", schemas.MaxEventBytes))
	k.Publish(context.Background(), ev, func(err error) { result <- err })
	if err := <-result; schemas.ReasonOf(err) != schemas.ReasonTooLarge {
		t.Errorf("oversize event: %v", err)
	}
	raw := strings.Repeat("b", maxDeadLetter+7)
	k.Refuse(context.Background(), Refused{Raw: []byte(raw), Reason: "no_match", Field: "time", Source: "http", Format: "combined"},
		func(err error) { result <- err })
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	r := consume(t, cluster, "weir.deadletter", 1)[0]
	got := map[string]string{}
	for _, h := range r.Headers {
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{HeaderReason: "no_match", HeaderTopic: "http", HeaderField: "time", HeaderFormat: "combined", HeaderSize: "65543"}
	if fmt.Sprint(got) != fmt.Sprint(want) || string(r.Value) != raw[:maxDeadLetter] {
		t.Errorf("dead letter of %d bytes with %v, want %v", len(r.Value), got, want)
	}
}

func TestPublishingFailsOnceTheBrokerIsGone(t *testing.T) {
	k, err := NewKafka(Config{Brokers: []string{"127.0.0.1:1"}}, prometheus.NewRegistry(), kgo.RecordDeliveryTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	result := make(chan error, 1)
	k.Publish(ctx, schemas.NewEvent(), func(err error) { result <- err })
	if err := <-result; err == nil {
		t.Error("published without a broker")
	}
}
