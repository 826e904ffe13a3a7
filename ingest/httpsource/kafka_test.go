package httpsource

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/ingest/publish"
	"github.com/weir-dev/weir/schemas"
)

func TestAcceptedMeansWrittenToKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "weir.events"), kfake.SeedTopics(1, "weir.deadletter"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	pub, err := publish.NewKafka(publish.Config{Brokers: cluster.ListenAddrs()}, prometheus.NewRegistry(), kgo.RecordDeliveryTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	h := newSource(t, Config{PublishTimeout: 3 * time.Second}, pub).Handler()
	const n = 500
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, "198.51.100.%d - s3cr3t [02/Mar/2026:09:15:01 +0000] \"GET /orders/%d HTTP/1.1\" 200 5\n", i%200, i)
	}
	body.WriteString("nope\n")
	code, a, _ := post(t, h, "/v1/ingest/combined", []byte(body.String()))
	if code != 202 || a.Accepted != n || a.RefusedTotal != 1 {
		t.Fatalf("%d %+v", code, a)
	}

	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("weir.events", "weir.deadletter"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	paths, dead := map[string]bool{}, 0
	for len(paths) < n || dead < 1 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d events: %v", len(paths), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if strings.Contains(string(r.Value)+string(r.Key), "s3cr3t") {
				t.Errorf("secret in Kafka: %q", r.Value)
			}
			if r.Topic == "weir.deadletter" {
				dead++
				return
			}
			ev := schemas.NewEvent()
			if err := ev.DecodeProto(r.Value); err != nil {
				t.Fatal(err)
			}
			paths[string(ev.Path)] = true
		})
	}

	cluster.Close()
	if code, _, header := post(t, h, "/v1/events", []byte(good1)); code != 503 || header.Get("Retry-After") == "" {
		t.Errorf("without a broker: %d", code)
	}
	closing, stop := context.WithCancel(context.Background())
	stop()
	_ = pub.Close(closing) // gives up what the broker left behind
}
