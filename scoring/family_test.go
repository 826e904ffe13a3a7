package scoring

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/weir-dev/weir/schemas"
)

func TestPredictionShrinksTowardsTheClientItself(t *testing.T) {
	p := Counts{Mean: 4, Between: 3, Size: 2}
	variance := func(mean, size float64) float64 { return mean + mean*mean/size }
	for _, tc := range []struct {
		name           string
		self           Baseline
		scale          float64
		mean, variance float64
	}{
		{"nothing known", Baseline{}, 1, 4, 4 + 8 + 3},
		{"nothing known, a busy hour", Baseline{}, 2, 8, 8 + 32 + 12},
		{"half known", Baseline{N: selfWeight, Mean: 10}, 1, 7, 7 + 24.5 + 1.5},
		{"burstier than its kind", Baseline{N: 4 * selfWeight, Mean: 4, M2: 100 * 4 * selfWeight}, 1, 4, 100},
		{"steadier than its kind", Baseline{N: 4 * selfWeight, Mean: 4, M2: 1}, 1, 4, 4 + 8 + 0.6},
	} {
		mean, size := predictCounts(p, &tc.self, tc.scale)
		if math.Abs(mean-tc.mean) > 1e-9 || math.Abs(variance(mean, size)-tc.variance) > 1e-9 {
			t.Errorf("%s: mean %v and variance %v, want %v and %v", tc.name, mean, variance(mean, size), tc.mean, tc.variance)
		}
	}
	m := Moments{Mean: 2, Between: 1, Within: 0.4}
	for _, tc := range []struct {
		name     string
		self     Baseline
		mean, sd float64
	}{
		{"nothing known", Baseline{}, 2, math.Sqrt(1.4)},
		{"half known", Baseline{N: selfWeight, Mean: 6, M2: 2.4 * selfWeight}, 4, math.Sqrt(2.4 + 0.5)},
		{"steady", Baseline{N: 3 * selfWeight, Mean: 6}, 5, math.Sqrt(0.1 + 0.25)},
	} {
		if mean, sd := predictMoments(m, &tc.self); math.Abs(mean-tc.mean) > 1e-9 || math.Abs(sd-tc.sd) > 1e-9 {
			t.Errorf("%s: %v ± %v, want %v ± %v", tc.name, mean, sd, tc.mean, tc.sd)
		}
	}
}

// Counts of clients whose means differ, judged before and after they are known:
// the tail is an honest p-value at either time.
func TestPredictiveTailIsHonest(t *testing.T) {
	p := Counts{Mean: 6, Between: 9, Size: 3}
	rng := rand.New(rand.NewPCG(81, 1))
	const clients, alpha = 20_000, 0.01
	means := distuv.Gamma{Alpha: p.Mean * p.Mean / p.Between, Beta: p.Mean / p.Between, Src: rng}
	for _, windows := range []int{0, 30} {
		hits := 0
		n := clients
		if windows > 0 {
			n /= 4
		}
		for range n {
			rate := distuv.Gamma{Alpha: p.Size, Beta: p.Size / means.Rand(), Src: rng}
			draw := func() float64 { return distuv.Poisson{Lambda: rate.Rand(), Src: rng}.Rand() }
			var self Baseline
			for range windows {
				self.add(draw(), 1)
			}
			mean, size := predictCounts(p, &self, 1)
			if logNegativeBinomialTail(draw(), mean, size) <= math.Log(alpha) {
				hits++
			}
		}
		// Moment matching is not exact; half as much again is what it may cost.
		if got := float64(hits) / float64(n); got > 1.6*alpha || got < alpha/8 {
			t.Errorf("after %d windows: P(p <= %g) = %.4f", windows, alpha, got)
		}
	}
}

func TestHoursScaleTheExpectation(t *testing.T) {
	b := testBehaviour()
	b.Hours[5] = 3
	if got := hourScale(b, baseUS+5*3600*1_000_000); got != 3 {
		t.Errorf("scale %v at five", got)
	}
	if got := hourScale(b, baseUS); got != 1 {
		t.Errorf("scale %v of an hour that was never learnt", got)
	}
	quiet, busy := Scores{}, Scores{}
	f := record(5*360, true, func(f *schemas.ClientFeatures) { f.Requests = 30 })
	rate{}.Fold(f, &Context{Behaviour: b}, new(Evidence), &busy)
	rate{}.Fold(f, &Context{Behaviour: testBehaviour()}, new(Evidence), &quiet)
	if busy[ChannelBurst] >= quiet[ChannelBurst] || busy[ChannelBurst] <= 0 {
		t.Errorf("thirty calls are %v nats in a busy hour, %v in another", busy[ChannelBurst], quiet[ChannelBurst])
	}
}

func TestOrdinaryWindowsAreNoEvidence(t *testing.T) {
	var scores Scores
	ev := new(Evidence)
	for i := range int64(100) {
		f := record(i, true, func(f *schemas.ClientFeatures) {
			f.ObjectAccesses, f.WindowObjects, f.ObjectNew, f.Intervals, f.IntervalEntropy = 2, 2, 1, 20, 3.4
		})
		c := &Context{Behaviour: testBehaviour()}
		for _, family := range families {
			family.Fold(f, c, ev, &scores)
		}
	}
	if scores != (Scores{}) {
		t.Errorf("scores %v", scores)
	}
}
