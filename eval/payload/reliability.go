package payload

import "math"

// Bin is one range of confidence, and how often rows in it are attacks.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	N          int     `json:"n"`
	Confidence float64 `json:"confidence"` // mean of the rows in it; 0 without any
	Attacks    float64 `json:"attacks"`    // share of them; 0 without any
}

// Reliability sorts rows into bins of equal width over 0..1 by their score,
// which is meant as the probability of an attack where a share prior of all rows
// are attacks, and weighs the rows so that they are. It gives the expected
// calibration error: the mean over rows of the distance between the confidence
// and the share of attacks of their bin (Naeini et al., AAAI 2015). NaN where
// either side is empty.
func Reliability(attack, benign []float64, prior float64, bins int) (table []Bin, ece float64) {
	table = make([]Bin, bins)
	weights := make([]float64, bins)
	for i := range table {
		table[i].Low, table[i].High = float64(i)/float64(bins), float64(i+1)/float64(bins)
	}
	if len(attack) == 0 || len(benign) == 0 {
		return table, math.NaN()
	}
	add := func(scores []float64, share, attacks float64) {
		each := share / float64(len(scores))
		for _, s := range scores {
			i := max(0, min(bins-1, int(s*float64(bins))))
			b := &table[i]
			b.N++
			b.Confidence += each * s
			b.Attacks += each * attacks
			weights[i] += each
		}
	}
	add(attack, prior, 1)
	add(benign, 1-prior, 0)
	for i := range table {
		b := &table[i]
		if weights[i] == 0 {
			continue
		}
		ece += math.Abs(b.Confidence - b.Attacks)
		b.Confidence /= weights[i]
		b.Attacks /= weights[i]
	}
	return table, ece
}
