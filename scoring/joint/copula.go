package joint

import "math"

// correlation is R = (S + k I)/(n + k) of normal scores, k = d + 10, the lower
// triangle row by row. rows has d scores a row, NaN where not known; each entry
// uses the rows that know both features.
//
// No diagonal is below 1: a feature of a few distinct values has scores that
// vary less than a standard normal, because the score is known only up to the
// width of its step. What is missing goes onto the diagonal as noise of its own;
// without it, the rarest value of a nearly constant feature would count as many
// standard deviations.
func correlation(rows []float64, d int) []float64 {
	k := float64(d + 10)
	r := make([]float64, d*(d+1)/2)
	count := make([]float64, len(r))
	for row := rows; len(row) >= d; row = row[d:] {
		at := 0
		for i := range d {
			zi := clampScore(row[i], momentScore)
			for j := range i + 1 {
				if p := zi * clampScore(row[j], momentScore); p == p {
					r[at] += p
					count[at]++
				}
				at++
			}
		}
	}
	at := 0
	for i := range d {
		for j := range i + 1 {
			if i == j {
				r[at] = max((r[at]+k)/(count[at]+k), 1)
			} else {
				r[at] /= count[at] + k
			}
			at++
		}
	}
	return positiveDefinite(r, d)
}

// positiveDefinite shrinks the off-diagonal of r until it is one: entries made
// of different rows need not fit together.
func positiveDefinite(r []float64, d int) []float64 {
	for range 100 {
		if _, _, ok := invert(r, d); ok {
			return r
		}
		at := 0
		for i := range d {
			for range i {
				r[at] *= 0.95
				at++
			}
			at++
		}
	}
	return r
}

func clampScore(z, limit float64) float64 {
	if z != z {
		return z
	}
	return min(max(z, -limit), limit)
}

// invert is the inverse of the lower Cholesky factor of r, as a lower triangle
// row by row, and the inverse of r, dense. It is not ok where r is not well
// within the positive definite matrices.
func invert(r []float64, d int) (whitening, precision []float64, ok bool) {
	l := make([]float64, len(r))
	tri := func(i, j int) int { return i*(i+1)/2 + j }
	for i := range d {
		for j := range i + 1 {
			sum := r[tri(i, j)]
			for k := range j {
				sum -= l[tri(i, k)] * l[tri(j, k)]
			}
			if i != j {
				l[tri(i, j)] = sum / l[tri(j, j)]
				continue
			}
			if !(sum > 1e-9) {
				return nil, nil, false
			}
			l[tri(i, i)] = math.Sqrt(sum)
		}
	}
	whitening = make([]float64, len(r))
	for j := range d {
		whitening[tri(j, j)] = 1 / l[tri(j, j)]
		for i := j + 1; i < d; i++ {
			var sum float64
			for k := j; k < i; k++ {
				sum -= l[tri(i, k)] * whitening[tri(k, j)]
			}
			whitening[tri(i, j)] = sum / l[tri(i, i)]
		}
	}
	precision = make([]float64, d*d)
	for i := range d {
		for j := range d {
			var sum float64
			for k := max(i, j); k < d; k++ {
				sum += whitening[tri(k, i)] * whitening[tri(k, j)]
			}
			precision[i*d+j] = sum
		}
	}
	return whitening, precision, finite(precision...)
}

// distance is D^2 = z' R^-1 z = |L^-1 z|^2 of s.z.
func (r *derived) distance(s *Scratch) float64 {
	var total float64
	row := r.whitening
	for i := range r.d {
		w := row[: i+1 : i+1]
		z := s.z[: i+1 : i+1]
		var a, b float64
		j := 0
		for ; j+1 < len(w) && j+1 < len(z); j += 2 {
			a += w[j] * z[j]
			b += w[j+1] * z[j+1]
		}
		if j < len(w) && j < len(z) {
			a += w[j] * z[j]
		}
		a += b
		total += a * a
		row = row[i+1:]
	}
	return total
}

// gradient puts v = R^-1 z into s.v.
func (r *derived) gradient(s *Scratch) {
	d := r.d
	for i := range d {
		row := r.precision[i*d : i*d+d]
		var sum float64
		for j, p := range row {
			sum += p * s.z[j]
		}
		s.v[i] = sum
	}
}

// fill puts the first missing features of s.missing at their expectation given
// the others: those where v is 0. That minimises D^2 over them, and the minimum
// is the distance of the known features by their own correlation.
func (r *derived) fill(s *Scratch, missing int) {
	r.gradient(s)
	r.factor(s, missing)
	for a := range missing {
		sum := -s.v[s.missing[a]]
		for b := range a {
			sum -= s.chol[a*MaxFeatures+b] * s.solve[b]
		}
		s.solve[a] = sum / s.chol[a*MaxFeatures+a]
	}
	for a := missing - 1; a >= 0; a-- {
		sum := s.solve[a]
		for b := a + 1; b < missing; b++ {
			sum -= s.chol[b*MaxFeatures+a] * s.solve[b]
		}
		s.solve[a] = sum / s.chol[a*MaxFeatures+a]
	}
	for a := range missing {
		s.z[s.missing[a]] = min(max(s.solve[a], -maxScore), maxScore)
	}
}

// factor puts the Cholesky factor of R^-1 over the missing features into s.chol.
func (r *derived) factor(s *Scratch, missing int) {
	for a := range missing {
		for b := range a + 1 {
			sum := r.precision[int(s.missing[a])*r.d+int(s.missing[b])]
			for k := range b {
				sum -= s.chol[a*MaxFeatures+k] * s.chol[b*MaxFeatures+k]
			}
			if a == b {
				s.chol[a*MaxFeatures+a] = math.Sqrt(sum)
			} else {
				s.chol[a*MaxFeatures+b] = sum / s.chol[b*MaxFeatures+b]
			}
		}
	}
}

// wilsonHilferty is the standard normal score of a chi-squared value of n
// degrees of freedom, by the cube root (Wilson and Hilferty 1931): rows that
// know different numbers of features become comparable.
func wilsonHilferty(x float64, n int) float64 {
	c := 2 / (9 * float64(n))
	return (math.Cbrt(x/float64(n)) - 1 + c) / math.Sqrt(c)
}
