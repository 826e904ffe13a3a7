package simulate

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// raider makes calls of one kind of abuse, mostly as the holder of an account.
type raider struct {
	foe
	inside bool // has logged in, or need not
	turn   int  // hostile calls made
	routes []*route
	texts  [][]byte // what an injector injects
	// strike says what the next hostile call is. A status that it leaves unset
	// is what a well-meaning client would get.
	strike func(r *raider, g *Generator, a *agent, q *request)
}

const unset = -1

// raid makes the instance's insider a raider.
func (in *instance) raid(g *Generator, calls, gap, sigma float64, strike func(*raider, *Generator, *agent, *request), roles ...Role) *raider {
	a := in.insider(g)
	g.dice.pcg = &a.pcg
	r := &raider{foe: newFoe(in, known, calls, gap, sigma), routes: in.api.routesOf(roles...), strike: strike}
	if len(roles) > 0 && len(r.routes) == 0 {
		r.routes = in.api.routesOf(RoleSummary) // which every API has
	}
	a.act = r
	return r
}

// routesOf are those of the roles that an API has.
func (a *api) routesOf(roles ...Role) []*route {
	var out []*route
	for _, role := range roles {
		if r := a.route(role); r != nil {
			out = append(out, r)
		}
	}
	return out
}

func (r *raider) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !r.inside {
		r.inside = true
		return r.enter(g, a, ev)
	}
	if r.ordinary(g) && r.read(g, a, ev) {
		return r.within(a.at + d.wait(r.gap, r.sigma))
	}
	q := request{api: r.api, auth: r.auth, page: 1, object: d.Uint64() >> 8, login: a.id.user, status: unset}
	r.strike(r, g, a, &q)
	if q.status == unset {
		q.status = g.outcome(r.api, q.route, a.at, false)
	}
	g.emit(a, &q, ev)
	r.turn++
	return r.spent(g, a)
}

// any chooses one of the raider's routes and an object for it that the caller
// owns or may see.
func (r *raider) any(g *Generator, a *agent, q *request) {
	q.route = r.routes[g.dice.n(len(r.routes))]
	if o := q.route.objects; o != nil {
		if o.PerUser > 0 {
			q.object = o.owned(a.id.user, q.object)
		} else {
			q.object = g.dice.zipf(o.Count)
		}
	}
}

// foreign is the number of an object of anybody.
func (g *Generator) foreign(o *objects) uint64 {
	d := g.dice
	switch {
	case o == nil:
		return 0
	case o.PerUser == 0:
		return d.Uint64() % o.Count
	case o.Scatter:
		return d.Uint64() & (1<<scatterBits - 1)
	}
	return d.Uint64() % (o.PerUser * uint64(max(g.cfg.Clients, 1000)))
}

// oneOf draws a status: each of the pairs is a status and its share, the last
// one's share is what is left.
func (d *dice) oneOf(shares ...StatusShare) int64 {
	x := d.float()
	for _, s := range shares {
		if x < s.Share {
			return s.Status
		}
		x -= s.Share
	}
	return shares[len(shares)-1].Status
}

func buildDestruction(g *Generator, in *instance) {
	role := RoleRemove
	if in.variant == "overwrite" {
		role = RoleUpdate
	}
	in.raid(g, 250, 1.2, .6, destroy, role)
}

var foreignOutcomes = []StatusShare{{0, .6}, {403, .25}, {404, .15}}

// destroy goes through the caller's own objects first and then through those
// of others.
func destroy(r *raider, g *Generator, a *agent, q *request) {
	q.route = r.routes[0]
	o := q.route.objects
	if o != nil && uint64(r.turn) < o.PerUser {
		q.object = o.owned(a.id.user, uint64(r.turn))
		q.status = q.route.ok
		return
	}
	q.object = g.foreign(o)
	if q.status = g.dice.oneOf(foreignOutcomes...); q.status == 0 {
		q.status = q.route.ok
	}
}

func buildDataInjection(g *Generator, in *instance) {
	calls, gap, sigma, strike := 1500.0, .2, .5, overfill
	if in.variant == "oversize" {
		calls, gap, sigma, strike = 60, 5, .6, overload
	}
	r := in.raid(g, calls, gap, sigma, strike)
	for _, c := range in.api.routesOf(RoleAddParty, RoleBasketAdd, RoleSubmit) {
		if string(c.method) == "POST" && len(r.routes) == 0 {
			r.routes = append(r.routes, c)
		}
	}
	if len(r.routes) == 0 {
		r.routes = in.api.routesOf(RoleSubmit)
	}
}

var (
	fullOutcomes    = []StatusShare{{409, .02}, {422, .015}, {429, .01}, {0, 0}}
	tooLargeOutcome = []StatusShare{{413, .3}, {400, .12}, {0, 0}}
)

// overfill creates, and creates, and creates.
func overfill(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	if q.status = g.dice.oneOf(fullOutcomes...); q.status == 0 {
		q.status = q.route.ok
	}
}

// overload sends bodies far above what the route usually takes.
func overload(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.size = g.dice.between(30, 100)
	q.slow = 1 + q.size/30
	if q.status = g.dice.oneOf(tooLargeOutcome...); q.status == 0 {
		q.status = q.route.ok
	}
}

func buildExpensive(g *Generator, in *instance) {
	in.raid(g, 60, 20, .5, burden, RoleReport, RoleSearch, RoleHistory, RoleCatalogue, RoleList)
}

var burdened = []StatusShare{{504, .05}, {503, .03}, {0, 0}}

// burden asks for everything since ever, or for the end of a long list.
func burden(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.query = g.widen(q, a.at)
	q.slow, q.grown = g.dice.between(20, 100), g.dice.between(1.5, 4)
	if q.status = g.dice.oneOf(burdened...); q.status == 0 {
		q.status = q.route.ok
	}
}

func buildExposure(g *Generator, in *instance) {
	in.raid(g, 60, 6, .6, expose, RoleList, RoleParties, RoleHistory, RoleProfile, RoleSearch)
}

// expose asks for more than is shown to anybody, and gets it.
func expose(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.query = g.extend(q, a.at, exposing[g.dice.n(len(exposing))])
	q.status = q.route.ok
	q.grown, q.slow = g.dice.between(10, 50), g.dice.between(2, 5)
}

var exposing = lines(`expand=all page_size=10000 fields=* include=owner,history,internal per_page=10000&expand=all
	limit=50000 view=full depth=9 with=deleted,hidden`)

func buildSequence(g *Generator, in *instance) {
	if in.variant == "skip" {
		in.raid(g, 30, 40, .9, skipAhead, RoleSubmit, RoleItem)
		return
	}
	in.raid(g, 45, 12, .9, backwards, RoleSubmit, RoleVerify, RoleAddParty, RoleBasketAdd, RoleBasket, RoleParties)
}

var conflicts = []StatusShare{{409, .05}, {422, .04}, {0, 0}}

// skipAhead comes to the last step without any of those before.
func skipAhead(r *raider, g *Generator, a *agent, q *request) {
	if r.any(g, a, q); g.dice.chance(.7) {
		q.route = r.routes[0]
	}
	own(a, q)
	if q.status = g.dice.oneOf(conflicts...); q.status == 0 {
		q.status = q.route.ok
	}
}

// backwards takes the steps from the last to the first, and some twice.
func backwards(r *raider, g *Generator, a *agent, q *request) {
	if r.turn > 0 && g.dice.chance(.3) {
		r.turn--
	}
	q.route = r.routes[r.turn%len(r.routes)]
	own(a, q)
	if q.status = g.dice.oneOf(conflicts...); q.status == 0 {
		q.status = q.route.ok
	}
}

// own makes the object of a call one of the caller's.
func own(a *agent, q *request) {
	if o := q.route.objects; o != nil {
		if o.PerUser > 0 {
			q.object = o.owned(a.id.user, q.object)
		} else {
			q.object %= o.Count
		}
	}
}

// isSearched prefers APIs whose costly route is open to everybody.
func isSearched(a *api, _ string) fitness {
	if a.has(RoleSearch) {
		return ideal
	}
	return passable
}

func hasDecoys(a *api, variant string) fitness {
	switch {
	case len(a.decoys) == 0:
		return unfit
	case variant == "ip" && !a.has(RoleCatalogue):
		return passable
	}
	return ideal
}

func buildDecoy(g *Generator, in *instance) {
	var r *raider
	if in.variant == "ip" {
		a := in.stranger(g)
		r = &raider{foe: newFoe(in, unmarked, 1, 20, .8), inside: true, strike: trip}
		a.act = r
	} else {
		r = in.raid(g, 1, 20, .8, trip)
	}
	r.left = int(math.Round(float64(1+g.dice.n(2)) * math.Sqrt(in.spec.Intensity)))
	r.left = max(r.left, 1)
	// All the rest is ordinary.
	r.cover = .85
}

// stranger is an agent without an account, at a hosting provider.
func (in *instance) stranger(g *Generator) *agent {
	id := &identity{}
	a := in.add(g, id)
	id.user = attackUsers + uint64(a.index)
	id.here = hosted(in.attackNetwork(g, a))
	id.browser = g.anyBrowser(g.desktops)
	return a
}

// trip calls what nobody has been told of.
func trip(r *raider, g *Generator, a *agent, q *request) {
	q.route = r.api.route(RoleSummary)
	q.path = r.api.decoys[g.dice.n(len(r.api.decoys))]
	q.query, q.method = noQuery, getMethod
	if r.api.templates {
		q.template = q.path
	}
	q.status = 404
}
