package training

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

func TestCohortLimitMakesNoCohortMoreThanItsShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		sizes := map[uint32]int{}
		total := 0
		for k := range 10 + rng.IntN(30) {
			n := 1 + int(math.Exp(rng.NormFloat64()*2))
			sizes[uint32(k+1)] = n
			total += n
		}
		alone := rng.IntN(20)
		share := max(0.1, 2/float64(len(sizes)+alone))
		limit := cohortLimit(sizes, alone, share)
		cut := func(limit int) (sum, most int) {
			sum = alone
			for _, n := range sizes {
				sum += min(n, limit)
				most = max(most, min(n, limit))
			}
			return sum, most
		}
		sum, most := cut(limit)
		if limit > 1 && float64(most) > share*float64(sum)+1 {
			t.Fatalf("%v and %d alone: limit %d leaves %d of %d, share %g", sizes, alone, limit, most, sum, share)
		}
		if limit < math.MaxInt/2 {
			if sum, most := cut(limit + 2); float64(most) <= share*float64(sum) && most > limit {
				t.Fatalf("%v and %d alone: limit %d, but %d of %d would do", sizes, alone, limit, most, sum)
			}
		}
	}
	if got := cohortLimit(map[uint32]int{1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 7: 5, 8: 5, 9: 5, 10: 5}, 0, 0.1); got != math.MaxInt {
		t.Errorf("ten equal cohorts are cut to %d", got)
	}
	// Nine of 10 and one of 1000, at a fifth: c = (90 + c) / 5.
	sizes := map[uint32]int{10: 1000}
	for k := range uint32(9) {
		sizes[k+1] = 10
	}
	if got := cohortLimit(sizes, 0, 0.2); got != 22 {
		t.Errorf("limit %d, want 22", got)
	}
}

// crowd are clients of one API with windows of so many calls each.
func crowd(p *Profile, name string, n, windows int, change func(i int, f *schemas.ClientFeatures)) {
	for i := range n {
		for w := range windows {
			p.Add(window(fmt.Sprintf("user:%s%d", name, i), "bank", int64(w), func(f *schemas.ClientFeatures) {
				f.ClientIP = fmt.Appendf(nil, "10.%d.%d.1", i/200, i%200)
				f.ASN = int64(64500 + i%40)
				f.Requests, f.WindowObjects = 4, 2
				if change != nil {
					change(i, f)
				}
			}))
		}
	}
}

func guarded(g *Guard) *Profile {
	p := NewProfile()
	p.guard = g
	return p
}

func TestAnAPINeedsSeveralSources(t *testing.T) {
	for _, c := range []struct {
		name             string
		clients, network int
		want             bool
	}{
		{"two clients", 2, 2, false}, {"three clients of two networks", 3, 2, false},
		{"three clients of three networks", 3, 3, true}, {"clients without addresses", 3, 0, true},
	} {
		p := guarded(DefaultGuard(nil))
		crowd(p, "u", c.clients, 50, func(i int, f *schemas.ClientFeatures) {
			f.ASN, f.ClientIP = 0, nil
			if c.network > 0 {
				f.ClientIP = fmt.Appendf(nil, "10.0.%d.%d", i%c.network, i)
			}
		})
		_, apis := p.Behaviours()
		if got := apis["bank"]["user"] != nil; got != c.want {
			t.Errorf("%s: learnt %v", c.name, got)
		}
		s := p.Status()["bank"]
		if s.Clients != c.clients || s.Networks != c.network || s.Windows != 50*c.clients || s.Since != baseUS {
			t.Errorf("%s: status %+v", c.name, s)
		}
	}
}

func TestACohortIsATenthOfTheMass(t *testing.T) {
	for _, by := range []string{"network", "ASN"} {
		p := guarded(DefaultGuard(nil))
		crowd(p, "good", 100, 20, nil)
		crowd(p, "evil", 900, 20, func(i int, f *schemas.ClientFeatures) {
			f.Requests = 16
			if f.ASN = 666; by == "network" {
				f.ClientIP, f.ASN = fmt.Appendf(nil, "192.0.2.%d", i%250), 0
			} else {
				f.ClientIP = fmt.Appendf(nil, "11.%d.%d.1", i/200, i%200)
			}
		})
		_, apis := p.Behaviours()
		b := apis["bank"]["user"]
		if b.Clients > 112 || b.Requests.Mean > 4+12*0.11 {
			t.Errorf("%s: %d clients count, %.2f calls in a window", by, b.Clients, b.Requests.Mean)
		}
	}
}

func TestFlaggedClientsTeachNothing(t *testing.T) {
	g := DefaultGuard(nil)
	g.Flagged = func(c uint64) bool { return c == ClientID([]byte("user:evil0")) }
	p := guarded(g)
	crowd(p, "good", 20, 20, nil)
	crowd(p, "evil", 1, 2000, func(_ int, f *schemas.ClientFeatures) { f.Requests = 900 })
	_, apis := p.Behaviours()
	if b := apis["bank"]["user"]; b.Clients != 20 || b.Requests.Mean != 4 || b.Windows != 400 {
		t.Errorf("%d clients, %d windows, %v calls", b.Clients, b.Windows, b.Requests.Mean)
	}
}

func TestABoundRisesOnlyWithBreadth(t *testing.T) {
	golden := guarded(nil)
	crowd(golden, "good", 200, 20, nil)
	strata, _ := golden.Behaviours()
	for _, c := range []struct {
		bad, networks int
		rises         bool
	}{{1, 200, false}, {8, 200, false}, {20, 1, false}, {20, 200, true}} {
		p := guarded(DefaultGuard(&scoring.Model{Strata: strata}))
		p.guard.CohortShare = 0
		crowd(p, "good", 180, 20, nil)
		crowd(p, "bad", c.bad, 20, func(i int, f *schemas.ClientFeatures) {
			f.Forbidden, f.Status4xx = 2, 2
			f.ClientIP = fmt.Appendf(nil, "11.0.%d.1", i%c.networks)
		})
		_, apis := p.Behaviours()
		got, base := apis["bank"]["user"].Bounds[scoring.ShareDenied], strata["user"].Bounds[scoring.ShareDenied]
		if (got > base) != c.rises {
			t.Errorf("%d clients of %d networks with half of their calls denied: bound %.3f, was %.3f", c.bad, c.networks, got, base)
		}
	}
}

func TestRestrainStatesItsLimits(t *testing.T) {
	golden := guarded(nil)
	crowd(golden, "good", 50, 20, nil)
	strata, _ := golden.Behaviours()
	g := strata["user"]
	far := *g
	far.Requests.Mean *= 100
	far.Objects.Mean /= 100
	far.Volume.Mean += 9
	far.Bounds[scoring.ShareDenied] = g.Bounds[scoring.ShareDenied] * 9
	Restrain(&far, g, GoldenFactor)
	if !near(far.Requests.Mean, 4*g.Requests.Mean) || !near(far.Objects.Mean, g.Objects.Mean/4) ||
		!near(far.Volume.Mean, g.Volume.Mean+math.Log(4)) || !near(far.Bounds[scoring.ShareDenied], min(4*g.Bounds[scoring.ShareDenied], 0.99)) {
		t.Errorf("restrained to %+v from %+v", far, *g)
	}
	same := *g
	if Restrain(&same, g, GoldenFactor); same != *g {
		t.Error("what is not far is changed")
	}
}

// week is seven days of simulated people, as closed windows.
var week = func() func(t *testing.T) []*schemas.ClientFeatures {
	var cached []*schemas.ClientFeatures
	return func(t *testing.T) []*schemas.ClientFeatures {
		t.Helper()
		if cached != nil {
			return cached
		}
		cfg := simulate.DefaultConfig()
		cfg.Seed, cfg.Duration, cfg.Clients, cfg.Bodies = 11, 7*24*time.Hour, 250, false
		cfg.APIs = []string{"bank"}
		x := features.DefaultConfig()
		x.Clients, x.FinalOnly = 20_000, true
		err := Extract(func(yield func(*schemas.Event)) error {
			g, err := simulate.New(cfg)
			if err != nil {
				return err
			}
			for e := schemas.NewEvent(); g.Next(e); {
				yield(e)
			}
			return nil
		}, x)(func(f *schemas.ClientFeatures) {
			own := new(schemas.ClientFeatures)
			if err := own.DecodeProto(f.AppendProto(nil)); err != nil {
				t.Fatal(err)
			}
			cached = append(cached, own)
		})
		if err != nil {
			t.Fatal(err)
		}
		return cached
	}
}()

// poison is windows of attackers who want much to look usual: many calls, objects
// and refusals, day and night, from networks of their own.
func poison(benign []*schemas.ClientFeatures, traffic float64, clients int) []*schemas.ClientFeatures {
	calls := 0
	for _, f := range benign {
		calls += int(f.Requests)
	}
	const each = 40
	n := int(traffic / (1 - traffic) * float64(calls) / each)
	start := benign[0].WindowStart
	out := make([]*schemas.ClientFeatures, 0, n)
	for i := range n {
		c := i % clients
		at := start + int64(float64(i/clients)/float64(n/clients+1)*7*dayUS)/hopUS*hopUS
		out = append(out, &schemas.ClientFeatures{
			Tenant: benign[0].Tenant, Client: fmt.Appendf(nil, "user:evil%d", c), API: []byte("bank"), Final: true,
			ClientIP: fmt.Appendf(nil, "100.%d.%d.9", c/200, c%200), ASN: int64(700 + c),
			WindowStart: at, WindowEnd: at + hopUS, LastEvent: at + 1, FirstSeen: start,
			Requests: each, Status2xx: each / 2, Status4xx: each / 2, Forbidden: each / 4, NotFound: each / 4,
			ObjectAccesses: each, ObjectNew: each, WindowObjects: each, ObjectDenied: each / 2, ObjectSequential: each / 2,
			Decayed15m: 40 * each, Bytes15m: 40 * each * 20_000, RespBytes: each * 20_000,
		})
	}
	return out
}

func behaviourOf(g *Guard, windows ...[]*schemas.ClientFeatures) *scoring.Behaviour {
	p := guarded(g)
	for _, ws := range windows {
		for _, f := range ws {
			p.Add(f)
		}
	}
	_, apis := p.Behaviours()
	return apis["bank"]["user"]
}

// shifts are the factors by which what is learnt of volume, objects and refusals
// has moved.
func shifts(b, clean *scoring.Behaviour) map[string]float64 {
	return map[string]float64{
		"calls":          b.Requests.Mean / clean.Requests.Mean,
		"objects":        b.Objects.Mean / clean.Objects.Mean,
		"volume":         math.Exp(b.Volume.Mean - clean.Volume.Mean),
		"bytes":          math.Exp(b.Bytes.Mean - clean.Bytes.Mean),
		"denied":         b.Bounds[scoring.ShareDenied] / clean.Bounds[scoring.ShareDenied],
		"bad":            b.Bounds[scoring.ShareMissing] / clean.Bounds[scoring.ShareMissing],
		"denied objects": b.Bounds[scoring.ShareObjectDenied] / clean.Bounds[scoring.ShareObjectDenied],
		"walks":          b.Bounds[scoring.ShareWalk] / clean.Bounds[scoring.ShareWalk],
	}
}

// afterAMonth is what is judged by after a month of one behaviour and seven days of
// another.
func afterAMonth(clean, poisoned *scoring.Behaviour) *scoring.Behaviour {
	p := NewPaces()
	for day := range int64(37) {
		b := clean
		if day >= 30 {
			b = poisoned
		}
		p.Update(map[string]map[string]*scoring.Behaviour{"bank": {"user": b}}, 1, (day+1)*dayUS, 0.05)
	}
	return p.Behaviours()["bank"]["user"]
}

// TestPoisoningIsBounded: after a clean month, seven days of attackers that nobody has noticed. With
// few clients however much they call, and with as large a share of the clients as
// of the traffic.
func TestPoisoningIsBounded(t *testing.T) {
	slow(t)
	benign := week(t)
	golden := &scoring.Model{Strata: map[string]*scoring.Behaviour{}}
	p := guarded(nil)
	people := map[string]bool{}
	for _, f := range benign {
		p.Add(f)
		if Stratum(f.Client) == "user" {
			people[string(f.Client)] = true
		}
	}
	golden.Strata, _ = p.Behaviours()
	clean, cleanOpen := behaviourOf(DefaultGuard(golden), benign), behaviourOf(nil, benign)
	for _, traffic := range []float64{0.01, 0.05, 0.10} {
		many := max(1, int(traffic/(1-traffic)*float64(len(people))))
		for _, c := range []struct {
			clients int
			limit   float64
		}{{2, 1.1}, {many, 1 + max(0.2, 20*min(traffic, 0.05))}} {
			evil := poison(benign, traffic, c.clients)
			batch := behaviourOf(DefaultGuard(golden), benign, evil)
			got := shifts(afterAMonth(clean, batch), clean)
			once := shifts(batch, clean)
			open := shifts(behaviourOf(nil, benign, evil), cleanOpen)
			for what, by := range got {
				if by > c.limit || by < 1/c.limit {
					t.Errorf("%g of traffic by %d clients: %s shifts by %.2f (%.2f unguarded), limit %.2f", traffic, c.clients, what, by, open[what], c.limit)
				}
			}
			t.Logf("figures: %2.0f %% of traffic, %d of %d clients: calls x%.2f (unguarded x%.2f), objects x%.2f (x%.2f), volume x%.2f (x%.2f), denied x%.2f (x%.2f), denied objects x%.2f (x%.2f); in one batch calls x%.2f, objects x%.2f, volume x%.2f, denied x%.2f",
				traffic*100, c.clients, len(people)+c.clients, got["calls"], open["calls"], got["objects"], open["objects"], got["volume"], open["volume"],
				got["denied"], open["denied"], got["denied objects"], open["denied objects"],
				once["calls"], once["objects"], once["volume"], once["denied"])
		}
	}
}

// TestAFrogIsHeldBackByTheSlowModel: two in five clients take 2 % more
// every day for sixty days: so many that no cap on outliers applies.
func TestAFrogIsHeldBackByTheSlowModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	paces := NewPaces()
	var first, last, open *scoring.Behaviour
	for day := range 90 {
		p := guarded(DefaultGuard(nil))
		grown := math.Pow(1.02, float64(max(0, day-30)))
		for i := range 200 {
			for w := range 10 {
				calls := 2 + rng.IntN(5)
				if i%5 < 2 {
					calls = int(math.Round(float64(calls) * grown)) // the frog
				}
				p.Add(window(fmt.Sprintf("user:u%d", i), "bank", int64(day*8640+w), func(f *schemas.ClientFeatures) {
					f.ClientIP, f.ASN = fmt.Appendf(nil, "10.1.%d.1", i), int64(100+i%50)
					f.Requests, f.Decayed15m = uint32(calls), float64(calls)
				}))
			}
		}
		_, apis := p.Behaviours()
		paces.Update(apis, 1, baseUS+int64(day+1)*dayUS, 0.05)
		last, open = paces.Behaviours()["bank"]["user"], apis["bank"]["user"]
		if day == 29 {
			first = last
		}
	}
	grown := math.Pow(1.02, 59)
	got, day := last.Requests.Mean/first.Requests.Mean, open.Requests.Mean/first.Requests.Mean
	if got > 1.75 || got > 0.92*day {
		t.Errorf("the frog grew x%.2f and what is usual x%.2f (the last day alone: x%.2f)", grown, got, day)
	}
	t.Logf("figures: the frog grew x%.2f in 60 days; calls of a window x%.2f, by the last day alone x%.2f", grown, got, day)
}

func TestPacesFollowAtTheirHalfLives(t *testing.T) {
	at := func(mean float64, clients int) map[string]map[string]*scoring.Behaviour {
		b := &scoring.Behaviour{Windows: 1000, Clients: clients, Requests: scoring.Counts{Mean: mean, Between: 1, Size: 1}}
		return map[string]map[string]*scoring.Behaviour{"bank": {"user": b}}
	}
	p := NewPaces()
	for day := range 60 {
		p.Update(at(10, 100), 1, int64(day+1)*dayUS, 0.05)
	}
	p.Update(at(20, 100), 1, 61*dayUS, 0.05)
	b := p.APIs["bank"]["user"]
	if !near(b.Fast.Requests.Mean, 15) {
		t.Errorf("fast: %v after a day of 20", b.Fast.Requests.Mean)
	}
	if want := 10 + 10*(1-math.Exp2(-1./30)); math.Abs(b.Slow.Requests.Mean-want) > 1e-6 {
		t.Errorf("slow: %v after a day of 20, want %v", b.Slow.Requests.Mean, want)
	}
	if got := p.Behaviours()["bank"]["user"].Requests.Mean; !near(got, PaceFactor*b.Slow.Requests.Mean) {
		t.Errorf("judged by %v", got)
	}
	slow := b.Slow.Requests.Mean
	p.Update(at(90, 4), 1, 62*dayUS, 0.05) // four of a hundred
	if b.Slow.Requests.Mean != slow || b.Fast.Requests.Mean == 15 {
		t.Errorf("four of a hundred clients moved the slow model to %v, the fast one to %v", b.Slow.Requests.Mean, b.Fast.Requests.Mean)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again := NewPaces()
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	if back, err := json.Marshal(again); err != nil || !bytes.Equal(text, back) || again.Until != 62*dayUS {
		t.Errorf("read back as %s: %v", back, err)
	}
}

func TestSuspectsAreTheDaysWithTheMostEvidence(t *testing.T) {
	base, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	source := func(yield func(*schemas.ClientFeatures)) error {
		for i := range 300 {
			for w := range int64(20) {
				yield(window(fmt.Sprintf("user:u%d", i), "bank", w*30, func(f *schemas.ClientFeatures) {
					f.Requests, f.Status2xx = 3, 3
					if i%100 == 7 {
						f.Requests, f.Status2xx, f.Status4xx, f.NotFound = 20, 0, 20, 20
					}
				}))
			}
		}
		return nil
	}
	got, err := suspects(source, base, DefaultTrim)
	if err != nil {
		t.Fatal(err)
	}
	var want []clientDay
	for _, i := range []int{7, 107, 207} {
		want = append(want, clientDayOf(window(fmt.Sprintf("user:u%d", i), "bank", 0, nil)))
	}
	for _, k := range want {
		if !got[k] {
			t.Errorf("%v is no suspect", k)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d suspects", len(got))
	}
	passes := []int{}
	m, err := Train(source, Options{Name: "own", Prior: base, Trim: DefaultTrim, Progress: func(n, of int) { passes = append(passes, n*10+of) }})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(passes, []int{17, 27, 37, 47, 57, 67, 77}) {
		t.Errorf("told of passes %v", passes)
	}
	if b := m.APIs["bank"]["user"]; b == nil || b.Clients != 297 {
		t.Errorf("learnt from %+v", b)
	}
	if s := m.Learnt.Status["bank"]; s.Status != features.StatusTrained || s.Windows != 297*20 {
		t.Errorf("status %+v", s)
	}
}
