package payload

import (
	"iter"
)

const (
	// learnKappa is how many trigrams of a context the prior language model weighs
	// in Learn.
	learnKappa = 4
	// leastLearnt is the fewest benign values that Learn recalibrates from.
	leastLearnt = 100
)

// Learn returns a detector that has also seen benign values of one place. The
// language model becomes the posterior of the old with the values, the
// classifier is taught by the values as negatives and held in place by generated
// attacks of every class, and the threshold is set anew from every tenth value,
// which is not learnt from. It walks benign several times and keeps none of it.
func (d *Detector) Learn(benign iter.Seq[[]byte]) (*Detector, error) {
	o := DefaultTrainOptions()
	t := newTrainer(new(linear), o)
	for i, w := range d.linear.weights {
		t.weights[i] = float32(float64(w) * d.linear.scale / gain)
		// Old weights move as slowly as if each had been trained on a good while.
		t.square[i] = 4
	}
	t.bias = float32(d.linear.bias)
	t.rate = float32(o.Rate)

	counts := new(trigrams)
	n := 0
	for v := range benign {
		if n++; n%10 != 0 {
			t.each(v, func(b []byte) { counts.add(b) })
		}
	}
	if err := enough(n, leastLearnt, "benign values"); err != nil {
		return nil, err
	}
	for range 2 {
		i, k := 0, 0
		for v := range benign {
			if i++; i%10 == 0 {
				continue
			}
			t.step(v, false)
			if len(d.replay) > 0 {
				t.step(d.replay[k%len(d.replay)], true)
				k++
			}
		}
	}
	t.quantise()
	out := &Detector{
		language: d.language.learn(counts, learnKappa), linear: t.model, naming: d.naming,
		confide: d.confide, replay: d.replay,
	}
	var seen []float64
	i := 0
	for v := range benign {
		if i++; i%10 != 0 {
			continue
		}
		if e, ok := out.evidence(t.s, v); ok {
			seen = append(seen, out.confide.of(e))
		}
	}
	// A threshold may rise from what is seen here; that nothing was seen is no
	// reason to lower it.
	out.threshold = max(d.threshold, thresholdOf(seen, i/10, o.FPR))
	out.seal(out.body())
	return out, nil
}
