package joint

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// behaviour is a small world of features that hang together: counts that follow
// one rate, a ratio that is mostly 0, a heavy tail, a constant.
func behaviour(rng *rand.Rand, x []float64) {
	level := rng.NormFloat64()
	for j := range x {
		switch j % 6 {
		case 0, 1:
			x[j] = math.Log1p(math.Exp(2 + level + 0.3*rng.NormFloat64()))
		case 2:
			x[j] = -level + 0.4*rng.NormFloat64()
		case 3:
			x[j] = 0
			if rng.Float64() < 0.2 {
				x[j] = rng.Float64() / 2
			}
		case 4:
			x[j] = math.Exp(1.5*rng.NormFloat64()) + 0.2*math.Exp(level)
		case 5:
			x[j] = 1
		}
	}
}

func fitted(t testing.TB, seed uint64, d, n int, row func(*rand.Rand, []float64)) *Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	f, err := NewFitter(Config{Features: d, Clients: n, PerClient: 1, Seed: 1, ProjectionSeed: 2})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, d)
	for i := range n {
		row(rng, x)
		f.Add(uint64(i), x)
	}
	m, err := f.Fit()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// auc is the probability that an anomaly scores above a normal row.
func auc(normal, odd []float64) float64 {
	var wins float64
	for _, a := range odd {
		for _, b := range normal {
			switch {
			case a > b:
				wins++
			case a == b:
				wins += 0.5
			}
		}
	}
	return wins / float64(len(normal)*len(odd))
}

// TestDependenceAnomalies: rows whose every feature is ordinary and whose mix is
// not. The most unusual single feature cannot tell them; the model must.
func TestDependenceAnomalies(t *testing.T) {
	const d = 12
	m := fitted(t, 1, d, 2000, behaviour)
	rng := rand.New(rand.NewPCG(2, 2))
	var s Scratch
	var normal, odd, normalMax, oddMax []float64
	score := func(x []float64, all, single *[]float64) {
		*all = append(*all, -m.LogP(&s, x))
		var most float64
		for _, z := range s.z[:d] {
			most = max(most, math.Abs(z))
		}
		*single = append(*single, most)
	}
	x, y := make([]float64, d), make([]float64, d)
	for range 500 {
		behaviour(rng, x)
		score(x, &normal, &normalMax)
		// Half the features of one client with half of another's.
		behaviour(rng, y)
		for j := range d {
			if j%6 == 1 || j%6 == 2 {
				x[j] = y[j]
			}
		}
		score(x, &odd, &oddMax)
	}
	all, single := auc(normal, odd), auc(normalMax, oddMax)
	t.Logf("AUC %.3f, of the most unusual feature %.3f", all, single)
	if all < 0.75 || all < single+0.2 {
		t.Errorf("AUC %.3f, of the most unusual feature %.3f", all, single)
	}
}

// TestLogPIsCalibrated: of rows like those of the fit, a share p has a ln p of
// ln p or less.
func TestLogPIsCalibrated(t *testing.T) {
	const d, n = 12, 10000
	m := fitted(t, 3, d, 4000, behaviour)
	rng := rand.New(rand.NewPCG(4, 4))
	var s Scratch
	x := make([]float64, d)
	var logs, copula, projections []float64
	for range n {
		behaviour(rng, x)
		logs = append(logs, m.LogP(&s, x))
		c, p := m.Parts(&s, x)
		copula, projections = append(copula, c), append(projections, p)
	}
	for name, values := range map[string][]float64{"joint": logs, "copula": copula, "projections": projections} {
		for _, p := range []float64{0.5, 0.1, 0.01, 0.001} {
			count := 0
			for _, l := range values {
				if l <= math.Log(p) {
					count++
				}
			}
			got, slack := float64(count)/n, 1.35
			if p < 0.05 {
				slack = 2.5 // the tail is extrapolated from the 2 % point on
			}
			t.Logf("%s: %.5f at %g", name, got, p)
			if got > p*slack || got < p/slack/2 {
				t.Errorf("%s: a share %.5f has p <= %g", name, got, p)
			}
		}
	}
}

// TestMissingFeatures: rows that miss features are as calibrated as whole ones,
// and a feature at its expectation says as much as one that is missing.
func TestMissingFeatures(t *testing.T) {
	const d, n = 12, 4000
	m := fitted(t, 5, d, 3000, behaviour)
	rng := rand.New(rand.NewPCG(6, 6))
	var s Scratch
	x := make([]float64, d)
	var unusual int
	for range n {
		behaviour(rng, x)
		for range 4 {
			x[rng.IntN(d)] = math.NaN()
		}
		if m.LogP(&s, x) <= math.Log(0.05) {
			unusual++
		}
	}
	if share := float64(unusual) / n; share < 0.02 || share > 0.09 {
		t.Errorf("a share %.3f of rows with missing features has p <= 0.05", share)
	}
	behaviour(rng, x)
	x[0] = math.NaN()
	m.scores(&s, x)
	missing := m.ready.distance(&s)
	for _, dz := range []float64{-1, -0.1, 0.1, 1} {
		moved := s
		moved.z[0] += dz
		if m.ready.distance(&moved) <= missing {
			t.Error("another value than the expected one is more likely")
		}
	}
	for j := range x {
		x[j] = math.NaN()
	}
	if got := m.LogP(&s, x); got != 0 {
		t.Errorf("nothing known: %v", got)
	}
	if got := m.Attribute(&s, x, nil); len(got) != 0 {
		t.Errorf("nothing known: %v", got)
	}
	x[3], x[4] = math.Inf(1), math.Inf(-1)
	if got := m.LogP(&s, x); !(got <= 0 && got >= MinLogP) {
		t.Errorf("infinite features: %v", got)
	}
}

// TestAttributionNamesTheFeature sets one feature to what does not belong to the
// others; it must be blamed, and putting it back must mend the row.
func TestAttributionNamesTheFeature(t *testing.T) {
	const d = 12
	m := fitted(t, 7, d, 3000, behaviour)
	rng := rand.New(rand.NewPCG(8, 8))
	var s Scratch
	x, blame := make([]float64, d), make([]float64, d)
	var out []Attribution
	named, mended, blamed, tried := 0, 0, 0, 0
	for range 400 {
		behaviour(rng, x)
		x[7] = 6 // a busy client's value, whoever this is
		if x[0] > 2 {
			continue
		}
		tried++
		before := m.LogP(&s, x)
		out = m.Attribute(&s, x, out)
		if out[0].Index == 7 && out[0].Observed == 6 && out[0].Expected < 4 && out[0].High < 6 {
			named++
		}
		m.ProjectionT(&s, x, blame)
		if slices.Index(blame, slices.Max(blame)) == 7 {
			blamed++
		}
		x[7] = out[0].Expected
		if m.LogP(&s, x) > before/3 {
			mended++
		}
	}
	t.Logf("of %d: named %d, mended %d, blamed by the projections %d", tried, named, mended, blamed)
	if tried < 100 || named*10 < tried*9 || mended*10 < tried*9 || blamed*3 < tried {
		t.Errorf("of %d: named %d, mended %d, blamed by the projections %d", tried, named, mended, blamed)
	}
}

// TestExplanationIsFaithful: among rows that alarm because a few features were
// changed, those that the attribution names and Expect puts right alarm no
// longer.
func TestExplanationIsFaithful(t *testing.T) {
	const d = 12
	m := fitted(t, 31, d, 3000, behaviour)
	rng := rand.New(rand.NewPCG(32, 8))
	var s Scratch
	var out []Attribution
	alarms, atOnce, oneByOne := 0, 0, 0
	x, y := make([]float64, d), make([]float64, d)
	threshold := math.Log(1e-4)
	for range 3000 {
		behaviour(rng, x)
		for range 1 + rng.IntN(3) {
			j := rng.IntN(d)
			x[j] = m.Marginals[j].High.Limit
			if j%6 == 2 {
				x[j] = m.Marginals[j].Low.Limit
			}
		}
		if m.LogP(&s, x) > threshold {
			continue
		}
		alarms++
		copy(y, x)
		out = m.Attribute(&s, x, out)
		for _, a := range out[:3] {
			y[a.Index] = math.NaN()
		}
		m.Expect(&s, y, y)
		if m.LogP(&s, y) > threshold {
			atOnce++
		}
		copy(y, x)
		for range 3 {
			out = m.Attribute(&s, y, out)
			y[out[0].Index] = math.NaN()
		}
		m.Expect(&s, y, y)
		if m.LogP(&s, y) > threshold {
			oneByOne++
		}
	}
	t.Logf("of %d alarms: mended %d by the first three, %d by three one after the other", alarms, atOnce, oneByOne)
	if alarms < 300 || atOnce*100 < alarms*90 || oneByOne*100 < alarms*95 {
		t.Errorf("of %d alarms: mended %d by the first three, %d by three one after the other", alarms, atOnce, oneByOne)
	}
}

func TestModelSurvivesJSON(t *testing.T) {
	const d = 8
	m := fitted(t, 9, d, 500, behaviour)
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again := new(Model)
	if err := json.Unmarshal(data, again); err != nil {
		t.Fatal(err)
	}
	var s Scratch
	x := make([]float64, d)
	behaviour(rand.New(rand.NewPCG(1, 2)), x)
	if again.LogP(&s, x) != 0 || len(again.Attribute(&s, x, nil)) != 0 {
		t.Error("a model that was not checked says something")
	}
	if err := again.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := again.LogP(&s, x), m.LogP(&s, x); got != want {
		t.Errorf("decoded %v, fitted %v", got, want)
	}
	second, _ := json.Marshal(again)
	if !bytes.Equal(data, second) {
		t.Error("a decoded model encodes differently")
	}
	if again.LogP(&s, x[1:]) != 0 {
		t.Error("a row of another length says something")
	}
}

func TestCheckRefusesWhatCannotBeScored(t *testing.T) {
	m := fitted(t, 10, 6, 500, behaviour)
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for name, spoil := range map[string]func(*Model){
		"no features":        func(m *Model) { m.Marginals = nil },
		"too many":           func(m *Model) { m.Marginals = slices.Repeat(m.Marginals, 6) },
		"no rows":            func(m *Model) { m.N = 0 },
		"NaN rows":           func(m *Model) { m.N = nan },
		"marginal falls":     func(m *Model) { m.Marginals[0].X[1] = m.Marginals[0].X[0] },
		"scores fall":        func(m *Model) { m.Marginals[0].Z[0] = 5 },
		"NaN score":          func(m *Model) { m.Marginals[0].Z[3] = nan },
		"no scores":          func(m *Model) { m.Marginals[0].Z = nil },
		"no tail":            func(m *Model) { m.Marginals[2].High.Scale = 0 },
		"tail apart":         func(m *Model) { m.Marginals[2].High.Z = 0 },
		"limit inside":       func(m *Model) { m.Marginals[2].Low.Limit = 1e9 },
		"short correlation":  func(m *Model) { m.Correlation = m.Correlation[1:] },
		"infinite":           func(m *Model) { m.Correlation[1] = math.Inf(1) },
		"not positive":       func(m *Model) { m.Correlation[1] = 3 },
		"no projections":     func(m *Model) { m.Projections.Mass = nil },
		"projection's shape": func(m *Model) { m.Projections.Mass[0] = m.Projections.Mass[0][1:] },
		"projection's mass":  func(m *Model) { m.Projections.Mass[0][0] += 0.1 },
		"negative mass":      func(m *Model) { m.Projections.Mass[0][0] -= 2; m.Projections.Mass[0][1] += 2 },
		"curve falls":        func(m *Model) { m.Distance.Y[1] = m.Distance.Y[2] + 1 },
		"curve's shape":      func(m *Model) { m.Surprise.X = m.Surprise.X[1:] },
		"curve's tail":       func(m *Model) { m.Surprise.Scale = nan },
		"covariance":         func(m *Model) { m.Covariance = 5 },
	} {
		bad := new(Model)
		if err := json.Unmarshal(data, bad); err != nil {
			t.Fatal(err)
		}
		spoil(bad)
		if err := bad.Check(); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
		if bad.ready != nil {
			t.Errorf("%s: ready", name)
		}
	}
}

func TestScoringAllocatesNothing(t *testing.T) {
	const d = 24
	m := fitted(t, 12, d, 500, behaviour)
	x, blame := make([]float64, d), make([]float64, d)
	behaviour(rand.New(rand.NewPCG(1, 2)), x)
	out := make([]Attribution, 0, d)
	s := new(Scratch)
	for _, missing := range []int{0, 3} {
		for j := range missing {
			x[j] = math.NaN()
		}
		if n := testing.AllocsPerRun(100, func() {
			m.LogP(s, x)
			m.Attribute(s, x, out)
			m.ProjectionT(s, x, blame)
		}); n != 0 {
			t.Errorf("%v allocations with %d missing", n, missing)
		}
	}
}

func BenchmarkLogP(b *testing.B) {
	const d = 24
	m := fitted(b, 13, d, 2000, behaviour)
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([][]float64, 256)
	for i := range rows {
		rows[i] = make([]float64, d)
		behaviour(rng, rows[i])
	}
	s := new(Scratch)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.LogP(s, rows[i%len(rows)])
	}
}

func BenchmarkAttribute(b *testing.B) {
	const d = 24
	m := fitted(b, 13, d, 2000, behaviour)
	x := make([]float64, d)
	behaviour(rand.New(rand.NewPCG(1, 2)), x)
	s, out := new(Scratch), make([]Attribution, 0, d)
	b.ReportAllocs()
	for b.Loop() {
		out = m.Attribute(s, x, out)
	}
}
