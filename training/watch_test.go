package training

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// layered is a layer of n exponential client-days, and the prior.
func layered(t *testing.T, rng *rand.Rand, n int) (*scoring.Model, *scoring.Calibration) {
	t.Helper()
	m, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	c := &scoring.Calibration{N: n}
	for range n {
		c.Top = append(c.Top, rng.ExpFloat64())
	}
	slices.SortFunc(c.Top, func(a, b float64) int {
		if a > b {
			return -1
		}
		return 1
	})
	c.Top = c.Top[:n/20]
	return m, c
}

func TestOnlyAStratumThatDriftsIsDemoted(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	m, c := layered(t, rng, 20_000)
	flagged := map[uint64]bool{}
	w, err := NewWatch(m, func(c uint64) bool { return flagged[c] })
	if err != nil {
		t.Fatal(err)
	}
	day := func(name string, clients int, peak func() float64, flag bool) {
		for i := range clients {
			k := clientDay{rng.Uint64(), w.day}
			w.days[k] = &watched{client: uint64(i) ^ k.client, layer: c, name: name, peak: peak()}
			flagged[w.days[k].client] = flag
		}
		w.endDay()
		w.day++
	}
	for range 8 {
		day("calm", 2000, rng.ExpFloat64, false)
		day("calmer", 2000, func() float64 { return rng.ExpFloat64() / 3 }, false)
		day("attacked", 2000, rng.ExpFloat64, false)
		day("attacked", 900, func() float64 { return 9 }, true)
		day("drifting", 2000, func() float64 { return 1.6 * rng.ExpFloat64() }, false)
	}
	if got := w.drifting(); !slices.Equal(got, []string{"drifting"}) {
		t.Errorf("drifting: %v", got)
	}
}

func TestAWatchGoesOnUnderAModelWithTheSameLayers(t *testing.T) {
	m, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWatch(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		for d := range int64(3) {
			w.Features(window(fmt.Sprintf("user:u%d", i), "bank", d*8640+int64(i), func(f *schemas.ClientFeatures) { f.Requests = 2 }))
		}
	}
	// Three clients' days follow one another for every client: each begins a day
	// anew, and what lies behind is not counted.
	if len(w.strata) == 0 {
		t.Fatal("nothing is watched")
	}
	before := len(w.strata)
	same := *m
	same.Name = "other"
	if err := w.Use(&same); err != nil {
		t.Fatal(err)
	}
	if len(w.strata) != before {
		t.Errorf("%d of %d strata are watched on", len(w.strata), before)
	}
	anew := *m
	anew.Calibration = map[string]*scoring.Calibration{}
	for name, c := range m.Calibration {
		own := *c
		own.Top = append([]float64{own.Top[0] + 1}, own.Top[1:]...)
		anew.Calibration[name] = &own
	}
	if err := w.Use(&anew); err != nil || len(w.strata) != 0 {
		t.Errorf("%d strata are watched on under new layers: %v", len(w.strata), err)
	}
}

func TestSmoothedPValuesAreUniform(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	_, c := layered(t, rng, 5000)
	const n = 20_000
	var below [10]int
	for range n {
		p := smoothed(c, rng.ExpFloat64(), rng.Float64())
		below[min(int(p*10), 9)]++
	}
	for i, k := range below {
		if k < n/10-300 || k > n/10+300 {
			t.Errorf("%d of %d p-values in [%.1f, %.1f)", k, n, float64(i)/10, float64(i+1)/10)
		}
	}
	if p := smoothed(c, c.Top[0]+1, 0.5); p > 1./5000 {
		t.Errorf("beyond all: %v", p)
	}
}

func TestShadowCountsBlockedClientDays(t *testing.T) {
	m, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	source := func(yield func(*schemas.ClientFeatures)) error {
		for i := range 100 {
			for w := range int64(30) {
				yield(window(fmt.Sprintf("user:u%d", i), "bank", w*30, func(f *schemas.ClientFeatures) {
					f.Requests, f.Status2xx = 2, 2
					if i < 5 {
						f.Requests, f.Status2xx, f.Status4xx, f.NotFound = 30, 0, 30, 30
					}
				}))
			}
		}
		return nil
	}
	got, err := Shadow(source, m, scoring.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Days != 100 || got.Blocked != 5 || got.Holds() {
		t.Errorf("trial %+v", got)
	}
	got, err = Shadow(source, m, scoring.DefaultPolicy(), func(c uint64) bool {
		return slices.ContainsFunc([]string{"user:u0", "user:u1", "user:u2", "user:u3", "user:u4"}, func(k string) bool { return ClientID([]byte(k)) == c })
	})
	if err != nil || got.Days != 95 || got.Blocked != 0 || !got.Holds() {
		t.Errorf("trial without suspects %+v: %v", got, err)
	}
}

func TestALearnerGoesOnWhereItStood(t *testing.T) {
	golden, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	cfg := LearnerConfig{Name: "learnt", Golden: golden, Interval: dayUS, Warmup: dayUS / 2}
	feed := func(l *Learner, day int64) {
		e := schemas.NewEvent()
		for i := range 40 {
			for w := range int64(20) {
				f := window(fmt.Sprintf("user:u%d", i), "bank", day*8640+w*400, func(f *schemas.ClientFeatures) {
					f.ClientIP, f.Requests, f.Status2xx = fmt.Appendf(nil, "10.1.%d.1", i), 3, 3
				})
				l.Features(f)
				e.API, e.User, e.Method, e.Path, e.Status, e.Time = f.API, fmt.Appendf(nil, "u%d", i), []byte("GET"), []byte("/v1/things"), 200, f.WindowStart
				e.DurationUS, e.RespBytes = 20_000, 900
				l.Event(e)
			}
		}
	}
	held := Source(func(func(*schemas.ClientFeatures)) error { return nil })
	straight, err := NewLearner(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if straight.Due() {
		t.Error("due before anything was seen")
	}
	feed(straight, 0)
	if !straight.Due() {
		t.Fatal("not due after the warm-up")
	}
	straight.Turn()
	m, err := straight.Candidate(held)
	if err != nil {
		t.Fatal(err)
	}
	checkReadable(t, m)
	if s := m.Learnt.Status["bank"]; s.Windows != 800 || s.Clients != 40 || s.Networks != 40 {
		t.Errorf("status %+v", s)
	}
	if b := m.APIs["bank"]["user"]; b == nil || b.Windows != 800 || len(m.Learnt.APIs["bank"].Norms) != 1 {
		t.Errorf("learnt %+v", b)
	}
	if got, base := m.Strata["user"].Requests.Mean, golden.Strata["user"].Requests.Mean; (got-3)*(base-3) <= 0 || (got-3)/(base-3) > 0.9 {
		t.Errorf("the tenant's people make %v calls, the prior's %v, seen were 3", got, base)
	}

	// Another takes over and reads the first day again: it is not counted twice.
	second, err := NewLearner(cfg, straight.Paces())
	if err != nil {
		t.Fatal(err)
	}
	feed(second, 0)
	if second.Due() {
		t.Error("due again on what is learnt already")
	}
	feed(second, 1)
	feed(second, 2)
	if !second.Due() {
		t.Fatal("not due after a day more")
	}
	second.Turn()
	if m, err = second.Candidate(held); err != nil {
		t.Fatal(err)
	}
	if s := m.Learnt.Status["bank"]; s.Windows < 2300 || s.Windows > 2400 {
		t.Errorf("status %+v after three days", s)
	}
	if _, err := NewLearner(LearnerConfig{}, nil); err == nil {
		t.Error("a learner of nothing")
	}
}

func TestSuspectsTeachNothingForSevenDays(t *testing.T) {
	golden, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLearner(LearnerConfig{Golden: golden, Interval: dayUS}, nil)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(user string, a schemas.Action) *schemas.Verdict {
		v := &schemas.Verdict{Action: a, Time: time.UnixMicro(baseUS)}
		v.Entity.Type, v.Entity.Value = "user", user
		return v
	}
	l.Verdict(verdict("a", schemas.ActionBlock))
	l.Verdict(verdict("b", schemas.ActionChallenge))
	l.Verdict(verdict("c", schemas.ActionThrottle))
	for day, want := range map[int64][3]bool{1: {true, true, false}, 8: {false, false, false}} {
		l.newest = baseUS + day*dayUS
		for i, user := range []string{"user:a", "user:b", "user:c"} {
			if got := l.Flagged(ClientID([]byte(user))); got != want[i] {
				t.Errorf("day %d: %s flagged %v", day, user, got)
			}
		}
	}
}
