package simulate

import (
	"github.com/weir-dev/weir/schemas"
)

// walker goes through objects that are not its own.
type walker struct {
	foe
	inside bool // has logged in
	routes [2]*route
	random bool
	cursor uint64
	stride uint64
	open   float64 // share of foreign objects that the API gives away
	absent float64 // share that does not exist
}

func buildEnumeration(g *Generator, in *instance) {
	a := in.insider(g)
	g.dice.pcg = &a.pcg
	d := g.dice
	w := &walker{foe: newFoe(in, known, 300, 1.5, .5), random: in.variant == "random", stride: 1}
	w.routes = [2]*route{in.api.route(RoleItem), in.api.route(RoleItem)}
	if h := in.api.route(RoleHistory); h != nil && h.objects == w.routes[0].objects && d.chance(.3) {
		w.routes[1] = h
	}
	w.cursor = w.routes[0].objects.owned(a.id.user, 0)
	if d.chance(.3) {
		w.stride = ^uint64(0) // downwards
	}
	w.open, w.absent = d.between(.15, .6), d.between(.05, .25)
	if w.random {
		w.open, w.absent = w.open*.6, d.between(.3, .6)
	}
	a.act = w
}

func buildExfiltration(g *Generator, in *instance) {
	if in.variant == "boiling-frog" {
		buildFrog(g, in)
		return
	}
	a := in.insider(g)
	g.dice.pcg = &a.pcg
	w := &walker{foe: newFoe(in, known, 500, 4, .6), random: true, open: 1}
	w.routes = [2]*route{in.api.route(RoleDownload), in.api.route(RoleDownload)}
	a.act = w
}

func (w *walker) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !w.inside {
		w.inside = true
		return w.enter(g, a, ev)
	}
	if w.ordinary(g) && w.read(g, a, ev) {
		return w.within(a.at + d.wait(w.gap, w.sigma))
	}
	q := request{api: w.api, auth: known, page: 1, route: w.routes[d.n(2)]}
	o := q.route.objects
	switch {
	case w.random && o.Scatter:
		q.object = d.Uint64() & (1<<scatterBits - 1)
	case w.random:
		q.object = d.Uint64() % (max(o.PerUser, 1) * uint64(max(g.cfg.Clients, 1000)))
	default:
		w.cursor += w.stride
		q.object = w.cursor
	}
	switch x := d.float(); {
	case x < w.open:
		q.status = q.route.ok
	case x < w.open+w.absent:
		q.status = 404
	default:
		q.status = 403
	}
	g.emit(a, &q, ev)
	return w.spent(g, a)
}

// scraper takes the whole catalogue at a steady pace.
type scraper struct {
	foe
	next   int // objects taken
	inside bool
}

func buildScraping(g *Generator, in *instance) {
	s := &scraper{}
	var a *agent
	if in.variant == "ip" {
		id := &identity{}
		a = in.add(g, id)
		id.here = hosted(in.attackNetwork(g, a))
		id.browser = g.anyBrowser(g.desktops)
		s.foe, s.inside = newFoe(in, unmarked, 1500, 1, .15), true
	} else {
		a = in.insider(g)
		s.foe = newFoe(in, known, 1500, 1, .15)
	}
	a.act = s
}

// scraperPage is how many objects a list page of the catalogue shows.
const scraperPage = 24

func (s *scraper) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !s.inside {
		s.inside = true
		return s.enter(g, a, ev)
	}
	if s.ordinary(g) && s.read(g, a, ev) {
		return s.within(a.at + d.wait(s.gap, s.sigma))
	}
	q := request{api: s.api, auth: s.auth, page: 1 + s.next/(scraperPage+1), route: s.api.route(RoleCatalogue)}
	if i := s.next % (scraperPage + 1); i > 0 {
		q.route = s.api.route(RoleProduct)
		q.object = uint64(s.next-q.page) % q.route.objects.Count
	}
	s.next++
	// What the catalogue lists exists, so all that goes wrong is the backend.
	if q.status = g.outcome(s.api, q.route, a.at, false); q.status >= 400 && q.status < 500 {
		q.status = q.route.ok
	}
	g.emit(a, &q, ev)
	return s.spent(g, a)
}
