package simulate

import "github.com/weir-dev/weir/schemas"

// reader is a person whose work is to take data out: an analyst turns page
// after page in working hours, an exporter downloads many documents at night or
// at the end of the month. All of it is theirs.
type reader struct {
	api     *api
	route   *route
	night   bool
	monthly bool
	reports bool // an analyst who asks for few and costly answers
	zone    int64
	at      int64   // time of day of a nightly run, local
	count   float64 // median calls of a run
	pace    float64 // median seconds between calls
	sigma   float64
	rest    float64 // mean seconds between an analyst's runs, at factor 1
	first   uint64  // number of the first object

	left, page, retries int
	object              uint64
	inside              bool
}

func newReader(g *Generator, a *agent) *reader {
	d := g.dice
	r := &reader{night: a.class == ClassExporter}
	role := RoleHistory
	if r.night {
		role = RoleDownload
	} else if d.chance(.25) && g.withRoles(RoleReport) != nil {
		role, r.reports = RoleReport, true
	}
	if r.api = g.withRoles(role); r.api == nil {
		r.api = g.openAPI()
	}
	if r.route = r.api.route(role); r.route == nil {
		r.route = r.api.route(RoleSummary)
	}
	c := g.anyCountry()
	a.id.here = g.anyHome(c)
	a.id.browser = g.anyBrowser(g.desktops)
	r.zone = c.zone * hour
	if r.night {
		// A scheduled task on somebody's own computer.
		a.id.browser = scriptAgent(g, d.Uint64()>>40)
		r.monthly = d.chance(.35)
		r.at = int64(d.between(0, 6) * hour)
		r.count = min(max(d.lognormal(150, .8), 30), 1500)
		r.pace, r.sigma = max(d.lognormal(1.2, .7), .25), .35
		if r.monthly {
			r.count *= 3
		}
	} else {
		r.count = min(max(d.lognormal(70, .7), 15), 600)
		r.pace, r.sigma = max(d.lognormal(2.5, .5), .6), .6
		r.rest = 86_400 / min(max(d.lognormal(3, .6), .7), 12) / g.cfg.Activity
		if r.reports {
			r.count, r.pace = r.count/5, r.pace*8
		}
	}
	r.first = 1<<24 + a.id.user*2048
	return r
}

func (r *reader) home() (*api, authority) { return r.api, known }

func (r *reader) begin(g *Generator, a *agent, from int64) int64 { return r.next(g, from) }

// next is the start of the next run after t.
func (r *reader) next(g *Generator, t int64) int64 {
	r.inside = false
	if !r.night {
		return g.visit(workRhythm, r.rest, r.zone, t)
	}
	local := t + r.zone
	run := local - local%day + r.at
	for run <= local || r.monthly && !monthEnd(run) {
		run += day
	}
	return run - r.zone + int64(g.dice.exp(2*minute))
}

func (r *reader) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: r.api, auth: known, login: a.id.user}
	if !r.inside {
		q.route, q.auth = r.api.route(RoleLogin), nobody
		q.status = g.outcome(r.api, q.route, a.at, false)
		g.emit(a, &q, ev)
		if q.status != q.route.ok {
			return a.at + second + d.wait(20, .5)
		}
		r.inside, r.left, r.page = true, 1+int(min(r.count*d.spread(.25), 3000)), 1
		r.object = 0
		a.id.generation++
		return a.at + d.wait(1, .5)
	}
	q.route, q.page, q.object = r.route, r.page, r.first+r.object
	q.status = g.machineOutcome(r.api, r.route, a.at)
	g.emit(a, &q, ev)
	if failed(q.status) && r.retries < 4 {
		r.retries++
		return a.at + d.wait(float64(2*r.retries), .4)
	}
	r.retries = 0
	r.page++
	if r.night || r.page > 40 && d.chance(.05) {
		// The next document, or the pages of another account.
		r.object, r.page = r.object+1, 1
	}
	if r.left--; r.left <= 0 {
		return r.next(g, a.at+10*minute)
	}
	return a.at + d.wait(r.pace, r.sigma)
}

// dashboard is a page on a screen that nobody closes: it asks for the same few
// things every few seconds, all day, and retries as its makers thought best.
type dashboard struct {
	api         *api
	every       float64
	jitter      float64
	around      bool // the clock, or in working hours
	zone        int64
	widgets     [3]*route
	count, step int
	style       retryStyle
	tries       int
	tokenUntil  int64
	beat        int64
}

func newDashboard(g *Generator, a *agent) *dashboard {
	d := g.dice
	s := &dashboard{api: g.openAPI(), style: g.anyRetry()}
	for _, role := range [...]Role{RoleSummary, RoleList, RoleParties, RoleBasket, RoleCards} {
		if r := s.api.route(role); r != nil && s.count < len(s.widgets) && (s.count == 0 || d.chance(.2)) {
			s.widgets[s.count] = r
			s.count++
		}
	}
	c := g.anyCountry()
	a.id.here = g.anyHome(c)
	a.id.browser = g.anyBrowser(g.desktops)
	s.zone = c.zone*hour + int64(d.between(-1.5, 1.5)*hour)
	s.every = d.between(5, 10)
	s.jitter = d.between(.002, .03)
	s.around = d.chance(.4)
	return s
}

func (s *dashboard) home() (*api, authority) { return s.api, known }

func (s *dashboard) begin(g *Generator, a *agent, from int64) int64 {
	s.beat = s.open(g, from+int64(g.dice.float()*s.every*second))
	return s.beat
}

// open is the next time at or after t at which the screen is on.
func (s *dashboard) open(g *Generator, t int64) int64 {
	if s.around {
		return t
	}
	for {
		local := t + s.zone
		h, weekday := local%day/hour, (local/day+4)%7
		switch {
		case weekday == 0 || weekday == 6 || h >= 18:
			t += day - local%day + 8*hour + int64(g.dice.exp(float64(10*minute)))
		case h < 8:
			t += 8*hour - local%day + int64(g.dice.exp(float64(10*minute)))
		default:
			return t
		}
	}
}

func (s *dashboard) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	q := request{api: s.api, route: s.widgets[s.step], auth: known, page: 1}
	if a.at >= s.tokenUntil {
		q.route = s.api.route(RoleRefresh)
		if q.status = g.outcome(s.api, q.route, a.at, false); q.status == 401 {
			q.status = q.route.ok
		}
		g.emit(a, &q, ev)
		if !failed(q.status) {
			s.tokenUntil = a.at + s.api.tokenTTL
			a.id.generation++
			return a.at + d.wait(.06, .4)
		}
	} else {
		q.status = g.outcome(s.api, q.route, a.at, true)
		g.emit(a, &q, ev)
	}
	if failed(q.status) {
		s.tries++
		if w, again := s.style.wait(d, s.tries, s.every); again {
			return a.at + int64(w*second)
		}
	}
	s.tries = 0
	if s.step++; s.step < s.count {
		return a.at + d.wait(.03, .5)
	}
	s.step = 0
	next := s.beat + int64(s.every*second)
	if next < a.at {
		next = a.at + int64(s.every*second)
	}
	s.beat = s.open(g, next)
	return max(s.beat+int64(s.every*second*s.jitter*d.r.NormFloat64()), a.at+1)
}

// tester is somebody in quality assurance: for an hour now and then, wrong
// paths, wrong methods and odd parameters, and correct calls between them.
type tester struct {
	api   *api
	zone  int64
	gap   float64
	until int64
	text  []byte // of the path and the query made up
}

func newTester(g *Generator, a *agent) *tester {
	d := g.dice
	s := &tester{api: g.openAPI()}
	c := g.anyCountry()
	a.id.here = g.anyHome(c)
	a.id.browser = g.anyBrowser(g.desktops)
	if d.chance(.6) {
		a.id.browser = scriptAgent(g, d.Uint64()>>40)
	}
	s.zone = c.zone * hour
	s.gap = 86_400 / min(max(d.lognormal(.9, .5), .3), 3) / g.cfg.Activity
	s.text = make([]byte, 0, 160)
	return s
}

func (s *tester) home() (*api, authority) { return s.api, known }

func (s *tester) begin(g *Generator, a *agent, from int64) int64 {
	return g.visit(workRhythm, s.gap, s.zone, from)
}

var (
	oddParameters = []string{
		"limit=0", "limit=-1", "limit=100000", "page=abc", "page=0", "debug=1", "test=true", "sort=", "id=", "lang=xx",
		"name=%C3%A9%C3%BC", "q=%20", "date=2026-13-40", "fields=all", "q=test%26test", "offset=99999999",
	}
	wrongEndings = []string{"/test", "/0", "/null", "/undefined", "/x", "/-1", "s", "/999999999", "/new", "//"}
	testMethods  = [][]byte{[]byte("PUT"), []byte("DELETE"), []byte("PATCH"), []byte("OPTIONS"), []byte("POST"), []byte("HEAD")}
)

func (s *tester) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if s.until == 0 {
		s.until = a.at + int64(d.between(.6, 1.4)*hour)
		a.id.generation++
	}
	q := request{api: s.api, auth: known, page: 1, login: a.id.user}
	for {
		q.route = s.api.order[d.n(len(s.api.order))]
		switch q.route.role {
		case RoleLogin, RoleAdminUsers, RoleAdminAudit, RoleAdminExport, RoleAdminGrant:
			continue
		}
		break
	}
	if o := q.route.objects; o != nil {
		if q.object = d.Uint64() >> 8; o.PerUser > 0 {
			q.object = o.owned(a.id.user, q.object)
		} else {
			q.object %= o.Count
		}
	}
	s.text = s.text[:0]
	switch x := d.float(); {
	case x < .2:
		s.text = append(append(s.text, g.write(q.route, q.route.path, &q, a.at)...), wrongEndings[d.n(len(wrongEndings))]...)
		q.path, q.status = s.text, 404
	case x < .32:
		q.method, q.status = testMethods[d.n(len(testMethods))], 405
		s.text = append(s.text, g.write(q.route, q.route.path, &q, a.at)...)
		q.path = s.text
	case x < .6:
		s.text = append(s.text, oddParameters[d.n(len(oddParameters))]...)
		q.query, q.status = s.text, 400
		if d.chance(.6) {
			q.status = q.route.ok
		}
	case x < .7 && q.route.mutation:
		q.status = 422
	default:
		q.status = g.outcome(s.api, q.route, a.at, false)
	}
	if q.status < 500 && g.down(s.api, a.at) {
		q.status = 503
	}
	g.emit(a, &q, ev)
	if a.at >= s.until {
		s.until = 0
		return g.visit(workRhythm, s.gap, s.zone, a.at)
	}
	return a.at + d.wait(12, 1.1)
}

// monthEnd says whether a local time is on the first or the last day of a month.
func monthEnd(local int64) bool {
	return dayOfMonth(local) == 1 || dayOfMonth(local+day) == 1
}
