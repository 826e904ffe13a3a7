package scoring

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/weir-dev/weir/scoring/guarantee"
)

func cmpFloat(a, b float64) int { return cmp.Compare(a, b) }

// Calibration is the conformal layer of one stratum: how high the evidence of
// benign clients climbed within a client-day. Two disjoint halves of the
// clients made it, so that the guarantee does not lean on the family tails.
type Calibration struct {
	// Tails map each channel's daily maximum to nats of tail evidence.
	Tails [NumChannels]Tail `json:"tails"`
	// N client-days made the layer; Top holds the highest of their combined
	// evidence, highest first.
	N   int       `json:"n"`
	Top []float64 `json:"top"`
	// Tail is the generalised Pareto tail of the combined evidence, nil where it
	// could not be fitted. What rests on it is extrapolated.
	Tail *guarantee.GPD `json:"tail,omitempty"`
	// Demoted takes the stratum out of action: it is drifting away from what it
	// was calibrated on, and only observed until it is calibrated anew.
	Demoted bool `json:"demoted,omitempty"`
}

// Tail is a survival curve: evidence X[i] or more was reached with probability
// exp(-Y[i]) by benign client-days. Between knots it is linear in (x, -ln p).
//
// Beyond the last knot it is a generalised Pareto tail with the given scale and
// shape, and never lighter than e^-x. An e-process is nowhere believed beyond
// e^-x, which is what Ville's inequality promises of it: benign clients of an API
// that nobody has seen yet may be refused more often than those that made the
// curve.
type Tail struct {
	X []float64 `json:"x"`
	Y []float64 `json:"y"`
	// Scale and Shape are of the excess over the last knot.
	Scale float64 `json:"scale"`
	Shape float64 `json:"shape"`
	// Ville marks the tail of an e-process that the client-days bear out.
	Ville bool `json:"ville,omitempty"`
}

// tailProbabilities are where the knots of a Tail stand.
var tailProbabilities = []float64{
	0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001, 0.00005,
}

// eProcesses are the channels whose statistic is the log of an e-process.
var eProcesses = [NumChannels]bool{
	ChannelPayload: true, ChannelExcess: true, ChannelOutcome: true, ChannelWalk: true, ChannelObjectDenied: true, ChannelStructure: true,
}

// NewCalibration makes the layer from client-days of benign traffic, each the
// maxima of its channels. The tails are fitted to fitting, the conformal layer
// to held: the two must not share a client.
func NewCalibration(fitting, held []Scores) *Calibration {
	c := &Calibration{N: len(held)}
	for k := range c.Tails {
		maxima := make([]float64, len(fitting))
		for i := range fitting {
			maxima[i] = fitting[i][k]
		}
		c.Tails[k] = newTail(maxima, eProcesses[k])
	}
	var parts Scores
	for i := range held {
		c.Top = append(c.Top, c.combine(&held[i], &parts))
	}
	if tail, err := guarantee.FitGPD(c.Top, guarantee.DefaultTail); err == nil {
		c.Tail = unbounded(tail, c.Top)
	}
	slices.SortFunc(c.Top, func(a, b float64) int { return -cmpFloat(a, b) })
	c.Top = c.Top[:min(len(c.Top), max(maxTop, len(c.Top)/20))]
	return c
}

// unbounded makes a tail that ends, which a sample of light tails suggests and
// nothing promises, the exponential one of the same mean excess.
func unbounded(g guarantee.GPD, evidence []float64) *guarantee.GPD {
	if g.Shape >= 0 {
		return &g
	}
	sum, n := 0.0, 0.0
	for _, x := range evidence {
		if x > g.Threshold {
			sum, n = sum+x-g.Threshold, n+1
		}
	}
	g.Shape, g.Scale = 0, sum/max(n, 1)
	return &g
}

// maxTop is how many of the highest values a layer keeps at least; thresholds
// and p-values below about one in twenty need no more.
const maxTop = 500

// newTail fits a curve to daily maxima, in any order.
func newTail(maxima []float64, eProcess bool) Tail {
	t := Tail{Ville: eProcess, Scale: 1}
	n := len(maxima)
	if n == 0 {
		return t
	}
	m := slices.Clone(maxima)
	slices.SortFunc(m, func(a, b float64) int { return -cmpFloat(a, b) })
	for _, p := range tailProbabilities {
		i := int(p*float64(n)) - 1
		if i < 9 {
			break // fewer than ten client-days say nothing of a quantile
		}
		x, y := m[i], -math.Log(float64(i+1)/float64(n))
		if k := len(t.X); k > 0 && x <= t.X[k-1] {
			t.Y[k-1] = y // ties: the rarer probability holds
			continue
		}
		t.X, t.Y = append(t.X, x), append(t.Y, y)
	}
	t.extend(m)
	return t
}

const (
	// tailValues is how many of the highest values the tail is fitted to at least.
	tailValues = 50
	// mostExcess is how far beyond the tenth the highest value of an e-process may
	// lie: excesses would be exponential with mean 1, so that ten of them reach it
	// with probability 10 e^-12.
	mostExcess = 12
)

// extend fits the tail beyond the last knot to the highest of sorted maxima, and
// takes an e-process that benign clients climb further than chance allows for
// what it is: a statistic without a promise.
func (t *Tail) extend(m []float64) {
	n := len(m)
	if n == 0 || len(t.X) == 0 {
		return
	}
	if m[0]-m[min(9, n-1)] > mostExcess {
		t.Ville = false
	}
	last := max(t.X[len(t.X)-1], 0)
	k := min(max(tailValues, n/500), n-1)
	threshold := max(m[k], 0)
	var excesses []float64
	for _, x := range m[:k] {
		if x > threshold {
			excesses = append(excesses, x-threshold)
		}
	}
	if len(excesses) < 10 {
		// Hardly any client-day shows anything: what is usual is not known better
		// than to a few nats.
		sum := 3.0 * 10
		for _, x := range excesses {
			sum += x
		}
		t.Scale, t.Shape = sum/float64(10+len(excesses)), 0.1
		return
	}
	g, err := guarantee.FitGPDMoments(excesses, 1)
	if err != nil {
		return
	}
	t.Shape = min(max(g.Shape, 0), 0.5)
	// A Pareto tail seen from further out is one of a larger scale.
	t.Scale = max(g.Scale+t.Shape*(last-threshold), 0.1)
}

// rises tells whether the tail is a curve: as many Y as X, X rising, Y not falling.
func (t *Tail) rises() bool {
	for i := 1; i < len(t.X) && len(t.Y) == len(t.X); i++ {
		if t.X[i] <= t.X[i-1] || t.Y[i] < t.Y[i-1] {
			return false
		}
	}
	return len(t.Y) == len(t.X) && t.Scale > 0 && t.Shape >= 0
}

// Evidence is -ln of the probability that a benign client-day reaches x.
func (t *Tail) Evidence(x float64) float64 {
	if t.Ville && len(t.X) == 0 {
		return max(x, 0)
	}
	e := t.curve(x)
	if t.Ville {
		return min(e, max(x, 0))
	}
	return e
}

func (t *Tail) curve(x float64) float64 {
	n := len(t.X)
	switch {
	case x <= 0:
		return 0
	case n == 0:
		return math.Log1p(x)
	case x <= t.X[0]:
		return t.Y[0] * x / t.X[0]
	}
	if i := sort.SearchFloat64s(t.X, x); i < n {
		return t.Y[i-1] + (t.Y[i]-t.Y[i-1])*(x-t.X[i-1])/(t.X[i]-t.X[i-1])
	}
	beyond := x - t.X[n-1]
	if t.Ville {
		return t.Y[n-1] + beyond
	}
	return t.Y[n-1] + min(beyond, paretoEvidence(beyond, t.Scale, t.Shape))
}

// paretoEvidence is -ln P(X > x) of a generalised Pareto excess.
func paretoEvidence(x, scale, shape float64) float64 {
	if shape < 1e-6 {
		return x / scale
	}
	return math.Log1p(shape*x/scale) / shape
}

// pValue is the split-conformal p-value of combined evidence: (1 + the number
// of calibration client-days at or above it) / (n + 1).
func (c *Calibration) pValue(evidence float64) float64 {
	// Top is sorted highest first.
	i := sort.Search(len(c.Top), func(i int) bool { return c.Top[i] < evidence })
	if i == len(c.Top) && len(c.Top) < c.N {
		// Below what was kept: at least this common.
		return float64(len(c.Top)+1) / float64(c.N+1)
	}
	return float64(i+1) / float64(c.N+1)
}

// calibrationDelta is the chance, over the draw of the calibration clients, that
// a threshold's true false-block rate exceeds its alpha.
const calibrationDelta = 0.05

// Kinds of calibration, as verdicts state them.
const (
	Conformal    = "conformal"
	Extrapolated = "extrapolated"
)

// Threshold is the evidence above which a benign client-day is found with
// probability at most alpha: the j-th highest of n, for the largest j with
// P(Beta(j, n+1-j) > alpha) <= 0.05, the law of the realised rate given the
// calibration (Vovk 2012). Where n is too small for any j, it is the quantile of
// the generalised Pareto tail, and not below the highest of the n; that is what
// the kind says. Without a tail it is +Inf: the action is not taken.
func (c *Calibration) Threshold(alpha float64) (threshold float64, kind string) {
	if j := conformalRank(c.N, alpha); j > 0 {
		return c.Top[min(j, len(c.Top))-1], Conformal
	}
	if c.Tail == nil {
		return math.Inf(1), Extrapolated
	}
	return max(c.Top[0], c.Tail.Quantile(alpha)), Extrapolated
}

// conformalRank is the j of Threshold; 0 where the threshold is extrapolated.
func conformalRank(n int, alpha float64) int { return guarantee.Rank(n, alpha, calibrationDelta) }

// PValue is the p-value of combined evidence, and what kind of one: conformal
// down to 1/(n+1), beyond it that of the generalised Pareto tail.
func (c *Calibration) PValue(evidence float64) (p float64, kind string) {
	p = c.pValue(evidence)
	if c.Tail == nil || evidence <= c.Top[0] {
		return p, Conformal
	}
	return min(p, math.Exp(c.Tail.LogTail(evidence))), Extrapolated
}

// channelWeights sum to 1. Refused calls weigh most: they are the clearest sign of
// the most common attacks, and each nat costs an attacker another try.
var channelWeights = func() (w Scores) {
	for i := range w {
		w[i] = 0.75 / (NumChannels - 1)
	}
	w[ChannelOutcome] = 0.25
	return w
}()

var logWeights = func() (w Scores) {
	for i, x := range channelWeights {
		w[i] = math.Log(x)
	}
	return w
}()

// combine is the weighted minimum of the channels' tail p-values, as evidence:
// max over channels of (-ln p + ln w).
func (c *Calibration) combine(peaks *Scores, out *Scores) float64 {
	best := 0.0
	for i := range peaks {
		out[i] = c.Tails[i].Evidence(peaks[i])
		best = max(best, out[i]+logWeights[i])
	}
	return best
}
