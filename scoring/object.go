package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// object judges which objects a client names: how many different ones, whether
// their ids follow each other, and whether the client may see them.
type object struct{}

func (object) Name() string { return "object" }

func (object) Channels() []int { return []int{ChannelObjects, ChannelSequence, ChannelObjectDenied} }

// objectDeniedBound is the share of denied or missing object accesses that no
// benign client exceeds; the outcome family learns the same of all calls.
func objectDeniedBound(b *Behaviour) float64 { return max(b.Denied, b.Missing) }

func (object) distinct(f *schemas.ClientFeatures, c *Context, ev *Evidence) float64 {
	if f.WindowObjects == 0 {
		return 0
	}
	mean, size := predictCounts(c.Behaviour.Objects, &ev.Objects, 1)
	if x := float64(f.WindowObjects); x > mean {
		return logNegativeBinomialTail(x, mean, size)
	}
	return 0
}

// sequence is the evidence that ids follow each other. A first id follows none.
func (object) sequence(c *Context, ev *Evidence) float64 {
	return logBernoulliEvidence(ev.Steps, ev.Sequential, c.Behaviour.Sequential)
}

func (object) denied(c *Context, ev *Evidence) float64 {
	return logBernoulliEvidence(ev.ObjectTrials, ev.ObjectDenied, objectDeniedBound(c.Behaviour))
}

func (o object) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	if f.ObjectAccesses > 0 {
		// Only ids that are new to the client are steps of a walk.
		ev.Steps += float64(min(f.ObjectNew, f.ObjectAccesses))
		ev.Sequential += float64(min(f.ObjectSequential, f.ObjectNew))
		ev.ObjectTrials += float64(f.ObjectAccesses)
		ev.ObjectDenied += float64(f.ObjectDenied)
		accumulate(&ev.CUSUM[1], o.distinct(f, c, ev))
	}
	scores[ChannelObjects] = ev.CUSUM[1]
	scores[ChannelSequence] = max(0, o.sequence(c, ev))
	scores[ChannelObjectDenied] = max(0, o.denied(c, ev))
}

func (object) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if f.WindowObjects > 0 {
		ev.Objects.add(float64(f.WindowObjects), trust)
	}
}

func (o object) Explain(f *schemas.ClientFeatures, c *Context, ev *Evidence, out []schemas.FeatureExplanation) []schemas.FeatureExplanation {
	mean, size := predictCounts(c.Behaviour.Objects, &ev.Objects, 1)
	all := []ranked{
		{o.sequence(c, ev), explainShare("sequential_objects", ev.Sequential, ev.Steps, c.Behaviour.Sequential, c)},
		{o.denied(c, ev), explainShare("denied_objects", ev.ObjectDenied, ev.ObjectTrials, objectDeniedBound(c.Behaviour), c)},
		{ev.CUSUM[1], explainCounts("distinct_objects", float64(f.WindowObjects), mean, size, ev.Objects.N, c)},
	}
	return appendRanked(out, all)
}
