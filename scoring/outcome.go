package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// outcome judges how often a client is refused: failed logins, denied calls and
// bad requests, each as an e-process that counts attempts, not seconds, so
// that one attempt an hour is found after as many attempts as a hundred a second.
type outcome struct{}

func (outcome) Name() string { return "outcome" }

func (outcome) Channels() []int { return []int{ChannelOutcome} }

// outcomeNames are the features behind the three kinds.
var outcomeNames = [NumOutcomes]string{"login_failures", "denied_calls", "bad_requests"}

// OutcomeCounts are a window's trials and failures of each kind: logins and
// those that failed; other calls and those that were denied (401, 403); other
// calls and those that the API could not make sense of (404 and every other
// client error).
func OutcomeCounts(f *schemas.ClientFeatures) (trials, failures [NumOutcomes]float64) {
	calls := float64(f.Requests - min(f.LoginAttempts, f.Requests))
	trials = [NumOutcomes]float64{float64(f.LoginAttempts), calls, calls}
	denied := f.Unauthorized + f.Forbidden
	bad := f.Status4xx - min(denied, f.Status4xx)
	// A refused login answers 401, 404 or another client error too, and counts
	// as a failed login alone.
	refused := min(denied, f.LoginFailures)
	denied -= refused
	bad -= min(bad, f.LoginFailures-refused)
	failures = [NumOutcomes]float64{float64(f.LoginFailures), float64(denied), float64(bad)}
	return trials, failures
}

func outcomeBounds(b *Behaviour) [NumOutcomes]float64 {
	return [NumOutcomes]float64{b.LoginFailure, b.Denied, b.Missing}
}

func (outcome) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	trials, failures := OutcomeCounts(f)
	bounds := outcomeBounds(c.Behaviour)
	best := 0.0
	for i := range trials {
		ev.Trials[i] += trials[i]
		ev.Failures[i] += failures[i]
		best = max(best, logBernoulliEvidence(ev.Trials[i], ev.Failures[i], bounds[i]))
	}
	scores[ChannelOutcome] = best
}

func (outcome) Learn(*schemas.ClientFeatures, *Evidence, float64) {}

func (outcome) Explain(_ *schemas.ClientFeatures, c *Context, ev *Evidence, out []schemas.FeatureExplanation) []schemas.FeatureExplanation {
	bounds := outcomeBounds(c.Behaviour)
	at := strongestOutcome(c, ev)
	if at < 0 {
		return out
	}
	return append(out, explainShare(outcomeNames[at], ev.Failures[at], ev.Trials[at], bounds[at], c))
}

// strongestOutcome is the kind with the most evidence; -1 without any.
func strongestOutcome(c *Context, ev *Evidence) int {
	bounds := outcomeBounds(c.Behaviour)
	best, at := 0.0, -1
	for i := range ev.Trials {
		if e := logBernoulliEvidence(ev.Trials[i], ev.Failures[i], bounds[i]); e > best {
			best, at = e, i
		}
	}
	return at
}
