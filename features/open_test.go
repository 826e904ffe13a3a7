package features

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// capture keeps what an Extractor emits, decoded.
type capture struct {
	features   []*schemas.ClientFeatures
	aggregates []*schemas.Aggregate
}

func (c *capture) Features(f *schemas.ClientFeatures) {
	var own schemas.ClientFeatures
	if err := own.DecodeProto(f.AppendProto(nil)); err != nil {
		panic(err)
	}
	c.features = append(c.features, &own)
}

func (c *capture) Aggregate(a *schemas.Aggregate) {
	var own schemas.Aggregate
	if err := own.DecodeProto(a.AppendProto(nil)); err != nil {
		panic(err)
	}
	c.aggregates = append(c.aggregates, &own)
}

func (c *capture) early() (counts []uint32) {
	for _, f := range c.features {
		if !f.Final {
			counts = append(counts, f.Requests)
		}
	}
	return counts
}

func (c *capture) finals() (out []*schemas.ClientFeatures) {
	for _, f := range c.features {
		if f.Final {
			out = append(out, f)
		}
	}
	return out
}

// stage is an Extractor with its output and a running offset.
type stage struct {
	t *testing.T
	x *Extractor
	capture
	offset int64
}

func newStage(t *testing.T, cfg Config) *stage {
	t.Helper()
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, x: x}
}

// call applies one call of a user at t µs.
func (s *stage) call(user string, t int64, change func(*schemas.Event)) Outcome {
	e := schemas.NewEvent()
	e.ID = fmt.Appendf(nil, "e%d", s.offset)
	e.Time, e.API, e.Method, e.Path, e.Status = t, []byte("bank"), []byte("GET"), []byte("/v1/x"), 200
	e.User, e.ClientIP = []byte(user), []byte("10.0.0.1")
	if change != nil {
		change(e)
	}
	s.offset++
	return s.x.Apply(e, t, s.offset-1, s)
}

func failed(e *schemas.Event) { e.Status = 403 }

func TestQuietWindowIsJudgedAtPowersOfTwo(t *testing.T) {
	s := newStage(t, testConfig())
	for i := range 40 {
		s.call("u", start+int64(i)*1000, nil)
	}
	if got, want := s.early(), []uint32{2, 4, 8, 16, 32}; !slices.Equal(got, want) {
		t.Errorf("early records at %d calls, want %d", got, want)
	}
	for i, f := range s.features {
		if f.Seq != uint32(i+1) || f.Final {
			t.Errorf("early record %d has number %d", i, f.Seq)
		}
	}
	s.x.Flush(s)
	last := s.features[len(s.features)-1]
	if !last.Final || last.Seq != 0 || last.Requests != 40 {
		t.Errorf("the window closed with %+v", last)
	}
}

func TestEachFailureIsJudgedAtOnceUntilTheyAreMany(t *testing.T) {
	s := newStage(t, testConfig())
	for i := range 200 {
		s.call("u", start+int64(i)*1000, failed)
	}
	var want []uint32
	for n := uint32(2); n <= 200; n++ {
		if n <= everyFailure || n&(n-1) == 0 {
			want = append(want, n)
		}
	}
	if got := s.early(); !slices.Equal(got, want) {
		t.Errorf("early records at %d failures, want %d", got, want)
	}
}

// A slow attacker's failures lie in different windows: the day's count decides.
func TestSlowLoginFailuresAreJudgedAtOnce(t *testing.T) {
	s := newStage(t, testConfig())
	for i := range 5 {
		s.call("", start+int64(i)*600*second, func(e *schemas.Event) {
			e.User, e.LoginUser, e.Status = nil, fmt.Appendf(nil, "l%d", i), 401
		})
	}
	var failures []uint32
	for _, f := range s.features {
		if !f.Final {
			failures = append(failures, f.DayLoginFailures)
		}
	}
	if want := []uint32{2, 3, 4, 5}; !slices.Equal(failures, want) {
		t.Errorf("early records at %d failures of the day, want %d", failures, want)
	}
}

func TestFinalOnlyEmitsNothingEarlyAndTheSameFinals(t *testing.T) {
	events := traffic(51, 3000)
	want, _ := extract(t, testConfig(), events)
	cfg := testConfig()
	cfg.FinalOnly = true
	got, x := extract(t, cfg, events)
	if len(got.early) > 0 || x.Stats.Early > 0 || len(want.early) == 0 {
		t.Errorf("%d early records, without FinalOnly %d", len(got.early), len(want.early))
	}
	if !slices.Equal(sorted(got.final), sorted(want.final)) {
		t.Error("final records differ")
	}
}

// What arrives for an older window while a newer one is open waits for its
// close: the newer window's record was ahead of it.
func TestCallsOfAnOlderWindowEmitNothingEarly(t *testing.T) {
	s := newStage(t, testConfig())
	edge := int64(start - start%testHop + testHop)
	s.call("u", edge-second, failed)
	s.call("u", edge+1, nil)
	n := len(s.features)
	for i := range 8 {
		if got := s.call("u", edge-second+int64(i), failed); got != Applied {
			t.Fatalf("outcome %d", got)
		}
	}
	if len(s.features) != n {
		t.Errorf("%d early records of a window that is not the newest", len(s.features)-n)
	}
	s.x.Flush(s)
	finals := s.finals()
	if len(finals) != 2 || finals[0].Requests != 9 || finals[0].Forbidden != 9 || finals[1].Requests != 1 || finals[1].DayRequests != 10 {
		t.Errorf("closed as %+v", finals)
	}
}

// An early record counts what has arrived, in canonical order, also after a
// call that came out of order.
func TestEarlyRecordAfterDisorderEqualsThatOfTheSortedCalls(t *testing.T) {
	times := []int64{0, 900, 300, 600, 700, 650, 100, 950}
	run := func(order []int64) *schemas.ClientFeatures {
		s := newStage(t, testConfig())
		for _, dt := range order {
			s.call("u", start+dt*1000, func(e *schemas.Event) {
				e.ID = fmt.Appendf(nil, "at%d", dt)
				e.Method, e.Path = []byte("POST"), fmt.Appendf(nil, "/v1/x/%d", dt)
			})
		}
		f := s.features[len(s.features)-1]
		if f.Requests != 8 || f.Final {
			t.Fatalf("last record has %d calls", f.Requests)
		}
		f.Seq = 0
		return f
	}
	got, want := run(times), run(slices.Sorted(slices.Values(times)))
	if string(got.AppendProto(nil)) != string(want.AppendProto(nil)) {
		t.Errorf("in disorder %+v\nin order   %+v", got, want)
	}
}

// A client that floods one window is folded while it is open; nothing of what
// is final may tell.
func TestFoldingAFloodChangesNoFinalRecord(t *testing.T) {
	rng := rand.New(rand.NewPCG(52, 1))
	const n = 5 * foldAt
	cfg := testConfig()
	cfg.Hop, cfg.Lateness = 60*second, second
	type arrival struct {
		t, at int64
		fails bool
	}
	calls := make([]arrival, n)
	base := start - start%cfg.Hop
	for i := range calls {
		at := base + int64(i)*(59*second/n)
		calls[i] = arrival{at, at + rng.Int64N(second), i%3 == 0}
	}
	run := func() (*schemas.ClientFeatures, int) {
		s := newStage(t, cfg)
		kept := 0
		for i, c := range calls {
			if out := s.call("u", c.t, func(e *schemas.Event) {
				e.ID = fmt.Appendf(nil, "at%d", c.t)
				e.Method, e.Path = []byte("POST"), fmt.Appendf(nil, "/v1/x/%d", c.t%977)
				if c.fails {
					e.Status = 404
				}
			}); out != Applied {
				t.Fatalf("call %d: outcome %d", i, out)
			}
			for _, sh := range s.x.shards {
				for _, c := range sh.open {
					kept = max(kept, len(c.hops[0].calls))
				}
			}
		}
		s.x.Flush(s)
		finals := s.finals()
		if len(finals) != 1 {
			t.Fatalf("%d final records, want 1", len(finals))
		}
		return finals[0], kept
	}
	inOrder, kept := run()
	if kept > foldAt {
		t.Errorf("%d calls of one window were kept, at most %d allowed", kept, foldAt)
	}
	if inOrder.Requests != n {
		t.Fatalf("%d calls counted, want %d", inOrder.Requests, n)
	}
	slices.SortStableFunc(calls, func(a, b arrival) int { return int(a.at - b.at) })
	disordered, _ := run()
	if string(disordered.AppendProto(nil)) != string(inOrder.AppendProto(nil)) {
		t.Errorf("in disorder %+v\nin order   %+v", disordered, inOrder)
	}
}

func TestRecordExplainsItselfByTheCallsThatCountMost(t *testing.T) {
	s := newStage(t, testConfig())
	for i := range 30 {
		s.call("u", start+int64(i)*1000, func(e *schemas.Event) {
			e.UserAgent, e.JA4, e.Country, e.ASN = fmt.Appendf(nil, "ua/%d", i), []byte("j"), []byte("NL"), 64500
			e.Path = fmt.Appendf(nil, "/v1/p%c", 'a'+i)
			if i >= 26 {
				e.Status = 403
			}
		})
	}
	s.x.Flush(s)
	f := s.finals()[0]
	var ids []string
	for _, id := range f.EventIDs {
		ids = append(ids, string(id))
	}
	if want := []string{"e26", "e27", "e28", "e29", "e0", "e1", "e2", "e3", "e4", "e5"}; !slices.Equal(ids, want) {
		t.Errorf("event ids %q, want the failures and then the oldest: %q", ids, want)
	}
	if string(f.UserAgent) != "ua/29" || string(f.TopRoute) != "GET /v1/p~" && string(f.TopRoute) != "GET /v1/p"+string(rune('a'+29)) ||
		string(f.Country) != "NL" || f.ASN != 64500 || string(f.JA4) != "j" || string(f.ClientIP) != "10.0.0.1" {
		t.Errorf("text is not that of the newest call: %+v", f)
	}
}

func TestLongTextOfACallIsCut(t *testing.T) {
	s := newStage(t, testConfig())
	long := slices.Repeat([]byte("x"), 5000)
	for i := range 40 {
		s.call("u", start+int64(i), func(e *schemas.Event) {
			e.UserAgent, e.JA4, e.Country, e.Path = long, long, long, append([]byte("/"), long...)
			if e.ID = append(fmt.Appendf(nil, "%03d", 200-i), long[:200]...); i%2 == 1 {
				e.ID = long // no id is this long: not kept
			}
		})
	}
	s.x.Flush(s)
	f := s.finals()[0]
	if len(f.UserAgent) > 256 || len(f.JA4) > 64 || len(f.Country) > 8 || len(f.TopRoute) > 300 || len(f.EventIDs) != maxEventIDs {
		t.Errorf("kept %d, %d, %d and %d bytes and %d ids", len(f.UserAgent), len(f.JA4), len(f.Country), len(f.TopRoute), len(f.EventIDs))
	}
	for _, id := range f.EventIDs {
		if len(id) != 203 {
			t.Errorf("an id of %d bytes", len(id))
		}
	}
}

func TestLateIsBehindTheWatermarkAndLeavesNoTrace(t *testing.T) {
	s := newStage(t, testConfig())
	s.call("u", start+100*second, nil)
	n := len(s.aggregates)
	if got := s.call("v", start, nil); got != Late {
		t.Fatalf("outcome %d, want Late", got)
	}
	s.x.Flush(s)
	if len(s.finals()) != 1 || s.x.Stats.Late != 1 || s.x.Stats.Applied != 1 || s.x.Clients() != 1 || len(s.aggregates) == n {
		t.Errorf("%d windows, stats %+v", len(s.finals()), s.x.Stats)
	}
	if s.x.Watermark() < start+100*second {
		t.Errorf("watermark %d after a flush", s.x.Watermark())
	}
}

func TestTicksCloseWindowsOfSilentClients(t *testing.T) {
	s := newStage(t, testConfig())
	s.call("u", start, nil)
	end := int64(start - start%testHop + testHop)
	s.x.Advance(end+2*second-1, s)
	if len(s.finals()) != 0 {
		t.Error("the window closed before the watermark reached its end")
	}
	s.x.Advance(end+2*second, s)
	if len(s.finals()) != 1 {
		t.Error("the window stayed open when the watermark reached its end")
	}
	var marks []int64
	for _, a := range s.aggregates {
		if len(a.EntityType) == 0 {
			marks = append(marks, a.WindowEnd)
		}
	}
	if !slices.Equal(marks, []int64{end - 2*testHop, end - testHop, end}) {
		t.Errorf("marks %d, want one for each hop up to %d", marks, end)
	}
	s.x.Advance(start, s)
	if s.x.Watermark() != end {
		t.Error("time went back")
	}
}

func TestEventWithoutTenantOrAPIIsCountedUnderItsHost(t *testing.T) {
	s := newStage(t, testConfig())
	s.call("u", start, func(e *schemas.Event) { e.API, e.Host = nil, []byte("api.example.org") })
	if got := string(s.x.ClientKey()); got != "user:u" {
		t.Errorf("client key %q", got)
	}
	s.x.Flush(s)
	if f := s.finals()[0]; string(f.Tenant) != schemas.DefaultTenant || string(f.API) != "api.example.org" {
		t.Errorf("tenant %q, API %q", f.Tenant, f.API)
	}
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no hop":                    func(c *Config) { c.Hop = 0 },
		"a hop that divides no day": func(c *Config) { c.Hop = 7 * second },
		"negative lateness":         func(c *Config) { c.Lateness = -1 },
		"no shards":                 func(c *Config) { c.Shards = 0 },
		"fewer clients than shards": func(c *Config) { c.Clients = c.Shards - 1 },
		"fewer entities":            func(c *Config) { c.Entities = c.Shards - 1 },
	} {
		c := testConfig()
		change(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v, want ErrConfig", name, err)
		}
	}
	if _, err := New(DefaultConfig()); err != nil {
		t.Errorf("the default configuration: %v", err)
	}
}
