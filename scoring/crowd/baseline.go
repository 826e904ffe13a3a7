package crowd

import "math"

// Half-lives of what an API's baseline learns, in windows.
const (
	fastHalfLife = 30   // 5 minutes: follows the day
	slowHalfLife = 8640 // a day
	spreadSpan   = 360  // an hour: mean age of what the dispersion rests on
	freshSpan    = 60   // ten minutes
)

const (
	priorSpread  = 0.05 // 1/size of the counts before anything is known: CV 22 %
	priorWindows = 30   // windows that the prior of the spread counts for
	leastSpread  = 0.004
	// hourPrior is how many windows of an hour of the day the flat profile
	// counts for: three days of that hour.
	hourPrior = 1080
	// drift bounds how far the fast mean may lead away from what is usual at this
	// hour, once a day of windows is known: beyond it a slow rise is an excess too.
	drift = 3
)

// level is the baseline of an API's calls in a window: a fast and a slow mean of
// the counts with the hour of the day divided out, the profile of the hours, and
// the counts' dispersion beyond Poisson.
type level struct {
	learnt     int64 // windows learnt
	fast, slow float64
	spread     float64 // 1/size of the negative binomial
	hours      [24]hourOfDay
}

type hourOfDay struct{ sum, n float64 }

// hour is the profile's factor at a time, shrunk to 1. It runs linearly between
// the middles of the hours, or each full hour would begin with a step.
func (l *level) hour(t int64) float64 {
	const hour = 3600 * 1_000_000
	t += 12 * hour // for a middle of the first hour that lies behind
	at := float64(t%(24*hour))/hour + 12 - 0.5
	first := int(math.Floor(at))
	part := at - float64(first)
	return (1-part)*l.factor(first%24) + part*l.factor((first+1)%24)
}

func (l *level) factor(h int) float64 {
	if l.slow <= 0 {
		return 1
	}
	o := &l.hours[h]
	return (o.sum + hourPrior*l.slow) / ((o.n + hourPrior) * l.slow)
}

// expect is the mean count of the window at t, at least least.
func (l *level) expect(t int64, least float64) float64 {
	m := l.fast
	if l.learnt >= slowHalfLife {
		m = min(m, drift*l.slow)
	}
	return max(m*l.hour(t), least)
}

// size is the negative binomial's, from the spread seen shrunk to its prior.
func (l *level) size() float64 {
	n := float64(min(l.learnt, spreadSpan))
	return 1 / max((l.spread*n+priorSpread*priorWindows)/(n+priorWindows), leastSpread)
}

// learn takes the count of the window at t.
func (l *level) learn(x float64, t int64) {
	if l.learnt > 0 {
		m := l.expect(t, 1)
		// Clipped: one wild window must not make the test deaf.
		r := min(max(((x-m)*(x-m)-m)/(m*m), -1), 1)
		l.spread += (r - l.spread) * rate(l.learnt, spreadSpan)
	}
	d := x / l.hour(t)
	l.fast += (d - l.fast) * rate(l.learnt, fastHalfLife/math.Ln2)
	l.slow += (d - l.slow) * rate(l.learnt, slowHalfLife/math.Ln2)
	o := &l.hours[t/3_600_000_000%24]
	o.sum, o.n = o.sum+x, o.n+1
	if o.n > 30*360 {
		o.sum, o.n = o.sum/2, o.n/2 // a month of an hour: forget slowly
	}
	l.learnt++
}

// accept takes a level that has held for long for the normal one.
func (l *level) accept(x float64, t int64) {
	l.fast = x / l.hour(t)
	l.slow = l.fast
}

// rate is the weight of a new value: that of a plain mean at first, then that of
// an exponential one with the given mean age.
func rate(n int64, age float64) float64 { return max(1/float64(n+1), 1/age) }

// running is an exponential mean and variance of a number per window.
type running struct {
	n          int64
	mean, vari float64
}

// learn takes a window's number; age is the mean age of what is remembered.
func (r *running) learn(x, age float64) {
	d, w := x-r.mean, rate(r.n, age)
	r.mean += w * d
	r.vari = (1 - w) * (r.vari + w*d*d)
	r.n++
}
