package crowd

import (
	"math"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

const (
	// silence is how many empty windows in a row are judged and learnt; an API
	// that is silent for longer has stopped, and its baseline waits for it.
	silence = 360
	// acceptAfter is how many windows in a row may be refused as teachers before
	// the level is taken for the new normal one: half an hour.
	acceptAfter = 180
)

// acceptLogins is the same of the logins: attacks on them last longer.
const acceptLogins = 2160

// ratesAPI are the rises in calls that an API's test looks for: each has a CUSUM.
var ratesAPI = [...]float64{1.5, 3}

// What a run of login tries does to the odds of failure.
const (
	oddsAPI       = 3 // of the whole API, where it is diluted
	oddsCohort    = 8
	concentration = 20 // of the beta-binomial: how far one window's failure rate strays
)

// Prior of an API's logins: 5 failures of 50.
const (
	priorLogins   = 50.0
	priorFailures = 5.0
)

// api is what is known of one API.
type api struct {
	key, tenant, name string

	next    int64 // start of the next window to judge, µs; 0 before the first
	index   int64 // windows judged
	silent  int64 // empty windows in a row
	pending []*window

	level   level
	fresh   running // new clients a window
	broken  running // share of 5xx
	slow    running // ln of the 95th percentile of the latency
	strange running // share of the calls that come from cohorts not seen before

	cusum    [len(ratesAPI)]float64
	untaught int64   // windows in a row that did not teach
	recent   float64 // mean of their counts
	reported bool    // the crowd at hand has been reported

	usual          sums    // of the windows that taught
	loginCUSUM     float64 // nats
	loginExcess    float64 // failures above the usual since loginCUSUM left zero
	loginReported  bool
	loginUntaught  int64 // windows in a row in which the logins did not teach
	cohorts        [numDims]map[string]*cohort
	blocks         []*block // in the order in which they began
	posture        map[string]*posture
	postureDay     int64
	postureChecked map[string]bool // findings of postureDay
}

// sums are totals of the windows that taught, decayed by the slow half-life.
type sums struct {
	at                         int64 // learnt windows, when they were last decayed
	weight                     float64
	calls, clients             float64
	logins, failures, succeses float64
}

// decay brings the totals to another count of learnt windows.
func (s *sums) decay(to int64) {
	if to == s.at {
		return
	}
	f := math.Exp2(float64(s.at-to) / slowHalfLife)
	s.at = to
	for _, v := range [...]*float64{&s.weight, &s.calls, &s.clients, &s.logins, &s.failures, &s.succeses} {
		*v *= f
	}
}

func (s *sums) add(t *tally, clients float64) {
	s.weight++
	s.calls += float64(t.requests)
	s.clients += clients
	s.logins += float64(t.logins)
	s.failures += float64(t.failures)
	s.succeses += float64(t.successes)
}

func newAPI(key, tenant, name string) *api {
	p := &api{key: key, tenant: tenant, name: name, posture: map[string]*posture{}, postureChecked: map[string]bool{}}
	for d := range p.cohorts {
		p.cohorts[d] = map[string]*cohort{}
	}
	return p
}

func (p *api) asleep() bool { return p.silent > silence && len(p.blocks) == 0 }

// failureOdds are the API's usual rates of failed and of successful logins.
func (p *api) failureRate() (failed, succeeded float64) {
	n := p.usual.logins + priorLogins
	return (p.usual.failures + priorFailures) / n, (p.usual.succeses + priorLogins - priorFailures) / n
}

// advance judges the windows that end at or before barrier, in order.
func (c *Crowd) advance(p *api, barrier int64, out Emitter) {
	if p.next == 0 {
		for _, w := range p.pending {
			if w.end-w.start == c.cfg.Hop && w.end <= barrier {
				p.next = w.start
				break
			}
		}
	}
	hops, rest := p.pending, p.pending[:0]
	var due *window
	for _, w := range hops {
		switch {
		case w.end > barrier:
			rest = append(rest, w)
		case w.end-w.start != c.cfg.Hop:
			c.routes(p, w, out)
		case p.next > 0:
			for p.next < w.start {
				c.quiet(p, w.start, out)
			}
			due = w
			c.hop(p, due, out)
			p.next = w.end
		}
	}
	clear(hops[len(rest):])
	p.pending = rest
	for p.next > 0 && p.next+c.cfg.Hop <= barrier {
		c.quiet(p, barrier, out)
	}
}

// quiet judges an empty window, or passes over all of them up to until where the
// API is asleep.
func (c *Crowd) quiet(p *api, until int64, out Emitter) {
	if p.asleep() {
		p.next = until - until%c.cfg.Hop
		return
	}
	c.hop(p, &window{start: p.next, end: p.next + c.cfg.Hop}, out)
	p.next += c.cfg.Hop
}

// judging is a window being judged.
type judging struct {
	p       *api
	start   int64
	end     int64
	total   tally
	calls   float64 // of the window, without the excess of cohorts that are blocked
	open    tally   // the window without the cohorts that are acted on: only its counts
	mean    float64 // expected
	size    float64 // of the negative binomial
	clients float64
	fresh   float64
	joint   []seen // by cohort of network and fingerprint
	margin  [numDims][]*group
	list    []*entity
	chosen  []*group
}

// hop judges one window of all calls of an API, and learns from it.
func (c *Crowd) hop(p *api, w *window, out Emitter) {
	j := &c.judge
	j.p, j.start, j.end = p, w.start, w.end
	j.total.reset()
	if e := w.entities[schemas.EntityAPI+"\x00"+p.name]; e != nil {
		j.total.merge(e)
	}
	if j.total.requests > 0 {
		p.silent = 0
	} else {
		p.silent++
	}
	j.clients = features.EstimateRegisters(j.total.clients)
	j.fresh = features.EstimateRegisters(j.total.fresh)
	j.mean, j.size = p.level.expect(w.start, 1), p.level.size()
	c.gather(j, w)
	j.calls = max(float64(j.total.requests)-p.excessOfBlocked(j), 0)
	j.leaveOutCovered()

	warm := p.level.learnt >= int64(c.cfg.WarmUp)
	if warm {
		alarm, loginAlarm := c.testCalls(j), c.testLogins(j)
		c.testCohorts(j)
		c.flood(j, alarm, out)
		c.stuffing(j, loginAlarm, out)
	}
	c.maintain(j, out)
	c.learn(j, warm)
	p.index++
}

// leaveOutCovered makes open the counts of the calls that nobody answered for.
func (j *judging) leaveOutCovered() {
	j.open.reset()
	j.open.add(&j.total)
	for i := range j.joint {
		if s := &j.joint[i]; s.covered {
			j.open.requests -= min(s.tally.requests, j.open.requests)
			j.open.logins -= min(s.tally.logins, j.open.logins)
			j.open.failures -= min(s.tally.failures, j.open.failures)
			j.open.successes -= min(s.tally.successes, j.open.successes)
		}
	}
}

// testCalls moves the CUSUMs of the calls; it tells whether one is above its
// threshold.
func (c *Crowd) testCalls(j *judging) (alarm bool) {
	for i, r := range ratesAPI {
		s := &j.p.cusum[i]
		// The ceiling lets the alarm end soon after its cause.
		*s = min(max(*s+logRatioCounts(j.calls, j.mean, j.size, r), 0), 2*c.thresholdAPI)
		alarm = alarm || *s > c.thresholdAPI
	}
	return alarm
}

// testLogins moves the CUSUM of the failed logins.
func (c *Crowd) testLogins(j *judging) bool {
	p := j.p
	failed, _ := p.failureRate()
	p.loginCUSUM = min(max(p.loginCUSUM+logRatioFailures(float64(j.open.failures), float64(j.open.logins), failed, concentration, oddsAPI), 0), 2*c.thresholdAPI)
	p.loginExcess += float64(j.open.failures) - failed*float64(j.open.logins)
	if p.loginCUSUM == 0 {
		p.loginReported, p.loginExcess = false, 0
	}
	return p.loginCUSUM > c.thresholdAPI
}

// suspicious tells whether a window may not teach what is normal.
func (p *api) suspicious(threshold float64) bool {
	for _, s := range p.cusum {
		if s > threshold/2 {
			return true
		}
	}
	return false
}

// learn lets a window teach the baseline unless it is suspicious.
func (c *Crowd) learn(j *judging, warm bool) {
	p := j.p
	if p.silent > silence {
		return
	}
	if warm && p.suspicious(c.thresholdAPI) {
		p.untaught++
		p.recent += (j.calls - p.recent) / float64(p.untaught)
		if p.untaught < acceptAfter {
			return
		}
		p.level.accept(p.recent, j.start)
		p.cusum = [len(ratesAPI)]float64{}
	}
	p.untaught, p.recent = 0, 0
	if !p.suspicious(c.thresholdAPI / 2) {
		p.reported = false
	}
	p.level.learn(j.calls, j.start)
	if j.total.requests > 0 {
		p.broken.learn(float64(j.total.status5xx)/float64(j.total.requests), spreadSpan)
		if q := quantileLatency(j.total.latency, 0.95); q > 0 {
			p.slow.learn(math.Log(q), spreadSpan)
		}
	}
	if warm && p.loginCUSUM > c.thresholdAPI/2 {
		// A run of logins is a small part of the calls; its cohorts must not become
		// part of what is usual all the same.
		if p.loginUntaught++; p.loginUntaught < acceptLogins {
			p.usual.decay(p.level.learnt)
			return
		}
		p.loginCUSUM = 0
	}
	p.loginUntaught = 0
	// All clients are new in the first hour: that must be forgotten soon after.
	p.fresh.learn(j.fresh, freshSpan)
	c.learnCohorts(j)
}
