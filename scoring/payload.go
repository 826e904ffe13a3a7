package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// payload judges what stands in a client's parameters: values that look like
// attacks, and parameters that break their route's structure.
type payload struct{}

func (payload) Name() string { return "payload" }

func (payload) Channels() []int { return []int{ChannelPayload, ChannelStructure} }

const (
	// payloadRate is how many calls of a benign client may hold a value that the
	// detector takes for an attack, on APIs whose ordinary values look like code;
	// payloadShare how many of an attacker's do.
	payloadRate  = 0.02
	payloadShare = 0.5
)

var (
	payloadHit  = math.Log(payloadShare / payloadRate)
	payloadMiss = math.Log((1 - payloadShare) / (1 - payloadRate))
)

func (payload) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	if f.PayloadCalls > 0 {
		run, hits := &ev.Runs[runPayload], float64(f.PayloadHits)
		// Misses first: the order of calls inside a window is not known here.
		run.add((float64(f.PayloadCalls)-hits)*payloadMiss, 0, 0)
		if hits > 0 {
			// A value of no doubt counts whole, one that might be anything less.
			weight := min(1, 0.5+f.PayloadConfidence/2)
			run.add(hits*payloadHit*weight, hits, float64(f.PayloadCalls)*payloadRate)
		}
	}
	scores[ChannelPayload] = ev.Runs[runPayload].S
	scores[ChannelStructure] = ev.share(ShareStructure, c)
}

func (payload) Learn(*schemas.ClientFeatures, *Evidence, float64) {}

func (payload) Explain(channel int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	if channel == ChannelStructure {
		return ev.explainShare(ShareStructure, c)
	}
	return ev.Runs[runPayload].explain("attack_values", c, 0)
}
