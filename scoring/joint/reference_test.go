package joint

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// reference is testdata/reference.json, which testdata/generate.py computes with
// NumPy, SciPy and scikit-learn.
type reference struct {
	Copula []struct {
		D                    int
		Rows, X, Correlation []float64
		Cases                []struct {
			Missing                  []int
			Distance                 float64
			Expected, Variance, Drop []float64
		}
	}
	Brown []struct {
		Covariance float64
		LogP1      float64 `json:"log_p1"`
		LogP2      float64 `json:"log_p2"`
		LogP       float64 `json:"log_p"`
	}
	Welch []struct {
		With, Without []float64
		T             float64
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
	if len(r.Copula) == 0 || len(r.Brown) == 0 || len(r.Welch) == 0 {
		t.Fatal("the reference is empty")
	}
	return r
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}

// gaussian is a model whose normal scores are the features themselves, as far as
// a marginal reaches.
func gaussian(t *testing.T, r []float64, d int) *Model {
	t.Helper()
	g := Marginal{X: []float64{-6, 6}, Z: []float64{-6, 6}, Low: Tail{Z: 6, Scale: 1, Limit: -6}, High: Tail{Z: 6, Scale: 1, Limit: 6}}
	m := &Model{
		N: 100, Marginals: slices.Repeat([]Marginal{g}, d), Correlation: r,
		Distance: Curve{X: []float64{0}, Y: []float64{0}, Scale: 1}, Surprise: Curve{X: []float64{0}, Y: []float64{0}, Scale: 1},
		Projections: Projections{Mass: [][]float64{slices.Repeat([]float64{1.0 / bins}, bins)}, N: 100},
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCopulaMatchesScikitLearn(t *testing.T) {
	for _, ref := range readReference(t).Copula {
		d := ref.D
		if len(ref.Rows) > 0 {
			for i, got := range correlation(ref.Rows, d) {
				if !near(got, ref.Correlation[i], 1e-12) {
					t.Fatalf("d=%d: correlation %d is %v, NumPy %v", d, i, got, ref.Correlation[i])
				}
			}
		}
		m := gaussian(t, ref.Correlation, d)
		var s Scratch
		for _, c := range ref.Cases {
			x := slices.Clone(ref.X)
			for _, j := range c.Missing {
				x[j] = math.NaN()
			}
			if known := m.scores(&s, x); known != d-len(c.Missing) {
				t.Fatalf("%d known", known)
			}
			if got := m.ready.distance(&s); !near(got, c.Distance, 1e-9) {
				t.Errorf("d=%d without %v: D^2 = %v, scikit-learn %v", d, c.Missing, got, c.Distance)
			}
			got := m.Attribute(&s, x, nil)
			if !slices.IsSortedFunc(got, func(a, b Attribution) int { return int(math.Copysign(1, b.Contribution-a.Contribution)) }) {
				t.Error("the largest contribution is not first")
			}
			slices.SortFunc(got, func(a, b Attribution) int { return a.Index - b.Index })
			if len(got) != len(c.Expected) {
				t.Fatalf("%d attributions, want %d", len(got), len(c.Expected))
			}
			for i, a := range got {
				sd := math.Sqrt(c.Variance[i])
				within := func(z float64) float64 { return min(max(z, -6), 6) }
				if a.Observed != x[a.Index] ||
					!near(a.Expected, within(c.Expected[i]), 1e-9) ||
					!near(a.Low, within(c.Expected[i]-bandScore*sd), 1e-9) ||
					!near(a.High, within(c.Expected[i]+bandScore*sd), 1e-9) ||
					!near(a.Contribution, c.Drop[i], 1e-9) {
					t.Errorf("d=%d without %v: %+v, NumPy expects %v +- %v, a drop of %v", d, c.Missing, a, c.Expected[i], sd, c.Drop[i])
				}
			}
		}
	}
}

func TestBrownMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Brown {
		df, scale := brown(r.Covariance)
		logGamma, _ := math.Lgamma(df / 2)
		if got := logGammaTail(df/2, -(r.LogP1+r.LogP2)/scale, logGamma); !near(got, r.LogP, 1e-8) {
			t.Errorf("cov %g, ln p %g and %g: %v, SciPy %v", r.Covariance, r.LogP1, r.LogP2, got, r.LogP)
		}
	}
	// The same p twice says no more than once; two independent are Fisher's
	// p (1 - ln p) of their product.
	df, scale := brown(maxCovariance)
	if got := logGammaTail(df/2, 10/scale, 0); !near(got, -5, 1e-9) {
		t.Errorf("e^-5 twice: %v", got)
	}
	df, scale = brown(0)
	if got := logGammaTail(df/2, 10/scale, 0); !near(got, -10+math.Log(11), 1e-9) {
		t.Errorf("e^-5 and e^-5: %v", got)
	}
}

func TestWelchMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Welch {
		var a, b moments
		for _, x := range r.With {
			a.add(x)
		}
		for _, x := range r.Without {
			b.add(x)
		}
		if got := welch(&a, &b); !near(got, r.T, 1e-9) {
			t.Errorf("t = %v, SciPy %v", got, r.T)
		}
	}
	if welch(&moments{n: 1}, &moments{n: 5}) != 0 || welch(&moments{n: 3}, &moments{n: 5}) != 0 {
		t.Error("t of samples that say nothing")
	}
}
