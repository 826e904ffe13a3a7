package scoring

import (
	"math"
	"math/bits"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/joint"
)

// mix judges how unusual the mix of a window's features is, none of which need
// be unusual by itself, beyond what is usual for the client. Only closed windows
// are judged: an open one is a mix that is still changing.
type mix struct{}

func (mix) Name() string { return "joint" }

func (mix) Channels() []int { return []int{ChannelJoint} }

// mixFeatures names the features of the mix; mixOf gives their values.
var mixFeatures = [...]string{
	"requests", "state_changing_share", "requests_1m", "requests_15m", "requests_6h", "burst_ratio",
	"routes", "objects", "new_object_share", "sequential_share", "success_share", "client_error_share", "server_error_share",
	"login_failure_share", "response_bytes", "response_bytes_per_call", "request_bytes_per_call", "duration_ratio",
	"routes_today", "objects_today", "devices_today", "networks_today", "hours_today", "interval_entropy",
}

// JointFeatures is how many features the mix has.
const JointFeatures = len(mixFeatures)

// MixOf are the values of a window's mix; NaN is what it does not tell. Counts
// and sizes are logarithms of one more.
func MixOf(f *schemas.ClientFeatures, out *[JointFeatures]float64) {
	n := float64(max(f.Requests, 1))
	share := func(k, of uint32) float64 {
		if of == 0 {
			return math.NaN()
		}
		return float64(k) / float64(of)
	}
	*out = [JointFeatures]float64{
		log1p(float64(f.Requests)), float64(f.Mutations) / n,
		log1p(f.Decayed1m), log1p(f.Decayed15m), log1p(f.Decayed6h), log1p(f.Decayed1m) - log1p(f.Decayed15m),
		float64(f.WindowRoutes), log1p(float64(f.WindowObjects)), share(f.ObjectNew, f.ObjectAccesses), share(f.ObjectSequential, f.ObjectAccesses),
		float64(f.Status2xx) / n, float64(f.Status4xx) / n, float64(f.Status5xx) / n,
		share(f.LoginFailures, f.LoginAttempts), log1p(float64(f.RespBytes)), log1p(float64(f.RespBytes) / n), log1p(float64(f.ReqBytes) / n),
		f.DurationRatio,
		log1p(f.DayRoutes), log1p(f.DayObjects), f.DayDevices, f.DayNetworks, float64(bits.OnesCount32(f.HoursActive)), f.IntervalEntropy,
	}
	if f.NormedCalls == 0 {
		out[17] = math.NaN()
	}
	if f.Intervals < minIntervals {
		out[23] = math.NaN()
	}
}

// mixMost is the most that one window adds to the run, nats: a single window is
// no habit.
const mixMost = 12

func (mix) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	run := &ev.Runs[runMix]
	if c.Joint != nil && f.Final && f.Requests > 0 {
		MixOf(f, &c.mix.row)
		ev.Surprise = -c.Joint.LogP(&c.mix.joint, c.mix.row[:])
		own := &ev.Own[baseMix]
		usual := 1 + (own.Mean-1)*own.N/(own.N+selfWeight)
		run.add(min(logBet(-ev.Surprise), mixMost)-usual/2, ev.Surprise, usual)
	}
	scores[ChannelJoint] = run.S
}

func (mix) Learn(_ *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if ev.Surprise > 0 {
		ev.Own[baseMix].add(ev.Surprise, trust)
		ev.Surprise = 0
	}
}

func (mix) Explain(_ int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	r := ev.Runs[runMix].explain("unusual_mix", c, ev.Own[baseMix].N)
	if c.Joint == nil {
		return r
	}
	MixOf(f, &c.mix.row)
	total := 0.0
	attributions := c.Joint.Attribute(&c.mix.joint, c.mix.row[:], nil)
	for _, a := range attributions {
		total += max(a.Contribution, 0)
	}
	for _, a := range attributions {
		if a.Contribution < total/10 || len(r.Parts) == 3 {
			continue
		}
		e := schemas.FeatureExplanation{
			Name: mixFeatures[a.Index], Observed: a.Observed, Expected: a.Expected,
			Low: min(a.Low, a.Expected), High: max(a.High, a.Expected), Contribution: a.Contribution / total,
		}
		e.Baseline, e.N = c.baselineName(0)
		r.Parts = append(r.Parts, e)
	}
	return r
}

// mixScratch is the working memory of one scorer.
type mixScratch struct {
	row   [JointFeatures]float64
	joint joint.Scratch
}
