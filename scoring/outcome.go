package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// outcome judges how often a client is refused: failed logins, denied calls and
// missing resources, each as an e-process that counts attempts, not seconds, so
// that one attempt an hour is found after as many attempts as a hundred a second.
type outcome struct{}

func (outcome) Name() string { return "outcome" }

func (outcome) Channels() []int { return []int{ChannelOutcome} }

// outcomeNames are the features behind the three kinds.
var outcomeNames = [numOutcomes]string{"login_failures", "denied_calls", "missing_resources"}

// outcomeCounts are the window's trials and failures of each kind.
func outcomeCounts(f *schemas.ClientFeatures) (trials, failures [numOutcomes]float64) {
	calls := float64(f.Requests - min(f.LoginAttempts, f.Requests))
	trials = [numOutcomes]float64{float64(f.LoginAttempts), calls, calls}
	failures = [numOutcomes]float64{
		float64(f.LoginFailures),
		float64(f.Unauthorized + f.Forbidden),
		float64(f.NotFound),
	}
	if f.LoginFailures > 0 {
		// The 401s and 404s of refused logins are counted as those.
		refused := min(failures[outcomeDenied], float64(f.LoginFailures))
		failures[outcomeDenied] -= refused
		failures[outcomeMissing] -= min(failures[outcomeMissing], float64(f.LoginFailures)-refused)
	}
	return trials, failures
}

func outcomeBounds(b *Behaviour) [numOutcomes]float64 {
	return [numOutcomes]float64{b.LoginFailure, b.Denied, b.Missing}
}

func (outcome) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	trials, failures := outcomeCounts(f)
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
