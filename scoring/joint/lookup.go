package joint

import "math"

// cells is how many cells of equal width guide the search for a knot.
const cells = 64

// lookup is a Marginal made ready for scoring many rows: the same curve, found
// faster.
type lookup struct {
	knots     []knot
	low, high tail
	// guide[c] is the last knot at or below the start of cell c.
	guide   [cells + 1]uint8
	perUnit float64
}

// knot is a point of the curve and the slope from there to the next.
type knot struct{ x, z, slope float64 }

// tail is z^2 = square + (distance from the knot) * perUnit.
type tail struct{ square, perUnit float64 }

func newLookup(g *Marginal) lookup {
	n := len(g.X)
	l := lookup{
		knots: make([]knot, n),
		low:   tail{g.Low.Z * g.Low.Z, 2 / g.Low.Scale},
		high:  tail{g.High.Z * g.High.Z, 2 / g.High.Scale},
	}
	for i := range n {
		l.knots[i] = knot{x: g.X[i], z: g.Z[i]}
		if i+1 < n {
			l.knots[i].slope = (g.Z[i+1] - g.Z[i]) / (g.X[i+1] - g.X[i])
		}
	}
	width := g.X[n-1] - g.X[0]
	if perUnit := cells / width; width > 0 && finite(width, perUnit) {
		l.perUnit = perUnit
	}
	k := 0
	for c := range l.guide {
		start := g.X[0] + width*(float64(c)/cells)
		for k+1 < n && g.X[k+1] <= start {
			k++
		}
		l.guide[c] = uint8(k)
	}
	return l
}

func lookups(marginals []Marginal) []lookup {
	l := make([]lookup, len(marginals))
	for j := range marginals {
		l[j] = newLookup(&marginals[j])
	}
	return l
}

// score is Marginal.score.
func (l *lookup) score(x float64) float64 {
	knots := l.knots
	first, last := &knots[0], &knots[len(knots)-1]
	if x >= last.x {
		if x == last.x {
			return last.z
		}
		return min(math.Sqrt(l.high.square+(x-last.x)*l.high.perUnit), maxScore)
	}
	if x < first.x {
		return max(-math.Sqrt(l.low.square+(first.x-x)*l.low.perUnit), -maxScore)
	}
	c := min(uint(max((x-first.x)*l.perUnit, 0)), cells-1)
	lo := uint(l.guide[c])
	for width := uint(l.guide[c+1]) + 1 - lo; width > 1; {
		half := width >> 1
		if knots[lo+half].x <= x {
			lo += half
		}
		width -= half
	}
	// Rounding may have put x into a neighbour of its cell.
	for knots[lo].x > x {
		lo--
	}
	for knots[lo+1].x <= x {
		lo++
	}
	k := &knots[lo]
	return k.z + k.slope*(x-k.x)
}
