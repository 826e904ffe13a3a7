package simulate

import "github.com/weir-dev/weir/schemas"

// kiosk is a shared device: a till, a terminal in a foyer, a library's computer.
// One person after another logs in with an account of theirs and leaves.
type kiosk struct {
	api   *api
	first uint64  // number of the first of its accounts
	gap   float64 // mean seconds between visitors
	zone  int64

	fails, left, step int
	inside            bool
}

// kioskAccounts is how many people use one kiosk.
const kioskAccounts = 64

func newKiosk(g *Generator, a *agent, k uint64) *kiosk {
	d := g.dice
	s := &kiosk{api: g.openAPI(), first: kioskUsers + k*kioskAccounts&(1<<19-1)}
	c := g.anyCountry()
	a.id.here = g.anyHome(c)
	a.id.browser = g.anyBrowser(g.desktops)
	s.zone = c.zone * hour
	s.gap = 86_400 / min(max(d.lognormal(40, .5), 15), 150) / g.cfg.Activity
	return s
}

// home is the device: the accounts are seen elsewhere too.
func (s *kiosk) home() (*api, authority) { return s.api, nobody }

func (s *kiosk) begin(g *Generator, a *agent, from int64) int64 {
	return s.next(g, a, from)
}

func (s *kiosk) next(g *Generator, a *agent, from int64) int64 {
	d := g.dice
	// Few come often.
	a.id.user = s.first + d.zipf(kioskAccounts)
	a.id.generation++
	s.inside, s.step, s.left = false, 0, 2+int(min(d.lognormal(4, .6), 30))
	s.fails = 0
	if d.chance(.09) {
		s.fails = 1 + d.n(3)
	}
	return g.visit(workRhythm, s.gap, s.zone, from)
}

var kioskRoles = [...]Role{RoleSummary, RoleList, RoleItem, RoleCatalogue, RoleSearch, RoleProduct, RoleSubmit}

func (s *kiosk) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: s.api, auth: known, page: 1, login: a.id.user}
	if !s.inside {
		q.route, q.auth = s.api.route(RoleLogin), nobody
		if s.fails > 0 {
			q.status = 401
			s.fails--
		} else {
			q.status = g.outcome(s.api, q.route, a.at, false)
		}
		g.emit(a, &q, ev)
		if s.inside = q.status == q.route.ok; s.inside {
			return a.at + d.wait(.4, .5)
		}
		if s.left--; s.left <= 0 {
			return s.next(g, a, a.at)
		}
		return a.at + second + d.wait(8, .6)
	}
	if q.route = s.api.route(kioskRoles[d.n(len(kioskRoles))]); q.route == nil || s.step == 0 {
		q.route = s.api.route(RoleSummary)
	}
	s.step++
	if o := q.route.objects; o != nil {
		if q.object = d.Uint64() >> 8; o.PerUser > 0 {
			q.object = o.owned(a.id.user, q.object%max(1, o.PerUser/3))
		} else {
			q.object = d.zipf(o.Count)
		}
	}
	q.status = g.outcome(s.api, q.route, a.at, true)
	g.emit(a, &q, ev)
	if s.left--; s.left <= 0 {
		return s.next(g, a, a.at+10*second)
	}
	return a.at + d.wait(6, .8)
}
