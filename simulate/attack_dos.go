package simulate

import "math"

// Loads and limits of a distributed denial of service.
const (
	// callsPerClient is what a benign client of the default mix makes in a day,
	// over all APIs.
	callsPerClient = 230.0
	dosFactor      = 3.5 // of the API's ordinary load
	dosPace        = 6.0 // median calls a minute of a source
	dosMinutes     = 20.0
	leastSources   = 120
	mostSources    = 5000
)

func buildDoS(g *Generator, in *instance) {
	i := in.spec.Intensity
	load := callsPerClient * float64(g.cfg.Clients) * g.cfg.Activity / 1440 / float64(len(g.apis))
	sources := min(max(dosFactor*load/dosPace, leastSources)*i, mostSources)
	routes := in.api.routesOf(RoleSearch, RoleReport, RoleSummary)[:1]
	d := g.dice
	var providers [3]int64
	for range max(1, int(math.Round(sources))) {
		id := &identity{}
		a := in.add(g, id)
		id.user = attackUsers + uint64(a.index)
		id.here = in.attackNetwork(g, a)
		pace := min(max(d.lognormal(dosPace, .3), 3.2), 11.5)
		r := &raider{foe: newFoe(in, nobody, pace*dosMinutes, 60/pace, .4), inside: true, strike: press, routes: routes}
		// More of it means more sources: each stays below every limit.
		r.gap = 60 / pace
		r.cover, r.delay = min(r.cover, .3), 10
		switch in.variant {
		case "shared-fingerprint":
			id.browser = &g.scripts[(in.index+d.n(2))%len(g.scripts)]
		case "one-provider":
			k := d.n(len(providers))
			if providers[k] == 0 {
				providers[k] = id.here.country.asn + 14
			}
			id.here.asn = providers[k]
			id.browser = g.anyBrowser(g.desktops)
		default:
			r.auth = visitor
			if id.browser = g.anyBrowser(g.desktops); d.chance(.4) {
				id.browser = g.anyBrowser(g.hands)
			}
		}
		a.act = r
	}
}

var pressed = []StatusShare{{503, .06}, {429, .02}, {504, .02}, {0, 0}}

// press calls the costly route, for something else each time.
func press(r *raider, g *Generator, _ *agent, q *request) {
	q.route = r.routes[0]
	q.page = 1 + g.dice.n(3)
	q.slow = 2.5 // the backend is busy
	if q.status = g.dice.oneOf(pressed...); q.status == 0 {
		q.status = q.route.ok
		if q.route.role != RoleSearch {
			q.status = 401
		}
	}
}
