package scoring

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// reference is testdata/statistics.json, which testdata/generate.py computes
// with SciPy by other routes than this package.
type reference struct {
	NegativeBinomial []struct {
		K, Mean, Size float64
		LogTail       float64 `json:"log_tail"`
	} `json:"negative_binomial"`
	Quantile []struct{ Q, Mean, Size, K float64 } `json:"negative_binomial_quantile"`
	Student  []struct {
		T, Nu   float64
		LogTail float64 `json:"log_tail"`
	} `json:"student"`
	Student99 float64 `json:"student_99"`
	Bernoulli []struct {
		N, K, P0 float64
		LogM     float64 `json:"log_m"`
	} `json:"bernoulli"`
	ConformalRank []struct {
		N, J  int
		Alpha float64
	} `json:"conformal_rank"`
	SmallestN []struct {
		N     int
		Alpha float64
	} `json:"smallest_n"`
}

func readReference(t *testing.T) (r reference) {
	t.Helper()
	data, err := os.ReadFile("testdata/statistics.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.NegativeBinomial) == 0 || len(r.Quantile) == 0 || len(r.Student) == 0 || len(r.Bernoulli) == 0 || len(r.ConformalRank) == 0 {
		t.Fatal("the reference is empty")
	}
	return r
}

// near tells whether two logarithms of probabilities agree to 1e-6 of the
// probability, or of the logarithm where it is large.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*max(1, math.Abs(want)) }

func TestNegativeBinomialTailMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).NegativeBinomial {
		if got := logNegativeBinomialTail(r.K, r.Mean, r.Size); !near(got, max(r.LogTail, minLogP)) {
			t.Errorf("ln P(X >= %g) at mean %g, size %g: %v, SciPy %v", r.K, r.Mean, r.Size, got, r.LogTail)
		}
	}
	for _, k := range []float64{0, -1} {
		if got := logNegativeBinomialTail(k, 5, 2); got != 0 {
			t.Errorf("ln P(X >= %g) = %v, want 0", k, got)
		}
	}
	if got := logNegativeBinomialTail(1, 0, 2); got != minLogP {
		t.Errorf("one call where none is ever made: %v, want the smallest", got)
	}
}

func TestNegativeBinomialQuantileMatchesSciPy(t *testing.T) {
	for _, r := range readReference(t).Quantile {
		if got := negativeBinomialQuantile(r.Q, r.Mean, r.Size); got != r.K {
			t.Errorf("quantile %g at mean %g, size %g: %v, SciPy %v", r.Q, r.Mean, r.Size, got, r.K)
		}
	}
	if got := negativeBinomialQuantile(0.9, 0, 1); got != 0 {
		t.Errorf("quantile of nothing: %v", got)
	}
}

func TestNegativeBinomialQuantileInvertsTheTail(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		q := 0.001 + 0.998*rng.Float64()
		mean, size := math.Exp(rng.NormFloat64()*2+1), math.Exp(rng.NormFloat64()*1.5)
		k := negativeBinomialQuantile(q, mean, size)
		atMost := func(k float64) float64 { return -math.Expm1(logNegativeBinomialTail(k+1, mean, size)) }
		if atMost(k) < q-1e-9 || k > 0 && atMost(k-1) >= q+1e-9 {
			t.Fatalf("quantile %g at mean %g, size %g is %g: P(X <= k) is %g, one less %g", q, mean, size, k, atMost(k), atMost(k-1))
		}
	}
}

func TestStudentTailMatchesSciPy(t *testing.T) {
	ref := readReference(t)
	for _, r := range ref.Student {
		if got := logStudentTail(r.T, r.Nu); !near(got, max(r.LogTail, minLogP)) {
			t.Errorf("ln P(T >= %g) with %g degrees: %v, SciPy %v", r.T, r.Nu, got, r.LogTail)
		}
	}
	low, high := band99(10, 2)
	if math.Abs((high-10)/2-ref.Student99) > 1e-3 || math.Abs((10-low)/2-ref.Student99) > 1e-3 {
		t.Errorf("99 %% band [%v, %v], want 10 ± 2·%v", low, high, ref.Student99)
	}
}

func TestBernoulliEvidenceMatchesQuadrature(t *testing.T) {
	against := 0
	for _, r := range readReference(t).Bernoulli {
		got, want := logBernoulliEvidence(r.N, r.K, r.P0), r.LogM
		if r.K <= r.N*r.P0 {
			want = 0 // nothing to say against the hypothesis
		} else {
			against++
		}
		if !near(got, want) {
			t.Errorf("%g of %g against %g: %v, quadrature %v", r.K, r.N, r.P0, got, want)
		}
	}
	if against < 50 {
		t.Errorf("only %d cases speak against the hypothesis", against)
	}
	if got := logBernoulliEvidence(5, 7, 0.3); got != logBernoulliEvidence(5, 5, 0.3) {
		t.Errorf("more successes than trials give %v", got)
	}
}

// The test is anytime-valid: however long a client that is at the bound is
// watched, it reaches 1/a with probability a at most.
func TestBernoulliEvidenceKeepsVillesBound(t *testing.T) {
	const paths, trials, a = 1000, 300, 0.05
	for _, p0 := range []float64{0.05, 0.35, 0.7} {
		rng := rand.New(rand.NewPCG(2, uint64(100*p0)))
		crossed := 0
		for range paths {
			k := 0.0
			for n := 1.0; n <= trials; n++ {
				if rng.Float64() >= p0 {
					continue // the evidence falls
				}
				if k++; logBernoulliEvidence(n, k, p0) >= -math.Log(a) {
					crossed++
					break
				}
			}
		}
		rate := float64(crossed) / paths
		if limit := a + 3*math.Sqrt(a*(1-a)/paths); rate > limit {
			t.Errorf("bound %g: %.3f of paths reach 1/%g, Ville allows %g", p0, rate, a, a)
		}
		if rate == 0 {
			t.Errorf("bound %g: no path reaches 1/%g: the test has no power", p0, a)
		}
	}
}

// Halving the counts at midnight keeps the bound for every single day: the
// square root of a likelihood ratio has an expectation of at most 1.
func TestHalvedEvidenceKeepsVillesBoundEachDay(t *testing.T) {
	const paths, days, trials, a, p0 = 400, 6, 80, 0.05, 0.3
	rng := rand.New(rand.NewPCG(3, 1))
	var crossed [days]int
	for range paths {
		ev := Evidence{Day: 1}
		for d := range days {
			ev.newDay(int64(d + 2))
			hit := false
			for range trials {
				ev.Trials[0]++
				if rng.Float64() < p0 {
					ev.Taken[0]++
					hit = hit || logBernoulliEvidence(ev.Trials[0], ev.Taken[0], p0) >= -math.Log(a)
				}
			}
			if hit {
				crossed[d]++
			}
		}
	}
	for d, n := range crossed {
		if rate := float64(n) / paths; rate > a+3*math.Sqrt(a*(1-a)/paths) {
			t.Errorf("day %d: %.3f of clients reach 1/%g", d, rate, a)
		}
	}
}

func TestCodeGainClosedForm(t *testing.T) {
	for _, tc := range []struct{ n, h, h0, want float64 }{
		{0, 0, 3, 0},
		{1, 0, 3, 0},
		{10, 0, 3, 30 * math.Ln2}, // one bin costs nothing to learn
		{10, 1, 3, 20*math.Ln2 - 0.5*math.Log(10)},                // two bins
		{100, 2, 2, -1.5 * math.Log(100)},                         // as irregular as benign
		{64, 3, 2.5, -32*math.Ln2 - 3.5*math.Log(64)},             // more irregular
		{50, 0.5, 2, 75*math.Ln2 - (math.Sqrt2-1)/2*math.Log(50)}, // fractional bins
	} {
		if got := logCodeGain(tc.n, tc.h, tc.h0); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%g intervals of %g bits against %g: %v nats, want %v", tc.n, tc.h, tc.h0, got, tc.want)
		}
	}
}

// A betting function that integrates to more than 1 would win money on fair
// p-values; one that does not drift down would never forget.
func TestBetIsFairAndDriftsDown(t *testing.T) {
	// With p = e^-y the integrals over (0, 1] become sums over y.
	const dy = 1e-3
	total, drift := 0.0, 0.0
	for y := dy / 2; y < 200; y += dy {
		b := logBet(-y)
		total += math.Exp(b-y) * dy
		drift += b * math.Exp(-y) * dy
	}
	if math.Abs(total-1) > 1e-5 {
		t.Errorf("the betting function integrates to %v, want 1", total)
	}
	if want := math.Log(cusumKappa) + 1 - cusumKappa; math.Abs(drift-want) > 1e-5 || drift >= 0 {
		t.Errorf("mean increment %v, want %v", drift, want)
	}
}

func TestCUSUMStaysLowOnUniformPValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	var r Run
	peak := 0.0
	const n = 50_000
	for range n {
		r.add(logBet(math.Log(1-rng.Float64())), 1, 1)
		peak = max(peak, r.S)
	}
	// Each excursion reaches x with probability e^-x at most; there are n at most.
	if limit := math.Log(n) + math.Log(1000); peak > limit {
		t.Errorf("climbed to %.1f nats in %d windows, want at most %.1f", peak, n, limit)
	}
	for range 20 {
		r.add(logBet(-3), 2, 1)
	}
	if r.S < 15 {
		t.Errorf("twenty windows of p = 0.05 leave only %.1f nats", r.S)
	}
	for range 1000 {
		r.add(logBet(0), 1, 1)
	}
	if r != (Run{}) {
		t.Errorf("an hour of ordinary windows leaves %+v", r)
	}
}
