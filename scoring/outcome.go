package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// outcome judges how often a client is refused: failed logins, denied calls and
// bad requests.
type outcome struct{}

func (outcome) Name() string { return "outcome" }

func (outcome) Channels() []int { return []int{ChannelOutcome, ChannelGuesses} }

func (outcome) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	ev.Guesses += float64(f.LoginFailures - min(f.LoginNewFailures, f.LoginFailures))
	_, scores[ChannelOutcome] = ev.strongestShare(c, ShareLogin, ShareDenied, ShareMissing)
	scores[ChannelGuesses] = ev.Guesses
}

func (outcome) Learn(*schemas.ClientFeatures, *Evidence, float64) {}

// usualGuesses is how often people who forgot a password try before they stop.
const usualGuesses = 3

func (outcome) Explain(channel int, _ *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	if channel == ChannelGuesses {
		e := schemas.FeatureExplanation{
			Name: "repeated_login_failures", Observed: ev.Guesses, Expected: usualGuesses, High: 4 * usualGuesses,
		}
		e.Baseline, e.N = c.baselineName(0)
		return Reason{Feature: e, At: func(x float64) float64 { return math.Max(x, 0) }}
	}
	at, _ := ev.strongestShare(c, ShareLogin, ShareDenied, ShareMissing)
	return ev.explainShare(at, c)
}
