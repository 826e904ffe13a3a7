package simulate

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// guesser tries user names with passwords that came from elsewhere.
type guesser struct {
	foe
	success float64
	names   uint64 // distinct names tried; 0: a new one each time
	first   uint64 // of those names
}

func buildStuffing(g *Generator, in *instance) {
	d := g.dice
	sources, calls, gap, sigma, delay := 1, 400.0, 1.2, .5, 2.0
	switch in.variant {
	case "distributed":
		sources, gap, sigma, delay = 40, 60, .7, 600
	case "thin":
		sources, gap, sigma, delay = 600, 90, .8, 3600
	}
	for range sources {
		id := &identity{}
		a := in.add(g, id)
		id.user = attackUsers + uint64(a.index)
		id.here = in.attackNetwork(g, a)
		// One tool drives all sources: few fingerprints between them.
		id.browser = &g.desktops[(uint64(in.index)+uint64(d.n(3)))%uint64(len(g.desktops))]
		switch in.variant {
		case "single":
			id.here = hosted(id.here)
		case "distributed":
			calls = d.between(25, 60)
		case "thin":
			calls = float64(2 + d.n(3))
		}
		s := &guesser{foe: newFoe(in, nobody, calls, gap, sigma), success: d.between(.01, .03)}
		s.delay = delay
		if in.variant != "single" && d.chance(.3) {
			// A made-up forwarder, to look like others or to have them blocked.
			id.claims = 240<<24 | uint32(d.n(homeNetworks))<<8 | uint32(2+d.n(250))
		}
		if in.variant == "thin" {
			// Stealth is in the number of sources; each has a few calls anyway.
			s.cover = 0
		}
		a.act = s
	}
}

func buildSlowLogin(g *Generator, in *instance) {
	id := &identity{}
	a := in.add(g, id)
	d := g.dice
	id.user = attackUsers + uint64(a.index)
	id.here = hosted(in.attackNetwork(g, a))
	id.browser = g.anyBrowser(g.desktops)
	s := &guesser{foe: newFoe(in, nobody, 150, 360, .8), success: .004}
	s.delay = 60
	if in.variant == "one-user" {
		s.names, s.success = 1, .002
		s.first = d.Uint64() % uint64(max(g.cfg.Clients, 1))
	}
	// Somebody who waits for minutes gains nothing from own logins in between.
	s.cover = math.Min(s.cover, .3)
	a.act = s
}

func (s *guesser) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if s.ordinary(g) {
		// A login to an account of one's own resets simple counters.
		s.enter(g, a, ev)
		return s.within(a.at + d.wait(s.gap, s.sigma))
	}
	q := request{api: s.api, route: s.api.route(RoleLogin), auth: nobody}
	switch {
	case s.names > 0:
		q.login = s.first + d.Uint64()%s.names
	case g.cfg.Clients > 0 && d.chance(.6):
		q.login = d.Uint64() % uint64(g.cfg.Clients)
	default:
		q.login = strangers + d.Uint64()>>25
	}
	switch x := d.float(); {
	case x < s.success:
		q.status = q.route.ok
	case x > .98:
		q.status = 429
	case x > .955:
		q.status = 403 // a locked account
	default:
		q.status = 401
	}
	g.emit(a, &q, ev)
	return s.spent(g, a)
}
