package simulate

import "github.com/weir-dev/weir/schemas"

// hammer makes valid calls, far too many of them.
type hammer struct {
	foe
	inside bool
}

func buildExtreme(g *Generator, in *instance) {
	h := &hammer{}
	a, auth := in.principal(g)
	h.foe, h.inside = newFoe(in, auth, 4000, .1, .4), auth == app
	// Half measures of an excess of calls are fewer calls, not other ones.
	h.cover = 0
	a.act = h
}

// principal is the holder of an account of the variant's kind.
func (in *instance) principal(g *Generator) (*agent, authority) {
	if in.variant == "consumer" {
		a := in.company(g)
		g.dice.pcg = &a.pcg
		return a, app
	}
	a := in.insider(g)
	g.dice.pcg = &a.pcg
	return a, known
}

func (h *hammer) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	if !h.inside {
		h.inside = true
		return h.enter(g, a, ev)
	}
	h.read(g, a, ev)
	return h.spent(g, a)
}

// metronome makes one business call by the clock.
type metronome struct {
	foe
	route    *route
	inside   bool
	nextPost int64
	nextRead int64
}

const (
	metronomeJitter = .10 // of the period, either way
	metronomeGaps   = .15 // share of beats left out
)

func buildInterval(g *Generator, in *instance) {
	m := &metronome{route: in.api.route(RoleVerify), nextRead: never}
	a, auth := in.principal(g)
	m.foe, m.inside = newFoe(in, auth, 80, 45, 0), auth == app
	a.act = m
}

func (m *metronome) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !m.inside {
		m.inside = true
		m.nextPost = m.enter(g, a, ev)
		return m.nextPost
	}
	if m.nextRead <= a.at && m.nextRead < m.nextPost {
		m.nextRead = never
		m.read(g, a, ev)
		return m.within(m.nextPost)
	}
	q := request{api: m.api, route: m.route, auth: m.auth}
	// Most of the accounts or cards that are tried exist.
	if q.status = q.route.ok; d.chance(.07) {
		q.status = 422
	}
	g.emit(a, &q, ev)
	a.hostile = true
	if m.left--; m.left <= 0 {
		return never
	}
	beats := 1.0
	for d.chance(metronomeGaps) {
		beats++
	}
	m.nextPost = a.at + int64(m.gap*second*(beats+d.between(-metronomeJitter, metronomeJitter)))
	// Ordinary reads fall between the beats and leave the beat alone.
	if m.nextRead = never; d.chance(m.cover) {
		m.nextRead = a.at + int64(d.between(.2, .8)*float64(m.nextPost-a.at))
	}
	return m.within(min(m.nextPost, m.nextRead))
}
