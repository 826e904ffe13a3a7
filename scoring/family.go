package scoring

import (
	"math"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/joint"
)

// Context is what a family may compare a window with.
type Context struct {
	Behaviour *Behaviour   // of the client's type on the API
	Learnt    bool         // Behaviour was learnt on this API, not taken from the prior
	Joint     *joint.Model // of the client's type; nil where it is not known
	mix       *mixScratch
}

// baselineName says whose baseline an expectation leans on: the client's own
// once it outweighs the population.
func (c *Context) baselineName(self float64) (string, int) {
	switch {
	case self >= selfWeight:
		return "self", int(self)
	case c.Learnt:
		return "api", c.Behaviour.Windows
	}
	return "prior", c.Behaviour.Windows
}

// Reason is the number behind a channel's statistic.
type Reason struct {
	Feature schemas.FeatureExplanation
	// Of is how many chances there were, for features that count some of many.
	Of float64
	// At is the channel's statistic, nats, if the feature were x.
	At func(x float64) float64
	// Parts are what the feature is made of, where it is not one number; their
	// contributions sum to at most 1.
	Parts []schemas.FeatureExplanation
}

// Family is one kind of evidence: features in, statistics in nats out.
//
// Fold adds a window to the client's evidence and leaves the statistics of the
// family's Channels in scores; it is called on a copy for windows that are still
// open. Learn updates the client's own baselines, once per closed window; trust
// in [0, 1] says how far the window may be believed benign. Explain gives the
// number behind one of its channels; it is called only for evidence that led to
// a verdict, before Learn, with the baselines as they were before the window.
type Family interface {
	Name() string
	Channels() []int
	Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores)
	Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64)
	Explain(channel int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason
}

// families are the evidence families.
var families = [...]Family{
	rate{}, load{}, outcome{}, object{}, writes{}, timing{}, drift{}, mix{}, order{}, identity{}, payload{},
}

// familyOf is the family of a channel.
func familyOf(channel int) Family {
	for _, f := range families {
		for _, c := range f.Channels() {
			if c == channel {
				return f
			}
		}
	}
	return nil
}

// selfWeight is how many windows of its own a client needs before its baseline
// weighs as much as the population's.
const selfWeight = 12

// predictCounts is the client's predictive negative binomial: the population's
// mean shrunk towards the client's own with selfWeight windows' weight, and a
// size that carries both the client's own spread and what is not yet known of
// its mean (moment matching of the Gamma-mixed negative binomial).
func predictCounts(p Counts, self *Baseline, scale float64) (mean, size float64) {
	w := selfWeight / (selfWeight + self.N)
	mean = max(w*p.Mean*scale+(1-w)*self.Mean, 1e-6)
	variance := mean + mean*mean/p.Size + w*p.Between*scale*scale
	if own := self.variance(); self.N >= selfWeight && own > mean {
		// A client that is burstier than most is judged by its own bursts.
		variance = max(variance, own)
	}
	return mean, mean * mean / (variance - mean)
}

// predictMoments is the same for a roughly normal quantity.
//
// However slowly a client's own habit grows, it is trusted only as far as the
// population's clients reach.
func predictMoments(p Moments, self *Baseline) (mean, sd float64) {
	w := selfWeight / (selfWeight + self.N)
	mean = w*p.Mean + (1-w)*min(self.Mean, p.Mean+habitReach*math.Sqrt(p.Between))
	within := p.Within
	if own := self.variance(); self.N >= selfWeight {
		within = max(own, within/4)
	}
	return mean, math.Sqrt(max(within+w*p.Between, 1e-3))
}

// habitReach is how many standard deviations of the clients' means a client's own
// mean may lie above theirs: about one client in 30,000 does.
const habitReach = 4

// studentDegrees makes the tails of predictMoments heavy: within-client traffic
// is burstier than normal.
const studentDegrees = 6

// band99 is the central 99 % of a shifted, scaled Student t with
// studentDegrees degrees of freedom: its 99.5 % quantile is 3.707.
func band99(mean, sd float64) (low, high float64) {
	return mean - 3.707*sd, mean + 3.707*sd
}

// countsTail is ln p of a count under its predictive law. What is at or near its
// expectation counts as p = 1, which spares the common case the incomplete beta
// function.
func countsTail(x float64, p Counts, self *Baseline, scale float64) float64 {
	mean, size := predictCounts(p, self, scale)
	if x <= mean {
		return 0
	}
	return logNegativeBinomialTail(x, mean, size)
}

// momentTail is ln p of ln(1+x).
func momentTail(x float64, p Moments, self *Baseline) float64 {
	mean, sd := predictMoments(p, self)
	if t := (math.Log1p(x) - mean) / sd; t > 0.5 {
		return logStudentTail(t, studentDegrees)
	}
	return 0
}

// explainCounts is the Reason of a count in one window.
func explainCounts(name string, x float64, p Counts, self *Baseline, scale float64, c *Context) Reason {
	mean, size := predictCounts(p, self, scale)
	e := schemas.FeatureExplanation{
		Name: name, Observed: x, Expected: mean,
		Low:  negativeBinomialQuantile(0.005, mean, size),
		High: negativeBinomialQuantile(0.995, mean, size),
	}
	e.Baseline, e.N = c.baselineName(self.N)
	return Reason{Feature: e, At: func(x float64) float64 { return -countsTail(x, p, self, scale) }}
}

// explainMoments is the Reason of a quantity whose logarithm is judged.
func explainMoments(name string, x float64, p Moments, self *Baseline, c *Context) Reason {
	mean, sd := predictMoments(p, self)
	low, high := band99(mean, sd)
	e := schemas.FeatureExplanation{
		Name: name, Observed: x, Expected: max(0, math.Expm1(mean)),
		Low: max(0, math.Expm1(low)), High: math.Expm1(high),
	}
	e.Baseline, e.N = c.baselineName(self.N)
	return Reason{Feature: e, At: func(x float64) float64 { return -momentTail(x, p, self) }}
}

// Run is a CUSUM and what it was made of since it last was zero: so much was
// observed where so much was expected.
type Run struct{ S, Observed, Expected, Windows float64 }

// add moves the run by a window's increment, nats.
func (r *Run) add(gain, observed, expected float64) {
	r.S += gain
	if r.S <= 0 {
		*r = Run{}
		return
	}
	r.Observed += observed
	r.Expected += expected
	r.Windows++
}

// explain is the Reason of a run. A run of another sum would have climbed in
// proportion to what exceeds the expectation.
func (r *Run) explain(name string, c *Context, self float64) Reason {
	// Sums of windows vary about as their square root does.
	sd := 2.576 * math.Sqrt(max(r.Expected, 1))
	e := schemas.FeatureExplanation{
		Name: name, Observed: r.Observed, Expected: r.Expected,
		Low: max(0, r.Expected-sd), High: r.Expected + sd,
	}
	e.Baseline, e.N = c.baselineName(self)
	run := *r
	return Reason{Feature: e, At: func(x float64) float64 {
		if run.Observed <= run.Expected {
			return 0
		}
		return max(0, run.S*(x-run.Expected)/(run.Observed-run.Expected))
	}}
}
