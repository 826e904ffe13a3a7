package parquetsink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

// traffic is n events with the variety of real ones: a few routes, thousands of
// clients, random ids.
func traffic(n int, encode func(string, int32, *schemas.Event) *kgo.Record) []*kgo.Record {
	rng := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	methods := []string{"GET", "GET", "GET", "POST", "PUT"}
	agents := []string{"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0", "okhttp/4.12", "curl/8.5", "Dalvik/2.1.0 (Linux; U; Android 14)"}
	recs := make([]*kgo.Record, n)
	for i := range recs {
		at = at.Add(time.Duration(rng.IntN(2000)) * time.Microsecond)
		user := rng.IntN(20_000)
		route := rng.IntN(40)
		ev := schemas.NewEvent()
		ev.ID = fmt.Appendf(nil, "%016x%016x", at.UnixMicro(), rng.Uint64())
		ev.Time = at.UnixMicro()
		ev.Gateway, ev.GatewayType, ev.API = []byte("gw-1"), []byte("kong"), []byte("shop")
		ev.Method = []byte(methods[rng.IntN(len(methods))])
		ev.Route = fmt.Appendf(nil, "/v1/resource%d/{id}", route)
		ev.Path = fmt.Appendf(nil, "/v1/resource%d/%d", route, rng.IntN(1_000_000))
		ev.Host, ev.Scheme = []byte("api.shop.example"), []byte("https")
		ev.Status = 200
		ev.ReqBytes, ev.RespBytes = int64(rng.IntN(500)), int64(rng.IntN(20_000))
		ev.DurationUS = int64(1000 + rng.IntN(100_000))
		ev.ClientIP = fmt.Appendf(nil, "203.%d.%d.%d", user%200, user%250, user%255)
		ev.User = fmt.Appendf(nil, "user-%d", user)
		ev.UserAgent = []byte(agents[user%len(agents)])
		ev.Country, ev.ASN = []byte("DE"), int64(64500+user%50)
		rec := encode(topic, 3, ev)
		rec.Partition, rec.Offset, rec.Timestamp = 3, int64(i), at
		recs[i] = rec
	}
	return recs
}

func BenchmarkWriteChunk(b *testing.B) {
	for name, encode := range map[string]func(string, int32, *schemas.Event) *kgo.Record{
		"json": kafkatest.Event, "protobuf": kafkatest.EventProto,
	} {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			recs := traffic(n, encode)
			w, err := New(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var written sinks.Written
			for b.Loop() {
				written, err = w.WriteChunk(context.Background(), sinks.NewChunk(sinks.TableEvents, topic, 3, 0, n, recs, nil))
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(written.Rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(written.Bytes)/float64(written.Rows), "B/row")
		})
	}
}

// BenchmarkDecode is the share of BenchmarkWriteChunk that is not Parquet.
func BenchmarkDecode(b *testing.B) {
	for name, encode := range map[string]func(string, int32, *schemas.Event) *kgo.Record{
		"json": kafkatest.Event, "protobuf": kafkatest.EventProto,
	} {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			recs := traffic(n, encode)
			for b.Loop() {
				c := sinks.NewChunk(sinks.TableEvents, topic, 3, 0, n, recs, nil)
				if err := c.Events(func([]sinks.EventRow) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
