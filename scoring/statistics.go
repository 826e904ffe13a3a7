package scoring

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// minLogP is the smallest ln p that a tail probability is reported with: beyond
// it a float64 tail says only "never".
const minLogP = -300

// logNegativeBinomialTail is ln P(X >= k) of a negative binomial with the given
// mean and size r (variance mean + mean²/r): the regularised incomplete beta
// function I_p(k, r) with p = mean/(mean+r) (Abramowitz and Stegun 26.5.26).
func logNegativeBinomialTail(k, mean, r float64) float64 {
	if k <= 0 {
		return 0
	}
	if mean <= 0 {
		return minLogP
	}
	p := mathext.RegIncBeta(k, r, mean/(mean+r))
	if p > 0 {
		return max(math.Log(p), minLogP)
	}
	return minLogP
}

// negativeBinomialQuantile is the smallest k with P(X <= k) >= q.
func negativeBinomialQuantile(q, mean, r float64) float64 {
	if mean <= 0 {
		return 0
	}
	lo, hi := 0.0, 1.0
	above := func(k float64) bool { return logNegativeBinomialTail(k+1, mean, r) > math.Log1p(-q) }
	for above(hi) && hi < 1e9 {
		lo, hi = hi, hi*2
	}
	for hi-lo > 0.5 {
		mid := math.Floor((lo + hi) / 2)
		if mid == lo {
			break
		}
		if above(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo == 0 && !above(0) {
		return 0
	}
	return hi
}

// logStudentTail is ln P(T >= t) of Student's t with nu degrees of freedom, by
// the incomplete beta function (Abramowitz and Stegun 26.7.1); with six, by the
// finite sum of 26.7.4, which is a tenth of the work.
func logStudentTail(t, nu float64) float64 {
	if nu == studentDegrees && t > 0 && t < 50 {
		c := studentDegrees / (t*t + studentDegrees)
		return math.Log(0.5 - 0.5*math.Sqrt(1-c)*(1+c*(0.5+0.375*c)))
	}
	if t <= 0 {
		return math.Log(1 - 0.5*mathext.RegIncBeta(nu/2, 0.5, nu/(nu+t*t)))
	}
	return max(math.Log(0.5*mathext.RegIncBeta(nu/2, 0.5, nu/(nu+t*t))), minLogP)
}

// logBernoulliEvidence is the log of the mixture e-process for "the success
// probability of these n trials is at most p0" after k successes:
//
//	M = 1/(1-p0) ∫_{p0}^{1} (θ/p0)^k ((1-θ)/(1-p0))^(n-k) dθ
//	  = B(k+1, n-k+1) (1 - I_{p0}(k+1, n-k+1)) / ((1-p0) p0^k (1-p0)^(n-k)),
//
// a non-negative supermartingale under the hypothesis, so that by Ville's
// inequality P(sup M >= 1/a) <= a at whatever pace the trials come.
func logBernoulliEvidence(n, k, p0 float64) float64 {
	if k <= n*p0 {
		// At or under the bound there is nothing to say against the hypothesis;
		// most clients leave here, before the incomplete beta function.
		return 0
	}
	k = min(k, n)
	upper := 1 - mathext.RegIncBeta(k+1, n-k+1, p0)
	return logBeta(k+1, n-k+1) + math.Log(upper) - math.Log1p(-p0) - k*math.Log(p0) - (n-k)*math.Log1p(-p0)
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// logCodeGain is how many nats an adaptive code saves on n intervals over a
// source of h0 bits an interval, when their histogram has entropy h bits over
// the half-octave bins of features: n (h0 - h) ln 2, less the price of learning
// the histogram, half of log n for each bin beyond the first that 2^h says are
// in use (Rissanen's stochastic complexity). Read as evidence, it grows linearly
// with every interval that is more regular than h0.
func logCodeGain(n, h, h0 float64) float64 {
	if n < 2 {
		return 0
	}
	bins := math.Exp2(h)
	return n*(h0-h)*math.Ln2 - (bins-1)*0.5*math.Log(n)
}

// cusumKappa is the exponent of the p-value's betting function below.
const cusumKappa = 0.5

// logBet is ln g(p) for g(p) = kappa p^(kappa-1), which integrates to 1 over
// uniform p: the increment of a CUSUM that drifts down while p is uniform.
func logBet(logP float64) float64 {
	return math.Log(cusumKappa) + (cusumKappa-1)*logP
}
