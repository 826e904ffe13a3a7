package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// timing judges how regular a client's state-changing calls are. Reads are left
// out: polling is what well-behaved programs do. So is what the client did as
// regularly on earlier days.
type timing struct{}

func (timing) Name() string { return "timing" }

func (timing) Channels() []int { return []int{ChannelTiming} }

// minIntervals is the fewest intervals that regularity is read from.
const minIntervals = 6

func regularity(f *schemas.ClientFeatures, c *Context) float64 {
	if f.Intervals < minIntervals {
		return 0
	}
	return max(0, logCodeGain(float64(f.Intervals), f.IntervalEntropy, c.Behaviour.EntropyFloor))
}

func (timing) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	r := regularity(f, c)
	ev.RegularToday = max(ev.RegularToday, r)
	scores[ChannelTiming] = max(0, r-ev.Regular)
}

func (timing) Learn(_ *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if trust == 0 {
		ev.RegularToday = 0 // a suspect does not make its regularity a habit
	}
}

func (timing) Explain(_ int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	b := c.Behaviour.Entropy
	mean, sd := predictMoments(b, &Baseline{})
	low, high := band99(mean, sd)
	e := schemas.FeatureExplanation{
		Name: "interval_entropy", Observed: f.IntervalEntropy, Expected: mean, Low: max(0, low), High: high,
	}
	e.Baseline, e.N = c.baselineName(0)
	n, floor, habit := float64(f.Intervals), c.Behaviour.EntropyFloor, ev.Regular
	return Reason{Feature: e, At: func(x float64) float64 { return max(0, logCodeGain(n, x, floor)-habit) }}
}
