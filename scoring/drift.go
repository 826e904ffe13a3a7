package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// drift judges what a client takes today, active minute by active minute, against its own days
// before: a little more than usual, all day long, is nothing to the population
// and plain against oneself.
type drift struct{}

func (drift) Name() string { return "drift" }

func (drift) Channels() []int { return []int{ChannelDrift} }

const (
	minuteUS = 60_000_000
	// driftHabit is from how many active minutes on earlier days a client has a
	// habit, driftToday from how many today is compared with it.
	driftHabit = 20
	driftToday = 6
	// driftSuspect is from how many nats a day is not added to the habit.
	driftSuspect = 10
)

// shift is how far today's mean of ln(1 + bytes) lies above the habit, and the
// standard deviation of that difference: days differ, and means of few minutes do.
func (ev *Evidence) shift(c *Context) (above, sd float64) {
	own, today := &ev.Own[baseTaken], &ev.Today
	if own.N < driftHabit || today.N < driftToday {
		return 0, 1
	}
	within := max(own.variance(), 0.02)
	return today.Mean - own.Mean, math.Sqrt(max(c.Behaviour.DayShift, 0.01) + within/today.N + within/own.N)
}

// driftEvidence is the log likelihood ratio of the best fitting shift, t^2 / 2.
func driftEvidence(above, sd float64) float64 {
	t := max(above, 0) / sd
	return t * t / 2
}

func (drift) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	if m := f.WindowStart / minuteUS; m != ev.Minute {
		ev.endMinute()
		ev.Minute = m
	}
	ev.MinuteBytes += float64(f.RespBytes)
	scores[ChannelDrift] = driftEvidence(ev.shift(c))
	ev.Drifts = max(ev.Drifts*0.9, scores[ChannelDrift])
}

func (drift) Learn(*schemas.ClientFeatures, *Evidence, float64) {}

// endMinute counts the active minute that is over.
func (ev *Evidence) endMinute() {
	if ev.MinuteBytes > 0 {
		ev.Today.add(log1p(ev.MinuteBytes), 1)
	}
	ev.MinuteBytes = 0
}

// endDay adds the day to the client's habit, unless it was not like it.
func (ev *Evidence) endDay() {
	ev.endMinute()
	if ev.Drifts < driftSuspect {
		ev.Own[baseTaken].merge(&ev.Today)
	}
	ev.Today, ev.Drifts = Baseline{}, 0
}

func (drift) Explain(_ int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	above, sd := ev.shift(c)
	own, n := ev.Own[baseTaken].Mean, ev.Today.N
	e := schemas.FeatureExplanation{
		Name: "response_bytes_today", Observed: n * math.Expm1(own+above), Expected: n * math.Expm1(own),
		Low: n * math.Expm1(own-2.576*sd), High: n * math.Expm1(own+2.576*sd), Baseline: "self", N: int(ev.Own[baseTaken].N),
	}
	return Reason{Feature: e, At: func(x float64) float64 { return driftEvidence(log1p(x/max(n, 1))-own, sd) }}
}

func log1p(x float64) float64 { return math.Log1p(x) }
