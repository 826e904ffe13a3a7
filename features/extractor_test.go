package features

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// recorder keeps what an Extractor emits, as comparable text.
type recorder struct {
	final, early, aggregates []string
}

func (r *recorder) Features(f *schemas.ClientFeatures) {
	b := string(f.AppendProto(nil))
	if f.Final {
		r.final = append(r.final, b)
	} else {
		r.early = append(r.early, b)
	}
}

func (r *recorder) Aggregate(a *schemas.Aggregate) {
	r.aggregates = append(r.aggregates, string(a.AppendProto(nil)))
}

// timed is an event with its time.
type timed struct {
	t int64
	e *schemas.Event
}

const start = 1_790_000_000 * second

// traffic makes n events of 40 clients over about ten minutes, in time order.
func traffic(seed uint64, n int) []timed {
	rng := rand.New(rand.NewPCG(seed, 1))
	events := make([]timed, n)
	t := int64(start)
	for i := range events {
		t += int64(rng.ExpFloat64() * 600 * second / float64(n))
		c := rng.IntN(40)
		e := schemas.NewEvent()
		e.ID = fmt.Appendf(nil, "e%d", i)
		e.Time = t
		e.API = []byte("bank")
		e.Method = []byte([]string{"GET", "GET", "POST"}[rng.IntN(3)])
		e.Path = fmt.Appendf(nil, "/v1/accounts/%d", rng.IntN(500))
		e.ClientIP = fmt.Appendf(nil, "10.0.%d.%d", c/10, c)
		e.UserAgent = []byte("Mozilla/5.0 Firefox/120")
		if c%2 == 0 {
			e.User = fmt.Appendf(nil, "u%d", c)
		}
		if c%5 == 0 {
			e.Path, e.Method, e.LoginUser = []byte("/v1/login"), []byte("POST"), fmt.Appendf(nil, "l%d", rng.IntN(60))
		}
		e.Status = []int64{200, 200, 200, 401, 404, 500}[rng.IntN(6)]
		e.RespBytes, e.DurationUS = int64(rng.IntN(5000)), int64(rng.IntN(90000))
		events[i] = timed{t, e}
	}
	return events
}

func testConfig() Config {
	c := DefaultConfig()
	c.Clients, c.Entities, c.Shards = 4000, 4000, 8
	return c
}

func extract(t *testing.T, cfg Config, events []timed) (*recorder, *Extractor) {
	t.Helper()
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	for i, ev := range events {
		if got := x.Apply(ev.e, ev.t, int64(i), r); got != Applied {
			t.Fatalf("event %d: outcome %d, want applied", i, got)
		}
	}
	x.Flush(r)
	return r, x
}

// shuffle reorders arrival so that no event falls more than within behind.
func shuffle(events []timed, within int64, seed uint64) []timed {
	rng := rand.New(rand.NewPCG(seed, 2))
	type arriving struct {
		at int64
		ev timed
	}
	a := make([]arriving, len(events))
	for i, ev := range events {
		a[i] = arriving{ev.t + rng.Int64N(within), ev}
	}
	slices.SortStableFunc(a, func(x, y arriving) int { return int(x.at - y.at) })
	out := make([]timed, len(events))
	for i := range a {
		out[i] = a[i].ev
	}
	return out
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func TestFinalRecordsDoNotDependOnArrivalOrder(t *testing.T) {
	events := traffic(1, 6000)
	want, _ := extract(t, testConfig(), events)
	if len(want.final) < 1000 {
		t.Fatalf("only %d final records", len(want.final))
	}
	for seed := range uint64(3) {
		got, _ := extract(t, testConfig(), shuffle(events, 2*second, seed))
		if !slices.Equal(sorted(got.final), sorted(want.final)) {
			t.Errorf("seed %d: final records differ after a shuffle inside the lateness", seed)
		}
		if !slices.Equal(sorted(got.aggregates), sorted(want.aggregates)) {
			t.Errorf("seed %d: aggregates differ after a shuffle inside the lateness", seed)
		}
	}
}

func TestFinalRecordsDoNotDependOnPartitions(t *testing.T) {
	events := traffic(2, 6000)
	want, _ := extract(t, testConfig(), events)
	const n = 4
	xs := make([]*Extractor, n)
	r := &recorder{}
	for i := range xs {
		xs[i], _ = New(testConfig())
	}
	for i, ev := range events {
		k := AppendClientKey(nil, ev.e)
		xs[(len(k)+int(k[len(k)-1]))%n].Apply(ev.e, ev.t, int64(i), r)
	}
	for _, x := range xs {
		x.Flush(r)
	}
	if !slices.Equal(sorted(r.final), sorted(want.final)) {
		t.Error("final records differ between 1 and 4 partitions")
	}
}

func TestRestoredExtractorGoesOnIdentically(t *testing.T) {
	events := shuffle(traffic(3, 6000), 2*second, 7)
	cfg := testConfig()
	cfg.Clients = 32 // small enough to evict all the time
	want := &recorder{}
	x, _ := New(cfg)
	rng := rand.New(rand.NewPCG(9, 9))
	type saved struct {
		data   []byte
		resume int64
	}
	shards := make([]saved, cfg.Shards)
	var restored *Extractor
	got := &recorder{}
	const cut = 4000
	for i, ev := range events {
		if i == cut {
			want = &recorder{}
			restored, _ = New(cfg)
			oldest := int64(cut)
			for s, sv := range shards {
				if err := restored.RestoreSnapshot(s, sv.data, sv.resume); err != nil {
					t.Fatal(err)
				}
				oldest = min(oldest, sv.resume)
			}
			for j := oldest; j < cut; j++ {
				restored.Apply(events[j].e, events[j].t, j, &recorder{})
			}
		}
		x.Apply(ev.e, ev.t, int64(i), want)
		if restored != nil {
			restored.Apply(ev.e, ev.t, int64(i), got)
		}
		if s := rng.IntN(cfg.Shards); i < cut && (i > 3000 || i < cfg.Shards) {
			if i < cfg.Shards {
				s = i // every shard has been saved once
			}
			shards[s] = saved{x.AppendSnapshot(nil, s), int64(i) + 1}
		}
	}
	x.Flush(want)
	restored.Flush(got)
	if x.Stats.Evicted == 0 {
		t.Fatal("nothing was evicted: the test does not reach eviction")
	}
	for name, pair := range map[string][2][]string{
		"final": {got.final, want.final}, "early": {got.early, want.early}, "aggregates": {got.aggregates, want.aggregates},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s records differ in content or order after a restore: %d and %d", name, len(pair[0]), len(pair[1]))
		}
	}
}

func TestTornSnapshotIsRefused(t *testing.T) {
	_, x := extract(t, testConfig(), traffic(4, 500))
	data := x.AppendSnapshot(nil, 3)
	for n := range data {
		y, _ := New(testConfig())
		if err := y.RestoreSnapshot(3, data[:n], 0); err == nil {
			t.Fatalf("a snapshot cut to %d of %d bytes was accepted", n, len(data))
		}
	}
}

func TestLateEventsAreRefused(t *testing.T) {
	x, _ := New(testConfig())
	e := schemas.NewEvent()
	e.ClientIP = []byte("10.0.0.1")
	r := &recorder{}
	x.Apply(e, start, 0, r)
	if got := x.Apply(e, start-2*second-1, 1, r); got != Late {
		t.Errorf("outcome %d for an event behind the watermark, want Late", got)
	}
	if got := x.Apply(e, start-2*second, 2, r); got != Applied {
		t.Errorf("outcome %d for an event at the watermark, want Applied", got)
	}
}

func TestFloodKeepsMemoryAndOldClients(t *testing.T) {
	cfg := testConfig()
	x, _ := New(cfg)
	r := &recorder{}
	e := schemas.NewEvent()
	e.API, e.Method, e.Path, e.Status = []byte("bank"), []byte("GET"), []byte("/v1/accounts/7"), 200
	offset, now := int64(0), int64(start)
	benign := func() {
		for c := range 20 {
			e.User = fmt.Appendf(nil, "u%d", c)
			e.ClientIP = []byte("10.0.0.1")
			x.Apply(e, now, offset, r)
			offset++
		}
	}
	for range 5 {
		benign()
		now += 11 * second
	}
	e.User = nil
	for i := range 50_000 {
		e.ClientIP = fmt.Appendf(nil, "1.%d.%d.%d", i>>16, i>>8&255, i&255)
		x.Apply(e, now, offset, &recorder{})
		offset++
		now += 1200 // µs: fifty thousand a minute
	}
	if n := x.Clients(); n > cfg.Clients {
		t.Errorf("%d clients held, at most %d allowed", n, cfg.Clients)
	}
	r.final = nil
	benign()
	x.Flush(r)
	seen := 0
	for _, b := range r.final {
		var f schemas.ClientFeatures
		if err := f.DecodeProto([]byte(b)); err != nil {
			t.Fatal(err)
		}
		if string(f.ClientIP) == "10.0.0.1" {
			seen++
			if f.DayRequests != 6 {
				t.Errorf("%s has %d requests today, want 6: the flood pushed its state out", f.Client, f.DayRequests)
			}
		}
	}
	if seen != 20 {
		t.Errorf("%d benign clients emitted, want 20", seen)
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	events := traffic(5, 4000)
	x, _ := New(testConfig())
	var sink discard
	i, offset := 0, int64(0)
	lap := int64(0)
	step := func() {
		ev := events[i]
		x.Apply(ev.e, ev.t+lap, offset, sink)
		offset++
		if i++; i == len(events) {
			i, lap = 0, lap+700*second
		}
	}
	for range 3 * len(events) {
		step()
	}
	if n := testing.AllocsPerRun(len(events), step); n > 0.05 {
		t.Errorf("%.3f allocations per event, want 0", n)
	}
}

type discard struct{}

func (discard) Features(*schemas.ClientFeatures) {}
func (discard) Aggregate(*schemas.Aggregate)     {}

func BenchmarkApply(b *testing.B) {
	events := traffic(6, 50_000)
	x, _ := New(DefaultConfig())
	b.ReportAllocs()
	i, offset, lap := 0, int64(0), int64(0)
	for b.Loop() {
		ev := events[i]
		x.Apply(ev.e, ev.t+lap, offset, discard{})
		offset++
		if i++; i == len(events) {
			i, lap = 0, lap+700*second
		}
	}
}
