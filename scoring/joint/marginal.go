package joint

import (
	"errors"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

const (
	// zStep is how far the knots of a marginal are apart in normal scores: 64
	// bins over the scores that a few thousand rows can tell apart.
	zStep = 0.1
	// maxKnots bounds a marginal: the steps between the highest and the lowest
	// score, and an atom for each 64th of the rows.
	maxKnots = 2*maxScore*10 + 64 + 2
	// tailRows is how many rows stand beyond the outermost knot at least, so
	// that the tail's scale is a mean and not one value.
	tailRows = 5
	// maxScore bounds the normal scores of rows that are scored, momentScore of
	// those that make R: a few wild rows must not decide what is correlated.
	maxScore, momentScore = 6, 4
)

// Marginal is the distribution of one feature as a rising curve from its values
// to normal scores z = Phi^-1(F(x)), linear between knots. Values that many rows
// share get the score of the middle of their jump (the mid-distribution
// function), so that a feature that is mostly 0 scores about 0 there.
//
// Beyond the outermost knots the tail is exponential in x: -ln P(X > x) grows as
// z^2/2, hence z = sqrt(z0^2 + 2 (x-x0)/scale).
type Marginal struct {
	X []float64 `json:"x"`
	Z []float64 `json:"z"`
	// Low and High are the tails below the first and above the last knot.
	Low  Tail `json:"low"`
	High Tail `json:"high"`
}

// Tail is what lies beyond a marginal's last knot.
type Tail struct {
	// Z is the magnitude of the score right beyond the knot, Scale the mean
	// excess, Limit the most extreme value seen.
	Z     float64 `json:"z"`
	Scale float64 `json:"scale"`
	Limit float64 `json:"limit"`
}

func (g *Marginal) check() error {
	n := len(g.X)
	if n == 0 || n > maxKnots || len(g.Z) != n {
		return errors.New("a marginal needs as many scores as values")
	}
	if !within(maxValue, g.X...) || !within(2*maxScore, g.Z...) {
		return errors.New("a marginal holds a number out of bounds")
	}
	for i := 1; i < n; i++ {
		if g.X[i] <= g.X[i-1] || g.Z[i] < g.Z[i-1] {
			return errors.New("a marginal does not rise")
		}
	}
	for _, t := range []Tail{g.Low, g.High} {
		if !within(maxValue, t.Scale, t.Limit) || !within(2*maxScore, t.Z) || t.Scale < 1/maxValue || t.Z < 0 {
			return errors.New("a marginal's tail is none")
		}
	}
	if g.High.Z < g.Z[n-1] || g.Low.Z < -g.Z[0] || g.Low.Limit > g.X[0] || g.High.Limit < g.X[n-1] {
		return errors.New("a marginal's tail does not continue it")
	}
	return nil
}

// score is the normal score of x.
func (g *Marginal) score(x float64) float64 {
	xs := g.X
	n := len(xs)
	if x > xs[n-1] {
		return min(math.Sqrt(g.High.Z*g.High.Z+2*(x-xs[n-1])/g.High.Scale), maxScore)
	}
	if x < xs[0] {
		return max(-math.Sqrt(g.Low.Z*g.Low.Z+2*(xs[0]-x)/g.Low.Scale), -maxScore)
	}
	// The last knot that is not above x.
	lo, width := 0, n
	for width > 1 {
		half := width >> 1
		if xs[lo+half] <= x {
			lo += half
		}
		width -= half
	}
	if xs[lo] == x || lo+1 >= n {
		return g.Z[lo]
	}
	return g.Z[lo] + (g.Z[lo+1]-g.Z[lo])*(x-xs[lo])/(xs[lo+1]-xs[lo])
}

// scoreAfter is the score right above x: what score jumps to.
func (g *Marginal) scoreAfter(x float64) float64 {
	if n := len(g.X); x >= g.X[n-1] {
		return min(math.Sqrt(g.High.Z*g.High.Z+2*(x-g.X[n-1])/g.High.Scale), maxScore)
	}
	return g.score(x)
}

// scoreBefore is the magnitude of the score right below x.
func (g *Marginal) scoreBefore(x float64) float64 {
	if x <= g.X[0] {
		return min(math.Sqrt(g.Low.Z*g.Low.Z+2*(g.X[0]-x)/g.Low.Scale), maxScore)
	}
	return -g.score(x)
}

// value is the feature's value at a normal score, within what was seen: a count
// is not expected to be negative only because a tail would go on.
func (g *Marginal) value(z float64) float64 {
	n := len(g.X)
	if z >= g.Z[n-1] {
		return min(g.X[n-1]+g.High.Scale*max(z*z-g.High.Z*g.High.Z, 0)/2, g.High.Limit)
	}
	if z <= g.Z[0] {
		return max(g.X[0]-g.Low.Scale*max(z*z-g.Low.Z*g.Low.Z, 0)/2, g.Low.Limit)
	}
	i := sort.SearchFloat64s(g.Z, z) // Z[i-1] < z <= Z[i]
	return g.X[i-1] + (g.X[i]-g.X[i-1])*(z-g.Z[i-1])/(g.Z[i]-g.Z[i-1])
}

// newMarginal fits a marginal to values in any order, which it sorts. With no
// value the feature scores 0 near 0 and says hardly anything.
func newMarginal(values []float64) Marginal {
	n := len(values)
	if n == 0 {
		return Marginal{X: []float64{0}, Z: []float64{0}, Low: Tail{Scale: 1}, High: Tail{Scale: 1}}
	}
	slices.Sort(values)
	beyond := min(tailRows, 1+n/50)
	first, last := values[beyond-1], values[n-beyond]
	if first > last {
		first, last = values[n/2], values[n/2]
	}
	var g Marginal
	for i := 0; i < n; {
		x, from := values[i], i
		for i < n && values[i] == x {
			i++
		}
		if x < first || x > last {
			continue
		}
		z := mathext.NormalQuantile((float64(from) + float64(i-from)/2) / float64(n))
		k := len(g.Z)
		isAtom := (i-from)*64 >= n
		if k == 0 || x == last || isAtom || z-g.Z[k-1] >= zStep {
			g.X, g.Z = append(g.X, x), append(g.Z, z)
		}
	}
	lo, hi := sort.SearchFloat64s(values, first), sort.Search(n, func(i int) bool { return values[i] > last })
	var below, above float64
	for _, v := range values[:lo] {
		below += first - v
	}
	for _, v := range values[hi:] {
		above += v - last
	}
	// What a value that was never seen is away by, for want of better: a tenth
	// of the spread, or of the value itself.
	typical := (last - first) / 10
	if typical == 0 {
		typical = max(math.Abs(first), 1) / 10
	}
	g.Low = newTail(below, lo, n, -g.Z[0], typical, values[0])
	g.High = newTail(above, n-hi, n, g.Z[len(g.Z)-1], typical, values[n-1])
	return g
}

func newTail(excess float64, rows, n int, z, typical, limit float64) Tail {
	t := Tail{Limit: limit, Scale: typical}
	if rows > 0 {
		t.Scale = max(excess/float64(rows), typical/100)
	}
	// Half a row more than were seen: what never happened in n rows is not
	// impossible.
	t.Z = max(z, -mathext.NormalQuantile((float64(rows)+0.5)/(float64(n)+1)), 0)
	return t
}

// blendMarginal is the mixture of two distributions with weights that sum to 1:
// the mean of the posterior of a Dirichlet process (Ferguson 1973) whose base
// measure is a, with wa = kappa/(kappa+n).
func blendMarginal(a, b *Marginal, wa, wb float64) Marginal {
	xs := slices.Concat(a.X, b.X)
	slices.Sort(xs)
	xs = slices.Compact(xs)
	var g Marginal
	pending := math.NaN() // the last value that was left out
	var pendingZ float64
	for i, x := range xs {
		z := mathext.NormalQuantile(clampP(wa*phi(a.score(x)) + wb*phi(b.score(x))))
		k := len(g.Z)
		if k > 0 {
			z = max(z, g.Z[k-1]) // rounding must not make it fall
		}
		if k > 0 && i < len(xs)-1 && z-g.Z[k-1] < zStep {
			pending, pendingZ = x, z
			continue
		}
		if k > 0 && z-g.Z[k-1] >= 2*zStep && !math.IsNaN(pending) {
			// A jump starts where the last value before it was.
			g.X, g.Z = append(g.X, pending), append(g.Z, pendingZ)
		}
		g.X, g.Z = append(g.X, x), append(g.Z, z)
		pending = math.NaN()
	}
	n := len(g.X)
	lo, hi := g.X[0], g.X[n-1]
	g.Low = blendTail(a.scoreBefore(lo), b.scoreBefore(lo), a.Low, b.Low, wa, wb, -g.Z[0])
	g.High = blendTail(a.scoreAfter(hi), b.scoreAfter(hi), a.High, b.High, wa, wb, g.Z[n-1])
	g.Low.Limit = min(a.Low.Limit, b.Low.Limit)
	g.High.Limit = max(a.High.Limit, b.High.Limit)
	return g
}

// blendTail mixes two exponential tails that are seen from scores za and zb; its
// mean excess is that of the mixture.
func blendTail(za, zb float64, a, b Tail, wa, wb, least float64) Tail {
	pa, pb := wa*phi(-za), wb*phi(-zb)
	p := clampP(pa + pb)
	return Tail{
		Z:     max(-mathext.NormalQuantile(p), least, 0),
		Scale: (pa*a.Scale + pb*b.Scale) / (pa + pb),
	}
}

// phi is the standard normal distribution function.
func phi(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

func clampP(p float64) float64 { return min(max(p, 1e-12), 1-1e-12) }
