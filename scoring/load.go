package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// load judges what a client costs: the time that its calls take and what it
// uploads, and single calls that are far slower or larger than their route's.
type load struct{}

func (load) Name() string { return "load" }

func (load) Channels() []int { return []int{ChannelLoad, ChannelExcess} }

func (load) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	b := c.Behaviour
	scores[ChannelLoad] = max(-momentTail(f.Duration15m, b.Load, &ev.Own[baseLoad]), -momentTail(f.ReqBytes15m, b.Uploads, &ev.Own[baseUploads]))
	_, scores[ChannelExcess] = ev.strongestShare(c, ShareSlow, ShareLargeRequest, ShareLargeResponse)
}

func (load) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	ev.Own[baseLoad].add(log1p(f.Duration15m), trust)
	ev.Own[baseUploads].add(log1p(f.ReqBytes15m), trust)
}

func (load) Explain(channel int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	b := c.Behaviour
	if channel == ChannelExcess {
		at, _ := ev.strongestShare(c, ShareSlow, ShareLargeRequest, ShareLargeResponse)
		return ev.explainShare(at, c)
	}
	if momentTail(f.ReqBytes15m, b.Uploads, &ev.Own[baseUploads]) < momentTail(f.Duration15m, b.Load, &ev.Own[baseLoad]) {
		return explainMoments("request_bytes_15m", f.ReqBytes15m, b.Uploads, &ev.Own[baseUploads], c)
	}
	return explainMoments("response_seconds_15m", f.Duration15m, b.Load, &ev.Own[baseLoad], c)
}
