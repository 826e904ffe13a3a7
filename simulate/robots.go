package simulate

import "github.com/weir-dev/weir/schemas"

// crawler reads the catalogue, with the site's permission.
type crawler struct {
	api      *api
	auth     authority
	pace     float64 // median seconds between calls
	missing  float64 // share of dead links
	rest     float64 // mean seconds between crawls
	size     float64 // median calls of a crawl
	left     int
	listPage int
}

func newCrawler(g *Generator, a *agent, k uint64) *crawler {
	d := g.dice
	c := &crawler{auth: nobody}
	if c.api = g.withRoles(RoleCatalogue, RoleProduct); c.api == nil {
		c.api = g.openAPI()
	}
	from := g.anyCountry()
	// 249.x.y.0/24 per crawler.
	a.id.here = place{addr: v4(249<<24 | uint32(k&0x7fff)<<8 | uint32(20+d.n(60))), country: from, asn: from.asn + 13}
	a.id.browser = &g.bots[k%uint64(len(g.bots))]
	if d.chance(.3) {
		c.auth = unmarked
	}
	c.pace = min(max(d.lognormal(4, .8), .8), 30)
	c.missing = d.between(.05, .10)
	c.rest = d.between(1.5, 8) * 3600
	c.size = 350
	return c
}

// newIndexer is a robot that the operator knows and allows: an index of the
// web or a partner in advertising, which reads far more and faster.
func newIndexer(g *Generator, a *agent, k uint64) *crawler {
	c := newCrawler(g, a, k)
	d := g.dice
	// 249.128.0.0/9 is theirs, and they do not hide who they are.
	a.id.here.addr = v4(249<<24 | 1<<23 | uint32(k&0x7fff)<<8 | uint32(20+d.n(60)))
	c.pace = min(max(d.lognormal(1.2, .5), .4), 4)
	c.missing = d.between(.03, .08)
	c.rest = d.between(1, 6) * 3600
	c.size = 1500
	return c
}

func (c *crawler) home() (*api, authority) { return c.api, c.auth }

func (c *crawler) begin(g *Generator, a *agent, from int64) int64 {
	return from + int64(g.dice.exp(c.rest*second*.4))
}

var robotsPath = []byte("/robots.txt")

func (c *crawler) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: c.api, auth: c.auth, page: 1}
	if c.left == 0 {
		c.left = int(min(d.lognormal(c.size, .7), 9*c.size))
		c.listPage = 1
		q.route, q.path, q.status = c.api.route(RoleSummary), robotsPath, 200
		g.emit(a, &q, ev)
		return a.at + d.wait(c.pace, .4)
	}
	q.route = c.api.route(RoleProduct)
	switch x := d.float(); {
	case q.route == nil || x < .12:
		if q.route = c.api.route(RoleCatalogue); q.route == nil {
			q.route = c.api.route(RoleHealth)
		}
		q.page = c.listPage
		c.listPage++
	case x < .2 && c.api.route(RoleCategory) != nil:
		q.route = c.api.route(RoleCategory)
	}
	if o := q.route.objects; o != nil {
		q.object = d.Uint64() % max(o.Count, 1)
	}
	q.status = g.outcome(c.api, q.route, a.at, false)
	if q.status == q.route.ok && d.chance(c.missing) {
		q.status = 404
	}
	g.emit(a, &q, ev)
	if c.left--; c.left == 0 {
		return a.at + int64(d.exp(c.rest*second)) + minute
	}
	return a.at + d.wait(c.pace, .4)
}

// probe asks for the health of an API at an exact interval.
type probe struct {
	api   *api
	auth  authority
	every int64
	base  int64
}

func newProbe(g *Generator, a *agent, k uint64) *probe {
	d := g.dice
	p := &probe{api: g.openAPI(), auth: unmarked}
	p.every = []int64{15, 30, 30, 60}[d.n(4)] * second
	a.id.here = place{addr: v4(10<<24 | 20<<16 | uint32(k&0xffff)), country: &countries[0], asn: schemas.Unknown}
	a.id.browser = &g.probes[k%uint64(len(g.probes))]
	return p
}

func (p *probe) home() (*api, authority) { return p.api, p.auth }

func (p *probe) begin(g *Generator, a *agent, from int64) int64 {
	p.base = from + int64(g.dice.float()*float64(p.every))
	return p.base
}

func (p *probe) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	q := request{api: p.api, route: p.api.route(RoleHealth), auth: p.auth}
	q.status = g.outcome(p.api, q.route, a.at, false)
	g.emit(a, &q, ev)
	ev.Country, ev.XFF = nil, nil
	// The timer is exact; what the gateway sees is a few milliseconds late.
	p.base += p.every
	return p.base + int64(g.dice.exp(3*millisecond))
}
