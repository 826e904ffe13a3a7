package simulate

// rhythm is how a class spreads over the hours of its local day and over the
// week. Factors average to 1 over a weekday.
type rhythm struct {
	hours   [24]float64
	weekend float64
	peak    float64 // greatest product of factors
}

func newRhythm(weekend float64, hours [24]float64) *rhythm {
	r := &rhythm{weekend: weekend}
	sum := 0.0
	for _, h := range hours {
		sum += h
	}
	for i, h := range hours {
		r.hours[i] = h * 24 / sum
		r.peak = max(r.peak, r.hours[i])
	}
	r.peak *= max(1, weekend)
	return r
}

// peopleRhythm and workRhythm are never written after initialisation.
var (
	peopleRhythm = newRhythm(1.15, [24]float64{
		.35, .18, .1, .07, .07, .12, .35, .8, 1.1, 1.2, 1.25, 1.3,
		1.5, 1.4, 1.25, 1.25, 1.35, 1.5, 1.65, 1.85, 1.95, 1.75, 1.3, .7,
	})
	workRhythm = newRhythm(.06, [24]float64{
		.02, .01, .01, .01, .01, .03, .2, .9, 2, 2.3, 2.2, 2,
		1.3, 1.7, 2.1, 2.1, 1.9, 1.3, .6, .25, .15, .1, .06, .03,
	})
)

// at is the factor at a local time.
func (r *rhythm) at(local int64) float64 {
	f := r.hours[local%day/hour]
	// 1970-01-01 was a Thursday.
	if d := (local/day + 4) % 7; d == 0 || d == 6 {
		f *= r.weekend
	}
	return f
}

// visit draws the next arrival after from of a Poisson process that follows a
// rhythm and the surges; gap is the mean distance in seconds at factor 1.
func (g *Generator) visit(r *rhythm, gap float64, zone, from int64) int64 {
	most := r.peak * g.surge
	for t := from; ; {
		t += int64(g.dice.exp(gap * second / most))
		if t >= g.end {
			return never
		}
		f := r.at(t + zone)
		if g.surge > 1 {
			f *= g.surgeAt(t)
		}
		if g.dice.chance(f / most) {
			return t
		}
	}
}

func (g *Generator) surgeAt(t int64) float64 {
	f := 1.0
	for _, s := range g.cfg.Surges {
		from := g.start + s.Start.Microseconds()
		if t >= from && t < from+s.Duration.Microseconds() {
			f = max(f, s.Factor)
		}
	}
	return f
}

// awake says whether a local time is when people are awake.
func awake(local int64) bool { h := local % day / hour; return h >= 7 && h < 24 }

// dayOfMonth is the day of the month of a local time, by the civil calendar of
// days since 0000-03-01, in which leap days come last.
func dayOfMonth(local int64) int64 {
	z := local/day + 719_468
	doe := z % 146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	return doy - (153*mp+2)/5 + 1
}
