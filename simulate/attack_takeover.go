package simulate

import "github.com/weir-dev/weir/schemas"

// thief uses the account of somebody else, who may go on using it.
type thief struct {
	foe
	victim  *identity // read, never written
	login   bool      // has the password and logs in with it
	started bool
	steps   []*route
	turn    int
}

// keepsCookies prefers APIs that have cookies for thefts of them.
func keepsCookies(a *api, variant string) fitness {
	if variant == "cookie" && !a.cookie {
		return passable
	}
	return ideal
}

// victim chooses one of the people who use an API, by preference one who comes
// at least once a day. Instances choose among different people as long as there
// are enough of them. Nil says that there are none.
func (g *Generator) victim(in *instance, fits func(*agent) bool) *agent {
	var best *agent
	apart := uint64(max(len(g.cfg.Attacks), 1))
	n := uint64(g.benign)
	from := derive(g.cfg.Seed, domainVictim, uint64(in.index)) % max(n, 1)
	for pass := range 2 {
		for k := range n {
			i := (from + k) % n
			if pass == 0 && i%apart != uint64(in.index)%apart {
				continue
			}
			a := g.agents[i]
			if !fits(a) {
				continue
			}
			p, ok := a.act.(*person)
			if !ok || p.gap*g.cfg.Activity <= 86_400 {
				return a
			}
			if best == nil {
				best = a
			}
		}
		if best != nil {
			break
		}
	}
	return best
}

func buildTakeover(g *Generator, in *instance) {
	t := &thief{login: in.variant == "password"}
	var a *agent
	var owns *browser
	var lives *country
	if v := g.victim(in, func(a *agent) bool {
		p, ok := a.act.(*person)
		return ok && p.first == 0 && p.apis[0] == in.api
	}); v != nil {
		t.victim, owns, lives = v.id, v.id.browser, v.act.(*person).base.country
		a = in.add(g, nil)
	} else {
		// Nobody lives here, so the victim has to be brought along.
		a = in.insider(g)
		t.victim, owns, lives = a.id, a.id.browser, a.id.here.country
		g.dice.pcg = &a.pcg
	}
	d := g.dice
	id := &identity{user: t.victim.user}
	a.id = id
	i := in.spec.Intensity
	id.here = in.attackNetwork(g, a)
	for id.here.country == lives {
		id.here.country = g.anyCountry()
	}
	if d.chance(1 - i) {
		// The careful use a subscriber's line in the victim's country.
		id.here.country = lives
	}
	id.here.asn = id.here.country.asn + int64(d.n(4))
	if d.chance(i / 2) {
		id.here = hosted(id.here)
	}
	for id.browser == nil || id.browser == owns {
		id.browser = g.anyBrowser(g.desktops)
	}
	if in.variant == "cookie" {
		// With the cookie came the browser's name, but not its TLS library.
		id.browser = &browser{agent: owns.agent, ja4: id.browser.ja4, http: id.browser.http}
	}
	t.foe = newFoe(in, known, 14, 7, .6)
	t.steps = in.api.routesOf(RoleProfile, RoleList, RoleParties, RoleProfileEdit, RoleAddParty, RoleBasketAdd, RoleSubmit, RoleSubmit, RoleItem, RoleSubmit, RoleList)
	a.act = t
}

func (t *thief) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !t.started {
		t.started = true
		// The token is the one in use now; what the victim renews later is not
		// the thief's.
		a.id.generation = t.victim.generation
		if t.login {
			q := request{api: t.api, route: t.api.route(RoleLogin), auth: nobody, login: a.id.user}
			q.status = q.route.ok
			g.emit(a, &q, ev)
			a.id.generation |= 1 << 31
			return t.within(a.at + d.wait(2, .5))
		}
	}
	if t.ordinary(g) && t.read(g, a, ev) {
		return t.within(a.at + d.wait(t.gap, t.sigma))
	}
	q := request{api: t.api, auth: known, page: 1, object: d.Uint64() >> 8, route: t.steps[t.turn%len(t.steps)]}
	t.turn++
	own(a, &q)
	q.status = g.outcome(t.api, q.route, a.at, false)
	g.emit(a, &q, ev)
	return t.spent(g, a)
}
