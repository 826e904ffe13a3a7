package joint

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

func sampleOf(seed uint64, n int, draw func(*rand.Rand) float64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 77))
	values := make([]float64, n)
	for i := range values {
		values[i] = draw(rng)
	}
	return values
}

var shapes = map[string]func(*rand.Rand) float64{
	"normal":      func(r *rand.Rand) float64 { return r.NormFloat64() },
	"exponential": func(r *rand.Rand) float64 { return r.ExpFloat64() },
	"heavy":       func(r *rand.Rand) float64 { return math.Exp(2 * r.NormFloat64()) },
	"count":       func(r *rand.Rand) float64 { return math.Log1p(math.Floor(4 * r.ExpFloat64())) },
	"mostly zero": func(r *rand.Rand) float64 { return max(0, r.NormFloat64()-1) },
	"two values":  func(r *rand.Rand) float64 { return float64(r.IntN(2)) },
	"constant":    func(*rand.Rand) float64 { return 3 },
}

// TestScoresAreMidDistribution: in the middle, scores are those of the share
// below and half the share at a value, to within the step between knots.
func TestScoresAreMidDistribution(t *testing.T) {
	for name, draw := range shapes {
		values := sampleOf(1, 4000, draw)
		g := newMarginal(slices.Clone(values))
		if err := g.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		slices.Sort(values)
		for _, at := range []int{100, 500, 1000, 2000, 3000, 3500, 3900} {
			x := values[at]
			lo, _ := slices.BinarySearch(values, x)
			hi := lo
			for hi < len(values) && values[hi] == x {
				hi++
			}
			want := mathext.NormalQuantile((float64(lo) + float64(hi-lo)/2) / float64(len(values)))
			if got := g.score(x); math.Abs(got-want) > zStep {
				t.Errorf("%s: score of %g is %.3f, want %.3f", name, x, got, want)
			}
		}
	}
}

// TestScoresOfNewValuesAreNormal, tails included.
func TestScoresOfNewValuesAreNormal(t *testing.T) {
	const n = 100000
	for _, name := range []string{"normal", "exponential", "heavy"} {
		g := newMarginal(sampleOf(2, 20000, shapes[name]))
		fresh := sampleOf(3, n, shapes[name])
		for _, z := range []float64{-2, -1, 0, 1, 2, 3, 3.8} {
			below := 0
			for _, x := range fresh {
				if g.score(x) <= z {
					below++
				}
			}
			// Rates in the tail are known from a handful of rows.
			got, want := float64(n-below)/n, 1-phi(z)
			if got < want/2.5 || got > want*2.5 || math.Abs(got-want) > 0.03 {
				t.Errorf("%s: a share %.5f scores above %g, want %.5f", name, got, z, want)
			}
		}
	}
}

func TestScoreRisesAndLookupAgrees(t *testing.T) {
	for name, draw := range shapes {
		values := sampleOf(4, 2000, draw)
		g := newMarginal(slices.Clone(values))
		l := newLookup(&g)
		lo, hi := slices.Min(values), slices.Max(values)
		points := []float64{math.Inf(-1), lo - 1, hi + 1, math.Inf(1)}
		for i := range 2001 {
			points = append(points, lo-1+(hi-lo+2)*float64(i)/2000)
		}
		points = append(append(points, g.X...), values...)
		slices.Sort(points)
		last := math.Inf(-1)
		for _, x := range points {
			z := g.score(x)
			if z < last-1e-12 || math.Abs(z) > maxScore {
				t.Fatalf("%s: score of %g is %g after %g", name, x, z, last)
			}
			last = z
			if got := l.score(x); math.Abs(got-z) > 1e-9 {
				t.Fatalf("%s: lookup of %g is %v, want %v", name, x, got, z)
			}
		}
	}
}

func TestValueIsTheInverseWithinWhatWasSeen(t *testing.T) {
	for name, draw := range shapes {
		values := sampleOf(5, 2000, draw)
		g := newMarginal(slices.Clone(values))
		lo, hi := slices.Min(values), slices.Max(values)
		last := math.Inf(-1)
		for z := -6.0; z <= 6; z += 0.01 {
			x := g.value(z)
			if x < last || x < lo || x > hi {
				t.Fatalf("%s: the value at %.2f is %g after %g, seen %g to %g", name, z, x, last, lo, hi)
			}
			last = x
		}
		for _, x := range values {
			if z := g.score(x); math.Abs(z) < maxScore && math.Abs(g.value(z)-x) > 1e-6*max(1, math.Abs(x)) {
				t.Fatalf("%s: value of the score %g of %g is %g", name, z, x, g.value(z))
			}
		}
	}
}

// TestWhatWasNeverSeenIsUnusual: after n equal rows, another value is as rare as
// half a row in n+1.
func TestWhatWasNeverSeenIsUnusual(t *testing.T) {
	g := newMarginal(slices.Repeat([]float64{2}, 999))
	if z := g.score(2); z != 0 {
		t.Errorf("the only value scores %g", z)
	}
	want := -mathext.NormalQuantile(0.5 / 1000)
	if z := g.score(2 + 1e-9); math.Abs(z-want) > 1e-3 {
		t.Errorf("another value scores %g, want %g", z, want)
	}
	empty := newMarginal(nil)
	if err := empty.check(); err != nil || empty.score(0) != 0 {
		t.Errorf("a marginal of nothing: %v", err)
	}
	for _, few := range [][]float64{{1}, {1, 2}, {1, 2, 3}, {5, 5, 1, 2}} {
		g := newMarginal(slices.Clone(few))
		if err := g.check(); err != nil {
			t.Errorf("%v: %v", few, err)
		}
	}
}

// TestBlendedMarginalIsTheMixture compares with the mixture's distribution
// function, point by point.
func TestBlendedMarginalIsTheMixture(t *testing.T) {
	for nameA, a := range shapes {
		for nameB, b := range shapes {
			ga, gb := newMarginal(sampleOf(6, 1500, a)), newMarginal(sampleOf(7, 700, b))
			for _, wa := range []float64{0.2, 0.9} {
				g := blendMarginal(&ga, &gb, wa, 1-wa)
				if err := g.check(); err != nil {
					t.Fatalf("%s with %s: %v", nameA, nameB, err)
				}
				for _, x := range slices.Concat(ga.X, gb.X) {
					want := wa*phi(ga.score(x)) + (1-wa)*phi(gb.score(x))
					if got := phi(g.score(x)); math.Abs(got-want) > 0.05 {
						t.Errorf("%s with %s at %g: %.4f, want %.4f", nameA, nameB, x, got, want)
					}
				}
				far := g.High.Limit + 1
				if z := g.score(far); z < g.score(g.High.Limit) {
					t.Errorf("%s with %s: falls beyond what was seen", nameA, nameB)
				}
			}
		}
	}
}

func TestCurve(t *testing.T) {
	// Of exponential scores, the curve is the identity, far beyond the sample too.
	scores := sampleOf(8, 20000, shapes["exponential"])
	c := newCurve(slices.Clone(scores))
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	for _, x := range []float64{0.1, 0.5, 1, 2, 4, 8, 20} {
		if got := c.evidence(x); math.Abs(got-x) > 0.08*x+0.02 {
			t.Errorf("evidence of %g is %.3f", x, got)
		}
	}
	// One in a hundred that does not belong changes its own evidence little.
	for i := range 150 {
		scores[i] = 30 + float64(i)
	}
	bent := newCurve(scores)
	if got := bent.evidence(30); got < 15 {
		t.Errorf("evidence of what 0.75 %% of the training rows reach is %.1f", got)
	}
	// Mixtures mix probabilities.
	other := newCurve(sampleOf(9, 5000, func(r *rand.Rand) float64 { return 3 * r.ExpFloat64() }))
	mixed := blendCurve(&c, &other, 0.3, 0.7)
	for _, x := range []float64{0.5, 2, 6, 12} {
		want := 0.3*math.Exp(-c.evidence(x)) + 0.7*math.Exp(-other.evidence(x))
		if got := math.Exp(-mixed.evidence(x)); math.Abs(got/want-1) > 0.15 {
			t.Errorf("mixed at %g: %g, want %g", x, got, want)
		}
	}
	if err := mixed.check(); err != nil {
		t.Error(err)
	}
	for range 20 {
		mixed = blendCurve(&mixed, &c, 0.5, 0.5)
	}
	if err := mixed.check(); err != nil || len(mixed.X) > 100 {
		t.Errorf("blends of blends grow to %d knots: %v", len(mixed.X), err)
	}
	flat := newCurve(make([]float64, 50))
	if err := flat.check(); err != nil || flat.evidence(0) != 0 && flat.evidence(0) != flat.Y[0] {
		t.Errorf("a curve of equal scores: %+v, %v", flat, err)
	}
}

func TestRebinKeepsMass(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	mass := make([]float64, bins)
	for i := range mass {
		mass[i] = rng.Float64()
	}
	for _, width := range []float64{0.3, 0.9, 1, 1.5, 4} {
		var before, after float64
		out := rebin(mass, width, 1)
		for i := range mass {
			before += mass[i]
			after += out[i]
		}
		if math.Abs(before-after) > 1e-9 {
			t.Errorf("width %g: %g of %g is left", width, after, before)
		}
		if width == 1 && !slices.EqualFunc(mass, out, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Error("the same bins hold something else")
		}
	}
}
