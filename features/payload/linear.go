package payload

import "math"

// windowLen is how much of the normal form the classifier sums over, at most:
// about a clause of an attack. A shorter text is summed whole.
const windowLen = 48

// windowSizes are the windows that are tried. The short one finds what is wrong
// in few bytes among many harmless ones.
var windowSizes = [...]int{20, windowLen}

// linear is a logistic regression on hashed features. A text's logit is that of
// its worst window, in training as in use: no amount of harmless text around an
// attack lowers it.
type linear struct {
	weights [1 << hashBits]int8
	scale   float64 // logit of one unit of weight
	bias    float64
}

// windowOf is the worst window of a text, in positions of its normal form.
type windowOf struct {
	start, end int
	logit      float64
}

func (l *linear) worst(t *text) windowOf {
	units := &t.units
	sum := int32(0)
	for i := range t.m {
		for _, f := range t.feats[t.first[i]:t.first[i+1]] {
			sum += int32(l.weights[f])
		}
		units[i+1] = sum
	}
	best := windowOf{0, t.m, float64(units[t.m]) * gainOf(t.m)}
	if t.m > windowSizes[0] {
		best.logit = math.Inf(-1)
	}
	for _, size := range windowSizes {
		if t.m <= windowSizes[0] {
			break
		}
		size = min(size, t.m)
		at, most := size, units[size]
		for i := size + 1; i <= t.m; i++ {
			if x := units[i] - units[i-size]; x > most {
				at, most = i, x
			}
		}
		if x := float64(float64(most) * gainOf(size)); x > best.logit {
			best = windowOf{at - size, at, x}
		}
	}
	best.logit = l.bias + float64(l.scale*best.logit)
	return best
}

// gainOf makes the evidence of short texts count for more: they have fewer
// features, and no window to choose. It is the usual division by the root of the
// number of features, 1 for a whole window.
func gainOf(m int) float64 { return gains[min(max(m, shortest), windowLen)] }

// shortest is the text length below which the gain rises no more.
const shortest = 12

var gains = func() (g [windowLen + 1]float64) {
	for m := 1; m <= windowLen; m++ {
		g[m] = math.Sqrt(float64(windowLen) / float64(m))
	}
	return g
}()
