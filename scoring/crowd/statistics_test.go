package crowd

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// reference are values of SciPy, written by testdata/statistics.py.
type reference struct {
	Counts []struct {
		X, Mean, Size, Rate, Ratio, Low, High float64
	}
	Failures []struct {
		F, N, P, S, Odds, Ratio float64
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-8*(1+math.Abs(b)) }

func TestLikelihoodRatiosAgreeWithSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/statistics.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	if len(ref.Counts) < 50 || len(ref.Failures) < 50 {
		t.Fatal("too few reference values")
	}
	for _, r := range ref.Counts {
		if got := logRatioCounts(r.X, r.Mean, r.Size, r.Rate); !near(got, r.Ratio) {
			t.Errorf("%+v: ratio %v", r, got)
		}
		if low, high := band99(r.Mean, r.Size); low != r.Low || high != r.High {
			t.Errorf("%+v: band %v to %v", r, low, high)
		}
	}
	for _, r := range ref.Failures {
		if got := logRatioFailures(r.F, r.N, r.P, r.S, r.Odds); !near(got, r.Ratio) {
			t.Errorf("%+v: ratio %v", r, got)
		}
	}
}

// negativeBinomial draws a count: a Poisson count whose mean is gamma.
func negativeBinomial(r *rand.Rand, mean float64, size int) float64 {
	g := 0.0
	for range size {
		g += r.ExpFloat64()
	}
	return float64(poisson(r, mean*g/float64(size)))
}

func TestRunLengthIsAtLeastTheOneChosen(t *testing.T) {
	const chosen, mean, size = 500, 20, 5
	h := cusumThreshold(chosen, 1)
	r := rand.New(rand.NewPCG(3, 4))
	total, alarms := 0, 0
	for s := 0.0; alarms < 60 && total < 2_000_000; total++ {
		if s = max(s+logRatioCounts(negativeBinomial(r, mean, size), mean, size, 1.5), 0); s > h {
			alarms, s = alarms+1, 0
		}
	}
	if got := float64(total) / float64(max(alarms, 1)); got < chosen {
		t.Errorf("mean run length %.0f, want at least %d", got, chosen)
	}
	// And the rise that it looks for is found soon: Wald's approximation of the
	// delay is h over the mean ratio under the rise.
	sum, delays := 0.0, 0
	for range 200 {
		s, n := 0.0, 0
		for ; s <= h; n++ {
			z := logRatioCounts(negativeBinomial(r, 1.5*mean, size), mean, size, 1.5)
			s = max(s+z, 0)
			sum, delays = sum+z, delays+1
		}
	}
	if delay, wald := float64(delays)/200, h/(sum/float64(delays)); delay > 1.5*wald {
		t.Errorf("mean delay %.1f windows, Wald's approximation %.1f", delay, wald)
	}
}

func TestLatencyQuantileIsTheBucketsMiddle(t *testing.T) {
	hist := make([]uint32, 30)
	hist[10], hist[20], hist[29] = 90, 9, 1
	for p, bucket := range map[float64]float64{0.5: 10, 0.9: 10, 0.95: 20, 0.999: 29} {
		if got, want := quantileLatency(hist, p), math.Exp2((bucket+0.5)/2); got != want {
			t.Errorf("%v-quantile %v, want %v", p, got, want)
		}
	}
	if quantileLatency(nil, 0.5) != 0 {
		t.Error("no calls have a latency")
	}
}

func TestLevelLearnsMeanSpreadAndHour(t *testing.T) {
	var l level
	r := rand.New(rand.NewPCG(5, 6))
	for i := 0; i < 20*8640; i += 2 {
		at := int64(i) * hopUS
		mean := 100.0
		if h := at / 3_600_000_000 % 24; h >= 8 && h < 20 {
			mean = 300
		}
		l.learn(negativeBinomial(r, mean, 10), at)
	}
	for hour, want := range map[int64]float64{2: 100, 12: 300} {
		at := (20*24 + hour) * 3_600_000_000
		l.fast = l.slow // as if it had been followed up to there
		if got := l.expect(at, 1); math.Abs(got-want) > 0.25*want {
			t.Errorf("%d h: %.0f calls expected, want about %.0f", hour, got, want)
		}
	}
	if size := l.size(); size < 5 || size > 20 {
		t.Errorf("size %.1f, want about 10", size)
	}
	// A slow rise is followed only so far.
	l.fast = 100 * l.slow
	if got := l.expect(0, 1); got > 3*l.slow*l.hour(0)+1e-9 {
		t.Errorf("%.0f calls expected where %.0f are usual", got, l.slow)
	}
}
