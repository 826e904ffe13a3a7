package payload

import "math"

const (
	numEvidence = 4
	// clearlyHarmless is the logit below which libinjection is not asked.
	clearlyHarmless = -2.5
	maxKnots        = 64
	// trend is the share of the plain logistic in a confidence: the isotonic curve
	// has flat stretches, and a threshold needs an order everywhere.
	trend = 0.02
)

// evidence is what the confidence depends on.
type evidence [numEvidence]float64

func evidenceOf(f *Finding, length int) evidence {
	e := evidence{f.Classifier, f.LM, 0, math.Log1p(float64(length))}
	if f.Libinjection {
		e[2] = 1
	}
	return e
}

// knot is a point of a rising curve from scores to probabilities.
type knot struct{ Score, Probability float64 }

// confidence turns evidence into a probability.
type confidence struct {
	weights evidence
	bias    float64
	knots   []knot
}

func (c *confidence) score(e evidence) float64 {
	x := c.bias
	for i, w := range c.weights {
		x += float64(w * e[i])
	}
	return x
}

func (c *confidence) of(e evidence) float64 {
	x := c.score(e)
	return float64((1-trend)*c.curve(x)) + float64(trend*logistic(x))
}

// curve interpolates between the knots.
func (c *confidence) curve(x float64) float64 {
	k := c.knots
	if len(k) == 0 {
		return logistic(x)
	}
	if x <= k[0].Score {
		return k[0].Probability
	}
	lo, hi := 0, len(k)-1
	if x >= k[hi].Score {
		return k[hi].Probability
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; k[mid].Score <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	share := (x - k[lo].Score) / (k[hi].Score - k[lo].Score)
	return k[lo].Probability + float64(share*(k[hi].Probability-k[lo].Probability))
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
