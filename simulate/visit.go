package simulate

import "github.com/weir-dev/weir/schemas"

func (p *person) callPage(g *Generator, a *agent, q *request, ev *schemas.Event) int64 {
	d := g.dice
	q.route = p.page.calls[p.step].route
	if o := q.route.objects; o != nil && o.PerUser > 0 {
		q.object = o.owned(a.id.user, p.object%max(1, p.owned*o.PerUser/4))
	}
	q.status = g.outcome(p.api, q.route, a.at, true)
	if p.again {
		// The first was taken, whatever its sender believes.
		if p.again = false; !failed(q.status) && d.chance(.5) {
			q.status = 409
		}
		g.emit(a, q, ev)
		return p.advance(g, a)
	}
	g.emit(a, q, ev)
	if q.route.mutation && p.double > 0 && d.chance(p.double) {
		p.again = true
		return a.at + int64(40*millisecond) + d.wait(.5, .9)
	}
	switch {
	case failed(q.status):
		if wait, again := p.patience(g); again {
			return a.at + wait
		}
	case q.status == 401 && p.loggedIn && p.retries == 0:
		// Expired early: renew, then the same call again.
		p.retries++
		p.state = refreshing
		return a.at + d.wait(.06, .4)
	}
	p.retries = 0
	if q.status == 400 || q.status == 422 {
		// A rejected form is corrected and sent again, by most.
		if q.route.mutation && d.chance(.6) {
			return a.at + d.wait(p.think, .6)
		}
	}
	return p.advance(g, a)
}

// advance moves to the page's next call, or to the next page, or ends the visit.
func (p *person) advance(g *Generator, a *agent) int64 {
	d := g.dice
	for p.step++; p.step < len(p.page.calls); p.step++ {
		c := &p.page.calls[p.step]
		if c.chance < 1 && !d.chance(c.chance) {
			continue
		}
		next := a.at + d.wait(.09, .6)
		if c.pause {
			next = a.at + d.wait(p.think*.8, .9)
		}
		p.resume(next)
		return next
	}
	if p.pagesLeft--; p.pagesLeft <= 0 {
		return p.close(g, a)
	}
	from := p.page
	p.page = from.next[d.weighted(from.sum)]
	next := a.at + d.wait(p.think, .95)
	first := p.page.calls[0].route
	switch {
	case first.role == RoleHistory || p.page == from && first.paged && d.chance(.6):
		// Turning over keeps the object and the search.
		p.pageNo++
		p.step = 0
	default:
		p.enter(g)
	}
	if p.page.auth && !p.loggedIn {
		p.login(g, a, next)
		return next
	}
	p.resume(next)
	return next
}

// close ends the visit and arranges what comes next.
func (p *person) close(g *Generator, a *agent) int64 {
	p.loggedIn = p.persist && p.loggedIn
	p.nextVisit = g.visit(p.rhythm, p.gap, p.zone, a.at+10*second)
	if p.pollEvery > 0 {
		p.schedulePoll(g, a.at)
	}
	return p.idle(g, a)
}

// schedulePoll places the next background call. Phones doze at night.
func (p *person) schedulePoll(g *Generator, at int64) {
	d := g.dice
	next := at
	for range 64 {
		next += int64(p.pollEvery * second * max(.3, 1+.18*d.r.NormFloat64()))
		if awake(next+p.zone) || d.chance(.06) {
			break
		}
	}
	p.nextPoll = next
}
