package joint

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func newFitter(t testing.TB, cfg Config) *Fitter {
	t.Helper()
	f, err := NewFitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFitDoesNotDependOnHowClientsInterleave, only on each client's own rows.
func TestFitDoesNotDependOnHowClientsInterleave(t *testing.T) {
	const d, clients, each = 4, 300, 9
	cfg := Config{Features: d, Clients: 100, PerClient: 3, Seed: 5}
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([][each][]float64, clients)
	for c := range rows {
		for i := range each {
			rows[c][i] = make([]float64, d)
			behaviour(rng, rows[c][i])
		}
	}
	a, b := newFitter(t, cfg), newFitter(t, cfg)
	for c := range rows {
		for _, x := range rows[c] {
			a.Add(uint64(c), x)
		}
	}
	for i := range each {
		for _, c := range rng.Perm(clients) {
			b.Add(uint64(c), rows[c][i])
		}
	}
	if a.Rows() != 300 || a.Clients() != 100 || b.Rows() != 300 {
		t.Errorf("%d rows of %d clients, want 300 of 100", a.Rows(), a.Clients())
	}
	ma, err := a.Fit()
	if err != nil {
		t.Fatal(err)
	}
	mb, err := b.Fit()
	if err != nil {
		t.Fatal(err)
	}
	ja, _ := json.Marshal(ma)
	jb, _ := json.Marshal(mb)
	if string(ja) != string(jb) {
		t.Error("the fit depends on how clients interleave")
	}
}

// TestNoClientOutvotesOthers: one client makes nine tenths of the rows and has
// the votes of one.
func TestNoClientOutvotesOthers(t *testing.T) {
	f := newFitter(t, Config{Features: 1, Clients: 1000, PerClient: 4})
	for c := range uint64(200) {
		for i := range 4 {
			f.Add(c, []float64{float64(c%10) + float64(i)/10})
		}
		for range 36 {
			f.Add(1e6, []float64{1000})
		}
	}
	f.Add(3, []float64{1, 2}) // not a row
	if f.Rows() != 804 {
		t.Fatalf("%d rows", f.Rows())
	}
	m, err := f.Fit()
	if err != nil {
		t.Fatal(err)
	}
	if top := m.Marginals[0].High.Limit; top > 10 {
		t.Errorf("after trimming, up to %g was seen", top)
	}
	if z := m.Marginals[0].score(5); math.Abs(z) > 0.3 {
		t.Errorf("the middle of the others scores %g", z)
	}
}

// TestSampleIsFair: of a client's many rows, early and late ones stay alike.
func TestSampleIsFair(t *testing.T) {
	f := newFitter(t, Config{Features: 1, Clients: 2000, PerClient: 2})
	for c := range uint64(2000) {
		for i := range 20 {
			f.Add(c, []float64{float64(i)})
		}
	}
	var sum float64
	for _, v := range f.sampled() {
		sum += v
	}
	if mean := sum / float64(f.Rows()); math.Abs(mean-9.5) > 0.4 {
		t.Errorf("the mean row that stays is %.2f of 0 to 19", mean)
	}
}

// TestTrimmedRefitWithstandsOnePercent: rows that do not belong, one in a
// hundred, and all alike, change what is unusual only a little.
func TestTrimmedRefitWithstandsOnePercent(t *testing.T) {
	const d, n = 6, 3000
	world := func(poison bool) *Model {
		rng := rand.New(rand.NewPCG(3, 3))
		f := newFitter(t, Config{Features: d, Clients: n, PerClient: 1, ProjectionSeed: 2})
		x := make([]float64, d)
		for i := range n {
			behaviour(rng, x)
			if poison && i%100 == 0 {
				x[0], x[1], x[2] = 6+rng.Float64(), rng.Float64()/10, 5
			}
			f.Add(uint64(i), x)
		}
		m, err := f.Fit()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	clean, poisoned := world(false), world(true)
	for i := range clean.Correlation {
		if math.Abs(clean.Correlation[i]-poisoned.Correlation[i]) > 0.05 {
			t.Errorf("correlation %d: %.3f clean, %.3f poisoned", i, clean.Correlation[i], poisoned.Correlation[i])
		}
	}
	var s Scratch
	attack := []float64{6.5, 0.05, 5, 0, 2, 1}
	a, b := clean.LogP(&s, attack), poisoned.LogP(&s, attack)
	t.Logf("ln p of the attack %.1f clean, %.1f poisoned", a, b)
	if b > math.Log(1e-4) {
		t.Errorf("ln p of the attack %.1f clean, %.1f poisoned", a, b)
	}
}

func TestFitterRefuses(t *testing.T) {
	for _, cfg := range []Config{{}, {Features: MaxFeatures + 1}, {Features: 1, Projections: -1}, {Features: 1, Projections: 1000}} {
		if _, err := NewFitter(cfg); !errors.Is(err, ErrModel) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	f := newFitter(t, Config{Features: 2, Clients: 100, PerClient: 1})
	for c := range uint64(minRows - 1) {
		f.Add(c, []float64{1, 2})
	}
	if _, err := f.Fit(); !errors.Is(err, ErrTooFew) {
		t.Errorf("too few rows: %v", err)
	}
}

// TestFitOfAwkwardRows: constants, copies and features that nobody has still
// make a model that scores.
func TestFitOfAwkwardRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	f := newFitter(t, Config{Features: MaxFeatures, Clients: 500, PerClient: 1})
	x := make([]float64, MaxFeatures)
	for c := range uint64(500) {
		v := rng.NormFloat64()
		for j := range x {
			switch {
			case j < 8:
				x[j] = v // copies of one another
			case j < 16:
				x[j] = 5
			case j < 20:
				x[j] = math.NaN()
			case j < 24 && c%2 == uint64(j%2):
				x[j] = math.NaN() // never known together
			default:
				x[j] = rng.ExpFloat64()
			}
		}
		x[31] = math.Inf(1)
		f.Add(c, x)
	}
	m, err := f.Fit()
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	usual := m.LogP(&s, x)
	x[3] = -x[3] - 5
	odd := m.LogP(&s, x)
	if !(usual <= 0) || !(odd < usual-3) {
		t.Errorf("ln p %g, with a copy that is none %g", usual, odd)
	}
	for _, a := range m.Attribute(&s, x, nil) {
		if !finite(a.Expected, a.Low, a.High, a.Contribution) || a.Low > a.Expected || a.Expected > a.High {
			t.Errorf("attribution %+v", a)
		}
	}
}
