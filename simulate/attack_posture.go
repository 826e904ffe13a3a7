package simulate

import "github.com/weir-dev/weir/schemas"

// postureCallers is how many people come across a fault of an API.
const postureCallers = 12

// buildPosture makes people whose calls show that an API is set up badly. They
// mean no harm, and the label is the API's.
func buildPosture(g *Generator, in *instance) {
	for range postureCallers {
		id := &identity{}
		a := in.add(g, id)
		id.user = attackUsers + uint64(a.index)
		id.here = in.attackNetwork(g, a)
		id.browser = g.anyBrowser(g.desktops)
		r := &raider{foe: newFoe(in, known, 15, 120, .9), inside: true}
		r.cover, r.delay = 0, 600
		switch in.variant {
		case "open-route":
			r.auth, r.strike, r.routes = nobody, walkIn, in.api.routesOf(RoleList)
		case "plain-http":
			r.strike, r.routes = inTheClear, in.api.routesOf(RoleSummary, RoleList, RoleItem, RoleParties)
		default:
			r.strike, r.routes = seeInside, in.api.routesOf(RoleList, RoleItem, RoleParties, RoleHistory)
		}
		a.act = r
	}
}

// walkIn is let in without being asked who it is.
func walkIn(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.status = q.route.ok
}

var plainHTTP = []byte("http")

// inTheClear calls without TLS.
func inTheClear(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.scheme = plainHTTP
}

// seeInside gets errors that tell how the API is made.
func seeInside(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	if q.status = 500; g.dice.chance(.35) {
		q.status = 400
	}
	q.replied = int64(g.dice.lognormal(14_000, .4))
}

// framer has attacks look as if somebody else made them.
type framer struct {
	foe
	victim   uint64 // user or consumer
	consumer bool
	name     bool
}

func buildFraming(g *Generator, in *instance) {
	a := in.stranger(g)
	f := &framer{foe: newFoe(in, nobody, 120, 2, .5)}
	f.cover = 0
	a.act = f
	switch in.spec.Name {
	case "framing-consumer":
		f.auth, f.consumer = claimed, true
		v := g.victim(in, func(a *agent) bool { p, ok := a.act.(*partner); return ok && p.api == in.api })
		if v != nil {
			a.id.consumer = v.id.consumer
			in.frames(schemas.Entity{Type: "consumer", Value: string(g.consumerName(nil, a.id.consumer))})
		}
		return
	case "framing-login":
		f.name = true
	}
	v := g.victim(in, func(a *agent) bool {
		p, ok := a.act.(*person)
		return ok && p.first == 0 && a.class != ClassOffice && p.apis[0] == in.api && p.base.addr.Is4()
	})
	if v == nil {
		return
	}
	f.victim = v.id.user
	in.frames(schemas.Entity{Type: "user", Value: string(g.userName(nil, v.id.user))})
	if !f.name {
		home := v.act.(*person).base.addr
		b := home.As4()
		a.id.claims = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		in.frames(schemas.Entity{Type: "ip", Value: home.String()})
	}
}

func (in *instance) frames(e schemas.Entity) { in.victims = append(in.victims, e) }

func (f *framer) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: f.api, auth: f.auth, page: 1, object: d.Uint64() >> 8, status: 401}
	switch {
	case f.consumer:
		roles := f.api.routesOf(ordinaryReads...)
		q.route = roles[d.n(len(roles))]
		own(a, &q)
	case f.name:
		q.route, q.login = f.api.route(RoleLogin), f.victim
	default:
		q.route, q.login = f.api.route(RoleLogin), strangers+d.Uint64()>>25
	}
	g.emit(a, &q, ev)
	return f.spent(g, a)
}
