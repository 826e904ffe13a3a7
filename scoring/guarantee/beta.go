package guarantee

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// Rank is the largest j for which a threshold at the j-th highest of n exchangeable
// calibration scores is exceeded with probability at most alpha, at confidence
// 1-delta over the draw of the calibration: P(Beta(j, n+1-j) > alpha) <= delta,
// because that is the law of the realised rate given the calibration (Vovk 2012,
// "Conditional validity of inductive conformal predictors", proposition 2a). 0
// says that n is too small for any threshold.
func Rank(n int, alpha, delta float64) int {
	if n < 1 || !(alpha > 0) {
		return 0
	}
	if alpha >= 1 {
		return n
	}
	// The probability rises with j.
	return sort.Search(n, func(i int) bool { return exceeds(n, i+1, alpha) > delta })
}

// exceeds is P(Beta(j, n+1-j) > alpha) = P(Bin(n, alpha) < j).
func exceeds(n, j int, alpha float64) float64 {
	return mathext.RegIncBeta(float64(n+1-j), float64(j), 1-alpha)
}

// SmallestN is how many calibration scores a threshold at alpha needs at least,
// with confidence 1-delta: (1-alpha)^n <= delta, the case j = 1 of Rank.
func SmallestN(alpha, delta float64) int {
	if !(alpha > 0) || !(delta > 0) {
		return math.MaxInt
	}
	if alpha >= 1 || delta >= 1 {
		return 1
	}
	n := math.Ceil(math.Log(delta) / math.Log1p(-alpha))
	if n >= math.MaxInt {
		return math.MaxInt
	}
	// Rounding may be one off either way; Rank decides.
	k := max(int(n), 1)
	for k > 1 && Rank(k-1, alpha, delta) > 0 {
		k--
	}
	for Rank(k, alpha, delta) == 0 {
		k++
	}
	return k
}

// RateInterval holds the true rate of a threshold at the j-th highest of n
// calibration scores with the given confidence: the middle of Beta(j, n+1-j).
func RateInterval(n, j int, confidence float64) (low, high float64) {
	if j < 1 || j > n {
		return 0, 1
	}
	tail := (1 - confidence) / 2
	return mathext.InvRegIncBeta(float64(j), float64(n+1-j), tail), mathext.InvRegIncBeta(float64(j), float64(n+1-j), 1-tail)
}

// CountInterval holds, with at least the given confidence, how many of m further
// client-days exceed the j-th highest of n calibration scores: the middle of the
// beta-binomial law with m trials and parameters j and n+1-j. The count is
// random twice, by the calibration and by the test, and the interval knows both.
func CountInterval(n, j, m int, confidence float64) (low, high int) {
	if j < 1 || j > n || m < 1 {
		return 0, max(m, 0)
	}
	tail := (1 - confidence) / 2
	return betaBinomialQuantile(m, float64(j), float64(n+1-j), tail), betaBinomialQuantile(m, float64(j), float64(n+1-j), 1-tail)
}

// betaBinomialQuantile is the smallest k with P(X <= k) >= q.
func betaBinomialQuantile(m int, a, b, q float64) int {
	total := float64(m)
	logMass := logBeta(a, total+b) - logBeta(a, b)
	var sum float64
	for k := range m {
		sum += math.Exp(logMass)
		// The sum may miss its last few digits; a quantile of 1 is never met.
		if sum >= q*(1-1e-12) {
			return k
		}
		x := float64(k)
		logMass += math.Log((total - x) / (x + 1) * (x + a) / (total - x - 1 + b))
	}
	return m
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}
