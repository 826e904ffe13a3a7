package joint

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mathext"
)

const (
	// DefaultProjections is how many projections a fitter makes.
	DefaultProjections = 50
	maxProjections     = 256
	// bins over binSpan standard deviations either side; what lies further out
	// counts for the outermost bin.
	bins    = 40
	binSpan = 5
)

// Projections are the histograms of LODA (Pevny 2016): sparse random projections
// of the normal scores, sqrt(d) features each, whose surprisals are averaged.
type Projections struct {
	// Seed makes the projections; it is the same for all models that are to be
	// blended.
	Seed uint64 `json:"seed"`
	// Mass is the share of rows in each bin of each projection.
	Mass [][]float64 `json:"mass"`
	// N is how many rows made the shares.
	N float64 `json:"n"`
}

func (p *Projections) check() error {
	if len(p.Mass) == 0 || len(p.Mass) > maxProjections || !within(maxValue, p.N) || p.N <= 0 {
		return errors.New("a model needs projections")
	}
	for _, mass := range p.Mass {
		if len(mass) != bins || !within(1+1e-6, mass...) {
			return errors.New("a projection's histogram has another shape")
		}
		var sum float64
		for _, share := range mass {
			if share < 0 {
				return errors.New("a projection's histogram has a negative share")
			}
			sum += share
		}
		if math.Abs(sum-1) > 1e-6 {
			return errors.New("a projection's shares do not sum to 1")
		}
	}
	return nil
}

// projector is what scoring a row needs: the weights of each projection in units
// of bins, and the surprisal of each bin.
type projector struct {
	each, count int
	terms       []term
	surprisal   []float32
}

// term is what one feature adds to a projection.
type term struct {
	feature int
	weight  float64
}

// projector works the projections out for features with correlation r: the bins
// of each are as wide as the projection varies under r.
func (p *Projections) projector(r []float64, d int) projector {
	each := int(math.Ceil(math.Sqrt(float64(d))))
	q := projector{each: each, count: len(p.Mass)}
	q.terms = make([]term, 0, q.count*each)
	q.surprisal = make([]float32, 0, q.count*bins)
	state := p.Seed
	for _, mass := range p.Mass {
		from := len(q.terms)
		// A partial Fisher-Yates shuffle picks the features.
		var order [MaxFeatures]int
		for j := range d {
			order[j] = j
		}
		for k := range each {
			at := k + int(next(&state)%uint64(d-k))
			order[k], order[at] = order[at], order[k]
			u := (float64(next(&state)>>11) + 0.5) / (1 << 53)
			q.terms = append(q.terms, term{order[k], mathext.NormalQuantile(u)})
		}
		var variance float64
		for _, a := range q.terms[from:] {
			for _, b := range q.terms[from:] {
				i, j := max(a.feature, b.feature), min(a.feature, b.feature)
				variance += a.weight * b.weight * r[i*(i+1)/2+j]
			}
		}
		unit := math.Sqrt(variance) * 2 * binSpan / bins
		for a := range q.terms[from:] {
			q.terms[from+a].weight /= unit
		}
		for _, share := range mass {
			// Half a row in every bin more than were seen.
			q.surprisal = append(q.surprisal, float32(-math.Log((share*p.N+0.5)/(p.N+0.5*bins))))
		}
	}
	return q
}

// next is SplitMix64 (Steele, Lea and Flood 2014).
func next(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	return mix(*state)
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// bin is where projection k puts s.z.
func (q *projector) bin(s *Scratch, k int) int {
	y := float64(bins / 2)
	for _, t := range q.terms[k*q.each : (k+1)*q.each] {
		y += t.weight * s.z[t.feature&(MaxFeatures-1)]
	}
	// Truncation is the floor from 0 up, and below 0 it makes no difference.
	return min(max(int(y), 0), bins-1)
}

// surprise is the mean surprisal of s.z over the projections, in nats.
func (q *projector) surprise(s *Scratch) float64 {
	var sum float64
	for k := range q.count {
		sum += float64(q.surprisal[k*bins+q.bin(s, k)])
	}
	return sum / float64(q.count)
}

// ProjectionT puts into out, for every feature, Student's t between the
// surprisals of the projections that use the feature and of those that do not
// (Pevny 2016, 3.3): how much the projections blame it. out has Features()
// values; a feature that all projections use, or none, gets 0.
func (m *Model) ProjectionT(s *Scratch, x, out []float64) {
	r := m.ready
	if r == nil || len(x) != r.d || len(out) != r.d || m.scores(s, x) == 0 {
		clear(out)
		return
	}
	q := &r.projections
	for j := range out {
		var with, without moments
		for k := range q.count {
			side := &without
			for _, t := range q.terms[k*q.each : (k+1)*q.each] {
				if t.feature == j {
					side = &with
				}
			}
			side.add(float64(q.surprisal[k*bins+q.bin(s, k)]))
		}
		out[j] = welch(&with, &without)
	}
}

// moments are those of a sample.
type moments struct{ n, sum, square float64 }

func (m *moments) add(x float64) {
	m.n++
	m.sum += x
	m.square += x * x
}

// errorOfMean is the squared standard error of the mean.
func (m *moments) errorOfMean() float64 {
	mean := m.sum / m.n
	return max(m.square-m.n*mean*mean, 0) / (m.n - 1) / m.n
}

// welch is Student's t between two samples of unequal variance (Welch 1947); 0
// where either is too small or nothing varies.
func welch(a, b *moments) float64 {
	if a.n < 2 || b.n < 2 {
		return 0
	}
	v := a.errorOfMean() + b.errorOfMean()
	if !(v > 0) {
		return 0
	}
	return (a.sum/a.n - b.sum/b.n) / math.Sqrt(v)
}

// rebin is the histogram of one projection whose scale changed from old to
// fresh standard deviations, each bin's mass spread evenly over it.
func rebin(mass []float64, old, fresh float64) []float64 {
	out := make([]float64, bins)
	width := old / fresh
	for i, share := range mass {
		lo := float64(bins)/2 + (float64(i)-float64(bins)/2)*width
		hi := lo + width
		for b := range out {
			from, to := float64(b), float64(b+1)
			if b == 0 {
				from = math.Inf(-1)
			}
			if b == bins-1 {
				to = math.Inf(1)
			}
			if overlap := min(hi, to) - max(lo, from); overlap > 0 {
				out[b] += share * overlap / width
			}
		}
	}
	return out
}
