package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// rate judges how much a client asks: calls window by window, and calls and
// bytes over the last quarter of an hour.
type rate struct{}

func (rate) Name() string { return "rate" }

func (rate) Channels() []int { return []int{ChannelBurst, ChannelSustained, ChannelVolume} }

func hourScale(b *Behaviour, t int64) float64 {
	if s := b.Hours[t/3_600_000_000%24]; s > 0 {
		return s
	}
	return 1
}

func (rate) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	b := c.Behaviour
	mean, size := predictCounts(b.Requests, &ev.Own[baseRequests], hourScale(b, f.WindowStart))
	x, logP := float64(f.Requests), 0.0
	if x > mean {
		logP = logNegativeBinomialTail(x, mean, size)
	}
	ev.Runs[runRequests].add(logBet(logP), x, mean)
	scores[ChannelBurst], scores[ChannelSustained] = -logP, ev.Runs[runRequests].S
	// The quarter-hour sums of neighbouring windows are nearly the same number:
	// each counts as it stands and is not added up.
	scores[ChannelVolume] = max(-momentTail(f.Decayed15m, b.Volume, &ev.Own[baseVolume]), -momentTail(f.Bytes15m, b.Bytes, &ev.Own[baseBytes]))
}

func (rate) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	ev.Own[baseRequests].add(float64(f.Requests), trust)
	ev.Own[baseVolume].add(log1p(f.Decayed15m), trust)
	ev.Own[baseBytes].add(log1p(f.Bytes15m), trust)
}

func (rate) Explain(channel int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	b := c.Behaviour
	switch channel {
	case ChannelBurst:
		return explainCounts("requests", float64(f.Requests), b.Requests, &ev.Own[baseRequests], hourScale(b, f.WindowStart), c)
	case ChannelSustained:
		return ev.Runs[runRequests].explain("requests_run", c, ev.Own[baseRequests].N)
	}
	if momentTail(f.Bytes15m, b.Bytes, &ev.Own[baseBytes]) < momentTail(f.Decayed15m, b.Volume, &ev.Own[baseVolume]) {
		return explainMoments("response_bytes_15m", f.Bytes15m, b.Bytes, &ev.Own[baseBytes], c)
	}
	return explainMoments("requests_15m", f.Decayed15m, b.Volume, &ev.Own[baseVolume], c)
}
