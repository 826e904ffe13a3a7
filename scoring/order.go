package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// order judges the way a client takes through an API: steps that others do not
// take, and steps that it leaves out.
type order struct{}

func (order) Name() string { return "order" }

func (order) Channels() []int { return []int{ChannelSteps, ChannelSkipped} }

func (order) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	if n := float64(f.Steps); n > 0 {
		// A client that always goes its own way says nothing by going on with it: once
		// it is known, more than its own surprise is taken off.
		own := &ev.Own[baseSteps]
		usual := max(0, own.Mean) * 1.25 * own.N / (own.N + selfWeight/2)
		ev.Runs[runSteps].add(f.Surprise-n*usual, n, 0)
	}
	scores[ChannelSteps] = ev.Runs[runSteps].S
	scores[ChannelSkipped] = ev.share(ShareSkipped, c)
}

func (order) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if f.Steps > 0 {
		ev.Own[baseSteps].add(f.Surprise/float64(f.Steps), trust)
	}
}

func (order) Explain(channel int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	if channel == ChannelSkipped {
		return ev.explainShare(ShareSkipped, c)
	}
	run := ev.Runs[runSteps]
	// What is observed is the mean gain of a step; a client that follows the model
	// loses a little with each.
	steps := max(run.Observed, 1)
	e := schemas.FeatureExplanation{
		Name: "step_surprise", Observed: run.S / steps, Expected: 0, Low: math.Log(0.8), High: math.Log(100) / steps,
	}
	e.Baseline, e.N = "api", c.Behaviour.Windows
	return Reason{Feature: e, At: func(x float64) float64 { return max(0, x*steps) }}
}
