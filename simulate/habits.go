package simulate

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// habits are what sets some people apart from most.
type habits struct {
	vpn     bool // calls through the exits of a provider, another every day
	manager bool // a password manager answers login forms, also with old passwords
	locked  bool // the app's token is no longer good
	retry   retryStyle
	devices uint8   // that are used in turn; 0 for one
	wrong   uint8   // saved passwords still to be refused
	resets  uint16  // waves that the person has been through, a bit each
	stale   float64 // chance that a background call finds the password changed
	double  float64 // chance that a form is sent twice
	first   int64   // when somebody who was never seen comes first; 0 for others
}

// acquire draws the habits of a class.
func (p *person) acquire(g *Generator, class Class) {
	d := g.dice
	if p.persist {
		p.retry = g.anyRetry()
	}
	switch class {
	case ClassPower:
		// A Pareto tail: 10 to 50 times the visits of a median person.
		p.gap = 86_400 / (.9 * min(10*math.Pow(1-d.float(), -1/1.2), 50))
		p.pages, p.think = p.pages*1.4, p.think*.7
	case ClassVPN:
		p.vpn = true
	case ClassDevices:
		p.devices, p.renew = uint8(2+d.n(3)), .06
	case ClassManager:
		p.manager, p.forget = true, .12
		p.anonymous = .2
	case ClassStale:
		p.stale = .015
	case ClassDoubler:
		p.double = d.between(.15, .5)
	}
}

// exit is the place of a VPN's exit: another country and provider every day,
// and for one visit in five yet another. Others of the simulation use the same.
func (p *person) exit(g *Generator, a *agent) place {
	n := uint64(p.nextVisit+p.zone) / day
	if g.dice.chance(.2) {
		n = g.dice.Uint64()
	}
	h := derive(g.cfg.Seed, domainExit, a.id.user<<24^n)
	i, provider, host := h%uint64(len(countries)), h>>8%3, h>>16%8
	c := &countries[i]
	// Of the providers one is known as such, two are seen as hosting.
	asn := c.asn + 11
	if provider > 0 {
		asn = c.asn + 14
	}
	// 246.country.provider.0/24.
	return place{addr: v4(246<<24 | uint32(i)<<16 | uint32(provider)<<8 | uint32(20+host)), country: c, asn: asn}
}

// pick decides which device a visit is made with, and now and then buys one:
// the account stays, the fingerprint and the user agent do not.
func (p *person) pick(g *Generator, a *agent) {
	d := g.dice
	if p.devices > 0 {
		n := uint64(d.n(int(p.devices)))
		h := derive(g.cfg.Seed, domainDevice, a.id.user<<8|n)
		kinds := [...][]browser{g.hands, g.desktops, g.apps[p.api.index]}
		of := kinds[n%3]
		a.id.browser = &of[h%uint64(len(of))]
	}
	if !d.chance(p.renew) {
		return
	}
	if p.persist {
		a.id.browser = g.anyBrowser(g.apps[p.apis[0].index])
	} else {
		a.id.browser = g.anyBrowser(g.desktops)
	}
	p.loggedIn = false
}

// patience is how long somebody in front of a screen waits before a failed
// call is made again. People reload a few times; apps do it by their style.
func (p *person) patience(g *Generator) (wait int64, again bool) {
	d := g.dice
	p.retries++
	if p.persist && p.retry != backOff {
		w, again := p.retry.wait(d, p.retries, 15)
		if p.retries > 120 {
			again = false
		}
		return int64(w * second), again
	}
	if p.retries > 5 || !d.chance(.7) {
		return 0, false
	}
	return d.wait(1.2*math.Exp2(float64(p.retries-1)), .4), true
}

// afterPoll looks at what a background call came to: a failed one is repeated
// by the app's style, and for some the saved password has gone stale.
func (p *person) afterPoll(g *Generator, a *agent, status int64) {
	d := g.dice
	if failed(status) {
		if p.retries++; p.retries <= 400 {
			if w, again := p.retry.wait(d, p.retries, p.pollEvery); again {
				p.nextPoll = min(p.nextPoll, a.at+int64(w*second))
				return
			}
		}
	}
	p.retries = 0
	if p.stale > 0 && !p.locked && d.chance(p.stale) {
		p.locked, p.wrong = true, uint8(8+min(d.exp(8), 40))
	}
}

// callStale is an app that tries a saved password until its owner sees to it.
func (p *person) callStale(g *Generator, a *agent, q *request, ev *schemas.Event) int64 {
	d := g.dice
	q.route, q.auth, q.status = p.api.route(RoleLogin), nobody, 401
	g.emit(a, q, ev)
	p.wrong--
	p.retries++
	p.nextPoll = a.at + int64(second*min(5*math.Exp2(float64(min(p.retries-1, 12))), 900)*d.between(.9, 1.1))
	if p.wrong == 0 {
		// It gives up; the next visit begins with a login.
		p.retries = 0
		p.nextPoll = never
	}
	return p.idle(g, a)
}

// callReset asks for a new password, which comes by mail.
func (p *person) callReset(g *Generator, a *agent, q *request, ev *schemas.Event) int64 {
	d := g.dice
	q.route, q.auth = p.api.route(RoleReset), nobody
	q.status = g.outcome(p.api, q.route, a.at, false)
	g.emit(a, q, ev)
	if q.status != q.route.ok {
		if p.retries++; p.retries > 3 {
			return p.close(g, a)
		}
		return a.at + second + d.wait(6, .6)
	}
	p.reset, p.retries, p.state = false, 0, loggingIn
	return a.at + 10*second + d.wait(40, .7)
}

// wave is the reset wave that makes a person's password useless at a time, or
// -1.
func (g *Generator) wave(p *person, a *agent, at int64) int {
	for i := range g.waves {
		w := &g.waves[i]
		if at < w.from || at >= w.until || w.api != nil && w.api != p.api || p.resets>>i&1 != 0 || a.attack >= 0 {
			continue
		}
		h := derive(g.cfg.Seed, domainReset, uint64(i)<<48|a.id.user)
		if float64(h>>11)/(1<<53) < w.share {
			return i
		}
	}
	return -1
}
