package simulate

import "github.com/weir-dev/weir/schemas"

// heartbeat is a known application that posts at an exact interval to see
// whether a business call still works, with the same content each time.
type heartbeat struct {
	api   *api
	route *route
	every int64
	base  int64
	style retryStyle
	tries int
}

func newHeartbeat(g *Generator, a *agent, k uint64) *heartbeat {
	d := g.dice
	h := &heartbeat{api: g.withRoles(RoleVerify), style: g.anyRetry()}
	if h.api == nil {
		h.api = g.openAPI()
	}
	h.route = h.api.route(RoleVerify)
	if r := h.api.route(RoleBasketAdd); r != nil && d.chance(.25) {
		h.route = r
	}
	if h.route == nil {
		h.route = h.api.route(RoleRefresh)
	}
	h.every = []int64{30, 60}[d.n(2)] * second
	server(g, a, 2, k)
	return h
}

// server makes an agent an application in a network of the partners' range.
// Kinds keep the numbers of different classes apart.
func server(g *Generator, a *agent, kind, k uint64) *country {
	c := g.anyCountry()
	a.id.consumer = kind<<32 | k
	a.id.here = place{addr: v4(198<<24 | 18<<16 | uint32(k*16+5+kind)&0x1ffff), country: c, asn: c.asn + 12}
	a.id.browser = scriptAgent(g, g.dice.Uint64()>>40)
	return c
}

func (h *heartbeat) home() (*api, authority) { return h.api, app }

func (h *heartbeat) begin(g *Generator, a *agent, from int64) int64 {
	h.base = from + int64(g.dice.float()*float64(h.every))
	return h.base
}

func (h *heartbeat) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: h.api, route: h.route, auth: app, object: a.id.consumer & 0xffff}
	// What it sends is known to be right, so that nothing but the backend fails.
	if q.status = g.outcome(h.api, h.route, a.at, false); !failed(q.status) {
		q.status = h.route.ok
	}
	g.emit(a, &q, ev)
	if failed(q.status) && h.style != backOff {
		h.tries++
		if w, again := h.style.wait(d, h.tries, float64(h.every)/second); again {
			return a.at + int64(w*second)
		}
	}
	h.tries = 0
	for h.base += h.every; h.base <= a.at; h.base += h.every {
	}
	return h.base + int64(d.exp(3*millisecond))
}

// webhook is an application that is told of changes and then asks for what has
// changed: bursts of calls that begin with something that happened elsewhere.
type webhook struct {
	api         *api
	item, list  *route
	ack         *route
	gap         float64 // mean seconds between notices
	pace        float64
	first, span uint64
	zone        int64
	left        int
}

func newWebhook(g *Generator, a *agent, k uint64) *webhook {
	d := g.dice
	w := &webhook{api: g.withRoles(RoleItem, RoleList)}
	if w.api == nil {
		w.api = g.openAPI()
	}
	if w.item = w.api.route(RoleItem); w.item == nil {
		w.item = w.api.route(RoleSummary)
	}
	w.list, w.ack = w.api.route(RoleList), w.api.route(RoleAddParty)
	if w.list == nil {
		w.list = w.item
	}
	c := server(g, a, 3, k)
	w.zone = c.zone * hour
	w.gap = max(d.lognormal(240, .8), 30) / g.cfg.Activity
	w.pace = max(d.lognormal(.08, .6), .02)
	w.first, w.span = 1<<22+k*512, 512
	return w
}

func (w *webhook) home() (*api, authority) { return w.api, app }

func (w *webhook) begin(g *Generator, a *agent, from int64) int64 {
	return g.visit(peopleRhythm, w.gap, w.zone, from)
}

func (w *webhook) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if w.left == 0 {
		w.left = 1 + int(min(d.exp(3), 20))
		if d.chance(.05) {
			w.left += 20 + d.n(60) // a batch ran on the other side
		}
	}
	q := request{api: w.api, route: w.item, auth: app, page: 1, object: w.first + d.Uint64()%w.span}
	switch x := d.float(); {
	case x < .1:
		q.route = w.list
	case x < .3 && w.ack != nil:
		q.route = w.ack
		if o := w.ack.objects; o != nil && o.Count > 0 {
			q.object %= o.Count
		}
	}
	q.status = g.machineOutcome(w.api, q.route, a.at)
	g.emit(a, &q, ev)
	if w.left--; w.left > 0 {
		return a.at + d.wait(w.pace, .6)
	}
	return g.visit(peopleRhythm, w.gap, w.zone, a.at)
}

// rotator is a person's device whose tokens are good until the hour: the
// credential changes all day while the person stays, and all of its kind renew
// in the same seconds.
type rotator struct {
	api    *api
	every  float64 // seconds between calls
	hours  int64   // between renewals
	zone   int64
	style  retryStyle
	tries  int
	until  int64 // when the token expires
	asked  bool  // the call that found it expired has been made
	nextAt int64
}

func newRotator(g *Generator, a *agent) *rotator {
	d := g.dice
	r := &rotator{api: g.openAPI(), style: g.anyRetry()}
	c := g.anyCountry()
	a.id.here = g.anyHome(c)
	a.id.browser = g.anyBrowser(g.apps[r.api.index])
	r.zone = c.zone * hour
	r.every = min(max(d.lognormal(420, .5), 90), 1500)
	r.hours = []int64{1, 1, 2, 4}[d.n(4)]
	return r
}

func (r *rotator) home() (*api, authority) { return r.api, known }

func (r *rotator) begin(g *Generator, a *agent, from int64) int64 {
	r.until = r.expiry(g, from)
	r.nextAt = from + int64(g.dice.float()*r.every*second)
	return min(r.nextAt, r.until)
}

// expiry is the next full hour of the renewals after t, and the second or two
// by which the device is late.
func (r *rotator) expiry(g *Generator, t int64) int64 {
	h := r.hours * hour
	return t - t%h + h + int64(g.dice.exp(1.5*second))
}

func (r *rotator) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: r.api, route: r.api.route(RoleSummary), auth: known}
	if a.at >= r.until {
		if !r.asked && d.chance(.3) {
			// Found out by a call that was refused.
			r.asked, q.status = true, 401
			g.emit(a, &q, ev)
			return a.at + d.wait(.05, .4)
		}
		q.route = r.api.route(RoleRefresh)
		if q.status = g.outcome(r.api, q.route, a.at, false); q.status == 401 {
			q.status = q.route.ok
		}
		g.emit(a, &q, ev)
		if failed(q.status) {
			r.tries++
			if w, again := r.style.wait(d, r.tries, 60); again {
				return a.at + int64(w*second)
			}
		}
		a.id.generation++
		r.tries, r.asked, r.until = 0, false, r.expiry(g, a.at)
		return min(max(r.nextAt, a.at+int64(80*millisecond)), r.until)
	}
	if l := r.api.route(RoleList); l != nil && d.chance(.3) {
		q.route = l
	}
	q.status = g.outcome(r.api, q.route, a.at, true)
	g.emit(a, &q, ev)
	r.nextAt = a.at + int64(r.every*second*max(.2, 1+.2*d.r.NormFloat64()))
	if !awake(r.nextAt+r.zone) && d.chance(.7) {
		r.nextAt += int64(d.exp(float64(hour)))
	}
	return min(r.nextAt, r.until)
}
