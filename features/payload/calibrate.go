package payload

import (
	"iter"
	"math"
	"sort"
)

// sample is one held-out value's evidence.
type sample struct {
	e      evidence
	attack bool
	score  float64
}

// calibrate fits the confidence and the threshold to held-out examples.
func (d *Detector) calibrate(t *trainer, examples iter.Seq[Example], fpr float64) error {
	var samples []sample
	attacks, benign := 0, 0
	for ex := range examples {
		e, ok := d.evidence(t.s, ex.Value)
		if ex.Class == Benign {
			benign++
		} else {
			attacks++
		}
		if ok {
			samples = append(samples, sample{e: e, attack: ex.Class != Benign})
		}
	}
	if err := enough(attacks, 100, "held-out attacks"); err != nil {
		return err
	}
	if err := enough(benign, 1000, "held-out benign values"); err != nil {
		return err
	}
	d.confide = fitLogistic(samples, float64(attacks)/float64(benign))
	for i := range samples {
		samples[i].score = d.confide.score(samples[i].e)
	}
	d.confide.knots = fitIsotonic(samples, float64(attacks)/float64(benign))
	var harmless []float64
	for i := range samples {
		if !samples[i].attack {
			harmless = append(harmless, d.confide.of(samples[i].e))
		}
	}
	d.threshold = thresholdOf(harmless, benign, fpr)
	return nil
}

// evidence is that of value's worst text; ok is false if it has none.
func (d *Detector) evidence(s *Scratch, value []byte) (evidence, bool) {
	s.start(requestBudget)
	d.judge(s, value, 0, asIs)
	if s.judged == 0 {
		return evidence{}, false
	}
	return evidenceOf(&s.found, len(s.found.Decoded)), true
}

// thresholdOf is the confidence that at most a share of fpr of n benign values
// exceed; those that are not among confidences could not carry code. Below one
// half nothing is called an attack.
func thresholdOf(confidences []float64, n int, fpr float64) float64 {
	sort.Float64s(confidences)
	allowed := int(fpr * float64(n))
	i := len(confidences) - 1 - allowed
	if i < 0 {
		return 0.5
	}
	return max(0.5, math.Nextafter(confidences[i], 2))
}

// fitLogistic fits weights by Newton's method with a little ridge, weighting
// benign samples by ratio so that both kinds count the same.
func fitLogistic(samples []sample, ratio float64) confidence {
	const n = numEvidence + 1
	var w [n]float64
	w[0] = 1
	for range 30 {
		var grad [n]float64
		var hess [n][n]float64
		for i := range samples {
			s := &samples[i]
			var x [n]float64
			copy(x[:], s.e[:])
			x[n-1] = 1
			z := 0.0
			for k := range x {
				z += float64(w[k] * x[k])
			}
			p, y, c := logistic(z), 0.0, ratio
			if s.attack {
				y, c = 1, 1
			}
			for k := range x {
				grad[k] += float64(c * (p - y) * x[k])
				for j := range x {
					hess[k][j] += float64(c * p * (1 - p) * x[k] * x[j])
				}
			}
		}
		for k := range n {
			ridge := 1e-3 * float64(len(samples))
			if k == n-1 {
				ridge = 1e-6
			}
			grad[k] += float64(ridge * w[k])
			hess[k][k] += ridge
		}
		step := solve(hess, grad)
		most := 0.0
		for k := range w {
			w[k] -= step[k]
			most = max(most, math.Abs(step[k]))
		}
		if most < 1e-9 {
			break
		}
	}
	c := confidence{bias: w[n-1]}
	copy(c.weights[:], w[:numEvidence])
	// More surprise and a higher logit are never evidence of harmlessness.
	c.weights[0], c.weights[1], c.weights[2] = max(c.weights[0], 0.05), max(c.weights[1], 0), max(c.weights[2], 0)
	return c
}

// solve is Gaussian elimination with partial pivoting.
func solve(a [numEvidence + 1][numEvidence + 1]float64, b [numEvidence + 1]float64) [numEvidence + 1]float64 {
	n := len(b)
	for k := range n {
		p := k
		for i := k + 1; i < n; i++ {
			if math.Abs(a[i][k]) > math.Abs(a[p][k]) {
				p = i
			}
		}
		a[k], a[p] = a[p], a[k]
		b[k], b[p] = b[p], b[k]
		for i := k + 1; i < n; i++ {
			f := a[i][k] / a[k][k]
			for j := k; j < n; j++ {
				a[i][j] -= float64(f * a[k][j])
			}
			b[i] -= float64(f * b[k])
		}
	}
	for k := n - 1; k >= 0; k-- {
		for j := k + 1; j < n; j++ {
			b[k] -= float64(a[k][j] * b[j])
		}
		b[k] /= a[k][k]
	}
	return b
}

// fitIsotonic pools adjacent violators over the scores and thins the steps to
// knots. Each block counts half an attack and half a benign value more than it
// holds: no finite sample proves a certainty.
func fitIsotonic(samples []sample, ratio float64) []knot {
	sort.SliceStable(samples, func(i, j int) bool { return samples[i].score < samples[j].score })
	type block struct{ score, weight, hits float64 }
	var blocks []block
	for i := range samples {
		b := block{samples[i].score, ratio, 0}
		if samples[i].attack {
			b.weight, b.hits = 1, 1
		}
		blocks = append(blocks, b)
		for len(blocks) > 1 {
			x, y := blocks[len(blocks)-2], blocks[len(blocks)-1]
			if x.hits*y.weight < y.hits*x.weight {
				break
			}
			sum := x.weight + y.weight
			blocks[len(blocks)-2] = block{(x.score*x.weight + y.score*y.weight) / sum, sum, x.hits + y.hits}
			blocks = blocks[:len(blocks)-1]
		}
	}
	var knots []knot
	for _, b := range blocks {
		k := knot{b.score, (b.hits + 0.5) / (b.weight + 1)}
		if n := len(knots); n > 0 && (k.Probability <= knots[n-1].Probability || k.Score <= knots[n-1].Score) {
			continue
		}
		knots = append(knots, k)
	}
	for len(knots) > maxKnots {
		thin := knots[:0]
		for i, k := range knots {
			if i%2 == 0 || i == len(knots)-1 {
				thin = append(thin, k)
			}
		}
		knots = thin
	}
	return knots
}
