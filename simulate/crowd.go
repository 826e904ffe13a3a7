package simulate

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// Crowd is a flash crowd of people that were never seen before: a product is
// on the news, a sale opens. They come on top of Config.Clients.
type Crowd struct {
	API             string // empty: the first with a catalogue, or else the first
	Start, Duration time.Duration
	Newcomers       int
}

// Launch adds an API with clients of its own, on top of Config.Clients.
type Launch struct {
	API API
	// At is when the first client may call.
	At      time.Duration
	Clients int
	// CallsPerDay, if above zero, makes the clients applications that make so
	// many calls a day between all of them, on working days. Otherwise they are
	// people who take the API up over the hours after At.
	CallsPerDay float64
}

// ResetWave is a time in which a share of the people find their old password
// refused at the next login: the operator has made everybody choose a new one.
type ResetWave struct {
	API             string // empty: every API
	Start, Duration time.Duration
	Share           float64 // above 0, at most 1
}

type wave struct {
	api         *api
	from, until int64
	share       float64
}

// Numbers of people beyond Config.Clients: newcomers and adopters from
// extraUsers, accounts of kiosks from kioskUsers, attackers above both.
const (
	extraUsers = MaxClients
	kioskUsers = 7 << 19
)

func (g *Generator) addWaves() error {
	if len(g.cfg.Resets) > 16 {
		return fmt.Errorf("%w: %d reset waves, want at most 16", ErrConfig, len(g.cfg.Resets))
	}
	for _, w := range g.cfg.Resets {
		a, err := g.named(w.API)
		if err != nil || w.Duration <= 0 || !(w.Share > 0 && w.Share <= 1) {
			return fmt.Errorf("%w: reset wave %+v, want a positive duration, a share of 0 to 1 and an API of the world", ErrConfig, w)
		}
		from := g.start + w.Start.Microseconds()
		g.waves = append(g.waves, wave{a, from, from + w.Duration.Microseconds(), w.Share})
	}
	return nil
}

// addExtras builds the clients that come with Crowds and Launches.
func (g *Generator) addExtras() error {
	many := 0
	for _, c := range g.cfg.Crowds {
		many += min(max(c.Newcomers, 0), kioskUsers)
	}
	for _, l := range g.cfg.Launches {
		many += min(max(l.Clients, 0), kioskUsers)
	}
	if many > kioskUsers-extraUsers {
		return fmt.Errorf("%w: crowds and launches have %d clients, want at most %d", ErrConfig, many, kioskUsers-extraUsers)
	}
	user := uint64(extraUsers)
	for i, c := range g.cfg.Crowds {
		target, err := g.named(c.API)
		if err != nil || c.Duration <= 0 || c.Newcomers < 0 {
			return fmt.Errorf("%w: crowd %+v, want a positive duration, newcomers and an API of the world", ErrConfig, c)
		}
		if target == nil {
			if target = g.target("", []Role{RoleCatalogue}); target == nil {
				target = g.open[0]
			}
		}
		from := g.start + c.Start.Microseconds()
		for n := range c.Newcomers {
			a := g.extra(ClassNewcomer, domainCrowd, i, n, user)
			user++
			p := newPerson(g, a, nil)
			p.apis = [2]*api{target, target}
			// The news spreads fast and is old soon: a triangle that leans left.
			d := g.dice
			p.first = from + int64(min(d.float(), d.float())*float64(c.Duration.Microseconds()))
			p.gap = max(p.gap, 4*86_400/g.cfg.Activity)
			a.act = p
		}
	}
	for i, l := range g.cfg.Launches {
		if l.Clients < 0 || l.At < 0 || !(l.CallsPerDay >= 0) {
			return fmt.Errorf("%w: launch of %q, want clients, calls and a time that are not negative", ErrConfig, l.API.Name)
		}
		target, live := g.apis[len(g.cfg.World.APIs)+i], g.start+l.At.Microseconds()
		for n := range l.Clients {
			if l.CallsPerDay > 0 {
				a := g.extra(ClassSparse, domainLaunch, i, n, user)
				a.act = newSparse(g, a, target, live, l.CallsPerDay/float64(l.Clients))
			} else {
				a := g.extra(ClassAdopter, domainLaunch, i, n, user)
				p := newPerson(g, a, nil)
				p.apis = [2]*api{target, target}
				p.first = live + int64(g.dice.exp(float64(8*hour)))
				a.act = p
			}
			user++
		}
	}
	return nil
}

// extra makes the agent of a client that is not one of Config.Clients, and puts
// the dice on its stream.
func (g *Generator) extra(class Class, domain uint64, group, n int, user uint64) *agent {
	a := &agent{index: uint32(len(g.agents)), class: class, id: &identity{user: user}, attack: -1}
	seedPCG(&a.pcg, g.cfg.Seed, domain, uint64(group)<<32|uint64(n))
	g.dice.pcg = &a.pcg
	g.agents = append(g.agents, a)
	return a
}

// sparse is an application that hardly ever calls.
type sparse struct {
	api  *api
	gap  float64
	zone int64
	live int64
}

func newSparse(g *Generator, a *agent, target *api, live int64, perDay float64) *sparse {
	d := g.dice
	c := g.anyCountry()
	a.id.consumer = 4<<32 | a.id.user
	a.id.here = g.anyHome(c)
	a.id.browser = scriptAgent(g, d.Uint64()>>40)
	// Five working days and a quiet weekend make 5.12 days a week.
	return &sparse{api: target, gap: 86_400 / perDay / 7 * 5.12, zone: c.zone * hour, live: live}
}

func (s *sparse) home() (*api, authority) { return s.api, app }

func (s *sparse) begin(g *Generator, a *agent, from int64) int64 {
	return g.visit(workRhythm, s.gap, s.zone, max(from, s.live))
}

func (s *sparse) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	roles := [...]Role{RoleList, RoleItem, RoleItem, RoleSubmit, RoleSummary}
	q := request{api: s.api, route: s.api.route(roles[d.n(len(roles))]), auth: app, page: 1}
	if q.route == nil {
		q.route = s.api.route(RoleSummary)
	}
	if o := q.route.objects; o != nil {
		if q.object = d.Uint64() >> 8; o.PerUser > 0 {
			q.object = o.owned(a.id.user, q.object)
		} else {
			q.object %= o.Count
		}
	}
	q.status = g.machineOutcome(s.api, q.route, a.at)
	g.emit(a, &q, ev)
	return g.visit(workRhythm, s.gap, s.zone, a.at)
}
