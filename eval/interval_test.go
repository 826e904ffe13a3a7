package eval

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/scoring/guarantee"
)

func TestStatedIntervalOfOneDrawIsBetaBinomial(t *testing.T) {
	for _, d := range []Draw{{N: 30_000, J: 25, Days: 20_000}, {N: 3000, J: 1, Days: 100}, {N: 146_000, J: 130, Days: 50_000}} {
		low, high := StatedInterval([]Draw{d}, 0.95)
		wantLow, wantHigh := guarantee.CountInterval(d.N, d.J, d.Days, 0.95)
		if low != wantLow || high != wantHigh {
			t.Errorf("%+v: %d to %d, want %d to %d", d, low, high, wantLow, wantHigh)
		}
	}
}

func TestLawOfADrawSumsToOneAndHasItsMean(t *testing.T) {
	d := Draw{N: 999, J: 10, Days: 500}
	sum, mean := 0.0, 0.0
	for k, p := range betaBinomial(d) {
		sum += p
		mean += float64(k) * p
	}
	// The mean of a beta-binomial is m a / (a + b) = m j / (n + 1).
	if math.Abs(sum-1) > 1e-8 || math.Abs(mean-5) > 1e-5 {
		t.Errorf("sum %v, mean %v", sum, mean)
	}
}

func TestDrawsAddUp(t *testing.T) {
	// Two draws of J = N = 1 and one day each: each exceeds with probability 1/2.
	law := convolve(betaBinomial(Draw{1, 1, 1, false}), betaBinomial(Draw{1, 1, 1, false}))
	for k, want := range []float64{.25, .5, .25} {
		if math.Abs(law[k]-want) > 1e-12 {
			t.Errorf("P(%d) = %v, want %v", k, law[k], want)
		}
	}
	if low, high := StatedInterval(nil, 0.95); low != 0 || high != 0 {
		t.Errorf("nothing drawn: %d to %d", low, high)
	}
	if low, _ := StatedInterval([]Draw{{N: 1000, J: 500, Days: 1000, AtMost: true}}, 0.95); low != 0 {
		t.Errorf("at most: from %d", low)
	}
}
