package crowd

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// cusumThreshold is the level, in nats, that the maximum of n CUSUMs of
// log-likelihood ratios crosses falsely at most once in runLength steps on
// average: a likelihood-ratio CUSUM at h has a mean run length of at least e^h
// (Lorden 1971), and n of them together at least e^h/n.
func cusumThreshold(runLength float64, n int) float64 {
	return math.Log(runLength) + math.Log(float64(n))
}

// logRatioCounts is the log-likelihood ratio of a count x between two negative
// binomials of one size: mean times rate against mean.
func logRatioCounts(x, mean, size, rate float64) float64 {
	return x*math.Log(rate) - (x+size)*math.Log((size+rate*mean)/(size+mean))
}

// logRatioFailures is the log-likelihood ratio of f failures in n tries between
// two beta-binomials of one concentration: the odds of failure times odds against
// those of p.
func logRatioFailures(f, n, p, concentration, odds float64) float64 {
	if n == 0 {
		return 0
	}
	q := odds * p / (1 - p + odds*p)
	return logBetaBinomial(f, n, q*concentration, (1-q)*concentration) -
		logBetaBinomial(f, n, p*concentration, (1-p)*concentration)
}

// logBetaBinomial is ln P(f of n) without the binomial coefficient.
func logBetaBinomial(f, n, a, b float64) float64 {
	return logBeta(f+a, n-f+b) - logBeta(a, b)
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// band99 is the central 99 % of a negative binomial.
func band99(mean, size float64) (low, high float64) {
	return quantileCounts(0.005, mean, size), quantileCounts(0.995, mean, size)
}

// quantileCounts is the least x with P(X <= x) >= p, X negative binomial:
// P(X <= x) is the regularised incomplete beta function I(size/(size+mean); size, x+1).
func quantileCounts(p, mean, size float64) float64 {
	if mean <= 0 {
		return 0
	}
	at := size / (size + mean)
	cdf := func(x float64) float64 { return mathext.RegIncBeta(size, x+1, at) }
	low, high := -1.0, 1.0
	for cdf(high) < p {
		low, high = high, 2*high
	}
	for high-low > 1 {
		if mid := math.Floor((low + high) / 2); cdf(mid) >= p {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// quantileLatency is the p-quantile of a histogram of half-octaves, µs, at the
// geometric middle of its bucket; 0 where it is empty.
func quantileLatency(hist []uint32, p float64) float64 {
	total := uint64(0)
	for _, n := range hist {
		total += uint64(n)
	}
	below := uint64(0)
	for i, n := range hist {
		if below += uint64(n); total > 0 && float64(below) >= p*float64(total) {
			return math.Exp2((float64(i) + 0.5) / 2)
		}
	}
	return 0
}
