package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// Shares are what a client does in some share of its chances, each judged by an
// e-process that counts attempts and not seconds: one an hour is found after as
// many as a hundred a second.
const (
	ShareLogin         = iota // logins with another user name than before that fail
	ShareDenied               // other calls that are denied: 401, 403
	ShareMissing              // other calls that the API cannot make sense of
	ShareWalk                 // object ids new to the client that follow the one before
	ShareObjectDenied         // object accesses that are denied or find nothing
	ShareSlow                 // calls far slower than their route
	ShareLargeRequest         // requests far larger than their route has
	ShareLargeResponse        // responses far larger than their route has
	ShareSkipped              // calls without what others call before them
	ShareStructure            // calls that break the structure of their route's parameters
	NumShares
)

// Shares is a number for each of them.
type Shares [NumShares]float64

// shareNames are the features behind the shares, in their order.
var shareNames = [NumShares]string{
	"login_failures", "denied_calls", "bad_requests", "sequential_objects", "denied_objects",
	"slow_calls", "large_requests", "large_responses", "skipped_steps", "parameter_violations",
}

// ShareBounds is within what range the bound of each share may lie that is learnt
// from benign clients; the middle stands where nothing was learnt.
var ShareBounds = [NumShares]struct{ Low, High float64 }{
	ShareLogin: {0.25, 0.45}, ShareDenied: {0.08, 0.5}, ShareMissing: {0.25, 0.5},
	ShareWalk: {0.2, 0.7}, ShareObjectDenied: {0.15, 0.5},
	ShareSlow: {0.02, 0.3}, ShareLargeRequest: {0.01, 0.2}, ShareLargeResponse: {0.01, 0.2},
	ShareSkipped: {0.03, 0.3}, ShareStructure: {0.01, 0.2},
}

// WindowShares are a window's chances of each kind, and how often it took them.
func WindowShares(f *schemas.ClientFeatures) (trials, taken Shares) {
	calls := float64(f.Requests - min(f.LoginAttempts, f.Requests))
	denied := f.Unauthorized + f.Forbidden
	bad := f.Status4xx - min(denied, f.Status4xx)
	// A refused login answers 401, 404 or another client error too, and counts
	// as a failed login alone.
	refused := min(denied, f.LoginFailures)
	denied -= refused
	bad -= min(bad, f.LoginFailures-refused)

	// Whoever mistypes or has a stale password stored tries one name again and
	// again, which says no more than the first time. The guesses are a channel of their own.
	trials[ShareLogin], taken[ShareLogin] = float64(f.LoginNewAttempts), float64(f.LoginNewFailures)
	trials[ShareDenied], taken[ShareDenied] = calls, float64(denied)
	trials[ShareMissing], taken[ShareMissing] = calls, float64(bad)
	// Only ids that are new to the client are steps of a walk.
	trials[ShareWalk] = float64(min(f.ObjectNew, f.ObjectAccesses))
	taken[ShareWalk] = float64(min(f.ObjectSequential, f.ObjectNew))
	trials[ShareObjectDenied], taken[ShareObjectDenied] = float64(f.ObjectAccesses), float64(f.ObjectDenied)
	normed := float64(f.NormedCalls)
	trials[ShareSlow], taken[ShareSlow] = normed, float64(f.SlowCalls)
	trials[ShareLargeRequest], taken[ShareLargeRequest] = normed, float64(f.LargeRequests)
	trials[ShareLargeResponse], taken[ShareLargeResponse] = normed, float64(f.LargeResponses)
	trials[ShareSkipped], taken[ShareSkipped] = float64(f.Prerequisites), float64(f.Skipped)
	trials[ShareStructure], taken[ShareStructure] = float64(f.StructuredCalls), float64(f.Violations)
	return trials, taken
}

// maxHabit is the share from which a client that always does so is no longer
// judged by how often.
const maxHabit = 0.9

// bound is the upper bound that a client's share is judged by: that of its kind,
// or what it did on the days before without being suspected. Nobody makes a habit
// of failing logins.
func (ev *Evidence) bound(i int, c *Context) float64 {
	if i == ShareLogin {
		return c.Behaviour.Bounds[i]
	}
	return max(c.Behaviour.Bounds[i], ev.Habits[i])
}

// habituate makes the day's shares habits, at midnight before they are halved:
// half of what the day showed, which counts for little where it had few chances.
func (ev *Evidence) habituate() {
	for i := range ev.Habits {
		if n := ev.Trials[i]; n > 0 {
			p := (ev.Taken[i] + habitDoubt*ev.Habits[i]) / (n + habitDoubt)
			ev.Habits[i] = (ev.Habits[i] + p) / 2
			if p > ev.Habits[i] && n > 10*habitDoubt {
				ev.Habits[i] = p // a day of hundreds of chances says it all
			}
		}
	}
}

// habitDoubt is how many chances of a day its habit so far weighs.
const habitDoubt = 30

// addShares folds a window's shares into the evidence.
func (ev *Evidence) addShares(f *schemas.ClientFeatures) {
	trials, taken := WindowShares(f)
	for i := range trials {
		ev.Trials[i] += trials[i]
		ev.Taken[i] += taken[i]
	}
	if ev.FirstRefused == 0 && taken[ShareLogin]+taken[ShareDenied]+taken[ShareMissing] > 0 {
		ev.FirstRefused = max(f.WindowStart, f.FirstSeen)
	}
}

// share is the evidence, nats, that a client exceeds what no benign one does.
func (ev *Evidence) share(i int, c *Context) float64 {
	p0 := ev.bound(i, c)
	if p0 > maxHabit {
		return 0
	}
	return max(0, logBernoulliEvidence(ev.Trials[i], ev.Taken[i], p0))
}

// strongestShare is the share with the most evidence among some.
func (ev *Evidence) strongestShare(c *Context, among ...int) (at int, nats float64) {
	at = among[0]
	for _, i := range among {
		if e := ev.share(i, c); e > nats {
			at, nats = i, e
		}
	}
	return at, nats
}

// explainShare is the explanation of a share, and what it would be evidence of
// at another number taken.
func (ev *Evidence) explainShare(i int, c *Context) Reason {
	n, p0 := ev.Trials[i], ev.bound(i, c)
	sd := 2.576 * math.Sqrt(n*p0*(1-p0))
	e := schemas.FeatureExplanation{
		Name: shareNames[i], Observed: ev.Taken[i], Expected: n * p0,
		Low: max(0, math.Floor(n*p0-sd)), High: math.Ceil(n*p0 + sd),
	}
	e.Baseline, e.N = c.baselineName(0)
	return Reason{Feature: e, Of: n, At: func(x float64) float64 { return max(0, logBernoulliEvidence(n, x, p0)) }}
}
