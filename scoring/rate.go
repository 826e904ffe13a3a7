package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// rate judges how much a client asks: calls window by window, and calls and
// bytes over the last quarter of an hour.
type rate struct{}

func (rate) Name() string { return "rate" }

func (rate) Channels() []int { return []int{ChannelBurst, ChannelSustained, ChannelVolume} }

// tails are ln p of the three quantities under the client's own baselines. What
// is at or near its expectation counts as p = 1, which spares the common case
// the incomplete beta function.
func (rate) tails(f *schemas.ClientFeatures, c *Context, ev *Evidence) (requests, volume, bytes float64) {
	b := c.Behaviour
	mean, size := predictCounts(b.Requests, &ev.Requests, hourScale(b, f.WindowStart))
	if x := float64(f.Requests); x > mean {
		requests = logNegativeBinomialTail(x, mean, size)
	}
	return requests, momentTail(f.Decayed15m, b.Volume, &ev.Volume), momentTail(f.Bytes15m, b.Bytes, &ev.Bytes)
}

// momentTail is ln p of ln(1+x).
func momentTail(x float64, p Moments, self *Baseline) float64 {
	mean, sd := predictMoments(p, self)
	if t := (math.Log1p(x) - mean) / sd; t > 0.5 {
		return logStudentTail(t, studentDegrees)
	}
	return 0
}

func hourScale(b *Behaviour, t int64) float64 {
	if s := b.Hours[t/3_600_000_000%24]; s > 0 {
		return s
	}
	return 1
}

func (r rate) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	requests, volume, bytes := r.tails(f, c, ev)
	accumulate(&ev.CUSUM[0], requests)
	scores[ChannelBurst], scores[ChannelSustained] = -requests, ev.CUSUM[0]
	// The quarter-hour sums of neighbouring windows are nearly the same number:
	// each counts as it stands and is not added up.
	scores[ChannelVolume] = max(-volume, -bytes)
}

func (rate) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	ev.Requests.add(float64(f.Requests), trust)
	ev.Volume.add(math.Log1p(f.Decayed15m), trust)
	ev.Bytes.add(math.Log1p(f.Bytes15m), trust)
}

func (r rate) Explain(f *schemas.ClientFeatures, c *Context, ev *Evidence, out []schemas.FeatureExplanation) []schemas.FeatureExplanation {
	b := c.Behaviour
	requests, volume, bytes := r.tails(f, c, ev)
	mean, size := predictCounts(b.Requests, &ev.Requests, hourScale(b, f.WindowStart))
	all := []ranked{{-requests, explainCounts("requests", float64(f.Requests), mean, size, ev.Requests.N, c)}}
	for _, m := range []struct {
		name    string
		x, logP float64
		p       Moments
		self    *Baseline
	}{
		{"requests_15m", f.Decayed15m, volume, b.Volume, &ev.Volume},
		{"response_bytes_15m", f.Bytes15m, bytes, b.Bytes, &ev.Bytes},
	} {
		mean, sd := predictMoments(m.p, m.self)
		low, high := band99(mean, sd)
		e := schemas.FeatureExplanation{
			Name: m.name, Observed: m.x, Expected: math.Expm1(mean),
			Low: max(0, math.Expm1(low)), High: math.Expm1(high),
		}
		e.Baseline, e.N = c.baselineName(m.self.N)
		all = append(all, ranked{-m.logP, e})
	}
	return appendRanked(out, all)
}
