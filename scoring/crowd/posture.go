package crowd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-dev/weir/schemas"
)

const dayUS = 24 * 3600 * 1_000_000

// maxRoutes bounds the routes of an API whose posture is followed in a day.
const maxRoutes = 1024

// How many calls of a day a posture finding needs, and how clear they must be.
const (
	postureCalls   = 50
	anonymousCalls = 20   // calls answered without an identity that make a route an open one
	openShare      = 0.9  // their share, unless the route has asked for an identity before
	settledCalls   = 1000 // calls with an identity, and none without, that show that it has
	authenticated  = 0.99 // share of calls with an identity that makes a route a closed one
	mostRoutes     = 0.8  // share of the other routes that must be closed for an open one to stand out
	leastRoutes    = 3    // closed routes that there must be
	verboseErrors  = 10   // large error replies
	verboseShare   = 0.1  // share of the errors that are large
	plainCalls     = 10   // calls answered without TLS
	plainShare     = 0.9  // share of plain calls from which they are the API's, not a route's
)

// posture is what a route's calls of the day say of how it is kept.
type posture struct {
	requests, identified, anonymous, plain, errors, verbose, logins uint64
	// settled are the calls with an identity before the first without, of all days;
	// opened says that there has been one without.
	settled uint64
	opened  bool
}

// newDay forgets the counts of the day, and the routes that were not called in it.
func (p *api) newDay(day int64) {
	p.postureDay = day
	clear(p.postureChecked)
	for name, r := range p.posture {
		if r.requests == 0 {
			delete(p.posture, name)
		}
		*r = posture{settled: r.settled, opened: r.opened}
	}
}

// routes takes the routes of one window and reports what they reveal, once a day
// per finding. It blocks nobody.
func (c *Crowd) routes(p *api, w *window, out Emitter) {
	if day := w.start / dayUS; day != p.postureDay {
		p.newDay(day)
	}
	j := &c.judge
	j.list = w.sorted(schemas.EntityRoute, j.list)
	for _, e := range j.list {
		r := p.posture[e.name]
		if r == nil {
			if len(p.posture) >= maxRoutes || strings.HasPrefix(e.name, "*") {
				continue
			}
			r = new(posture)
			p.posture[e.name] = r
		}
		j.total.merge(e)
		t := &j.total
		r.requests += t.requests
		r.identified += t.identified
		r.anonymous += t.anonymous
		r.plain += t.plain
		r.errors += t.errors
		r.verbose += t.bad
		r.logins += t.logins
		if r.opened = r.opened || t.anonymous > 0; !r.opened {
			r.settled += t.identified
		}
	}
	plain, requests := p.withoutTLS()
	for _, e := range j.list {
		r := p.posture[e.name]
		if r == nil {
			continue
		}
		answered := r.identified + r.anonymous
		if r.anonymous >= anonymousCalls && r.logins == 0 && !public(e.name) &&
			(r.settled >= settledCalls || changesState(e.name) && float64(r.anonymous) >= openShare*float64(answered)) {
			closed, others := p.closedRoutes(e.name)
			if closed >= leastRoutes && float64(closed) >= mostRoutes*float64(others) {
				c.findPosture(p, w, e.name, "unauthenticated", fmt.Sprintf(
					"%s of %s answered %d of %d calls without an identity today, while %d of %d other routes ask for one.",
					e.name, p.name, r.anonymous, answered, closed, others), schemas.FeatureExplanation{
					Name: "anonymous_share", Observed: float64(r.anonymous) / float64(answered), High: 1 - authenticated, N: others,
				}, out)
			}
		}
		if r.verbose >= verboseErrors && float64(r.verbose) >= verboseShare*float64(r.errors) {
			c.findPosture(p, w, e.name, "verbose-errors", fmt.Sprintf(
				"%d of %d error replies of %s of %s today had %d bytes or more: they may tell how the API works inside.",
				r.verbose, r.errors, e.name, p.name, schemas.VerboseError), schemas.FeatureExplanation{
				Name: "large_error_share", Observed: float64(r.verbose) / float64(r.errors), High: verboseShare, N: int(r.errors),
			}, out)
		}
		if r.plain >= plainCalls && float64(plain) < plainShare*float64(requests) {
			c.findPosture(p, w, e.name, "plain-http", fmt.Sprintf(
				"%s of %s answered %d of %d calls over HTTP without TLS today.", e.name, p.name, r.plain, r.requests),
				schemas.FeatureExplanation{Name: "plain_share", Observed: float64(r.plain) / float64(r.requests), N: int(r.requests)}, out)
		}
	}
	if plain >= postureCalls && float64(plain) >= plainShare*float64(requests) {
		// All routes at once are one finding: TLS is missing, or ends before the
		// gateway that reports.
		c.findPosture(p, w, "*", "plain-http", fmt.Sprintf(
			"%s answered %d of %d calls over HTTP without TLS today.", p.name, plain, requests),
			schemas.FeatureExplanation{Name: "plain_share", Observed: float64(plain) / float64(requests), N: int(requests)}, out)
	}
}

// closedRoutes counts the API's other routes that were called often enough to
// tell, and those of them that ask for an identity.
func (p *api) closedRoutes(but string) (closed, others int) {
	for name, r := range p.posture {
		n := r.identified + r.anonymous
		if name == but || n < postureCalls || r.logins > 0 || public(name) {
			continue
		}
		others++
		if float64(r.identified) >= authenticated*float64(n) {
			closed++
		}
	}
	return closed, others
}

// withoutTLS counts the API's calls that were answered without TLS.
func (p *api) withoutTLS() (plain, requests uint64) {
	for _, r := range p.posture {
		plain += r.plain
		requests += r.requests
	}
	return plain, requests
}

// publicWords are path words of routes that are meant to be open.
var publicWords = []string{
	"health", "healthz", "livez", "readyz", "ready", "live", "ping", "status", "version", "favicon.ico", "robots.txt",
	"register", "signup", "sign-up", "password", "forgot-password", "reset-password", "oauth", "oauth2", "token",
	".well-known", "openapi.json", "login", "signin", "logon",
}

// changesState tells whether a route's method does more than read. What can only
// be read by anybody may be a catalogue, and is found only where it has not
// always been open.
func changesState(route string) bool {
	method, _, _ := strings.Cut(route, " ")
	switch method {
	case "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}

func public(route string) bool {
	method, path, _ := strings.Cut(route, " ")
	if method == "OPTIONS" || method == "HEAD" || path == "/" {
		return true
	}
	for word := range strings.SplitSeq(path, "/") {
		if slices.Contains(publicWords, word) {
			return true
		}
	}
	return false
}

// findPosture reports a finding the first time in a day.
func (c *Crowd) findPosture(p *api, w *window, route, kind, text string, f schemas.FeatureExplanation, out Emitter) {
	id := kind + " " + route
	if p.postureChecked[id] {
		return
	}
	p.postureChecked[id] = true
	day := w.start - w.start%dayUS
	v := c.verdict(p, w.start, w.end, schemas.EntityRoute, route, schemas.AttackMisconfiguration)
	v.ID = verdictID(p, schemas.EntityRoute, route, kind, day)
	v.Calibration.Alpha, v.Calibration.N = 1, f.N
	v.PValue, v.Confidence = 1, 1 // a count, not a test
	v.Linked = []schemas.Entity{{Type: schemas.EntityAPI, Value: p.name}}
	f.Baseline, f.Contribution = "api", 1
	v.Explanation.Features = []schemas.FeatureExplanation{f}
	v.Explanation.Text = text
	out.Verdict(v)
}
