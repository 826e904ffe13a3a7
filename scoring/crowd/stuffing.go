package crowd

import (
	"math"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

const (
	// leastFailed is how many clients of a cohort must have failed before its
	// failures are a matter of the cohort, and not of one client with an old
	// password.
	leastFailed = 6
	// mostNarrower is the share of a wider cohort's bad logins from which a
	// narrower one within it is preferred.
	mostNarrower = 0.8
	// leastBad is the share of the API's excess of failures that a cohort must
	// hold: acting on many that each hold next to nothing stops no attack.
	leastBad = 0.1
)

// stuffing acts on cohorts whose logins fail far more than they should. Attackers
// hardly ever succeed, so a cohort's good logins are its successes over the usual
// rate of success, and the rest are bad (Herley and Schechter 2019).
func (c *Crowd) stuffing(j *judging, alarm bool, out Emitter) {
	p := j.p
	acted := false
	_, succeeded := p.failureRate()
	for d := range numDims { // from the narrowest
		for _, g := range j.margin[d] {
			r := &g.cohort.login
			if r.cusum <= c.thresholdCell || p.blocked(g.dim, g.name) || p.coveredElsewhere(j, g, succeeded) {
				continue
			}
			failed, fresh := features.EstimateRegisters(r.failed), features.EstimateRegisters(r.fresh)
			if failed < leastFailed || fresh < leastFresh*failed || r.bad(succeeded) < leastBad*p.loginExcess {
				continue
			}
			if d == dimJoint && c.widerIsBetter(j, g, succeeded) {
				continue
			}
			if d == dimNetwork && j.distance(g.members) < otherTools {
				continue
			}
			good := r.good(succeeded)
			// Of the clients that the run had, as many a window as usual are benign.
			benign, clients := g.benign*r.windows, r.clients
			slack := 1.0
			action := schemas.ActionBlock
			if !c.loginsAffordable(p, good, r.logins, g.benign, benign, clients, slack) {
				slack, action = softer, schemas.ActionChallenge
				if !c.loginsAffordable(p, good, r.logins, g.benign, benign, clients, slack) {
					continue
				}
			}
			acted = true
			c.act(j, g, finding{
				attack: schemas.AttackCredentialStuffing, action: action, evidence: r.cusum,
				explained: 1 - good/max(r.logins, 1), benign: g.benign, clients: clients / max(r.windows, 1), run: r,
			}, out)
		}
	}
	if alarm && !acted && !p.loginReported && !p.acting(schemas.AttackCredentialStuffing) {
		p.loginReported = true
		j.chosen = j.chosen[:0]
		c.report(j, schemas.AttackCredentialStuffing, float64(j.total.failures), out)
	}
}

// good estimates the benign logins of a run.
func (r *loginRun) good(succeeded float64) float64 {
	return min(r.successes/max(succeeded, 0.05), r.logins)
}

func (r *loginRun) bad(succeeded float64) float64 { return r.logins - r.good(succeeded) }

// loginsAffordable compares the benign part of a run's logins, and of the
// cohort's clients, with the limits.
func (c *Crowd) loginsAffordable(p *api, good, logins, perWindow, benign, clients, slack float64) bool {
	return good <= slack*c.cfg.CohortCollateral*logins &&
		benign <= slack*c.cfg.CohortCollateral*clients &&
		p.benignActedOn(slack)+perWindow <= slack*c.cfg.APICollateral*p.usualClients()
}

// widerIsBetter tells whether the fingerprint or the network of a cohort holds
// far more bad logins than the cohort itself, and may be acted on: an attack with
// one tool from many networks is that tool's.
func (c *Crowd) widerIsBetter(j *judging, g *group, succeeded float64) bool {
	s := &j.joint[g.members[0]]
	for d := dimPrint; d < numDims; d++ {
		name, ok := s.nameIn(d)
		if !ok {
			continue
		}
		for _, wide := range j.margin[d] {
			if wide.name != name || wide.cohort.login.cusum <= c.thresholdCell {
				continue
			}
			r := &wide.cohort.login
			if g.cohort.login.bad(succeeded) < mostNarrower*r.bad(succeeded) &&
				c.loginsAffordable(j.p, r.good(succeeded), r.logins, wide.benign, wide.benign*r.windows, r.clients, 1) &&
				(d != dimNetwork || j.distance(wide.members) >= otherTools) {
				return true
			}
		}
	}
	return false
}

// coveredElsewhere tells whether most of a group's failed logins in the window
// come from cohorts that are acted on already.
func (p *api) coveredElsewhere(j *judging, g *group, succeeded float64) bool {
	open, all := 0.0, 0.0
	for _, i := range g.members {
		s := &j.joint[i]
		n := float64(s.tally.failures)
		all += n
		if !p.covers(s) {
			open += n
		}
	}
	return all > 0 && open < 0.5*all || math.IsNaN(succeeded)
}
