package joint

import (
	"errors"
	"math"
	"slices"
)

// curveProbabilities are where the knots of a Curve stand.
var curveProbabilities = []float64{
	0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02,
}

const (
	// tailFrom and trimmed are the shares of the rows above which the tail is
	// fitted and from which on rows count only as "at least this": a training
	// set may hold as many rows that do not belong.
	tailFrom, trimmed = 0.05, 0.01
)

// Curve is an upper tail probability as a function of a score: X[i] or more was
// reached with probability exp(-Y[i]), linear in (x, -ln p) between knots and
// exponential with mean excess Scale beyond the last one.
type Curve struct {
	X     []float64 `json:"x"`
	Y     []float64 `json:"y"`
	Scale float64   `json:"scale"`
}

func (c *Curve) check() error {
	if len(c.X) == 0 || len(c.X) != len(c.Y) || len(c.X) > 1024 || !within(maxValue, c.X...) || !within(maxValue, c.Y...) || !within(maxValue, c.Scale) || c.Scale < 1/maxValue {
		return errors.New("a curve needs as many finite values as probabilities")
	}
	for i := range c.X {
		if c.Y[i] < 0 || i > 0 && (c.X[i] <= c.X[i-1] || c.Y[i] < c.Y[i-1]) {
			return errors.New("a curve does not rise")
		}
	}
	return nil
}

// evidence is -ln p of a score.
func (c *Curve) evidence(x float64) float64 {
	n := len(c.X)
	switch {
	case x >= c.X[n-1]:
		return c.Y[n-1] + (x-c.X[n-1])/c.Scale
	case !(x > c.X[0]):
		return c.Y[0]
	}
	lo, hi := 0, n-1 // X[lo] <= x < X[hi]
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; c.X[mid] <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	return c.Y[lo] + (c.Y[hi]-c.Y[lo])*(x-c.X[lo])/(c.X[hi]-c.X[lo])
}

// newCurve fits a curve to scores in any order, which it sorts. The tail beyond
// the last knot is the maximum-likelihood exponential of the excesses over the
// 5 % point, with the highest 1 % censored (Epstein and Sobel 1953): rows that
// do not belong to the others neither bend it nor cost more than their share.
func newCurve(scores []float64) Curve {
	n := len(scores)
	slices.Sort(scores)
	c := Curve{X: []float64{scores[0]}, Y: []float64{0}}
	for _, p := range curveProbabilities {
		i := n - int(math.Round(p*float64(n))) // the score that a share p reaches
		if i <= 0 || i >= n {
			continue
		}
		x, y := scores[i], -math.Log(float64(n-i)/float64(n))
		k := len(c.X)
		if x <= c.X[k-1] {
			if k > 1 {
				c.Y[k-1] = y
			}
			continue
		}
		c.X, c.Y = append(c.X, x), append(c.Y, y)
	}
	from := n - max(int(tailFrom*float64(n)), min(2, n))
	censored := n - int(trimmed*float64(n))
	var excess float64
	for _, x := range scores[from:censored] {
		excess += x - scores[from]
	}
	excess += float64(n-censored) * (scores[censored-1] - scores[from])
	c.Scale = excess / float64(max(censored-from, 1))
	// Scores that hardly differ must not make a cliff.
	c.Scale = max(c.Scale, (scores[n-1]-scores[0])/1000, 1e-6)
	return c
}

// blendCurve is the mixture of two curves.
func blendCurve(a, b *Curve, wa, wb float64) Curve {
	xs := slices.Concat(a.X, b.X)
	slices.Sort(xs)
	xs = slices.Compact(xs)
	var c Curve
	for _, x := range xs {
		y := -math.Log(wa*math.Exp(-a.evidence(x)) + wb*math.Exp(-b.evidence(x)))
		if k := len(c.Y); k > 0 {
			y = max(y, c.Y[k-1])
		}
		c.X, c.Y = append(c.X, x), append(c.Y, max(y, 0))
	}
	last := xs[len(xs)-1]
	pa, pb := wa*math.Exp(-a.evidence(last)), wb*math.Exp(-b.evidence(last))
	c.Scale = (pa*a.Scale + pb*b.Scale) / (pa + pb)
	return c.thin()
}

// thin keeps at most as many knots as a fitted curve has, so that blends of
// blends do not grow.
func (c Curve) thin() Curve {
	limit := len(curveProbabilities) + 1
	if len(c.X) <= 2*limit {
		return c
	}
	out := Curve{Scale: c.Scale}
	step := c.Y[len(c.Y)-1] / float64(limit)
	for i := range c.X {
		k := len(out.Y)
		if k == 0 || i == len(c.X)-1 || c.Y[i]-out.Y[k-1] >= step {
			out.X, out.Y = append(out.X, c.X[i]), append(out.Y, c.Y[i])
		}
	}
	return out
}
