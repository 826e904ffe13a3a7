package payload

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// scores draws n scores from 0, 0.1 ... 1, so that many tie.
func scores(dice *rand.Rand, n, from int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(from+dice.IntN(11-from)) / 10
	}
	return out
}

func TestThresholdNeverFlagsMoreBenignRowsThanAllowed(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		benign := scores(dice, 1+dice.IntN(60), 0)
		fpr := float64(dice.IntN(101)) / 100
		threshold := Threshold(benign, fpr)
		if n := Flagged(benign, threshold); float64(n) > fpr*float64(len(benign))+1e-9 {
			t.Fatalf("%d of %v flagged at %g, allowed is %g", n, benign, threshold, fpr)
		}
		// The next lower score would flag too many: the threshold is the lowest.
		lower := math.Inf(-1)
		for _, b := range benign {
			if b < threshold {
				lower = max(lower, b)
			}
		}
		if !math.IsInf(lower, -1) {
			if n := Flagged(benign, lower); float64(n) <= fpr*float64(len(benign)) {
				t.Fatalf("%g is no lowest threshold of %v at %g: %g flags %d", threshold, benign, fpr, lower, n)
			}
		}
	}
}

func TestThresholdTakesTiesTogether(t *testing.T) {
	f := func(benign []float64, fpr float64, flagged int) {
		t.Helper()
		if n := Flagged(benign, Threshold(benign, fpr)); n != flagged {
			t.Errorf("%v at %g flags %d, want %d", benign, fpr, n, flagged)
		}
	}
	f([]float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0.1, 1)
	f([]float64{0, 0, 0, 0, 0, 0, 0, 0, 1, 1}, 0.1, 0) // one of the two is one too many
	f([]float64{0, 0, 0, 0, 0, 0, 0, 0, 1, 1}, 0.2, 2)
	f([]float64{1, 2, 3}, 0, 0)
	f([]float64{1, 2, 3}, 1, 3)
	thousand := make([]float64, 1000)
	for i := range thousand {
		thousand[i] = float64(i)
	}
	f(thousand, 0.001, 1)
	if got := Threshold(nil, 0.5); !math.IsInf(got, 1) {
		t.Errorf("threshold %g without benign rows", got)
	}
}

func TestAUCIsTheShareOfPairsInOrder(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		attack, benign := scores(dice, 1+dice.IntN(40), 3), scores(dice, 1+dice.IntN(40), 0)
		var want float64
		for _, a := range attack {
			for _, b := range benign {
				switch {
				case a > b:
					want++
				case a == b:
					want += 0.5
				}
			}
		}
		want /= float64(len(attack) * len(benign))
		if got := AUC(attack, benign); math.Abs(got-want) > 1e-12 {
			t.Fatalf("AUC %g, want %g", got, want)
		}
		// The area under the points is the same by the trapezoid rule.
		var area float64
		points := ROC(attack, benign)
		for i := 1; i < len(points); i++ {
			area += (points[i].FPR - points[i-1].FPR) * (points[i].TPR + points[i-1].TPR) / 2
		}
		if math.Abs(area-want) > 1e-12 {
			t.Fatalf("area %g under the points, want %g", area, want)
		}
	}
	if !math.IsNaN(AUC(nil, []float64{1})) {
		t.Error("AUC of nothing")
	}
}

func TestROCAgreesWithGonum(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 6))
	attack, benign := scores(dice, 300, 2), scores(dice, 500, 0)
	all := slices.Concat(attack, benign)
	classes := make([]bool, len(all))
	for i := range attack {
		classes[i] = true
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, all[a]-all[b])) })
	y, c := make([]float64, len(all)), make([]bool, len(all))
	for i, k := range order {
		y[i], c[i] = all[k], classes[k]
	}
	tpr, fpr, _ := stat.ROC(nil, y, c, nil)
	got := ROC(attack, benign)
	if len(got) != len(tpr) {
		t.Fatalf("%d points, gonum has %d", len(got), len(tpr))
	}
	for i, p := range got {
		if math.Abs(p.TPR-tpr[i]) > 1e-12 || math.Abs(p.FPR-fpr[i]) > 1e-12 {
			t.Errorf("point %d is %+v, gonum has (%g, %g)", i, p, fpr[i], tpr[i])
		}
	}
}

func TestConfusionFigures(t *testing.T) {
	c := Confuse([]float64{0.9, 0.8, 0.4}, []float64{0.8, 0.1, 0.1, 0.1, 0.1}, 0.8)
	if c != (Confusion{TP: 2, FN: 1, FP: 1, TN: 4}) {
		t.Fatalf("%+v", c)
	}
	f := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-15 {
			t.Errorf("%s %g, want %g", name, got, want)
		}
	}
	f("precision", c.Precision(), 2.0/3)
	f("recall", c.Recall(), 2.0/3)
	f("F1", c.F1(), 2*c.Precision()*c.Recall()/(c.Precision()+c.Recall()))
	f("FPR", c.FPR(), 0.2)
	if !math.IsNaN(Confusion{}.F1()) || !math.IsNaN(Confusion{TN: 1}.Precision()) {
		t.Error("figures of nothing are numbers")
	}
}

func TestClopperPearsonClosedForms(t *testing.T) {
	f := func(k, n int, wantLow, wantHigh float64) {
		t.Helper()
		low, high := ClopperPearson(k, n, 0.05)
		if math.Abs(low-wantLow) > 1e-9 || math.Abs(high-wantHigh) > 1e-9 {
			t.Errorf("%d of %d: [%.10f, %.10f], want [%.10f, %.10f]", k, n, low, high, wantLow, wantHigh)
		}
	}
	for _, n := range []int{1, 15, 6434} {
		// None and all: the bound solves (1-p)^n = alpha/2.
		bound := 1 - math.Pow(0.025, 1/float64(n))
		f(0, n, 0, bound)
		f(n, n, 1-bound, 1)
	}
	f(0, 0, 0, 1)
	// The bounds put exactly alpha/2 of the binomial beyond k.
	for _, c := range [][2]int{{1, 10}, {7, 15}, {3, 6434}, {95, 97}} {
		k, n := c[0], c[1]
		low, high := ClopperPearson(k, n, 0.05)
		if p := 1 - (distuv.Binomial{N: float64(n), P: low}).CDF(float64(k-1)); math.Abs(p-0.025) > 1e-8 {
			t.Errorf("%d of %d: P(X >= k | low) = %g", k, n, p)
		}
		if p := (distuv.Binomial{N: float64(n), P: high}).CDF(float64(k)); math.Abs(p-0.025) > 1e-8 {
			t.Errorf("%d of %d: P(X <= k | high) = %g", k, n, p)
		}
	}
}

func TestReliabilityClosedForm(t *testing.T) {
	// One bin holds the attacks at 0.9 and a benign row at 0.95, another one
	// benign row at 0.05; each side weighs one half.
	bins, ece := Reliability([]float64{0.9, 0.9}, []float64{0.95, 0.05}, 0.5, 10)
	top := bins[9]
	if top.N != 3 || math.Abs(top.Attacks-2.0/3) > 1e-12 || math.Abs(top.Confidence-(0.45+0.95/4)/0.75) > 1e-12 {
		t.Errorf("top bin %+v", top)
	}
	want := math.Abs(0.45+0.95/4-0.5) + 0.05/4
	if math.Abs(ece-want) > 1e-12 {
		t.Errorf("ECE %g, want %g", ece, want)
	}
	// Draws whose score is their true chance have no error but noise.
	dice := rand.New(rand.NewPCG(7, 8))
	var attack, benign []float64
	for range 200_000 {
		p := dice.Float64()
		if dice.Float64() < p {
			attack = append(attack, p)
		} else {
			benign = append(benign, p)
		}
	}
	prior := float64(len(attack)) / 200_000
	if _, ece := Reliability(attack, benign, prior, 10); ece > 0.005 {
		t.Errorf("ECE %g of calibrated scores", ece)
	}
	if _, ece := Reliability(nil, benign, 0.5, 10); !math.IsNaN(ece) {
		t.Errorf("ECE %g without attacks", ece)
	}
	if bins, _ := Reliability([]float64{1, 2}, []float64{-1, 0}, 0.5, 10); bins[9].N != 2 || bins[0].N != 2 {
		t.Errorf("scores at and beyond the ends are lost: %+v", bins)
	}
}
