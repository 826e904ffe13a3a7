package joint

import "math"

// bandScore bounds the middle 99 % of a standard normal.
const bandScore = 2.5758293035489004

// Attribution is what one feature had to do with the copula's distance.
type Attribution struct {
	// Index is the feature's.
	Index int
	// Observed is its value, Expected the one to be expected given the other
	// known features, Low and High the 99 % band around it, all in the feature's
	// units and, but for Observed, within what was seen of it.
	Observed, Expected, Low, High float64
	// Contribution is by how much D^2 falls if the feature takes its expected
	// value: v_j^2 / (R^-1)_jj with v = R^-1 z.
	Contribution float64
}

// Attribute appends to out[:0] one attribution for every known feature of x, the
// largest contribution first, and returns it. Given the others, the normal score
// of a feature is normal with mean z_j - v_j/(R^-1)_jj and variance
// 1/(R^-1)_jj; unknown features are conditioned out of R^-1, not put at 0.
// Nothing is allocated where out has room for Features() values.
func (m *Model) Attribute(s *Scratch, x []float64, out []Attribution) []Attribution {
	out = out[:0]
	r := m.ready
	if r == nil || len(x) != r.d {
		return out
	}
	known := m.scores(s, x)
	if known == 0 {
		return out
	}
	r.gradient(s)
	r.conditional(s, r.d-known)
	for j, v := range x {
		if v != v {
			continue
		}
		p := s.diag[j]
		sd := 1 / math.Sqrt(p)
		g := &m.Marginals[j]
		z := s.z[j] - s.v[j]/p
		a := Attribution{
			Index: j, Observed: v,
			Expected: g.value(z), Low: g.value(z - bandScore*sd), High: g.value(z + bandScore*sd),
			Contribution: s.v[j] * s.v[j] / p,
		}
		// Ties stay in the order of the features.
		at := len(out)
		out = append(out, a)
		for ; at > 0 && out[at-1].Contribution < a.Contribution; at-- {
			out[at] = out[at-1]
		}
		out[at] = a
	}
	return out
}

// conditional puts the diagonal of the known features' own R^-1 into s.diag:
// P_oo - P_om P_mm^-1 P_mo. s.chol holds the factor of P_mm from fill.
func (r *derived) conditional(s *Scratch, missing int) {
	for j := range r.d {
		s.diag[j] = r.precision[j*r.d+j]
		for a := range missing {
			sum := r.precision[int(s.missing[a])*r.d+j]
			for b := range a {
				sum -= s.chol[a*MaxFeatures+b] * s.solve[b]
			}
			s.solve[a] = sum / s.chol[a*MaxFeatures+a]
			s.diag[j] -= s.solve[a] * s.solve[a]
		}
	}
}

// Expect puts x into out, with every feature that is not known (NaN) at its value
// to be expected given those that are. To ask what a row would have been without
// some of its features, make them NaN: unlike the expectations of Attribute, each
// of which takes all other features as they are, these do not lean on one
// another. out has Features() values and may be x; with nothing known it gets
// the medians.
func (m *Model) Expect(s *Scratch, x, out []float64) {
	r := m.ready
	if r == nil || len(x) != r.d || len(out) != r.d {
		return
	}
	m.scores(s, x)
	for j, v := range x {
		if v != v {
			v = m.Marginals[j].value(s.z[j])
		}
		out[j] = v
	}
}
