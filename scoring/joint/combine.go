package joint

import "math"

// maxCovariance is that of -2 ln p with itself.
const maxCovariance = 4

// brown is Brown's method (1975) for two p-values: -2 (ln p1 + ln p2) has mean 4
// and variance 8 + 2 cov; scale and df match both by a scaled chi-squared.
func brown(covariance float64) (df, scale float64) {
	variance := 8 + 2*covariance
	return 2 * 4 * 4 / variance, variance / (2 * 4)
}

// covariance is that of -2 ln p over rows, given -ln p of both, within what
// Brown's method can use.
func covariance(a, b []float64) float64 {
	var sa, sb, sab float64
	n := float64(len(a))
	for i := range a {
		sa += a[i]
		sb += b[i]
		sab += a[i] * b[i]
	}
	return min(max(4*(sab/n-sa/n*sb/n), 0), maxCovariance)
}

// logGammaTail is ln Q(a, x), the regularised upper incomplete gamma function,
// for a between 1 and 2 and logGamma = ln Gamma(a): the chi-squared tail with 2a
// degrees of freedom at 2x. Below 2 the series for P, above the continued
// fraction for Q (Abramowitz and Stegun 6.5.29, 6.5.31 in Lentz's form).
func logGammaTail(a, x, logGamma float64) float64 {
	if !(x > 0) {
		return 0
	}
	if x < 2 {
		term := 1 / a
		sum := term
		for n := 1.0; n < 100 && term > sum*1e-12; n++ {
			term *= x / (a + n)
			sum += term
		}
		return math.Log1p(-min(sum*math.Exp(a*math.Log(x)-x-logGamma), 1-1e-15))
	}
	b := x + 1 - a
	c := math.Inf(1)
	d := 1 / b
	h := d
	for n := 1.0; n < 100; n++ {
		an := -n * (n - a)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		step := c * d
		h *= step
		if math.Abs(step-1) < 1e-9 {
			break
		}
	}
	return min(a*math.Log(x)-x-logGamma+math.Log(h), 0)
}
