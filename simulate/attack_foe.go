package simulate

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// hosted moves a place to a hosting provider.
func hosted(p place) place {
	p.asn = p.country.asn + 14
	return p
}

// insider makes an attacker who holds a valid account, with the ordinary life
// of that account beside the attack, from the start of the simulation.
func (in *instance) insider(g *Generator) *agent {
	id := &identity{}
	a := in.add(g, id)
	id.user = attackUsers + uint64(a.index)
	id.here = in.attackNetwork(g, a)
	id.browser = g.anyBrowser(g.desktops)

	life := in.add(g, id)
	life.cover, life.class = true, ClassHuman
	own := *id
	p := newPerson(g, life, nil)
	*id = own
	p.base, p.apis = id.here, [2]*api{in.api, in.api}
	p.roam, p.renew, p.forget = 0, 0, 0
	// About four visits a day, so that there is a life to compare with.
	p.gap = min(p.gap, 21_600/g.cfg.Activity)
	life.act = p
	return a
}

// company is an insider that is an application with a partner's ordinary life.
func (in *instance) company(g *Generator) *agent {
	id := &identity{}
	a := in.add(g, id)
	life := in.add(g, id)
	life.cover, life.class = true, ClassPartner
	p := newPartner(g, life, attackUsers+uint64(life.index))
	p.first = 1<<25 + uint64(life.index)*8192
	if in.api.has(RoleItem, RoleList, RoleSubmit) {
		p.api, p.walk, p.list, p.post = in.api, in.api.route(RoleItem), in.api.route(RoleList), in.api.route(RoleSubmit)
	}
	p.count, p.walkGap = min(p.count, 400), max(p.walkGap, .4)
	id.here = in.attackNetwork(g, life)
	life.act = p
	return a
}

// foe is what all hostile actors share.
type foe struct {
	api   *api
	auth  authority
	end   int64
	left  int     // hostile calls to make
	gap   float64 // median seconds between calls
	sigma float64
	cover float64 // chance that a call is an ordinary one instead
	delay float64 // seconds that the agent waits after the attack's start, at most
}

// newFoe scales an attack by its intensity: calls come intensity times as fast,
// there are sqrt(intensity) times as many, and below 1 up to 60 % of the calls
// are ordinary ones.
func newFoe(in *instance, auth authority, calls, gap, sigma float64) foe {
	i := in.spec.Intensity
	return foe{
		api: in.api, auth: auth, end: in.end, sigma: sigma,
		left: max(1, int(math.Round(calls*math.Sqrt(i)))), gap: gap / i,
		cover: min(max(.7*(1-i), 0), .6), delay: 2,
	}
}

func (f *foe) begin(g *Generator, a *agent, from int64) int64 {
	return f.within(from + int64(g.dice.float()*f.delay*second))
}

func (f *foe) within(t int64) int64 {
	if t >= f.end {
		return never
	}
	return t
}

// spent counts a hostile call and returns the time of the next one.
func (f *foe) spent(g *Generator, a *agent) int64 {
	a.hostile = true
	if f.left--; f.left <= 0 {
		return never
	}
	return f.within(a.at + g.dice.wait(f.gap, f.sigma))
}

// ordinary says whether this call is to be an ordinary one.
func (f *foe) ordinary(g *Generator) bool { return f.cover > 0 && g.dice.chance(f.cover) }

var (
	ordinaryReads = []Role{RoleSummary, RoleList, RoleItem, RoleParties, RoleHistory, RoleProduct}
	publicReads   = []Role{RoleCatalogue, RoleProduct, RoleSearch}
)

// read makes a call as any client might, with the answers that such a client
// gets, and reports false where the API has nothing for callers like this.
func (f *foe) read(g *Generator, a *agent, ev *schemas.Event) bool {
	d := g.dice
	roles := ordinaryReads
	if f.auth == nobody || f.auth == unmarked {
		roles = publicReads
	}
	from := d.n(len(roles))
	for i := range roles {
		r := f.api.route(roles[(from+i)%len(roles)])
		if r == nil {
			continue
		}
		q := request{api: f.api, route: r, auth: f.auth, page: 1 + d.n(2), object: d.Uint64() >> 8}
		if o := r.objects; o != nil {
			if o.PerUser > 0 {
				q.object = o.owned(a.id.user, q.object%max(1, o.PerUser/2))
			} else {
				q.object = d.zipf(o.Count)
			}
		}
		q.status = g.outcome(f.api, r, a.at, false)
		g.emit(a, &q, ev)
		return true
	}
	return false
}

// enter logs the attacker's own account in, as its owner would.
func (f *foe) enter(g *Generator, a *agent, ev *schemas.Event) int64 {
	q := request{api: f.api, route: f.api.route(RoleLogin), auth: nobody, login: a.id.user}
	q.status = q.route.ok
	g.emit(a, &q, ev)
	a.id.generation++
	return f.within(a.at + g.dice.wait(2, .5))
}
