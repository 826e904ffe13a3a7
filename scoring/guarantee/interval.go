package guarantee

import "gonum.org/v1/gonum/mathext"

// ClopperPearson holds the probability of which k of n trials came true, with at
// least the given confidence (Clopper and Pearson 1934): quantiles of
// Beta(k, n-k+1) and Beta(k+1, n-k). Without trials it is everything.
func ClopperPearson(k, n int, confidence float64) (low, high float64) {
	if n < 1 || k < 0 || k > n {
		return 0, 1
	}
	tail := (1 - confidence) / 2
	high = 1
	if k > 0 {
		low = mathext.InvRegIncBeta(float64(k), float64(n-k+1), tail)
	}
	if k < n {
		high = mathext.InvRegIncBeta(float64(k+1), float64(n-k), 1-tail)
	}
	return low, high
}
