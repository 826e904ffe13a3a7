package payload

import (
	"cmp"
	"math"
	"slices"
)

// Threshold is the lowest score from which on at most a share fpr of the benign
// scores is flagged (score >= threshold). Benign rows that tie are flagged all
// or none, so the share in truth may be lower than fpr, never higher. Without
// benign rows it is +Inf: nothing may be claimed.
func Threshold(benign []float64, fpr float64) float64 {
	if len(benign) == 0 {
		return math.Inf(1)
	}
	sorted := slices.Sorted(slices.Values(benign))
	allowed := int(fpr*float64(len(sorted)) + 1e-9) // 0.001 * 1000 is one row
	if allowed >= len(sorted) {
		return math.Inf(-1)
	}
	// The highest row that must not be flagged, and all that tie with it.
	return math.Nextafter(sorted[len(sorted)-1-allowed], math.Inf(1))
}

// Flagged counts the scores at or above threshold.
func Flagged(scores []float64, threshold float64) int {
	n := 0
	for _, s := range scores {
		if s >= threshold {
			n++
		}
	}
	return n
}

// AUC is the area under the ROC curve, the chance that an attack outscores a
// benign row, ties counted half (Mann-Whitney). NaN where either side is empty.
func AUC(attack, benign []float64) float64 {
	if len(attack) == 0 || len(benign) == 0 {
		return math.NaN()
	}
	a, b := slices.Sorted(slices.Values(attack)), slices.Sorted(slices.Values(benign))
	below, upTo := 0, 0
	var wins float64
	for _, s := range a {
		for below < len(b) && b[below] < s {
			below++
		}
		for upTo < len(b) && b[upTo] <= s {
			upTo++
		}
		wins += float64(below) + float64(upTo-below)/2
	}
	return wins / (float64(len(a)) * float64(len(b)))
}

// Point is one step of a ROC curve.
type Point struct {
	Threshold float64 `json:"threshold"`
	FPR       float64 `json:"fpr"`
	TPR       float64 `json:"tpr"`
}

// ROC is the curve from (0, 0) to (1, 1): a point for every score at which
// either share changes, highest first. Empty where either side is empty.
func ROC(attack, benign []float64) []Point {
	if len(attack) == 0 || len(benign) == 0 {
		return nil
	}
	type row struct {
		score  float64
		attack bool
	}
	rows := make([]row, 0, len(attack)+len(benign))
	for _, s := range attack {
		rows = append(rows, row{s, true})
	}
	for _, s := range benign {
		rows = append(rows, row{s, false})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.score, a.score) })
	points := []Point{{Threshold: math.Nextafter(rows[0].score, math.Inf(1))}}
	tp, fp := 0, 0
	for i, r := range rows {
		if r.attack {
			tp++
		} else {
			fp++
		}
		if i+1 < len(rows) && rows[i+1].score == r.score {
			continue
		}
		points = append(points, Point{
			Threshold: r.score,
			FPR:       float64(fp) / float64(len(benign)),
			TPR:       float64(tp) / float64(len(attack)),
		})
	}
	return points
}

// Confusion counts rows by what they are and what was said of them.
type Confusion struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
	TN int `json:"tn"`
	FN int `json:"fn"`
}

// Confuse judges scores at a threshold.
func Confuse(attack, benign []float64, threshold float64) Confusion {
	tp, fp := Flagged(attack, threshold), Flagged(benign, threshold)
	return Confusion{TP: tp, FN: len(attack) - tp, FP: fp, TN: len(benign) - fp}
}

// Precision is the share of flagged rows that are attacks; NaN when none is
// flagged.
func (c Confusion) Precision() float64 { return ratio(c.TP, c.TP+c.FP) }

// Recall is the share of attacks that are flagged; NaN without attacks.
func (c Confusion) Recall() float64 { return ratio(c.TP, c.TP+c.FN) }

// FPR is the share of benign rows that are flagged; NaN without any.
func (c Confusion) FPR() float64 { return ratio(c.FP, c.FP+c.TN) }

// F1 is the harmonic mean of precision and recall, 2TP/(2TP+FP+FN); NaN when
// nothing is flagged and nothing is an attack.
func (c Confusion) F1() float64 { return ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

func ratio(n, d int) float64 {
	if d == 0 {
		return math.NaN()
	}
	return float64(n) / float64(d)
}
