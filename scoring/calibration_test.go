package scoring

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

func TestConformalRankMatchesSciPy(t *testing.T) {
	ref := readReference(t)
	for _, r := range ref.ConformalRank {
		if got := conformalRank(r.N, r.Alpha); got != r.J {
			t.Errorf("n %d, alpha %g: the %d-th highest, SciPy says the %d-th", r.N, r.Alpha, got, r.J)
		}
	}
	for _, r := range ref.SmallestN {
		if conformalRank(r.N, r.Alpha) != 1 || conformalRank(r.N-1, r.Alpha) != 0 {
			t.Errorf("alpha %g: SciPy allows the first claim from n = %d", r.Alpha, r.N)
		}
	}
}

// The rule of thumb n >= ln(20)/alpha is sufficient.
func TestClientDaysThatAClaimNeeds(t *testing.T) {
	for alpha, n := range map[float64]int{1e-3: 2996, 1e-4: 29_957} {
		if conformalRank(n, alpha) < 1 {
			t.Errorf("%d client-days do not allow a claim of %g", n, alpha)
		}
		if conformalRank(n-10, alpha) != 0 {
			t.Errorf("%d client-days allow a claim of %g", n-10, alpha)
		}
	}
}

// layer is a calibration layer of given combined evidence.
func layer(evidence []float64) *Calibration {
	c := &Calibration{N: len(evidence), Top: slices.Clone(evidence)}
	slices.SortFunc(c.Top, func(a, b float64) int { return -cmpFloat(a, b) })
	c.Top = c.Top[:min(len(c.Top), maxTop)]
	return c
}

func TestPValueIsSuperUniformOnExchangeableData(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) float64{
		"continuous":  func(r *rand.Rand) float64 { return r.ExpFloat64() },
		"with atoms":  func(r *rand.Rand) float64 { return math.Floor(3 * r.ExpFloat64()) },
		"mostly zero": func(r *rand.Rand) float64 { return max(0, r.ExpFloat64()-4) },
	} {
		rng := rand.New(rand.NewPCG(11, 1))
		const draws, n = 2000, 700 // of which 500 are kept
		var ps []float64
		for range draws {
			e := make([]float64, n)
			for i := range e {
				e[i] = draw(rng)
			}
			ps = append(ps, layer(e).pValue(draw(rng)))
		}
		for _, level := range []float64{0.002, 0.01, 0.05, 0.2, 0.5} {
			hits := 0
			for _, p := range ps {
				if p <= level {
					hits++
				}
			}
			if rate := float64(hits) / draws; rate > level+3.5*math.Sqrt(level*(1-level)/draws) {
				t.Errorf("%s: P(p <= %g) = %.4f", name, level, rate)
			}
		}
	}
}

func TestPValueCountsThoseAtOrAbove(t *testing.T) {
	c := &Calibration{N: 9, Top: []float64{5, 3, 3, 1}}
	for evidence, want := range map[float64]float64{6: 0.1, 5: 0.2, 4: 0.2, 3: 0.4, 2: 0.4, 1: 0.5, 0.5: 0.5, 0: 0.5} {
		if got := c.pValue(evidence); math.Abs(got-want) > 1e-12 {
			t.Errorf("p of %g is %g, want %g", evidence, got, want)
		}
	}
	whole := &Calibration{N: 4, Top: []float64{5, 3, 3, 1}}
	if got := whole.pValue(0); got != 1 {
		t.Errorf("p of less than all is %g, want 1", got)
	}
}

// Over the draw of the calibration clients, the rate that a threshold realises
// follows the Beta law it was chosen by, and exceeds alpha in one of twenty.
func TestThresholdRealisesItsBetaLaw(t *testing.T) {
	const draws, n, alpha = 2000, 900, 0.02
	j := conformalRank(n, alpha)
	if j < 5 {
		t.Fatalf("rank %d tests little", j)
	}
	rng := rand.New(rand.NewPCG(12, 1))
	exceeded := 0
	var deciles [10]int
	e := make([]float64, n)
	for range draws {
		for i := range e {
			e[i] = rng.Float64()
		}
		at, kind := layer(e).Threshold(alpha)
		if kind != Conformal {
			t.Fatalf("a threshold of kind %q", kind)
		}
		realised := 1 - at // of uniform evidence
		if realised > alpha {
			exceeded++
		}
		u := mathext.RegIncBeta(float64(j), float64(n+1-j), realised)
		deciles[min(int(10*u), 9)]++
	}
	if rate := float64(exceeded) / draws; rate > calibrationDelta+3.5*math.Sqrt(calibrationDelta/draws) {
		t.Errorf("%.3f of thresholds realise more than %g, %g are allowed", rate, alpha, calibrationDelta)
	}
	for i, got := range deciles {
		if d := float64(got) - draws/10; math.Abs(d) > 4*math.Sqrt(draws/10*0.9) {
			t.Errorf("decile %d of the Beta law holds %d of %d realised rates", i, got, draws)
		}
	}
}

func TestThresholdWithoutEnoughClientDays(t *testing.T) {
	c := layer(make([]float64, 20))
	if at, kind := c.Threshold(1e-3); kind != Extrapolated || !math.IsInf(at, 1) {
		t.Errorf("20 client-days allow a claim of 1e-3 at %v", at)
	}
	// Of ranks beyond what is kept the last kept one is the stricter.
	c = layer(make([]float64, 100_000))
	c.Top[len(c.Top)-1] = -1
	if at, kind := c.Threshold(0.2); kind != Conformal || at != -1 {
		t.Errorf("threshold %v %v", at, kind)
	}
}

// tailOf fits a tail to n daily maxima.
func tailOf(n int, seed uint64, eProcess bool, draw func(*rand.Rand) float64) Tail {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := make([]float64, n)
	for i := range m {
		m[i] = draw(rng)
	}
	return newTail(m, eProcess)
}

func tails() map[string]Tail {
	out := map[string]Tail{
		"exponential": tailOf(50_000, 21, false, func(r *rand.Rand) float64 { return r.ExpFloat64() }),
		"heavy":       tailOf(50_000, 22, false, func(r *rand.Rand) float64 { return math.Pow(1-r.Float64(), -0.4) }),
		"light":       tailOf(50_000, 23, false, func(r *rand.Rand) float64 { return math.Sqrt(r.ExpFloat64()) }),
		"half zero":   tailOf(20_000, 24, false, func(r *rand.Rand) float64 { return max(0, r.NormFloat64()) }),
		"nearly zero": tailOf(20_000, 25, false, func(r *rand.Rand) float64 { return max(0, r.ExpFloat64()-6) }),
		"atoms":       tailOf(20_000, 26, false, func(r *rand.Rand) float64 { return math.Floor(4 * r.ExpFloat64()) }),
		"few":         tailOf(30, 27, false, func(r *rand.Rand) float64 { return r.ExpFloat64() }),
		"too few":     tailOf(9, 28, false, func(r *rand.Rand) float64 { return r.ExpFloat64() }),
		"all zero":    tailOf(1000, 29, false, func(*rand.Rand) float64 { return 0 }),
		"none":        newTail(nil, false),
	}
	for _, name := range []string{"exponential", "heavy", "light", "half zero", "too few"} {
		v := out[name]
		v.Ville = true
		out[name+", e-process"] = v
	}
	return out
}

func TestTailRisesWithoutJumps(t *testing.T) {
	for name, tail := range tails() {
		t.Run(name, func(t *testing.T) {
			if !tail.rises() {
				t.Fatalf("knots %v, %v", tail.X, tail.Y)
			}
			if tail.Evidence(0) != 0 || tail.Evidence(-3) != 0 {
				t.Error("no statistic is some evidence")
			}
			for _, x := range tail.X {
				if x <= 0 {
					continue // the share of client-days without any is one step
				}
				at := tail.Evidence(x)
				if below, above := tail.Evidence(x*(1-1e-12)), tail.Evidence(x*(1+1e-12)); math.Abs(at-below) > 1e-6 || math.Abs(above-at) > 1e-6 {
					t.Errorf("jumps at the knot %g: %g, %g, %g", x, below, at, above)
				}
			}
			last, top, before := 0.0, 0.0, 0.0
			if n := len(tail.X); n > 0 {
				last, top = tail.X[n-1], tail.Evidence(tail.X[n-1])
				if last == 0 {
					top = tail.Y[n-1]
				}
			}
			for x := 0.01; x < 10*(last+10); x *= 1.03 {
				e := tail.Evidence(x)
				if e < before || math.IsNaN(e) || math.IsInf(e, 0) {
					t.Fatalf("evidence of %g is %g, after %g", x, e, before)
				}
				if tail.Ville && e > x {
					t.Errorf("an e-process of %g nats is believed for %g", x, e)
				}
				if x > last && e-top > x-last+1e-9 {
					t.Errorf("beyond the last knot %g: evidence grew by %g, more than e^-x allows", x, e-top)
				}
				before = e
			}
		})
	}
}

func TestTailIsTheSurvivalCurve(t *testing.T) {
	tail := tails()["exponential"]
	for i, x := range tail.X {
		// The knot's probability is that of about e^-Y · n client-days.
		sd := 1 / math.Sqrt(math.Exp(-tail.Y[i])*50_000)
		if math.Abs(tail.Y[i]-x) > 4*sd {
			t.Errorf("-ln P(X >= %.3f) is %.3f on the curve", x, tail.Y[i])
		}
	}
	if len(tail.X) < 11 {
		t.Errorf("only %d knots of 50,000 client-days", len(tail.X))
	}
	// Beyond the curve a heavy tail keeps its index: P(X > x) = x^-2.5.
	heavy := tails()["heavy"]
	last := heavy.X[len(heavy.X)-1]
	got := heavy.Evidence(100*last) - heavy.Evidence(last)
	if want := 2.5 * math.Log(100); math.Abs(got/want-1) > 0.35 {
		t.Errorf("a hundred times beyond the curve adds %.2f nats, the law %.2f", got, want)
	}
}

func TestCombineIsTheWeightedMinimum(t *testing.T) {
	sum := 0.0
	for i, w := range channelWeights {
		sum += w
		if math.Abs(logWeights[i]-math.Log(w)) > 1e-15 {
			t.Errorf("channel %d: ln weight %v of %v", i, logWeights[i], w)
		}
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("weights sum to %v", sum)
	}
	c := &Calibration{}
	for i := range c.Tails {
		c.Tails[i] = Tail{X: []float64{1, 2}, Y: []float64{1, 2}, Ville: eProcesses[i]}
	}
	var peaks, parts Scores
	if got := c.combine(&peaks, &parts); got != 0 || parts != (Scores{}) {
		t.Errorf("nothing combines to %v %v", got, parts)
	}
	peaks[ChannelOutcome], peaks[ChannelTiming] = 12, 2
	if got, want := c.combine(&peaks, &parts), 12+math.Log(0.25); math.Abs(got-want) > 1e-12 || parts[ChannelTiming] != 2 {
		t.Errorf("combined %v of %v, want %v", got, parts, want)
	}
	peaks[ChannelOutcome] = 0.5
	if got := c.combine(&peaks, &parts); got != 0 {
		t.Errorf("evidence below its own weight combines to %v", got)
	}
}

// With weights that sum to 1, the combined evidence of independent channels
// keeps e^-t: Bonferroni, weighted.
func TestCombinedEvidenceKeepsItsLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	days := func(n int) []Scores {
		out := make([]Scores, n)
		for i := range out {
			for k := range out[i] {
				out[i][k] = rng.ExpFloat64()
				if !eProcesses[k] {
					out[i][k] *= float64(k + 1) // of no promise
				}
			}
		}
		return out
	}
	c := NewCalibration(days(20_000), days(20_000))
	if c.N != 20_000 || len(c.Top) != 1000 || !slices.IsSortedFunc(c.Top, func(a, b float64) int { return -cmpFloat(a, b) }) {
		t.Fatalf("layer of %d with %d kept", c.N, len(c.Top))
	}
	var parts Scores
	fresh := days(20_000)
	for _, alpha := range []float64{1e-2, 1e-3} {
		at, kind := c.Threshold(alpha)
		hits := 0
		for i := range fresh {
			if c.combine(&fresh[i], &parts) > at {
				hits++
			}
		}
		if rate := float64(hits) / float64(len(fresh)); kind != Conformal || rate > alpha+3*math.Sqrt(alpha/float64(len(fresh))) || rate < alpha/4 {
			t.Errorf("alpha %g: %.5f of fresh client-days lie above %.2f", alpha, rate, at)
		}
	}
	for k := range c.Tails {
		if c.Tails[k].Ville != eProcesses[k] {
			t.Errorf("channel %d: Ville %v", k, c.Tails[k].Ville)
		}
	}
}
