package payload

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"sort"
)

// ErrTooFew says that there are not enough values to learn from.
var ErrTooFew = errors.New("too few values to learn from")

// Example is a value to train on and its class; Benign for a harmless one.
type Example struct {
	Value []byte
	Class Class
}

// TrainOptions are the knobs of Train; DefaultTrainOptions are good.
type TrainOptions struct {
	Epochs int     // passes over the examples
	Rate   float64 // AdaGrad's step
	Decay  float64 // of the squared weights, per step
	Benign float64 // weight of a benign example, of an attack 1
	FPR    float64 // share of held-out benign values above the default threshold
	Replay int     // attacks to keep for Learn
}

// DefaultTrainOptions are the options of the shipped prior. Its threshold is set
// below 0.1 % of generated benign values, because real ones are harder: they are
// of kinds that no generator has.
func DefaultTrainOptions() TrainOptions {
	return TrainOptions{Epochs: 6, Rate: 0.15, Decay: 1e-6, Benign: 1.5, FPR: 0.0004, Replay: 2000}
}

// Train fits a detector to examples, which it walks several times: the sequence
// must be the same each time and in an order that mixes the classes. Every tenth
// example is held out to fit the confidence and the threshold.
func Train(examples iter.Seq[Example], o TrainOptions) (*Detector, error) {
	t := newTrainer(new(linear), o)
	counts := new(trigrams)
	i := 0
	for ex := range examples {
		if i++; i%10 == 0 || ex.Class != Benign {
			continue
		}
		t.each(ex.Value, func(b []byte) { counts.add(b) })
	}
	d := &Detector{language: newLanguage(counts), linear: t.model, naming: new(naming)}
	for epoch := range o.Epochs {
		t.rate = float32(o.Rate / (1 + 0.5*float64(epoch)))
		i = 0
		for ex := range examples {
			if i++; i%10 != 0 {
				t.step(ex.Value, ex.Class != Benign)
			}
		}
	}
	t.quantise()
	d.naming = t.trainNaming(examples)
	if err := d.calibrate(t, heldOut(examples), o.FPR); err != nil {
		return nil, err
	}
	d.keepReplay(examples, o.Replay)
	d.seal(d.body())
	return d, nil
}

func heldOut(examples iter.Seq[Example]) iter.Seq[Example] {
	return func(yield func(Example) bool) {
		i := 0
		for ex := range examples {
			if i++; i%10 == 0 && !yield(ex) {
				return
			}
		}
	}
}

// keepReplay keeps attacks of every class, evenly spread.
func (d *Detector) keepReplay(examples iter.Seq[Example], most int) {
	kept := map[Class]int{}
	each := most / numClasses
	i := 0
	for ex := range examples {
		if i++; i%10 == 0 || ex.Class == Benign || kept[ex.Class] >= each || len(ex.Value) > 200 {
			continue
		}
		kept[ex.Class]++
		d.replay = append(d.replay, append([]byte(nil), ex.Value...))
	}
}

// trainer is a regression in training. Its arithmetic is single precision with
// every product rounded, so that no processor fuses what another does not.
type trainer struct {
	model   *linear
	weights []float32
	square  []float32 // sums of squared gradients
	bias    float32
	rate    float32
	o       TrainOptions
	d       *Detector // takes values apart as in use
	s       *Scratch
	sums    [maxText + 5]float32
}

// gain scales sums of weights to logits: it makes one step on a text of average
// length about as large as the rate.
const gain = 1.0 / 16

// startBias is the logit of a text that shares nothing with any example. It is
// not trained: what is unknown is not suspicious for being unknown, so that
// every attack must be known by what it says.
const startBias = -4

func newTrainer(m *linear, o TrainOptions) *trainer {
	return &trainer{
		model: m, weights: make([]float32, 1<<hashBits), square: make([]float32, 1<<hashBits),
		bias: startBias, o: o, s: new(Scratch), d: &Detector{},
	}
}

// each calls f with every text that value is judged by.
func (t *trainer) each(value []byte, f func([]byte)) {
	t.s.start(requestBudget)
	t.s.collect = f
	t.d.judge(t.s, value, 0, asIs)
	t.s.collect = nil
}

// margin is the worst window of a text under the weights in training.
func (t *trainer) margin(x *text) windowOf {
	sums := &t.sums
	sum := float32(0)
	for i := range x.m {
		for _, f := range x.feats[x.first[i]:x.first[i+1]] {
			sum += t.weights[f]
		}
		sums[i+1] = sum
	}
	best := windowOf{0, x.m, float64(sums[x.m]) * gainOf(x.m)}
	if x.m > windowSizes[0] {
		best.logit = math.Inf(-1)
	}
	for _, size := range windowSizes {
		if x.m <= windowSizes[0] {
			break
		}
		size = min(size, x.m)
		at, most := size, sums[size]
		for i := size + 1; i <= x.m; i++ {
			if v := sums[i] - sums[i-size]; v > most {
				at, most = i, v
			}
		}
		if v := float64(float64(most) * gainOf(size)); v > best.logit {
			best = windowOf{at - size, at, v}
		}
	}
	best.logit = float64(t.bias) + float64(gain*best.logit)
	return best
}

// step learns from one value. Of an attack only the worst text is one; of a
// benign value every text is harmless.
func (t *trainer) step(value []byte, attack bool) {
	if !attack {
		t.each(value, func(b []byte) {
			t.s.text.set(b)
			t.update(t.margin(&t.s.text), 0)
		})
		return
	}
	var worst []byte
	best := math.Inf(-1)
	t.each(value, func(b []byte) {
		t.s.text.set(b)
		if w := t.margin(&t.s.text); w.logit > best {
			best = w.logit
			worst = append(worst[:0], b...)
		}
	})
	if worst != nil {
		t.s.text.set(worst)
		t.update(t.margin(&t.s.text), 1)
	}
}

func (t *trainer) update(w windowOf, y float64) {
	g := float32(logistic(w.logit) - y)
	if y == 0 {
		g *= float32(t.o.Benign)
	}
	// What is already right by far is left alone: most of a long run is.
	if g < 1e-3 && g > -1e-3 {
		return
	}
	x := &t.s.text
	decay := float32(t.o.Decay)
	g *= float32(gainOf(w.end - w.start))
	for _, f := range x.feats[x.first[w.start]:x.first[w.end]] {
		t.square[f] += float32(g * g)
		v := t.weights[f]
		t.weights[f] = v - float32(t.rate*g/sqrt32(t.square[f]+1e-6)) - float32(decay*v)
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// quantise rounds the weights to 8 bits.
func (t *trainer) quantise() {
	sorted := make([]float64, 0, len(t.weights))
	for _, w := range t.weights {
		if w != 0 {
			sorted = append(sorted, math.Abs(float64(w)))
		}
	}
	sort.Float64s(sorted)
	top := 1.0
	if n := len(sorted); n > 0 {
		top = sorted[n-1-n/5000] // the few largest are clipped
	}
	unit := top / 127
	for i, w := range t.weights {
		t.model.weights[i] = int8(math.Round(max(-127, min(127, float64(w)/unit))))
	}
	t.model.scale = gain * unit
	t.model.bias = float64(t.bias)
}

// trainNaming fits the models of the classes, one against the rest by the
// perceptron rule, to the attacks' worst windows.
func (t *trainer) trainNaming(examples iter.Seq[Example]) *naming {
	index := map[Class]int{}
	for k, c := range classNames {
		index[c] = k
	}
	weights := make([][numClasses]float32, 1<<namingBits)
	sums := make([][numClasses]float32, 1<<namingBits)
	steps := 0
	for range 2 {
		i := 0
		for ex := range examples {
			if i++; i%10 == 0 || ex.Class == Benign {
				continue
			}
			truth := index[ex.Class]
			best, worst := math.Inf(-1), []byte(nil)
			t.each(ex.Value, func(b []byte) {
				t.s.text.set(b)
				if w := t.model.worst(&t.s.text); w.logit > best {
					best, worst = w.logit, append(worst[:0], b...)
				}
			})
			if worst == nil {
				continue
			}
			x := &t.s.text
			x.set(worst)
			w := t.model.worst(x)
			feats := x.feats[x.first[w.start]:x.first[w.end]]
			var score [numClasses]float32
			for _, f := range feats {
				for k, v := range weights[f&(1<<namingBits-1)] {
					score[k] += v
				}
			}
			rival := -1
			for k := range score {
				if k != truth && (rival < 0 || score[k] > score[rival]) {
					rival = k
				}
			}
			steps++
			// A margin of a few features keeps the winner from being the one that was
			// corrected last.
			if score[truth]-score[rival] > float32(len(feats))/4 {
				continue
			}
			for _, f := range feats {
				row := &weights[f&(1<<namingBits-1)]
				row[truth]++
				row[rival]--
				sum := &sums[f&(1<<namingBits-1)]
				sum[truth] += float32(steps)
				sum[rival] -= float32(steps)
			}
		}
	}
	m := new(naming)
	top := float32(1)
	for i := range weights {
		for k := range weights[i] {
			// The mean over all steps of the averaged perceptron.
			weights[i][k] -= sums[i][k] / float32(max(steps, 1))
			if v := weights[i][k]; v > top {
				top = v
			} else if -v > top {
				top = -v
			}
		}
	}
	top = min(top, 64)
	for i := range weights {
		for k, v := range weights[i] {
			m.weights[i][k] = int8(math.Round(float64(max(-127, min(127, v*127/top)))))
		}
	}
	return m
}

func enough(n, least int, what string) error {
	if n < least {
		return fmt.Errorf("%w: %d %s, %d are needed", ErrTooFew, n, what, least)
	}
	return nil
}
