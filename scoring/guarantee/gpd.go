package guarantee

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	// DefaultTail is the share of the highest values that a GPD is fitted to.
	DefaultTail = 0.02
	// minShape and maxShape bound the fitted shape: a lighter tail would claim a
	// highest value that nothing exceeds, a heavier one has no variance.
	minShape, maxShape = -0.2, 0.5
	// minExcesses is how many values must lie above the threshold.
	minExcesses = 10
)

// GPD is a generalised Pareto tail beyond a threshold:
// P(X > x) = Share (1 + Shape (x-Threshold)/Scale)^(-1/Shape)
// (Balkema and de Haan 1974, Pickands 1975). What it says beyond the highest
// value it was fitted to is extrapolated, and the caller must say so.
type GPD struct {
	Threshold float64 `json:"threshold"`
	Scale     float64 `json:"scale"`
	Shape     float64 `json:"shape"`
	// Share is P(X > Threshold), N how many values the fit saw in all, Highest
	// the highest of them.
	Share   float64 `json:"share"`
	N       int     `json:"n"`
	Highest float64 `json:"highest"`
}

// FitGPD fits the highest share of values, in any order, by maximum likelihood
// (Grimshaw 1993: the likelihood profiled to one parameter), the shape within
// [-0.2, 0.5]. The error is ErrTooFew with fewer than ten values above the
// threshold, or none that differ.
func FitGPD(values []float64, share float64) (GPD, error) {
	g, excesses, err := exceedances(values, share)
	if err != nil {
		return GPD{}, err
	}
	g.Shape, g.Scale = likeliest(excesses)
	return g, nil
}

// FitGPDMoments is FitGPD by probability-weighted moments (Hosking and Wallis
// 1987), which small samples with a shape near 0 estimate more steadily.
func FitGPDMoments(values []float64, share float64) (GPD, error) {
	g, excesses, err := exceedances(values, share)
	if err != nil {
		return GPD{}, err
	}
	g.Shape, g.Scale = weightedMoments(excesses)
	return g, nil
}

// exceedances sets the threshold and returns what lies above it, rising.
func exceedances(values []float64, share float64) (GPD, []float64, error) {
	if !(share > 0) || share > 1 {
		return GPD{}, nil, fmt.Errorf("%w: a tail of %g of the values", ErrConfig, share)
	}
	n := len(values)
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	if n == 0 || math.IsNaN(sorted[0]) || math.IsInf(sorted[0], 0) || math.IsInf(sorted[n-1], 0) {
		return GPD{}, nil, fmt.Errorf("%w: %d values, all of which must be finite", ErrTooFew, n)
	}
	k := int(share * float64(n))
	// Of a share of everything, the lowest value is the threshold.
	g := GPD{N: n, Highest: sorted[n-1], Threshold: sorted[max(n-k-1, 0)]}
	// Ties with the threshold are not above it.
	from, _ := slices.BinarySearchFunc(sorted, g.Threshold, func(x, t float64) int {
		if x <= t {
			return -1
		}
		return 1
	})
	excesses := sorted[from:]
	if len(excesses) < minExcesses {
		return GPD{}, nil, fmt.Errorf("%w: %d above the threshold, want %d", ErrTooFew, len(excesses), minExcesses)
	}
	for i := range excesses {
		excesses[i] -= g.Threshold
	}
	g.Share = float64(len(excesses)) / float64(n)
	return g, excesses, nil
}

// likeliest maximises the likelihood over theta = shape/scale: given theta, the
// shape is mean ln(1 + theta y), and the log-likelihood of n excesses is
// -n (ln(shape/theta) + shape + 1). Where the shape leaves its bounds it stays
// at the bound and the scale is the likeliest for it.
func likeliest(y []float64) (shape, scale float64) {
	highest := y[len(y)-1]
	var mean float64
	for _, v := range y {
		mean += v
	}
	mean /= float64(len(y))
	profile := func(theta float64) float64 {
		if math.Abs(theta*mean) < 1e-9 {
			return -(math.Log(mean) + 1) // the exponential
		}
		g := shapeGiven(y, theta)
		return -(math.Log(g/theta) + g + 1)
	}
	// theta is above -1/highest, where the likelihood runs off to infinity for
	// shapes below -1; bounds on the shape bound theta, because the shape rises
	// with it.
	lo, hi := -(1-1e-9)/highest, 1/mean
	for shapeGiven(y, hi) < maxShape {
		hi *= 2
	}
	lo = solve(lo, hi, func(t float64) float64 { return shapeGiven(y, t) - minShape })
	hi = solve(lo, hi, func(t float64) float64 { return shapeGiven(y, t) - maxShape })
	// The profile may have more than one peak: the best of a grid, then refined.
	const grid = 64
	best := 0
	at := func(i int) float64 { return lo + (hi-lo)*float64(i)/grid }
	for i := 1; i <= grid; i++ {
		if profile(at(i)) > profile(at(best)) {
			best = i
		}
	}
	theta := maximise(at(max(best-1, 0)), at(min(best+1, grid)), profile)
	shape = shapeGiven(y, theta)
	switch {
	case math.Abs(theta*mean) < 1e-9:
		return 0, mean
	case shape <= minShape+1e-6:
		return minShape, scaleGiven(y, minShape)
	case shape >= maxShape-1e-6:
		return maxShape, scaleGiven(y, maxShape)
	}
	return shape, shape / theta
}

func shapeGiven(y []float64, theta float64) float64 {
	var sum float64
	for _, v := range y {
		sum += math.Log1p(theta * v)
	}
	return sum / float64(len(y))
}

// scaleGiven is the likeliest scale for a shape that is not 0.
func scaleGiven(y []float64, shape float64) float64 {
	highest := y[len(y)-1]
	logLikelihood := func(logScale float64) float64 {
		scale := math.Exp(logScale)
		var sum float64
		for _, v := range y {
			sum += math.Log1p(shape * v / scale)
		}
		return -float64(len(y))*logScale - (1+1/shape)*sum
	}
	lo, hi := math.Log(highest)-12, math.Log(highest)+4
	if shape < 0 {
		lo = math.Log(-shape*highest) + 1e-9 // below, the highest value is impossible
	}
	return math.Exp(maximise(lo, hi, logLikelihood))
}

// weightedMoments is Hosking and Wallis's estimate with plotting positions
// (i-0.35)/n: with a0 the mean and a1 that of x(1-F), shape = 2 - a0/(a0-2 a1)
// and scale = 2 a0 a1/(a0-2 a1).
func weightedMoments(y []float64) (shape, scale float64) {
	n := float64(len(y))
	var a0, a1 float64
	for i, v := range y {
		a0 += v / n
		a1 += v * (1 - (float64(i)+0.65)/n) / n
	}
	shape = 2 - a0/(a0-2*a1)
	if shape < minShape || shape > maxShape || math.IsNaN(shape) {
		shape = min(max(shape, minShape), maxShape)
		if shape != shape {
			shape = 0
		}
		return shape, a0 * (1 - shape) // the mean is scale/(1-shape)
	}
	return shape, 2 * a0 * a1 / (a0 - 2*a1)
}

// LogTail is ln P(X > x). Up to the threshold it is ln Share: the fit knows
// nothing below.
func (g *GPD) LogTail(x float64) float64 {
	y := (x - g.Threshold) / g.Scale
	if !(y > 0) {
		return math.Log(g.Share)
	}
	if math.Abs(g.Shape) < 1e-9 {
		return math.Log(g.Share) - y
	}
	if g.Shape*y <= -1 {
		return math.Inf(-1)
	}
	return math.Log(g.Share) - math.Log1p(g.Shape*y)/g.Shape
}

// Quantile is the value that is exceeded with probability p, at most Share.
func (g *GPD) Quantile(p float64) float64 {
	r := math.Log(g.Share / p)
	if !(r > 0) {
		return g.Threshold
	}
	if math.Abs(g.Shape) < 1e-9 {
		return g.Threshold + g.Scale*r
	}
	return g.Threshold + g.Scale*math.Expm1(g.Shape*r)/g.Shape
}

// Check tells whether a tail that was decoded is one.
func (g *GPD) Check() error {
	for _, v := range []float64{g.Threshold, g.Scale, g.Shape, g.Share, g.Highest} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a Pareto tail holds a number that is none")
		}
	}
	if g.Scale <= 0 || g.Shape < minShape || g.Shape > maxShape || g.Share <= 0 || g.Share > 1 || g.N < minExcesses {
		return errors.New("a Pareto tail is out of bounds")
	}
	return nil
}

// solve finds where a rising function crosses 0, between lo and hi.
func solve(lo, hi float64, f func(float64) float64) float64 {
	if f(lo) >= 0 {
		return lo
	}
	for range 200 {
		mid := lo + (hi-lo)/2
		if f(mid) < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// maximise is golden-section search for a maximum between lo and hi.
func maximise(lo, hi float64, f func(float64) float64) float64 {
	const section = 0.6180339887498949
	a, b := hi-section*(hi-lo), lo+section*(hi-lo)
	fa, fb := f(a), f(b)
	for range 100 {
		if fa < fb {
			lo, a, fa = a, b, fb
			b = lo + section*(hi-lo)
			fb = f(b)
		} else {
			hi, b, fb = b, a, fa
			a = hi - section*(hi-lo)
			fa = f(a)
		}
	}
	return (lo + hi) / 2
}
