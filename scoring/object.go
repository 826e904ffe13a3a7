package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// object judges which objects a client names: how many different ones, whether
// their ids follow each other, and whether the client may see them.
type object struct{}

func (object) Name() string { return "object" }

func (object) Channels() []int { return []int{ChannelObjects, ChannelWalk, ChannelObjectDenied} }

func (object) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	if x := float64(f.WindowObjects); x > 0 {
		mean, size := predictCounts(c.Behaviour.Objects, &ev.Own[baseObjects], 1)
		logP := 0.0
		if x > mean {
			logP = logNegativeBinomialTail(x, mean, size)
		}
		ev.Runs[runObjects].add(logBet(logP), x, mean)
	}
	scores[ChannelObjects] = ev.Runs[runObjects].S
	scores[ChannelWalk] = ev.share(ShareWalk, c)
	scores[ChannelObjectDenied] = ev.share(ShareObjectDenied, c)
}

func (object) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if f.WindowObjects > 0 {
		ev.Own[baseObjects].add(float64(f.WindowObjects), trust)
	}
}

func (object) Explain(channel int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	switch channel {
	case ChannelWalk:
		return ev.explainShare(ShareWalk, c)
	case ChannelObjectDenied:
		return ev.explainShare(ShareObjectDenied, c)
	}
	return ev.Runs[runObjects].explain("distinct_objects", c, ev.Own[baseObjects].N)
}
