package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// writes judges how many objects a client changes or deletes.
type writes struct{}

func (writes) Name() string { return "writes" }

func (writes) Channels() []int { return []int{ChannelWrites} }

func (writes) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	// A window of the client that changes nothing lowers the run as well.
	x := float64(f.ObjectWrites)
	if x > 0 || ev.Runs[runWrites].S > 0 {
		mean, size := predictCounts(c.Behaviour.Writes, &ev.Own[baseWrites], 1)
		logP := 0.0
		if x > mean {
			logP = logNegativeBinomialTail(x, mean, size)
		}
		ev.Runs[runWrites].add(logBet(logP), x, mean)
	}
	scores[ChannelWrites] = ev.Runs[runWrites].S
}

func (writes) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if f.ObjectWrites > 0 {
		ev.Own[baseWrites].add(float64(f.ObjectWrites), trust)
	}
}

func (writes) Explain(_ int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	return ev.Runs[runWrites].explain("object_writes", c, ev.Own[baseWrites].N)
}
