package joint

import (
	"errors"
	"fmt"
	"math"
)

// DefaultKappa is how many windows a prior counts for.
const DefaultKappa = 200

// Blend is the model of an API that has a prior and rows of its own:
// theta = (kappa theta_0 + n theta_hat)/(kappa + n) for distribution functions,
// correlation, histograms and tails alike (an empirical-Bayes estimate: the
// prior counts for kappa rows). Without own it is the prior. Both must be ready,
// have the same features and the same projections.
func Blend(prior, own *Model, kappa float64) (*Model, error) {
	if prior == nil || prior.ready == nil || own != nil && own.ready == nil {
		return nil, fmt.Errorf("%w: blending models that were not checked", ErrModel)
	}
	if own == nil {
		m := *prior
		return &m, nil
	}
	if !finite(kappa) || kappa < 0 {
		return nil, fmt.Errorf("%w: blending with weight %g", ErrModel, kappa)
	}
	d := prior.Features()
	if own.Features() != d {
		return nil, fmt.Errorf("%w: blending %d features into %d", ErrModel, own.Features(), d)
	}
	wa, wb := weights(prior, own, kappa)
	m := &Model{N: min(kappa, prior.N) + own.N}
	m.Marginals = make([]Marginal, d)
	for j := range d {
		m.Marginals[j] = blendMarginal(&prior.Marginals[j], &own.Marginals[j], wa, wb)
	}
	m.Correlation = make([]float64, len(prior.Correlation))
	for i := range m.Correlation {
		m.Correlation[i] = wa*prior.Correlation[i] + wb*own.Correlation[i]
	}
	var err error
	if m.Projections, err = blendProjections(prior, own, m.Correlation, wa, wb); err != nil {
		return nil, err
	}
	m.Distance = blendCurve(&prior.Distance, &own.Distance, wa, wb)
	m.Surprise = blendCurve(&prior.Surprise, &own.Surprise, wa, wb)
	m.Covariance = wa*prior.Covariance + wb*own.Covariance
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}

// weights are those of a prior that counts for kappa rows, never more than it
// was made of, and of the rows of own.
func weights(prior, own *Model, kappa float64) (wa, wb float64) {
	kappa = min(kappa, prior.N)
	return kappa / (kappa + own.N), own.N / (kappa + own.N)
}

func blendProjections(a, b *Model, r []float64, wa, wb float64) (Projections, error) {
	if a.Projections.Seed != b.Projections.Seed || len(a.Projections.Mass) != len(b.Projections.Mass) {
		return Projections{}, fmt.Errorf("%w: %w", ErrModel, errors.New("blending projections of different seeds"))
	}
	d := a.Features()
	p := Projections{Seed: a.Projections.Seed, N: wa*a.Projections.N + wb*b.Projections.N}
	p.Mass = make([][]float64, len(a.Projections.Mass))
	for k := range p.Mass {
		p.Mass[k] = make([]float64, bins)
	}
	q := p.projector(r, d)
	for k := range p.Mass {
		// Weights are in units of bins: their ratio is that of the scales.
		at := k * q.each
		ma := rebin(a.Projections.Mass[k], ratio(q.terms[at].weight, a.ready.projections.terms[at].weight), 1)
		mb := rebin(b.Projections.Mass[k], ratio(q.terms[at].weight, b.ready.projections.terms[at].weight), 1)
		for i := range p.Mass[k] {
			p.Mass[k][i] = wa*ma[i] + wb*mb[i]
		}
	}
	return p, nil
}

// ratio is how many fresh bins one old bin is wide.
func ratio(fresh, old float64) float64 {
	if old == 0 {
		return 1
	}
	return math.Abs(fresh / old)
}
