package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// order judges the way a client takes through an API: steps that others do not
// take, and steps that it leaves out. A client that always goes its own way says
// nothing by going on with it: once it is known, more than its own surprise is
// taken off.
type order struct{}

func (order) Name() string { return "order" }

func (order) Channels() []int { return []int{ChannelSteps, ChannelSkipped} }

// ownWay is the surprise, nats a step, that is the client's habit.
func ownWay(own *Baseline) float64 {
	return max(0, own.Mean) * 1.25 * own.N / (own.N + selfWeight/2)
}

func (order) Fold(f *schemas.ClientFeatures, _ *Context, ev *Evidence, scores *Scores) {
	if n := float64(f.Steps); n > 0 {
		ev.Runs[runSteps].add(f.Surprise-n*ownWay(&ev.Own[baseSteps]), n, 0)
	}
	if n := float64(f.Prerequisites); n > 0 {
		ev.Runs[runSkips].add(f.SkipSurprise-n*ownWay(&ev.Own[baseSkips]), float64(f.Skipped), n)
	}
	scores[ChannelSteps] = ev.Runs[runSteps].S
	scores[ChannelSkipped] = ev.Runs[runSkips].S
}

func (order) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if f.Steps > 0 {
		ev.Own[baseSteps].add(f.Surprise/float64(f.Steps), trust)
	}
	if f.Prerequisites > 0 {
		ev.Own[baseSkips].add(f.SkipSurprise/float64(f.Prerequisites), trust)
	}
}

func (order) Explain(channel int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	if channel == ChannelSkipped {
		return explainSkips(ev.Runs[runSkips], c)
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

// explainSkips is the Reason of a run of calls whose prerequisites were left out:
// Observed of Expected calls did so.
func explainSkips(run Run, c *Context) Reason {
	n, p0 := run.Expected, c.Behaviour.Bounds[ShareSkipped]
	usual := min(n*p0, run.Observed)
	sd := 2.576 * math.Sqrt(n*p0*(1-p0))
	e := schemas.FeatureExplanation{
		Name: shareNames[ShareSkipped], Observed: run.Observed, Expected: usual,
		Low: max(0, math.Floor(usual-sd)), High: math.Ceil(usual + sd),
	}
	e.Baseline, e.N = "api", c.Behaviour.Windows
	return Reason{Feature: e, Of: n, At: func(x float64) float64 {
		if run.Observed <= usual {
			return 0
		}
		return max(0, run.S*(x-usual)/(run.Observed-usual))
	}}
}
