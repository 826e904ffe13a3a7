package simulate

import (
	"cmp"
	"math"
	"slices"

	"github.com/weir-dev/weir/schemas"
)

// siphon is an insider who takes a little more in every minute in which the
// account is in use anyway: enough to bring the logarithm of that minute's
// bytes by a number of standard deviations above its mean.
type siphon struct {
	foe
	life  *agent
	z     float64
	plan  []theft
	taken int
}

// theft is one call that is planned.
type theft struct {
	at    int64
	route *route
	bytes int64
}

const (
	siphonWindow = minute
	// fewWindows is how many minutes it takes to know an account's habits.
	fewWindows = 30
)

func buildSlowExfiltration(g *Generator, in *instance) {
	a := in.insider(g)
	life := in.agents[len(in.agents)-1]
	p := life.act.(*person)
	// Somebody who works with the API: two dozen visits a day, and long ones.
	p.gap, p.pages, p.think = 3600/g.cfg.Activity, max(p.pages, 10), max(p.think, 15)
	p.anonymous = 0
	// It begins on a morning of theirs.
	g.dice.pcg = &a.pcg
	begin := (g.start + in.spec.Start.Microseconds()) % day
	p.zone = int64(g.dice.between(8, 10)*hour) - begin
	a.act = &siphon{foe: newFoe(in, known, 1, 1, 0), life: life, z: 2 * math.Sqrt(in.spec.Intensity)}
}

func (s *siphon) begin(g *Generator, a *agent, from int64) int64 {
	pcg := g.dice.pcg
	windows := s.rehearse(g)
	g.dice.pcg = pcg
	s.devise(g, windows, from)
	s.taken = 0
	if len(s.plan) == 0 {
		return never
	}
	return s.within(s.plan[0].at)
}

// usage is what an account took in one window.
type usage struct {
	start, first int64
	bytes        float64
}

// rehearse lives the account's ordinary life without the attack and adds up
// what it takes in each window.
func (s *siphon) rehearse(g *Generator) []usage {
	id, act, ghost := *s.life.id, *s.life.act.(*person), *s.life
	ghost.id, ghost.act = &id, &act
	g.dice.pcg = &ghost.pcg
	ev := schemas.NewEvent()
	var out []usage
	ghost.at = act.begin(g, &ghost, g.start)
	for ghost.at < g.end {
		g.step(&ghost, ev)
		if len(ev.User) == 0 {
			continue
		}
		start := ev.Time - ev.Time%siphonWindow
		if n := len(out); n == 0 || out[n-1].start != start {
			out = append(out, usage{start: start, first: ev.Time})
		}
		out[len(out)-1].bytes += float64(max(ev.RespBytes, 0))
	}
	return out
}

// devise plans a day of thefts from a time on.
func (s *siphon) devise(g *Generator, windows []usage, from int64) {
	d := g.dice
	until := min(from+day, s.end)
	habits := windows
	if n, _ := slices.BinarySearchFunc(windows, from, func(u usage, t int64) int { return cmp.Compare(u.start, t) }); n >= fewWindows {
		habits = windows[:n]
	}
	mean, sd := moments(habits)
	target := math.Exp(mean + s.z*sd)
	s.plan = s.plan[:0]
	for _, w := range windows {
		start, stop := max(w.first, from), min(w.start+siphonWindow, until)
		missing := target - w.bytes
		if w.first < from || start >= stop || missing < 500 {
			continue
		}
		r := s.vessel(missing)
		calls := max(1, math.Round(missing/math.Exp(r.reply.mu)))
		for range int(calls) {
			at := start + int64(d.float()*float64(stop-start))
			s.plan = append(s.plan, theft{at, r, int64(missing / calls)})
		}
	}
	slices.SortFunc(s.plan, func(x, y theft) int { return cmp.Compare(x.at, y.at) })
}

// vessel is the route whose answers are largest without being larger than what
// is to be taken.
func (s *siphon) vessel(bytes float64) *route {
	var best *route
	for _, r := range s.api.routesOf(RoleItem, RoleHistory, RoleDownload) {
		if best == nil || r.reply.mu > best.reply.mu && math.Exp(r.reply.mu) < 1.5*bytes {
			best = r
		}
	}
	return best
}

// moments are the mean and the standard deviation of the logarithm of what is
// taken in a window.
func moments(windows []usage) (mean, sd float64) {
	n := 0.0
	for _, w := range windows {
		if w.bytes > 0 {
			n++
			x := math.Log(w.bytes)
			delta := x - mean
			mean += delta / n
			sd += delta * (x - mean)
		}
	}
	if n < 2 {
		return math.Log(20_000), 1
	}
	return mean, math.Sqrt(sd / (n - 1))
}

func (s *siphon) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	t := &s.plan[s.taken]
	q := request{api: s.api, route: t.route, auth: known, page: 1, replied: t.bytes}
	q.object, q.status = g.foreign(t.route.objects), t.route.ok
	g.emit(a, &q, ev)
	a.hostile = true
	if s.taken++; s.taken == len(s.plan) {
		return never
	}
	return s.within(s.plan[s.taken].at)
}

// frog takes a little more every day.
type frog struct {
	foe
	base, growth float64 // calls on the first day, and the factor from day to day
	route        *route
	first        int64
	days         int
	inside       bool
}

func buildFrog(g *Generator, in *instance) {
	a := in.insider(g)
	g.dice.pcg = &a.pcg
	i := in.spec.Intensity
	f := &frog{foe: newFoe(in, known, 40, 20, .7), route: in.api.route(RoleDownload), base: 40 * math.Sqrt(i), growth: 1 + .02*i}
	f.cover = 0
	a.act = f
}

func (f *frog) begin(g *Generator, a *agent, from int64) int64 {
	f.first = f.foe.begin(g, a, from)
	return f.first
}

func (f *frog) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !f.inside {
		f.inside = true
		f.left = int(math.Round(f.base * math.Pow(f.growth, float64(f.days))))
		return f.enter(g, a, ev)
	}
	q := request{api: f.api, auth: known, route: f.route, object: g.foreign(f.route.objects)}
	q.status = q.route.ok
	g.emit(a, &q, ev)
	if next := f.spent(g, a); f.left > 0 {
		return next
	}
	// The same again tomorrow, about the same time.
	f.days++
	f.inside = false
	return f.within(max(a.at, f.first+int64(f.days)*day+int64(d.between(-.5, .5)*hour)))
}
