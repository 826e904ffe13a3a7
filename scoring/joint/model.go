// Package joint tells how unusual a mix of features is: a Gaussian copula with a
// shrunk correlation, which knows what every feature should be given the others,
// beside a LODA ensemble of sparse random projections, which sees what is not
// Gaussian. Both are calibrated on what they were fitted to and combined into one
// tail probability.
//
// A feature that is not known is NaN. It is left out exactly: the copula scores
// the others by their own joint distribution, which is the same as putting the
// missing feature at its expectation given the others, and the projections see
// it there.
package joint

import (
	"errors"
	"fmt"
	"math"
)

// MaxFeatures is how many features a model may have.
const MaxFeatures = 32

// MinLogP is the smallest ln p that LogP returns.
const MinLogP = -300

var (
	// ErrModel says that a model cannot be scored with: its shapes do not fit
	// together, or it holds numbers that are none.
	ErrModel = errors.New("joint model")
	// ErrTooFew says that there are too few rows to fit a model to.
	ErrTooFew = errors.New("too few rows for a joint model")
)

// Model is what is known of how d features vary together. Fit and Blend return
// models that are ready; one that was decoded must pass Check before it scores.
// A checked model is read only and may be shared.
type Model struct {
	// N is how many rows made the model, those of a prior included.
	N float64 `json:"n"`
	// Marginals are the distributions of the features one by one.
	Marginals []Marginal `json:"marginals"`
	// Correlation is R of the normal scores, the lower triangle row by row.
	Correlation []float64 `json:"correlation"`
	// Projections are the histograms of LODA.
	Projections Projections `json:"projections"`
	// Distance calibrates the copula's distance (as a Wilson-Hilferty score),
	// Surprise the mean surprisal of the projections.
	Distance Curve `json:"distance"`
	Surprise Curve `json:"surprise"`
	// Covariance is that of -2 ln p of the two over the training rows, between
	// 0 (independent) and 4 (the same), which Brown's method needs.
	Covariance float64 `json:"covariance"`

	ready *derived
}

// derived is what scoring needs and Check works out: nothing that is not a
// function of the exported fields.
type derived struct {
	d int
	// whitening is L^-1 of R = L L', row by row, lower triangle; precision is
	// R^-1, dense.
	whitening, precision []float64
	projections          projector
	marginals            []lookup
	// df and scale are Brown's: -2 sum(ln p) / scale is chi-squared with df.
	df, scale, logGamma float64
}

// Scratch is the working memory of one goroutine. Its zero value is ready.
type Scratch struct {
	z, v    [MaxFeatures]float64
	diag    [MaxFeatures]float64
	missing [MaxFeatures]int32
	chol    [MaxFeatures * MaxFeatures]float64
	solve   [MaxFeatures]float64
}

// Features is how many features the model has.
func (m *Model) Features() int { return len(m.Marginals) }

// Check tells whether the model can be scored with and makes it ready. Call it
// once after decoding, before the model is shared. The error is ErrModel.
func (m *Model) Check() error {
	m.ready = nil
	d := len(m.Marginals)
	if d == 0 || d > MaxFeatures {
		return fmt.Errorf("%w: %d features, want 1 to %d", ErrModel, d, MaxFeatures)
	}
	if !within(maxValue, m.N) || m.N <= 0 {
		return fmt.Errorf("%w: made of %g rows", ErrModel, m.N)
	}
	for j := range m.Marginals {
		if err := m.Marginals[j].check(); err != nil {
			return fmt.Errorf("%w: feature %d: %w", ErrModel, j, err)
		}
	}
	if len(m.Correlation) != d*(d+1)/2 || !within(maxValue, m.Correlation...) {
		return fmt.Errorf("%w: correlation of %d numbers, want %d finite ones", ErrModel, len(m.Correlation), d*(d+1)/2)
	}
	if err := m.Distance.check(); err != nil {
		return fmt.Errorf("%w: distance: %w", ErrModel, err)
	}
	if err := m.Surprise.check(); err != nil {
		return fmt.Errorf("%w: surprise: %w", ErrModel, err)
	}
	if !finite(m.Covariance) || m.Covariance < 0 || m.Covariance > maxCovariance {
		return fmt.Errorf("%w: covariance %g, want 0 to %d", ErrModel, m.Covariance, maxCovariance)
	}
	if err := m.Projections.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	r := &derived{d: d, marginals: lookups(m.Marginals)}
	var ok bool
	if r.whitening, r.precision, ok = invert(m.Correlation, d); !ok {
		return fmt.Errorf("%w: correlation is not positive definite", ErrModel)
	}
	r.projections = m.Projections.projector(m.Correlation, d)
	r.df, r.scale = brown(m.Covariance)
	r.logGamma, _ = math.Lgamma(r.df / 2)
	m.ready = r
	return nil
}

// LogP is ln of the probability that a row like those the model was fitted to is
// at least as unusual as x, from 0 down to MinLogP. x has Features() values; NaN
// is a feature that is not known. A model that is not ready, a row of another
// length and one without a known feature give 0: they say nothing.
func (m *Model) LogP(s *Scratch, x []float64) float64 {
	r := m.ready
	if r == nil || len(x) != r.d {
		return 0
	}
	known := m.scores(s, x)
	if known == 0 {
		return 0
	}
	e := m.Distance.evidence(wilsonHilferty(r.distance(s), known))
	e += m.Surprise.evidence(r.projections.surprise(s))
	return max(logGammaTail(r.df/2, e/r.scale, r.logGamma), MinLogP)
}

// Parts is what LogP combines: the copula's ln p, the projections' ln p.
func (m *Model) Parts(s *Scratch, x []float64) (copula, projections float64) {
	r := m.ready
	if r == nil || len(x) != r.d {
		return 0, 0
	}
	known := m.scores(s, x)
	if known == 0 {
		return 0, 0
	}
	copula = -m.Distance.evidence(wilsonHilferty(r.distance(s), known))
	return copula, -m.Surprise.evidence(r.projections.surprise(s))
}

// scores puts the normal scores of x into s.z, those of missing features at
// their expectation, and returns how many are known.
func (m *Model) scores(s *Scratch, x []float64) (known int) {
	missing := 0
	r := m.ready.marginals
	for j, v := range x {
		if v != v {
			s.z[j] = 0
			s.missing[missing] = int32(j)
			missing++
			continue
		}
		s.z[j] = r[j].score(v)
	}
	known = len(x) - missing
	if missing > 0 && known > 0 {
		m.ready.fill(s, missing)
	}
	return known
}

// maxValue bounds what a decoded model may hold, so that no arithmetic on it
// overflows.
const maxValue = 1e100

// within tells whether all values are numbers of at most a magnitude.
func within(limit float64, values ...float64) bool {
	for _, v := range values {
		if !(math.Abs(v) <= limit) {
			return false
		}
	}
	return true
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
