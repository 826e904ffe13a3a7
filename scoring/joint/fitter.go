package joint

import (
	"container/heap"
	"fmt"
	"math"
	"slices"
)

// minRows is how many rows a fit needs: below that, a prior says more.
const minRows = 32

// Config sizes a Fitter.
type Config struct {
	// Features is how many features a row has, at most MaxFeatures.
	Features int
	// Clients is how many clients are kept, and PerClient how many rows of each:
	// no client has more votes than that, however many rows it makes. They bound
	// memory at Clients*PerClient*(Features+1) floats.
	Clients, PerClient int
	// Projections is how many projections LODA has; 0 is DefaultProjections.
	Projections int
	// Seed picks the sample; ProjectionSeed makes the projections, and must be
	// the same for models that are to be blended.
	Seed, ProjectionSeed uint64
}

// Fitter keeps a sample of rows and fits models to it. What it keeps is a
// function of the rows each client made, in their order, and not of how clients
// interleave: the clients with the lowest keyed hash stay, and of each the rows
// with the lowest keyed hash of their number. It is not safe for concurrent use.
type Fitter struct {
	cfg     Config
	clients map[uint64]*sample
	worst   sampleHeap
}

// sample is what one client contributes.
type sample struct {
	priority uint64
	seen     uint64
	rows     []row
}

type row struct {
	priority uint64
	x        []float64
}

// NewFitter makes a fitter. Sizes below 1 are 1.
func NewFitter(cfg Config) (*Fitter, error) {
	if cfg.Features < 1 || cfg.Features > MaxFeatures {
		return nil, fmt.Errorf("%w: %d features, want 1 to %d", ErrModel, cfg.Features, MaxFeatures)
	}
	if cfg.Projections == 0 {
		cfg.Projections = DefaultProjections
	}
	if cfg.Projections < 1 || cfg.Projections > maxProjections {
		return nil, fmt.Errorf("%w: %d projections, want 1 to %d", ErrModel, cfg.Projections, maxProjections)
	}
	cfg.Clients, cfg.PerClient = max(cfg.Clients, 1), max(cfg.PerClient, 1)
	return &Fitter{cfg: cfg, clients: make(map[uint64]*sample)}, nil
}

// Add offers a row of the client with the given hash. x has Config.Features
// values and is copied; NaN is a feature that is not known. A row of another
// length is ignored.
func (f *Fitter) Add(client uint64, x []float64) {
	if len(x) != f.cfg.Features {
		return
	}
	c := f.clients[client]
	if c == nil {
		priority := mix(client ^ mix(f.cfg.Seed^0x6a6f696e74))
		if len(f.clients) >= f.cfg.Clients {
			// A client that lost its place never gets it back: the highest
			// priority that stays only falls.
			if priority >= f.worst[0].priority {
				return
			}
			gone := heap.Pop(&f.worst).(keyed)
			delete(f.clients, gone.client)
		}
		c = &sample{priority: priority}
		f.clients[client] = c
		heap.Push(&f.worst, keyed{priority: priority, client: client})
	}
	r := row{priority: mix(c.priority + mix(c.seen+1))}
	c.seen++
	at, _ := slices.BinarySearchFunc(c.rows, r, func(a, b row) int {
		if a.priority < b.priority {
			return -1
		}
		return 1
	})
	if at == f.cfg.PerClient {
		return
	}
	if len(c.rows) == f.cfg.PerClient {
		r.x = c.rows[len(c.rows)-1].x // its row is pushed out
		c.rows = c.rows[:len(c.rows)-1]
	} else {
		r.x = make([]float64, len(x))
	}
	copy(r.x, x)
	c.rows = slices.Insert(c.rows, at, r)
}

// Rows is how many rows are kept, Clients how many clients they are from.
func (f *Fitter) Rows() (n int) {
	for _, c := range f.clients {
		n += len(c.rows)
	}
	return n
}

// Clients is how many clients the kept rows are from.
func (f *Fitter) Clients() int { return len(f.clients) }

// sampled is all kept rows one after the other, in an order of their own.
func (f *Fitter) sampled() []float64 {
	samples := make([]*sample, 0, len(f.clients))
	for _, c := range f.clients {
		samples = append(samples, c)
	}
	slices.SortFunc(samples, func(a, b *sample) int {
		if a.priority < b.priority {
			return -1
		}
		return 1
	})
	var rows []float64
	for _, c := range samples {
		for _, r := range c.rows {
			rows = append(rows, r.x...)
		}
	}
	return rows
}

// keyed and sampleHeap keep the client of the highest priority on top.
type keyed struct{ priority, client uint64 }

type sampleHeap []keyed

func (h sampleHeap) Len() int           { return len(h) }
func (h sampleHeap) Less(i, j int) bool { return h[i].priority > h[j].priority }
func (h sampleHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's.
func (h *sampleHeap) Push(x any) { *h = append(*h, x.(keyed)) }

// Pop is heap.Interface's.
func (h *sampleHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Fit fits a model to the kept rows. It fits three times, the second and third
// time without the 1 % of rows that the fit before found furthest away, so that
// as many rows that do not belong change little. The error is ErrTooFew with
// fewer than 32 rows.
func (f *Fitter) Fit() (*Model, error) {
	rows, d := f.sampled(), f.cfg.Features
	n := len(rows) / d
	if n < minRows {
		return nil, fmt.Errorf("%w: %d, want %d", ErrTooFew, n, minRows)
	}
	m := &Model{N: float64(n), Projections: Projections{Seed: f.cfg.ProjectionSeed}}
	kept := rows
	for range 2 {
		m.fitShape(kept, d)
		kept = m.trim(rows)
	}
	m.fitShape(kept, d)
	m.fitProjections(kept, f.cfg.Projections)
	m.calibrate(rows)
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}

// FitFrom fits a model to the kept rows and blends it into prior with weight
// kappa, as Blend does, but calibrates the blend on the kept rows themselves.
// With fewer than 32 rows it is the prior.
func (f *Fitter) FitFrom(prior *Model, kappa float64) (*Model, error) {
	rows := f.sampled()
	if len(rows)/f.cfg.Features < minRows {
		return Blend(prior, nil, kappa)
	}
	own, err := f.Fit()
	if err != nil {
		return nil, err
	}
	m, err := Blend(prior, own, kappa)
	if err != nil {
		return nil, err
	}
	// The blend's tails mix what the two models said of their own rows; these
	// rows can be asked what the blend says of them.
	mixed := *m
	m.calibrate(rows)
	wa, wb := weights(prior, own, kappa)
	m.Distance = blendCurve(&mixed.Distance, &m.Distance, wa, wb)
	m.Surprise = blendCurve(&mixed.Surprise, &m.Surprise, wa, wb)
	m.Covariance = wa*mixed.Covariance + wb*m.Covariance
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}

// fitShape fits marginals and correlation to rows, and makes them ready.
func (m *Model) fitShape(rows []float64, d int) {
	n := len(rows) / d
	m.Marginals = make([]Marginal, d)
	values := make([]float64, 0, n)
	for j := range d {
		values = values[:0]
		for i := range n {
			if v := rows[i*d+j]; finite(v) {
				values = append(values, v)
			}
		}
		m.Marginals[j] = newMarginal(values)
	}
	z := make([]float64, len(rows))
	for i, v := range rows {
		z[i] = math.NaN()
		if v == v {
			z[i] = m.Marginals[i%d].score(v)
		}
	}
	m.Correlation = correlation(z, d)
	r := &derived{d: d, marginals: lookups(m.Marginals)}
	r.whitening, r.precision, _ = invert(m.Correlation, d)
	m.ready = r
}

// trim is rows without the 1 % that are furthest away, at least one.
func (m *Model) trim(rows []float64) []float64 {
	d := m.ready.d
	var s Scratch
	scores := make([]float64, 0, len(rows)/d)
	for row := rows; len(row) >= d; row = row[d:] {
		score := math.Inf(-1)
		if known := m.scores(&s, row[:d]); known > 0 {
			score = wilsonHilferty(m.ready.distance(&s), known)
		}
		scores = append(scores, score)
	}
	sorted := slices.Clone(scores)
	slices.Sort(sorted)
	n := len(sorted)
	limit := sorted[n-1-max(int(trimmed*float64(n)), 1)]
	kept := make([]float64, 0, len(rows))
	for i, score := range scores {
		if score <= limit {
			kept = append(kept, rows[i*d:(i+1)*d]...)
		}
	}
	return kept
}

// fitProjections counts rows into the histograms.
func (m *Model) fitProjections(rows []float64, count int) {
	d := m.ready.d
	p := &m.Projections
	p.Mass = make([][]float64, count)
	for k := range p.Mass {
		p.Mass[k] = make([]float64, bins)
	}
	q := p.projector(m.Correlation, d)
	var s Scratch
	n := 0
	for row := rows; len(row) >= d; row = row[d:] {
		if m.scores(&s, row[:d]) == 0 {
			continue
		}
		n++
		for k := range count {
			p.Mass[k][q.bin(&s, k)]++
		}
	}
	p.N = float64(max(n, 1))
	for _, mass := range p.Mass {
		for b := range mass {
			if n == 0 {
				mass[b] = 1.0 / bins
			} else {
				mass[b] /= p.N
			}
		}
	}
	m.ready.projections = p.projector(m.Correlation, d)
}

// calibrate fits the tails of both scores to rows and measures how they hang
// together.
func (m *Model) calibrate(rows []float64) {
	d := m.ready.d
	var s Scratch
	var distance, surprise []float64
	for row := rows; len(row) >= d; row = row[d:] {
		known := m.scores(&s, row[:d])
		if known == 0 {
			continue
		}
		distance = append(distance, wilsonHilferty(m.ready.distance(&s), known))
		surprise = append(surprise, m.ready.projections.surprise(&s))
	}
	if len(distance) == 0 {
		distance, surprise = []float64{0}, []float64{0}
	}
	m.Distance, m.Surprise = newCurve(slices.Clone(distance)), newCurve(slices.Clone(surprise))
	for i := range distance {
		distance[i] = m.Distance.evidence(distance[i])
		surprise[i] = m.Surprise.evidence(surprise[i])
	}
	m.Covariance = covariance(distance, surprise)
}
