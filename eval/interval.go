package eval

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Draw is a number of client-days judged by one conformal threshold: the J-th
// highest of N held-out ones.
type Draw struct {
	N, J, Days int
	AtMost     bool // the threshold may lie above that one
}

// StatedInterval is the central interval, with the given confidence, of how many
// of the client-days of all draws exceed their thresholds when the client-days
// are exchangeable with those held out. Of one draw the law is beta-binomial:
// the realised rate is Beta(J, N+1-J) over the draw of the threshold (Vovk 2012);
// of several it is their convolution.
func StatedInterval(draws []Draw, confidence float64) (low, high int) {
	total := []float64{1}
	atMost := false
	for _, d := range draws {
		if d.J > 0 && d.Days > 0 {
			total = convolve(total, betaBinomial(d))
			atMost = atMost || d.AtMost
		}
	}
	tail := (1 - confidence) / 2
	sum := 0.0
	low, high = -1, len(total)-1
	if atMost {
		low = 0
	}
	for k, p := range total {
		sum += p
		if low < 0 && sum > tail {
			low = k
		}
		if sum >= 1-tail {
			return low, k
		}
	}
	return max(low, 0), high
}

// betaBinomial is the law of a draw's count, up to where less than 1e-9 is left.
func betaBinomial(d Draw) []float64 {
	a, b, m := float64(d.J), float64(d.N+1-d.J), float64(d.Days)
	choose, _ := math.Lgamma(m + 1)
	base := mathext.Lbeta(a, b)
	var law []float64
	sum := 0.0
	for k := 0; k <= d.Days && sum < 1-1e-9; k++ {
		x := float64(k)
		g1, _ := math.Lgamma(x + 1)
		g2, _ := math.Lgamma(m - x + 1)
		p := math.Exp(choose - g1 - g2 + mathext.Lbeta(x+a, m-x+b) - base)
		law = append(law, p)
		sum += p
	}
	return law
}

func convolve(a, b []float64) []float64 {
	out := make([]float64, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			out[i+j] += x * y
		}
	}
	return out
}
