package crowd

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// Dimensions by which callers are grouped, from the narrowest.
const (
	dimJoint   = iota // network and fingerprint
	dimPrint          // fingerprint
	dimNetwork        // network
	numDims
)

// capacities are how many cohorts of each dimension an API remembers; those with
// the fewest calls make room.
var capacities = [numDims]int{dimJoint: 4096, dimPrint: 1024, dimNetwork: 2048}

const (
	rateCohort  = 3   // the rise in calls that a cohort's test looks for
	sizeCohort  = 2   // negative binomial size of a cohort's calls: few clients, bursty
	leastCohort = 0.5 // calls a window expected of a cohort that is hardly known
)

// cohort is what is known of one group of an API's callers.
type cohort struct {
	sums            // what it had in the windows that taught
	cusum   float64 // of its calls, nats
	last    int64   // window of the last change of cusum
	login   loginRun
	waiting int64 // windows that it was refused as a teacher
}

// loginRun is a cohort's test of its logins, and what it tried since the test
// left zero.
type loginRun struct {
	cusum                       float64
	logins, failures, successes float64
	since, last                 int64   // windows of the first and of the last failure
	windows, clients            float64 // since then, and the clients summed over them
	failed, fresh               []byte  // registers of clients that failed, and that were new
}

// seen is a cohort of network and fingerprint in the window at hand.
type seen struct {
	name, asn, print string
	tally            tally
	clients, fresh   float64
	expected         float64 // calls, by the baseline
	covered          bool    // by a block in force or a choice made
}

// group is a cohort of one dimension in the window at hand.
type group struct {
	dim            int
	name           string
	members        []int // of judging.joint
	cohort         *cohort
	calls          float64
	logins, failed float64
	clients, fresh float64
	expected       float64
	benign         float64 // clients a window, by the baseline
	registers      tally   // merged clients of the members
}

// gather merges the window's cohorts and groups them.
func (c *Crowd) gather(j *judging, w *window) {
	for d := range j.margin {
		j.margin[d] = j.margin[d][:0]
	}
	j.joint = j.joint[:0]
	j.list = w.sorted(schemas.EntityCohort, j.list)
	for _, e := range j.list {
		asn, print, ok := strings.Cut(e.name, "|")
		if !ok {
			continue
		}
		if strings.HasPrefix(print, features.OverflowEntity) {
			print = "-" // many fingerprints counted as one
		}
		s := seen{name: e.name, asn: asn, print: print}
		s.tally.merge(e)
		s.clients = features.EstimateRegisters(s.tally.clients)
		s.fresh = features.EstimateRegisters(s.tally.fresh)
		j.joint = append(j.joint, s)
	}
	index := map[string]*group{}
	for i := range j.joint {
		s := &j.joint[i]
		for d := range numDims {
			name, ok := s.nameIn(d)
			if !ok {
				continue
			}
			if d == dimJoint { // one member each: nothing to merge
				j.margin[d] = append(j.margin[d], &group{
					dim: d, name: s.name, members: []int{i}, registers: s.tally, clients: s.clients, fresh: s.fresh,
				})
				continue
			}
			key := string(rune('0'+d)) + name
			g := index[key]
			if g == nil {
				g = &group{dim: d, name: name}
				index[key] = g
				j.margin[d] = append(j.margin[d], g)
			}
			g.members = append(g.members, i)
			g.registers.add(&s.tally)
		}
	}
	p := j.p
	p.usual.decay(p.level.learnt)
	for d := range j.margin {
		for _, g := range j.margin[d] {
			t := &g.registers
			g.calls, g.logins, g.failed = float64(t.requests), float64(t.logins), float64(t.failures)
			if d != dimJoint {
				g.clients = features.EstimateRegisters(t.clients)
				g.fresh = features.EstimateRegisters(t.fresh)
			}
			g.cohort = p.cohorts[d][g.name]
			g.expected, g.benign = p.share(g.cohort, j.mean)
		}
		slices.SortFunc(j.margin[d], func(a, b *group) int { return strings.Compare(a.name, b.name) })
	}
	for _, g := range j.margin[dimJoint] {
		for _, i := range g.members {
			j.joint[i].expected = g.expected
		}
	}
}

// nameIn is the cohort's name in a dimension, where it is known there.
func (s *seen) nameIn(dim int) (string, bool) {
	switch dim {
	case dimPrint:
		return s.print, s.print != "-"
	case dimNetwork:
		return s.asn, s.asn != "-"
	}
	return s.asn + "|" + s.print, s.asn != "-" && s.print != "-"
}

// share is what an API's baseline expects of a cohort: calls in a window in which
// the API expects mean, and clients a window at most. That is an upper bound of
// the mean, three clients where there was none: a short history shows little.
func (p *api) share(k *cohort, mean float64) (calls, clients float64) {
	if p.usual.calls <= 0 {
		return 0, 0
	}
	seen := 0.0
	if k != nil {
		k.decay(p.level.learnt)
		calls, seen = k.calls/p.usual.calls*mean, k.clients
	}
	return calls, (seen + 2*math.Sqrt(seen) + 3) / p.usual.weight
}

// testCohorts moves the tests of the cohorts in the window. Those of cohorts that
// are absent fall by the same amount each window, which is made up for when they
// are next seen.
func (c *Crowd) testCohorts(j *judging) {
	p := j.p
	failed, _ := p.failureRate()
	for d := range j.margin {
		for _, g := range j.margin[d] {
			k := c.cohort(p, g)
			mean := max(g.expected, leastCohort)
			if gap := p.index - k.last - 1; gap > 0 {
				k.cusum = max(k.cusum+float64(gap)*logRatioCounts(0, mean, sizeCohort, rateCohort), 0)
			}
			k.last = p.index
			k.cusum = min(max(k.cusum+logRatioCounts(g.calls, mean, sizeCohort, rateCohort), 0), 4*c.thresholdCell)
			k.login.test(g, k.failureRate(failed), 4*c.thresholdCell, p.index)
		}
	}
}

// failureRate is a cohort's own usual rate of failed logins, shrunk to the API's.
func (k *cohort) failureRate(api float64) float64 {
	return (k.failures + 20*api) / (k.logins + 20)
}

// idleRun is how many windows without a failure end a run: a quarter of an hour.
const idleRun = 90

// test moves the CUSUM of the logins and the totals since it left zero.
func (r *loginRun) test(g *group, failed, ceiling float64, index int64) {
	if g.logins == 0 && r.cusum == 0 {
		return
	}
	before := r.cusum
	r.cusum = min(max(r.cusum+logRatioFailures(g.failed, g.logins, failed, concentration, oddsCohort), 0), ceiling)
	if r.cusum == 0 || before > 0 && g.failed == 0 && index-r.last > idleRun {
		*r = loginRun{}
		return
	}
	if before == 0 {
		*r = loginRun{cusum: r.cusum, since: index}
	}
	if g.failed > 0 {
		r.last = index
	}
	r.windows = float64(index - r.since + 1)
	r.logins += g.logins
	r.failures += g.failed
	r.successes += float64(g.registers.successes)
	r.clients += g.clients
	r.failed = features.MergeRegisters(r.failed, g.registers.failed)
	r.fresh = features.MergeRegisters(r.fresh, g.registers.fresh)
}

// cohort is the state of a group, made if there is none.
func (c *Crowd) cohort(p *api, g *group) *cohort {
	if g.cohort != nil {
		return g.cohort
	}
	of := p.cohorts[g.dim]
	if len(of) >= capacities[g.dim] {
		p.prune(g.dim)
		c.Stats.Overflow++
	}
	g.cohort = &cohort{sums: sums{at: p.level.learnt}, last: p.index - 1}
	of[g.name] = g.cohort
	return g.cohort
}

// prune forgets the eighth of a dimension's cohorts that have the fewest calls in
// the baseline: the many cohorts of a flood are forgotten before any that was
// there before it.
func (p *api) prune(dim int) {
	of := p.cohorts[dim]
	type weak struct {
		name                string
		calls, login, cusum float64
	}
	all := make([]weak, 0, len(of))
	for name, k := range of {
		k.decay(p.level.learnt)
		all = append(all, weak{name, k.calls, k.login.cusum, k.cusum * math.Exp2(-float64(p.index-k.last)/8)})
	}
	slices.SortFunc(all, func(a, b weak) int {
		return cmp.Or(cmp.Compare(a.calls, b.calls), cmp.Compare(a.login, b.login), cmp.Compare(a.cusum, b.cusum), strings.Compare(a.name, b.name))
	})
	for _, w := range all[:len(all)/8+1] {
		delete(of, w.name)
	}
}

// learnCohorts lets the window teach the shares of its cohorts. A cohort that is
// under suspicion itself does not teach, until it has been so for long and the
// API as a whole has borne it.
func (c *Crowd) learnCohorts(j *judging) {
	p := j.p
	p.usual.decay(p.level.learnt)
	clients := j.clients
	for i := range j.joint {
		if s := &j.joint[i]; s.covered {
			clients = max(clients-s.clients, 0)
		}
	}
	novel := 0.0
	for d := range j.margin {
		for _, g := range j.margin[d] {
			k := c.cohort(p, g)
			k.decay(p.level.learnt)
			if d == dimJoint && k.calls == 0 {
				novel += g.calls
			}
			if p.blocked(g.dim, g.name) {
				continue
			}
			if k.cusum > c.thresholdCell/2 && g.clients >= c.cfg.MinClients || k.login.cusum > c.thresholdCell/4 {
				if k.waiting++; k.waiting < acceptAfter {
					continue
				}
				k.cusum, k.login = 0, loginRun{}
			}
			k.waiting = 0
			k.add(&g.registers, g.clients)
		}
	}
	if j.total.requests > 0 {
		p.strange.learn(min(novel/float64(j.total.requests), 1), spreadSpan)
	}
	p.usual.add(&j.open, clients)
}
