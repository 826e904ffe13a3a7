package scoring

import (
	"cmp"
	"math"
	"slices"

	"github.com/weir-dev/weir/schemas"
)

// Context is what a family may compare a window with.
type Context struct {
	Behaviour *Behaviour // of the client's type on the API
	Learnt    bool       // Behaviour was learnt on this API, not taken from the prior
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

// Family is one kind of evidence: features in, a statistic in nats out.
//
// Fold adds a window to the client's evidence and leaves the statistics of the
// family's Channels in scores; it is called on a copy for windows that are still open. Learn
// updates the client's own baselines, once per closed window; trust in [0, 1]
// says how far the window may be believed benign. Explain appends the numbers
// behind the statistic, strongest first, with Contribution in nats where there are several;
// it is called only for evidence that led to a verdict, before Learn.
type Family interface {
	Name() string
	Channels() []int
	Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores)
	Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64)
	Explain(f *schemas.ClientFeatures, c *Context, ev *Evidence, out []schemas.FeatureExplanation) []schemas.FeatureExplanation
}

// families are the evidence families.
var families = [...]Family{rate{}, outcome{}, object{}, timing{}}

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
func predictMoments(p Moments, self *Baseline) (mean, sd float64) {
	w := selfWeight / (selfWeight + self.N)
	mean = w*p.Mean + (1-w)*self.Mean
	within := p.Within
	if own := self.variance(); self.N >= selfWeight {
		within = max(own, within/4)
	}
	return mean, math.Sqrt(max(within+w*p.Between, 1e-3))
}

// studentDegrees makes the tails of predictMoments heavy: within-client traffic
// is burstier than normal.
const studentDegrees = 6

// band99 is the central 99 % of a shifted, scaled Student t with
// studentDegrees degrees of freedom: its 99.5 % quantile is 3.707.
func band99(mean, sd float64) (low, high float64) {
	return mean - 3.707*sd, mean + 3.707*sd
}

// accumulate moves a CUSUM by a window's ln p.
func accumulate(s *float64, logP float64) {
	*s = max(0, *s+logBet(logP))
}

// explainCounts is the explanation of a negative binomial count.
func explainCounts(name string, observed, mean, size, self float64, c *Context) schemas.FeatureExplanation {
	baseline, n := c.baselineName(self)
	return schemas.FeatureExplanation{
		Name: name, Observed: observed, Expected: mean,
		Low:      negativeBinomialQuantile(0.005, mean, size),
		High:     negativeBinomialQuantile(0.995, mean, size),
		Baseline: baseline, N: n,
	}
}

// explainRate is the explanation of a failure share: k of n against a bound p0.
func explainShare(name string, k, n, p0 float64, c *Context) schemas.FeatureExplanation {
	baseline, windows := c.baselineName(0)
	sd := 2.576 * math.Sqrt(n*p0*(1-p0))
	return schemas.FeatureExplanation{
		Name: name, Observed: k, Expected: n * p0,
		Low: max(0, math.Floor(n*p0-sd)), High: math.Ceil(n*p0 + sd),
		Baseline: baseline, N: windows,
	}
}

// ranked is an explanation with the evidence behind it, nats.
type ranked struct {
	evidence float64
	feature  schemas.FeatureExplanation
}

// appendRanked appends the strongest explanation, and those others that would
// count by themselves, strongest first.
func appendRanked(out []schemas.FeatureExplanation, all []ranked) []schemas.FeatureExplanation {
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.evidence, a.evidence) })
	for i, r := range all {
		if i == 0 || r.evidence > math.Log(100) {
			r.feature.Contribution = r.evidence
			out = append(out, r.feature)
		}
	}
	return out
}
