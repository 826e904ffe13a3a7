package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// timing judges how regular a client's state-changing calls are. Reads are left
// out: polling is what well-behaved programs do.
type timing struct{}

func (timing) Name() string { return "timing" }

func (timing) Channels() []int { return []int{ChannelTiming} }

// minIntervals is the fewest intervals that regularity is read from.
const minIntervals = 6

func (timing) Fold(f *schemas.ClientFeatures, c *Context, _ *Evidence, scores *Scores) {
	scores[ChannelTiming] = 0
	if f.Intervals >= minIntervals {
		scores[ChannelTiming] = max(0, logCodeGain(float64(f.Intervals), f.IntervalEntropy, c.Behaviour.EntropyFloor))
	}
}

func (timing) Learn(*schemas.ClientFeatures, *Evidence, float64) {}

func (timing) Explain(f *schemas.ClientFeatures, c *Context, _ *Evidence, out []schemas.FeatureExplanation) []schemas.FeatureExplanation {
	if f.Intervals < minIntervals {
		return out
	}
	b := c.Behaviour.Entropy
	mean, sd := predictMoments(b, &Baseline{})
	low, high := band99(mean, sd)
	e := schemas.FeatureExplanation{
		Name: "interval_entropy", Observed: f.IntervalEntropy, Expected: mean, Low: max(0, low), High: high,
	}
	e.Baseline, e.N = c.baselineName(0)
	return append(out, e)
}
