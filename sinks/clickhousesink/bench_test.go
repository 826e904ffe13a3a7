package clickhousesink

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

// BenchmarkInsert compares the sink with the engine's own INSERT SELECT of the
// same rows, which is what remains if the sink costs nothing.
func BenchmarkInsert(b *testing.B) {
	const n = 100_000
	dsn := services.ClickHouse(b)
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	name := fmt.Sprintf("sinks_bench_%x", rand.Uint64())
	exec := func(query string) {
		b.Helper()
		if err := conn.Exec(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
	exec("CREATE DATABASE " + name)
	defer exec("DROP DATABASE " + name)
	w, err := New(Config{DSN: dsn[:len(dsn)-len("default")] + name})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	if err := w.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	recs := make([]*kgo.Record, n)
	for i := range recs {
		ev := schemas.NewEvent()
		user := rng.IntN(20_000)
		ev.ID = fmt.Appendf(nil, "%016x%016x", i, rng.Uint64())
		ev.Time = time.Now().UnixMicro()
		ev.Gateway, ev.GatewayType, ev.API = []byte("gw-1"), []byte("kong"), []byte("shop")
		ev.Method, ev.Host, ev.Scheme = []byte("GET"), []byte("api.shop.example"), []byte("https")
		ev.Route = fmt.Appendf(nil, "/v1/resource%d/{id}", user%40)
		ev.Path = fmt.Appendf(nil, "/v1/resource%d/%d", user%40, rng.IntN(1_000_000))
		ev.Status, ev.ReqBytes, ev.RespBytes = 200, int64(rng.IntN(500)), int64(rng.IntN(20_000))
		ev.DurationUS = int64(rng.IntN(100_000))
		ev.ClientIP = fmt.Appendf(nil, "203.%d.%d.%d", user%200, user%250, user%255)
		ev.User, ev.UserAgent = fmt.Appendf(nil, "user-%d", user), fmt.Appendf(nil, "agent/%d", user%30)
		recs[i] = kafkatest.EventProto(topic, 3, ev)
		recs[i].Offset, recs[i].Timestamp = int64(i), time.Now()
	}
	first := int64(0)
	b.Run("sink", func(b *testing.B) {
		for b.Loop() {
			c := young(sinks.TableEvents, topic, first, first+n, recs...)
			first += n
			if got, err := w.WriteChunk(b.Context(), c); err != nil || got.Rows != n {
				b.Fatal(got, err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	exec("CREATE TABLE " + name + ".source ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM " + name + ".api_events LIMIT 100000")
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			exec("INSERT INTO " + name + ".api_events SELECT * FROM " + name + ".source SETTINGS insert_deduplicate = 0")
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
