package scoring

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/mathext"
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
}

// Tail is a survival curve: evidence X[i] or more was reached with probability
// exp(-Y[i]) by benign client-days. Between knots it is linear in (x, -ln p).
//
// Beyond the last knot it is a Pareto tail with the index of the last knots, and
// never lighter than e^-x. An e-process is nowhere believed beyond e^-x, which is
// what Ville's inequality promises of it: benign clients of an API that nobody
// has seen yet may be refused more often than those that made the curve.
type Tail struct {
	X []float64 `json:"x"`
	Y []float64 `json:"y"`
	// Ville marks the tail of an e-process.
	Ville bool `json:"ville,omitempty"`
}

// tailProbabilities are where the knots of a Tail stand.
var tailProbabilities = []float64{
	0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001, 0.00005,
}

// eProcesses are the channels whose statistic is the log of an e-process.
var eProcesses = [NumChannels]bool{ChannelOutcome: true, ChannelSequence: true, ChannelObjectDenied: true}

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
		c.Tails[k] = newTail(maxima)
		c.Tails[k].Ville = eProcesses[k]
	}
	var parts Scores
	for i := range held {
		c.Top = append(c.Top, c.combine(&held[i], &parts))
	}
	slices.SortFunc(c.Top, func(a, b float64) int { return -cmpFloat(a, b) })
	c.Top = c.Top[:min(len(c.Top), max(maxTop, len(c.Top)/20))]
	return c
}

// maxTop is how many of the highest values a layer keeps at least; thresholds
// and p-values below about one in twenty need no more.
const maxTop = 500

// newTail fits a curve to daily maxima, in any order.
func newTail(maxima []float64) Tail {
	var t Tail
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
	return t
}

// rises tells whether the tail is a curve: as many Y as X, X rising, Y not falling.
func (t *Tail) rises() bool {
	for i := 1; i < len(t.X) && len(t.Y) == len(t.X); i++ {
		if t.X[i] <= t.X[i-1] || t.Y[i] < t.Y[i-1] {
			return false
		}
	}
	return len(t.Y) == len(t.X)
}

// evidence is -ln of the probability that a benign client-day reaches x.
func (t *Tail) evidence(x float64) float64 {
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
	last, beyond := t.X[n-1], x-t.X[n-1]
	if t.Ville {
		return t.Y[n-1] + beyond
	}
	j := max(0, n-4)
	for j < n-1 && t.X[j] <= 0 {
		j++
	}
	if j == n-1 {
		return t.Y[n-1] + math.Log1p(beyond)
	}
	index := (t.Y[n-1] - t.Y[j]) / math.Log(last/t.X[j])
	return t.Y[n-1] + min(beyond, index*math.Log(x/last))
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

// Threshold is the evidence above which a benign client-day is found with
// probability at most alpha: the j-th highest of n, for the largest j with
// P(Beta(j, n+1-j) > alpha) <= 0.05, the law of the realised rate given the
// calibration (Vovk 2012). ok is false where n is too small for any j: the
// action may then not be taken under that claim.
func (c *Calibration) Threshold(alpha float64) (threshold float64, ok bool) {
	j := conformalRank(c.N, alpha)
	if j == 0 {
		return math.Inf(1), false
	}
	return c.Top[min(j, len(c.Top))-1], true
}

// conformalRank is the j of Threshold; 0 where there is none.
func conformalRank(n int, alpha float64) int {
	// P(Beta(j, n+1-j) > alpha) rises with j.
	return sort.Search(n, func(i int) bool {
		j := float64(i + 1)
		return 1-mathext.RegIncBeta(j, float64(n)+1-j, alpha) > calibrationDelta
	})
}

// channelWeights sum to 1. Refused calls weigh most: they are the clearest sign of
// the most common attacks, and each nat costs an attacker another try.
var channelWeights = [NumChannels]float64{
	ChannelBurst: 0.1, ChannelSustained: 0.1, ChannelVolume: 0.1, ChannelOutcome: 0.3,
	ChannelObjects: 0.1, ChannelSequence: 0.1, ChannelObjectDenied: 0.1, ChannelTiming: 0.1,
}

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
		out[i] = c.Tails[i].evidence(peaks[i])
		best = max(best, out[i]+logWeights[i])
	}
	return best
}
