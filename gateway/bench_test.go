package gateway

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// fillTopic writes n blocks of mixed scopes, about 300 B each.
func fillTopic(tb testing.TB, c *testCluster, n int) {
	tb.Helper()
	cl := c.client(kgo.DefaultProduceTopic(testTopic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range n {
		scope, value := nthEntity(i)
		r := put(schemas.BlockKey("", scope, value), schemas.BlockEntry{
			VerdictID: fmt.Sprintf("%032x", i*7919), Action: schemas.ActionBlock,
			Attack: schemas.AttackObjectEnumeration, Confidence: 0.9973,
			Reason:  fmt.Sprintf("%d distinct objects in 10 minutes, 4.1 expected from itself; 98 %% in sequence", 200+i%977),
			Created: epoch.Add(time.Duration(i) * time.Millisecond), ExpiresAt: epoch.Add(24 * time.Hour),
		})
		cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				tb.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

func nthEntity(i int) (scope, value string) {
	switch i % 4 {
	case 0:
		return "ip", fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
	case 1:
		return "user", fmt.Sprintf("%032x", i*104729)
	case 2:
		return "credential", fmt.Sprintf("%032x", i*1299709)
	}
	return "session", fmt.Sprintf("%032x", i*15485863)
}

// BenchmarkReady reads a topic from its start: WEIR_BENCH_ENTRIES entries,
// 1 000 000 unless set. Broker and follower share the machine.
func BenchmarkReady(b *testing.B) {
	n := benchEntries(b)
	c := newCluster(b, kfake.DataDir(b.TempDir()))
	fillTopic(b, c, n)
	b.ResetTimer()
	for b.Loop() {
		before := heap()
		list, err := NewBlocklist(Config{Opts: c.opts, Topic: testTopic, Now: func() time.Time { return epoch }})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		stop := run(b, list.Run)
		<-list.Ready()
		b.ReportMetric(time.Since(began).Seconds(), "s/ready")
		stop()
		if got := list.Stats().Blocks; got != n {
			b.Fatalf("%d entries, want %d", got, n)
		}
		b.ReportMetric(float64(heap()-before)/float64(n), "B/entry")
		runtime.KeepAlive(list)
	}
}

func benchEntries(b *testing.B) int {
	if s := os.Getenv("WEIR_BENCH_ENTRIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// filled is a Blocklist with n entries put in without a broker.
func filled(tb testing.TB, n int) *Blocklist {
	tb.Helper()
	b, err := NewBlocklist(Config{Topic: testTopic})
	if err != nil {
		tb.Fatal(err)
	}
	s := (*listSink)(b)
	s.begin()
	until := time.Now().Add(time.Hour)
	rs := make([]*kgo.Record, n)
	for i := range rs {
		scope, value := nthEntity(i)
		e := entry(schemas.ActionBlock, 0, "v"+strconv.Itoa(i))
		e.ExpiresAt = until
		rs[i] = put(schemas.BlockKey("", scope, value), e)
		rs[i].Offset = int64(i)
	}
	s.apply(rs)
	if err := s.caughtUp(int64(n)); err != nil {
		tb.Fatal(err)
	}
	return b
}

func BenchmarkLookup(b *testing.B) {
	n := benchEntries(b)
	list := filled(b, n)
	var hits, misses []string
	for i := 1; i < n; i += 4 * 61 {
		_, v := nthEntity(i)
		hits = append(hits, v)
		misses = append(misses, v[1:]+"x")
	}
	for name, values := range map[string][]string{"hit": hits, "miss": misses} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_, ok := list.Lookup("user", values[i])
				if ok != (name == "hit") {
					b.Fatal(values[i], ok)
				}
				if i++; i == len(values) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	list := filled(b, benchEntries(b))
	who := Identity{
		User: []byte("somebody-not-blocked"), Credential: []byte("1f2e3d4c5b6a79880102030405060708"),
		JA4: []byte("t13d1516h2_8daaf6152771_b186095e22b6"), UserAgent: []byte("curl/8.1"),
		ClientIP: []byte("203.0.113.77"),
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := list.Match(who); d.Action != "" {
			b.Fatal(d)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	value := put("k", entry(schemas.ActionBlock, time.Hour, "0123456789abcdef0123456789abcdef")).Value
	var d entryDecoder
	var e rawEntry
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if !d.scan(value, &e) {
			b.Fatal("the scanner does not know its own shape")
		}
	}
}
