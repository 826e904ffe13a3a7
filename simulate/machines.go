package simulate

import "github.com/weir-dev/weir/schemas"

// withRoles draws an API that has the roles, or returns nil.
func (g *Generator) withRoles(roles ...Role) *api {
	var fit [16]*api
	n := 0
	for _, a := range g.open {
		if n < len(fit) && a.has(roles...) {
			fit[n] = a
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fit[g.dice.n(n)]
}

func scriptAgent(g *Generator, k uint64) *browser {
	agents := g.scripts
	return &agents[k%uint64(len(agents))]
}

// partner is an application of another company: it walks its own objects every
// night, synchronises by the clock, posts batches, and calls on demand.
type partner struct {
	api   *api
	zone  int64
	walk  *route
	list  *route
	post  *route
	first uint64 // number of the partner's first object
	dense bool   // objects are adjacent; else spread
	count float64

	walkGap, postGap float64 // median seconds between calls of a batch
	walkAt, postAt   int64   // time of day of the batches, UTC microseconds
	posts            float64 // median calls in a posting batch; 0 for none
	syncEvery        float64 // seconds; 0 for none
	syncJitter       float64
	adHoc            float64 // mean seconds between calls on demand

	style retryStyle // of synchronising

	walkLeft, postLeft, cursor, retries     int
	syncTries                               int
	nextWalk, nextPost, nextSync, nextAdHoc int64
}

func newPartner(g *Generator, a *agent, k uint64) *partner {
	d := g.dice
	p := &partner{api: g.withRoles(RoleItem, RoleList, RoleSubmit)}
	if p.api == nil {
		p.api = g.openAPI()
	}
	p.walk, p.list, p.post = p.api.route(RoleItem), p.api.route(RoleList), p.api.route(RoleSubmit)
	if p.walk == nil {
		p.walk = p.api.route(RoleSummary)
	}
	if p.list == nil {
		p.list = p.api.route(RoleSummary)
	}
	if r := p.api.route(RoleVerify); r != nil && d.chance(.25) {
		p.post = r
	}
	c := g.anyCountry()
	a.id.consumer = k
	a.id.here = place{addr: v4(198<<24 | 18<<16 | uint32(k*16+5)&0x1ffff), country: c, asn: c.asn + 12}
	a.id.browser = scriptAgent(g, d.Uint64()>>40)
	p.zone = c.zone * hour
	p.first = 1<<23 + k*8192
	p.dense = d.chance(.4)
	p.count = min(max(d.lognormal(900, .9), 100), 8000)
	p.walkGap = max(d.lognormal(.45, .6), .12)
	p.walkAt = int64(d.between(0, 5) * hour)
	if d.chance(.5) && p.post != nil {
		p.posts = min(d.lognormal(45, .8), 400)
		p.postGap = max(d.lognormal(1.1, .6), .2)
		p.postAt = int64(d.between(0, 24) * hour)
	}
	if d.chance(.6) {
		p.syncEvery = []float64{300, 900, 1800, 3600}[d.n(4)]
		p.syncJitter = d.between(.004, .06)
	}
	p.adHoc = d.lognormal(900, .9) / g.cfg.Activity
	p.style = g.anyRetry()
	if a.class == ClassWalker {
		// All of its objects, one after another, at any hour.
		p.dense, p.count = true, d.between(2000, 8000)
		p.walkGap = max(d.lognormal(.25, .5), .08)
		p.walkAt = int64(d.between(0, 24) * hour)
	}
	return p
}

func (p *partner) home() (*api, authority) { return p.api, app }

func (p *partner) begin(g *Generator, a *agent, from int64) int64 {
	d := g.dice
	p.nextWalk = p.daily(g, p.walkAt, from)
	p.nextPost, p.nextSync = never, never
	if p.posts > 0 {
		p.nextPost = p.daily(g, p.postAt, from)
	}
	if p.syncEvery > 0 {
		p.nextSync = from + int64(d.float()*p.syncEvery*second)
	}
	p.nextAdHoc = g.visit(workRhythm, p.adHoc, p.zone, from)
	return p.next()
}

// daily is the next start of a batch that is due at a local time of day, some
// minutes late as schedulers are.
func (p *partner) daily(g *Generator, timeOfDay, from int64) int64 {
	local := from + p.zone
	t := local - local%day + timeOfDay - p.zone
	for t <= from {
		t += day
	}
	return t + int64(g.dice.exp(3*minute))
}

func (p *partner) next() int64 {
	return min(p.nextWalk, p.nextPost, p.nextSync, p.nextAdHoc)
}

func (p *partner) object(i int) uint64 {
	if p.dense {
		return p.first + uint64(i)
	}
	// Odd steps through a power of two visit each of its numbers once.
	return p.first + uint64(i)*2731&8191
}

func (p *partner) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: p.api, auth: app, page: 1}
	// A batch that held up another makes that one overdue, so the earliest is
	// looked for instead of the one that stands at a.at.
	switch p.next() {
	case p.nextWalk:
		if p.walkLeft == 0 {
			p.walkLeft, p.cursor = 1+int(min(p.count*d.spread(.08), 8000)), 0
		}
		q.route, q.object = p.walk, p.object(p.cursor)
		p.send(g, a, &q, ev)
		if p.again(q.status) {
			p.nextWalk = a.at + d.wait(2, .4)
			return p.next()
		}
		p.cursor++
		p.walkLeft--
		p.nextWalk = a.at + d.wait(p.walkGap, .45)
		if p.walkLeft == 0 {
			p.nextWalk = p.daily(g, p.walkAt, a.at+12*hour)
			if d.chance(.04) {
				p.nextWalk += day // a night without
			}
		}
	case p.nextPost:
		if p.postLeft == 0 {
			p.postLeft = 1 + int(min(p.posts*d.spread(.3), 1000))
		}
		q.route = p.post
		p.send(g, a, &q, ev)
		p.postLeft--
		p.nextPost = a.at + d.wait(p.postGap, .5)
		if p.postLeft == 0 {
			p.nextPost = p.daily(g, p.postAt, a.at+12*hour)
		}
	case p.nextSync:
		q.route, q.object = p.list, p.object(0)
		p.send(g, a, &q, ev)
		if failed(q.status) {
			p.syncTries++
			if w, again := p.style.wait(d, p.syncTries, p.syncEvery); again {
				p.nextSync = a.at + int64(w*second)
				break
			}
		}
		p.syncTries = 0
		p.nextSync = a.at + int64(p.syncEvery*second*(1+p.syncJitter*d.r.NormFloat64()))
	default:
		q.route, q.object = p.walk, p.object(d.n(int(p.count)))
		if p.post != nil && d.chance(.2) {
			q.route = p.post
		}
		p.send(g, a, &q, ev)
		p.nextAdHoc = g.visit(workRhythm, p.adHoc, p.zone, a.at)
	}
	return max(p.next(), a.at+1)
}

// again says whether a call is to be repeated, up to three times.
func (p *partner) again(status int64) bool {
	if !failed(status) || p.retries >= 3 {
		p.retries = 0
		return false
	}
	p.retries++
	return true
}

// send makes a partner's call: machines keep no cache, and their mistakes in
// forms were ironed out long ago.
func (p *partner) send(g *Generator, a *agent, q *request, ev *schemas.Event) {
	q.status = g.machineOutcome(q.api, q.route, a.at)
	g.emit(a, q, ev)
}

func (g *Generator) machineOutcome(a *api, r *route, at int64) int64 {
	s := g.outcome(a, r, at, false)
	if s >= 400 && s < 500 && !g.dice.chance(.4) {
		return r.ok
	}
	return s
}

// job is somebody's script that posts by a loose clock.
type job struct {
	api    *api
	route  *route
	auth   authority
	every  float64 // seconds
	jitter float64 // sd of the logarithm of the interval
	skip   float64 // chance that a run is left out
	from   int64   // hours of the day in which it runs, local
	until  int64
	zone   int64
	style  retryStyle
	tries  int
}

func newJob(g *Generator, a *agent, k uint64) *job {
	d := g.dice
	j := &job{auth: app}
	if j.api = g.withRoles(RoleSubmit); j.api == nil {
		j.api = g.openAPI()
	}
	j.route = j.api.route(RoleRefresh)
	for _, r := range [...]Role{RoleSubmit, RoleAddParty, RoleBasketAdd} {
		if c := j.api.route(r); c != nil && c.mutation && (j.route.role == RoleRefresh || d.chance(.3)) {
			j.route = c
		}
	}
	c := g.anyCountry()
	a.id.consumer = 1<<32 | k
	a.id.here = g.anyHome(c)
	a.id.browser = scriptAgent(g, d.Uint64()>>40)
	j.zone = c.zone * hour
	if d.chance(.4) {
		j.auth = known
	}
	j.every = 60 * []float64{10, 15, 20, 30, 60, 120}[d.n(6)]
	j.jitter = d.between(.22, .6)
	j.skip = d.between(.05, .25)
	j.from = int64(d.n(10))
	j.until = j.from + 6 + int64(d.n(8))
	j.style = g.anyRetry()
	return j
}

func (j *job) home() (*api, authority) { return j.api, j.auth }

func (j *job) begin(g *Generator, a *agent, from int64) int64 {
	return j.after(g, from+int64(g.dice.float()*j.every*second))
}

// after is the next run at or after t that falls into the job's hours.
func (j *job) after(g *Generator, t int64) int64 {
	for {
		local := t + j.zone
		h := local % day / hour
		switch {
		case h < j.from:
			t += (j.from-h)*hour - local%hour + int64(g.dice.exp(2*minute))
		case h >= j.until:
			t += (24-h+j.from)*hour - local%hour + int64(g.dice.exp(2*minute))
		default:
			return t
		}
	}
}

func (j *job) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: j.api, route: j.route, auth: j.auth, object: d.Uint64() >> 40}
	if o := j.route.objects; o != nil && o.Count > 0 {
		q.object %= o.Count
	}
	q.status = g.machineOutcome(j.api, j.route, a.at)
	g.emit(a, &q, ev)
	if failed(q.status) {
		j.tries++
		if w, again := j.style.wait(d, j.tries, j.every); again {
			return j.after(g, a.at+int64(w*second))
		}
	}
	j.tries = 0
	next := a.at + d.wait(j.every, j.jitter)
	for d.chance(j.skip) {
		next += d.wait(j.every, j.jitter)
	}
	return j.after(g, next)
}
