package simulate

import "github.com/weir-dev/weir/schemas"

// person is a human at a browser or an app. The personality is drawn once; the
// rest is where the person is in a visit.
type person struct {
	apis   [2]*api // the same twice for most
	rhythm *rhythm
	zone   int64 // microseconds added to UTC for the person's own day

	gap       float64 // mean seconds between visits at factor 1
	pages     float64 // median pages in a visit
	think     float64 // median seconds on a page
	typo      float64 // chance of a wrong password in a login
	forget    float64 // chance of having forgotten it altogether
	roam      float64 // chance that a visit comes from another network
	stray     float64 // chance that such a network is in another country
	renew     float64 // chance that a visit comes from a new device
	anonymous float64 // chance of staying logged out until a page needs a login
	pollEvery float64 // seconds between background calls of an app; 0 for none
	persist   bool    // the app keeps its token between visits
	owned     uint64  // objects of each kind that the person owns
	base      place
	habits

	// Of the visit.
	api        *api
	page       *page
	step       int
	pagesLeft  int
	watchLeft  int
	object     uint64 // id number in use
	pageNo     int
	state      personState
	loggedIn   bool
	giveUp     bool
	reset      bool // the failed logins end in a new password
	again      bool // the call just made is about to be made once more
	failsLeft  int
	retries    int
	tokenUntil int64

	nextVisit, nextPoll int64
}

type personState uint8

const (
	calling personState = iota
	loggingIn
	refreshing
	polling
	watching
	resetting
	replaying // the app tries a saved password that is no longer right
)

// newPerson draws a personality of the agent's class.
func newPerson(g *Generator, a *agent, pop *population) *person {
	d := g.dice
	c := g.anyCountry()
	p := &person{
		rhythm: peopleRhythm, typo: min(0.035*d.spread(.8), .35), forget: .004,
		roam: .06, stray: .01, renew: .004, owned: 1 + uint64(d.n(4)),
		gap: 86_400 / min(0.9*d.spread(1.0), 14), pages: min(5*d.spread(.55), 40), think: min(9*d.spread(.5), 60),
		anonymous: .6,
	}
	a.id.browser = g.anyBrowser(g.desktops)
	switch a.class {
	case ClassOffice:
		o := pop.seat()
		p.rhythm, p.base, c = workRhythm, o.place, o.place.country
		p.roam, p.gap, p.anonymous = .03, p.gap/1.5, .4
		a.id.browser = o.browsers[d.n(len(o.browsers))]
		a.id.claims = 192<<24 | 168<<16 | 1<<8 | uint32(10+d.n(200))
		if d.chance(.05) {
			p.typo, p.forget = .15, .35
		}
	case ClassCarrier, ClassMobile, ClassStale:
		p.persist, p.anonymous, p.pages = true, .1, p.pages*.7
		p.pollEvery = 60 * min(25*d.spread(.6), 180)
		p.gap /= 1.8
		p.roam = .3 // home network and elsewhere
		if a.class == ClassCarrier {
			p.base = pop.carrierPlace()
			c = p.base.country
			p.roam = .12
			if d.chance(.05) {
				p.typo, p.forget = .15, .35
			}
		}
	case ClassForgetful:
		p.typo, p.forget = min(.15*d.spread(.5), .5), .35
	case ClassTraveller:
		p.roam, p.stray, p.renew = .35, .5, .1
	case ClassNewcomer:
		p.anonymous = .92
	}
	p.acquire(g, a.class)
	p.apis[0] = g.openAPI()
	p.apis[1] = p.apis[0]
	if d.chance(.08) {
		p.apis[1] = g.openAPI()
	}
	if p.persist {
		// Apps run in a phone's browser engine or their own; one in eight uses
		// the site.
		a.id.browser = g.anyBrowser(g.apps[p.apis[0].index])
		if d.chance(.125) {
			a.id.browser = g.anyBrowser(g.hands)
		}
	} else if a.class != ClassOffice && d.chance(.35) {
		a.id.browser = g.anyBrowser(g.hands)
	}
	if p.base.country == nil {
		p.base = g.anyHome(c)
	}
	a.id.here = p.base
	// Larks and owls.
	p.zone = c.zone*hour + int64(d.between(-1.5, 1.5)*hour)
	p.gap /= g.cfg.Activity
	return p
}

func (p *person) home() (*api, authority) { return p.apis[0], known }

func (p *person) begin(g *Generator, a *agent, from int64) int64 {
	if p.first > 0 {
		// Nobody knew of them before.
		from = max(from, p.first)
		p.nextVisit = from
	} else {
		p.nextVisit = g.visit(p.rhythm, p.gap, p.zone, from)
	}
	p.nextPoll = never
	if p.pollEvery > 0 {
		p.nextPoll = from + int64(g.dice.float()*p.pollEvery*second)
	}
	return p.idle(g, a)
}

// idle arranges the next thing that happens between visits.
func (p *person) idle(g *Generator, a *agent) int64 {
	if p.locked && p.wrong == 0 {
		p.nextPoll = never
	}
	if p.nextPoll < p.nextVisit {
		p.state, p.api = polling, p.apis[0]
		if p.locked {
			p.state = replaying
		}
		return p.nextPoll
	}
	if p.nextVisit < never {
		p.open(g, a)
	}
	return p.nextVisit
}

// open starts a visit: where from, with what, as whom, for how long.
func (p *person) open(g *Generator, a *agent) {
	d := g.dice
	p.api = p.apis[0]
	if p.apis[1] != p.api && d.chance(.3) {
		p.api = p.apis[1]
	}
	p.move(g, a)
	p.loggedIn = p.persist && !p.locked && d.chance(.96)
	p.pick(g, a)
	p.page, p.step, p.pageNo = p.api.pages[0], 0, 0
	p.pagesLeft = 1 + int(min(d.lognormal(p.pages, .7), 200))
	if p.loggedIn && g.wave(p, a, p.nextVisit) >= 0 {
		p.loggedIn = false
	}
	p.tokenUntil = 0
	a.id.session++
	p.failsLeft, p.giveUp, p.reset, p.again, p.retries, p.watchLeft = 0, false, false, false, 0, 0
	if p.persist && p.loggedIn && d.chance(.2) {
		// The app lies open and asks for news by itself.
		p.state, p.watchLeft = watching, int(min(d.lognormal(15, .7), 120))
		return
	}
	p.enter(g)
	if (p.page.auth || !d.chance(p.anonymous)) && !p.loggedIn {
		p.login(g, a, p.nextVisit)
		return
	}
	p.resume(p.nextVisit)
}

// move decides which network the visit comes from. Some who have moved stay a
// while before they are back.
func (p *person) move(g *Generator, a *agent) {
	d := g.dice
	if p.vpn {
		a.id.here = p.exit(g, a)
		return
	}
	if a.id.here != p.base && !d.chance(.6) {
		return
	}
	a.id.here = p.base
	if d.chance(p.roam) {
		c := p.base.country
		if d.chance(p.stray) {
			c = g.anyCountry()
		}
		a.id.here = g.anyHome(c)
	}
}

// login makes the next call a login, and decides how many tries it will take.
func (p *person) login(g *Generator, a *agent, at int64) {
	d := g.dice
	p.state, p.giveUp, p.reset, p.locked = loggingIn, false, false, false
	if w := g.wave(p, a, at); w >= 0 {
		p.resets |= 1 << w
		p.failsLeft, p.reset = 1, true
		return
	}
	switch {
	case d.chance(p.forget):
		if p.manager {
			p.failsLeft, p.reset = 3+d.n(6), true
			return
		}
		p.failsLeft = min(1+int(d.exp(2)), 6)
		if p.giveUp = d.chance(.25); !p.giveUp {
			p.reset = d.chance(.4)
		}
	case d.chance(p.typo):
		p.failsLeft = 1
		if d.chance(.2) {
			p.failsLeft += 1 + d.n(2)
		}
	}
}

// resume makes the next call the page's, after a refresh if the token is old.
func (p *person) resume(at int64) {
	p.state = calling
	if p.loggedIn && at >= p.tokenUntil {
		p.state = refreshing
	}
}

// enter chooses the object that a page is about.
func (p *person) enter(g *Generator) {
	p.step, p.pageNo = 0, 1
	for _, c := range p.page.calls {
		if c.route.public {
			p.object = g.dice.zipf(c.route.objects.Count)
			return
		}
	}
	p.object = g.dice.Uint64() >> 8
}

func (p *person) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: p.api, auth: visitor, page: p.pageNo, object: p.object, login: a.id.user}
	if p.loggedIn {
		q.auth = known
	}
	switch p.state {
	case loggingIn:
		return p.callLogin(g, a, &q, ev)
	case refreshing:
		q.route, q.auth = p.api.route(RoleRefresh), known
		q.status = g.outcome(p.api, q.route, a.at, false)
		g.emit(a, &q, ev)
		if q.status == 401 {
			// The session has ended on the server; only a login helps.
			p.loggedIn = false
			p.login(g, a, a.at)
			return a.at + d.wait(p.think, .6)
		}
		if failed(q.status) {
			if wait, again := p.patience(g); again {
				return a.at + wait
			}
			return p.close(g, a)
		}
		p.retries = 0
		a.id.generation++
		p.tokenUntil = a.at + p.api.tokenTTL
		p.state = calling
		return a.at + d.wait(.08, .5)
	case polling:
		q.route, q.auth = p.api.route(RoleSummary), known
		q.status = g.outcome(p.api, q.route, a.at, true)
		g.emit(a, &q, ev)
		p.schedulePoll(g, a.at)
		p.afterPoll(g, a, q.status)
		return p.idle(g, a)
	case resetting:
		return p.callReset(g, a, &q, ev)
	case replaying:
		return p.callStale(g, a, &q, ev)
	case watching:
		q.route = p.api.route(RoleSummary)
		q.status = g.outcome(p.api, q.route, a.at, true)
		g.emit(a, &q, ev)
		if failed(q.status) {
			p.retries++
			if w, again := p.retry.wait(d, p.retries, 20); again {
				return a.at + int64(w*second)
			}
		}
		p.retries = 0
		if p.watchLeft--; p.watchLeft <= 0 {
			return p.close(g, a)
		}
		return a.at + int64(20*second*(1+.15*d.r.NormFloat64()))
	}
	return p.callPage(g, a, &q, ev)
}

func (p *person) callLogin(g *Generator, a *agent, q *request, ev *schemas.Event) int64 {
	d := g.dice
	q.route, q.auth = p.api.route(RoleLogin), nobody
	if p.failsLeft > 0 {
		q.status = 401
		g.emit(a, q, ev)
		if p.failsLeft--; p.failsLeft == 0 && p.giveUp {
			return p.close(g, a)
		}
		if p.failsLeft == 0 && p.reset && p.api.route(RoleReset) != nil {
			p.state = resetting
			return a.at + second + d.wait(9, .6)
		}
		if p.manager {
			return a.at + int64(.4*second) + d.wait(.8, .5)
		}
		return a.at + second + d.wait(7, .8)
	}
	q.status = g.outcome(p.api, q.route, a.at, false)
	g.emit(a, q, ev)
	if q.status != q.route.ok {
		if failed(q.status) {
			if wait, again := p.patience(g); again {
				return a.at + wait
			}
			return p.close(g, a)
		}
		if p.retries++; p.retries > 3 {
			return p.close(g, a)
		}
		return a.at + second + d.wait(3, .6)
	}
	p.retries, p.loggedIn, p.state = 0, true, calling
	p.tokenUntil = a.at + p.api.tokenTTL
	a.id.generation++
	return a.at + d.wait(.25, .5)
}
