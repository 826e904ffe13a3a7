package stream

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// forward writes every nth record on.
type forward struct {
	every int64
	seen  int64
}

func (f *forward) Shards() int { return 1 }
func (f *forward) Process(rec *kgo.Record, out *Output) error {
	if f.seen++; f.seen%f.every == 0 {
		out.EmitTo("out", rec.Partition, rec.Key, rec.Value)
	}
	return nil
}
func (f *forward) Snapshot(_ int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	return binary.AppendVarint(dst, f.seen), nil
}
func (f *forward) Restore(_ int, data []byte, _ map[string]int64) error {
	f.seen, _ = binary.Varint(data)
	return nil
}

func forwardConfig(delivery Delivery, every int64, addrs []string) Config {
	return Config{
		Opts: []kgo.Opt{kgo.SeedBrokers(addrs...)}, Group: "g", Inputs: []string{"in"}, Outputs: []string{"out"}, StateTopic: "state",
		Delivery:     delivery,
		NewProcessor: func(int32, int32) (Processor, error) { return &forward{every: every}, nil },
	}
}

// BenchmarkThroughput is the time per input record of 400 bytes from 8
// partitions that hold all of them at the start.
func BenchmarkThroughput(b *testing.B) {
	for _, delivery := range []Delivery{ExactlyOnce, AtLeastOnce} {
		for _, every := range []int64{1, 10} {
			b.Run(delivery.String()+"/outputs=1in"+strconv.FormatInt(every, 10), func(b *testing.B) {
				bed := newBed(b, specs(8, "in", "out", "state")...)
				value := make([]byte, 400)
				for i := range b.N {
					bed.cl.Produce(b.Context(), &kgo.Record{Topic: "in", Partition: int32(i % 8), Key: []byte("client:" + strconv.Itoa(i%5000)), Value: value}, nil)
				}
				if err := bed.cl.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(400)
				b.ReportAllocs()
				b.ResetTimer()
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				go func() { done <- Run(ctx, forwardConfig(delivery, every, bed.addrs)) }()
				eventually(b, "the worker to catch up", func() bool { return bed.behind("g", "in") == 0 })
				b.StopTimer()
				cancel()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkLatency is the time from the producer to a read-committed consumer
// of the output at 20,000 records a second.
func BenchmarkLatency(b *testing.B) {
	for _, delivery := range []Delivery{ExactlyOnce, AtLeastOnce} {
		b.Run(delivery.String(), func(b *testing.B) {
			bed := newBed(b, specs(8, "in", "out", "state")...)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			ready := make(chan struct{}, 8)
			cfg := forwardConfig(delivery, 1, bed.addrs)
			cfg.OnReady = func(bool) { ready <- struct{}{} }
			go Run(ctx, cfg)
			<-ready
			consumer, err := kgo.NewClient(kgo.SeedBrokers(bed.addrs...), kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			if err != nil {
				b.Fatal(err)
			}
			defer consumer.Close()
			go func() {
				clock := time.NewTicker(time.Millisecond)
				defer clock.Stop()
				for i := 0; i < b.N; {
					<-clock.C
					for n := min(i+20, b.N); i < n; i++ {
						bed.cl.Produce(ctx, &kgo.Record{Topic: "in", Partition: int32(i % 8), Value: binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))}, nil)
					}
				}
			}()
			took := make([]time.Duration, 0, b.N)
			for len(took) < b.N {
				consumer.PollFetches(ctx).EachRecord(func(rec *kgo.Record) {
					took = append(took, time.Duration(time.Now().UnixNano()-int64(binary.BigEndian.Uint64(rec.Value))))
				})
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
