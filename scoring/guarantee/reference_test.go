package guarantee

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// reference is testdata/reference.json, which testdata/generate.py computes
// with SciPy.
type reference struct {
	Rank []struct {
		N, J         int
		Alpha, Delta float64
	}
	Smallest []struct {
		N            int
		Alpha, Delta float64
	}
	Count []struct {
		N, J, M, Low, High int
		Confidence         float64
		RateLow            float64 `json:"rate_low"`
		RateHigh           float64 `json:"rate_high"`
	}
	ClopperPearson []struct {
		K, N                  int
		Confidence, Low, High float64
	} `json:"clopper_pearson"`
	Pareto []struct {
		Excesses, X, P, Quantile []float64
		LogTail                  []float64 `json:"log_tail"`
		Shape, Scale             float64
	}
}

func readReference(t *testing.T) (r reference) {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rank) == 0 || len(r.Smallest) == 0 || len(r.Count) == 0 || len(r.ClopperPearson) == 0 || len(r.Pareto) == 0 {
		t.Fatal("the reference is empty")
	}
	return r
}

func near(got, want, tolerance float64) bool {
	return got == want || math.Abs(got-want) <= tolerance*max(math.Abs(want), 1e-300)
}

func TestRankMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Rank {
		if got := Rank(r.N, r.Alpha, r.Delta); got != r.J {
			t.Errorf("rank of %d at %g, delta %g: %d, SciPy %d", r.N, r.Alpha, r.Delta, got, r.J)
		}
	}
	if Rank(0, 0.1, 0.1) != 0 || Rank(10, 0, 0.1) != 0 || Rank(10, 1, 0.1) != 10 {
		t.Error("rank at the borders")
	}
}

func TestSmallestNMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Smallest {
		if got := SmallestN(r.Alpha, r.Delta); got != r.N {
			t.Errorf("smallest n at %g, delta %g: %d, SciPy %d", r.Alpha, r.Delta, got, r.N)
		}
	}
	// Figures often quoted for one in a thousand and one in ten thousand.
	for _, q := range []struct {
		alpha, delta float64
		n            int
	}{{1e-3, 0.1, 2302}, {1e-3, 0.05, 2995}, {1e-4, 0.1, 23025}, {1e-4, 0.05, 29956}} {
		if got := SmallestN(q.alpha, q.delta); got != q.n {
			t.Errorf("smallest n at %g, delta %g: %d, want %d", q.alpha, q.delta, got, q.n)
		}
	}
}

func TestIntervalsMatchSciPy(t *testing.T) {
	ref := readReference(t)
	for _, r := range ref.Count {
		low, high := CountInterval(r.N, r.J, r.M, r.Confidence)
		if low != r.Low || high != r.High {
			t.Errorf("counts at n=%d j=%d m=%d c=%g: %d to %d, SciPy %d to %d", r.N, r.J, r.M, r.Confidence, low, high, r.Low, r.High)
		}
		rateLow, rateHigh := RateInterval(r.N, r.J, r.Confidence)
		if !near(rateLow, r.RateLow, 1e-8) || !near(rateHigh, r.RateHigh, 1e-8) {
			t.Errorf("rates at n=%d j=%d c=%g: %g to %g, SciPy %g to %g", r.N, r.J, r.Confidence, rateLow, rateHigh, r.RateLow, r.RateHigh)
		}
	}
	for _, r := range ref.ClopperPearson {
		low, high := ClopperPearson(r.K, r.N, r.Confidence)
		if !near(low, r.Low, 1e-7) || !near(high, r.High, 1e-7) {
			t.Errorf("%d of %d at %g: %g to %g, SciPy %g to %g", r.K, r.N, r.Confidence, low, high, r.Low, r.High)
		}
	}
	if low, high := ClopperPearson(0, 0, 0.95); low != 0 || high != 1 {
		t.Error("no trials say something")
	}
}

// TestRealisedCountLiesInItsInterval draws calibrations and tests of exchangeable
// scores, and counts how often what was realised lies where it was said to.
func TestRealisedCountLiesInItsInterval(t *testing.T) {
	const n, m, alpha, trials = 3000, 10000, 0.01, 300
	j := Rank(n, alpha, 0.05)
	low, high := CountInterval(n, j, m, 0.95)
	rng := rand.New(rand.NewPCG(1, 2))
	inside, kept := 0, 0
	for range trials {
		// The j-th highest of n uniforms is exceeded with probability Beta(j, n+1-j),
		// which this draws by its definition.
		scores := make([]float64, n)
		for i := range scores {
			scores[i] = rng.Float64()
		}
		slices.Sort(scores)
		threshold := scores[n-j]
		exceeded := 0
		for range m {
			if rng.Float64() > threshold {
				exceeded++
			}
		}
		if exceeded >= low && exceeded <= high {
			inside++
		}
		if 1-threshold <= alpha {
			kept++
		}
	}
	if share := float64(inside) / trials; share < 0.92 || share > 0.99 {
		t.Errorf("realised counts lie in their 95 %% interval in %.3f of the trials", share)
	}
	if share := float64(kept) / trials; share < 0.92 || share > 0.985 {
		t.Errorf("alpha was kept in %.3f of the calibrations, nominally 0.95", share)
	}
}

func TestParetoFitMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Pareto {
		shape, scale := likeliest(r.Excesses)
		if math.Abs(shape-r.Shape) > 2e-3 || !near(scale, r.Scale, 2e-3) {
			t.Errorf("fitted shape %.5f scale %.5f, SciPy %.5f %.5f", shape, scale, r.Shape, r.Scale)
		}
		g := GPD{Shape: r.Shape, Scale: r.Scale, Share: 1, N: len(r.Excesses)}
		for i, x := range r.X {
			if got := g.LogTail(x); !near(got, r.LogTail[i], 1e-9) {
				t.Errorf("ln P(X > %g) = %v, SciPy %v", x, got, r.LogTail[i])
			}
		}
		for i, p := range r.P {
			if got := g.Quantile(p); !near(got, r.Quantile[i], 1e-9) {
				t.Errorf("quantile %g = %v, SciPy %v", p, got, r.Quantile[i])
			}
		}
		// The two estimators of one sample agree within their sampling error.
		mShape, mScale := weightedMoments(r.Excesses)
		if math.Abs(mShape-r.Shape) > 0.15 || !near(mScale, r.Scale, 0.2) {
			t.Errorf("moments give shape %.3f scale %.3f, likelihood %.3f %.3f", mShape, mScale, r.Shape, r.Scale)
		}
	}
}

// TestWeightedMomentsOfQuantiles: of the quantiles of a Pareto law, the moments
// are the law's, and so is the fit.
func TestWeightedMomentsOfQuantiles(t *testing.T) {
	for _, shape := range []float64{-0.15, 0, 0.1, 0.3} {
		law := GPD{Shape: shape, Scale: 2, Share: 1}
		const n = 20000
		y := make([]float64, n)
		for i := range y {
			y[i] = law.Quantile(1 - (float64(i)+0.65)/n)
		}
		got, scale := weightedMoments(y)
		if math.Abs(got-shape) > 0.01 || !near(scale, 2, 0.01) {
			t.Errorf("shape %g scale 2: moments give %.4f %.4f", shape, got, scale)
		}
	}
}

func TestFitGPDExtrapolates(t *testing.T) {
	// Student's t with 4 degrees of freedom has a tail index of 1/4; maxima of
	// 50,000 of them tell what one in a million exceeds to within a third.
	rng := rand.New(rand.NewPCG(3, 4))
	values := make([]float64, 50000)
	for i := range values {
		var chi float64
		for range 4 {
			z := rng.NormFloat64()
			chi += z * z
		}
		values[i] = rng.NormFloat64() / math.Sqrt(chi/4)
	}
	for name, fit := range map[string]func([]float64, float64) (GPD, error){"likelihood": FitGPD, "moments": FitGPDMoments} {
		g, err := fit(values, DefaultTail)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Check(); err != nil {
			t.Error(err)
		}
		const exact = 13.03 // t(4) at 1e-4, one-sided
		if q := g.Quantile(1e-4); q < exact*0.75 || q > exact*1.33 {
			t.Errorf("%s: one in ten thousand exceeds %.2f, exactly %.2f (%+v)", name, q, exact, g)
		}
		if got := g.LogTail(g.Quantile(1e-6)); !near(got, math.Log(1e-6), 1e-9) {
			t.Errorf("%s: tail of its quantile %v", name, got)
		}
		if got := g.LogTail(g.Threshold - 1); got != math.Log(g.Share) {
			t.Errorf("%s: below the threshold %v", name, got)
		}
	}
}

func TestFitGPDBoundsAndErrors(t *testing.T) {
	// A uniform has shape -1, a Cauchy 1: both stay at a bound.
	rng := rand.New(rand.NewPCG(5, 6))
	uniform, cauchy := make([]float64, 5000), make([]float64, 5000)
	for i := range uniform {
		uniform[i] = rng.Float64()
		cauchy[i] = math.Tan(math.Pi * (rng.Float64() - 0.5))
	}
	for _, fit := range []func([]float64, float64) (GPD, error){FitGPD, FitGPDMoments} {
		g, err := fit(uniform, 0.1)
		if err != nil || g.Shape != minShape {
			t.Errorf("uniform: %+v, %v", g, err)
		}
		g, err = fit(cauchy, 0.1)
		if err != nil || g.Shape != maxShape {
			t.Errorf("cauchy: %+v, %v", g, err)
		}
		for _, values := range [][]float64{nil, uniform[:20], make([]float64, 5000), append(slices.Clone(uniform), math.NaN()), append(slices.Clone(uniform), math.Inf(1))} {
			if _, err := fit(values, 0.02); !errors.Is(err, ErrTooFew) {
				t.Errorf("%d values: %v", len(values), err)
			}
		}
		if _, err := fit(uniform, 0); !errors.Is(err, ErrConfig) {
			t.Errorf("no share: %v", err)
		}
	}
}
