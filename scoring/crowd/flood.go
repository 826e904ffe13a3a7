package crowd

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

const (
	// leastRise is the excess over the expectation below which nothing is a flood;
	// cohorts that make up suddenRise of it by themselves are acted on before the
	// API's own test has crossed its threshold.
	leastRise, suddenRise = 0.3, 0.5
	// explains is the share of the excess that the chosen cohorts must hold: a
	// crowd that a handful of cohorts does not explain is not theirs.
	explains = 0.6
	// maxChosen is how many cohorts may be chosen in a window.
	maxChosen = 8
	// leastFresh is the share of a cohort's clients that must be new on the API:
	// clients who are known and call more are a retry storm or a rush.
	leastFresh = 0.5
	// leastNew is how many more new clients than usual a window must have for an
	// excess to be reported as a crowd.
	leastNew = 10
	// narrower is the share of the best choice's excess from which a narrower
	// cohort is preferred to it.
	narrower = 0.9
	// otherTools is the distance (total variation) between the fingerprints of a
	// group and those usual on the API from which the group is not a crowd of
	// ordinary callers.
	otherTools = 0.5
	// softer multiplies the collateral limits up to which a cohort is challenged.
	softer = 4
	// knownLong is how many windows must have taught before a cohort that never
	// occurred in them counts as a stranger, and maxStrangers how many of those
	// are acted on in a window. Each of their tools must have leastTool of their
	// calls: newcomers bring many.
	knownLong, maxStrangers = 360, 64
	leastTool               = 0.2
)

// flood acts on an excess of calls.
func (c *Crowd) flood(j *judging, alarm bool, out Emitter) {
	p := j.p
	excess := j.calls - j.mean
	if excess < max(c.cfg.MinExcess, leastRise*j.mean) || !alarm && !c.sudden(j) {
		return
	}
	if c.choose(j, excess, 1); len(j.chosen) > 0 {
		c.actOnFlood(j, excess, schemas.ActionBlock, out)
		return
	}
	if c.strangers(j, excess); len(j.chosen) > 0 {
		c.actOnFlood(j, excess, schemas.ActionBlock, out)
		return
	}
	if c.choose(j, excess, softer); len(j.chosen) > 0 {
		c.actOnFlood(j, excess, schemas.ActionChallenge, out)
		return
	}
	if alarm && !p.reported && c.manyAreNew(j) {
		p.reported = true
		c.choose(j, excess, math.Inf(1))
		c.report(j, schemas.AttackDistributedDoS, excess, out)
	}
}

func (c *Crowd) actOnFlood(j *judging, excess float64, action schemas.Action, out Emitter) {
	for _, g := range j.chosen {
		c.act(j, g, finding{
			attack: schemas.AttackDistributedDoS, action: action, evidence: g.cohort.cusum,
			explained: g.residual(j) / excess, benign: g.benign, clients: g.clients,
		}, out)
	}
	// What was acted on is no longer the API's excess.
	j.p.cusum = [len(ratesAPI)]float64{}
}

// sudden tells whether cohorts in alarm hold so much of the calls that the API's
// own test need not be waited for.
func (c *Crowd) sudden(j *judging) bool {
	least := max(c.cfg.MinExcess, suddenRise*j.mean)
	for d := range j.margin {
		sum := 0.0
		for _, g := range j.margin[d] {
			if g.cohort.cusum > c.thresholdCell && g.clients >= c.cfg.MinClients {
				sum += g.residual(j)
			}
		}
		if sum >= least {
			return true
		}
	}
	return false
}

// manyAreNew tells whether more clients than usual are new. Without that the same
// clients call more often, as after an outage.
func (c *Crowd) manyAreNew(j *judging) bool {
	r := &j.p.fresh
	spread := math.Sqrt(r.vari + 0.01*r.mean*r.mean) // the estimates' own error: ±6.5 % a window
	return j.fresh-r.mean >= max(4*spread, leastNew)
}

// residual is a group's excess of calls that nobody has answered for yet.
func (g *group) residual(j *judging) float64 {
	sum := 0.0
	for _, i := range g.members {
		if s := &j.joint[i]; !s.covered {
			sum += float64(s.tally.requests) - s.expected
		}
	}
	return sum
}

// choose puts into j.chosen the smallest set of cohorts, greedily, that explains
// the excess within the collateral limits times slack; nothing where no set does.
func (c *Crowd) choose(j *judging, excess, slack float64) {
	j.chosen = j.chosen[:0]
	covered := make([]bool, len(j.joint))
	for i := range j.joint {
		covered[i] = j.joint[i].covered
	}
	explained, benign := 0.0, j.p.benignActedOn(slack)
	for len(j.chosen) < maxChosen && explained < 0.95*excess {
		best := c.best(j, benign, slack)
		if best == nil || best.residual(j) < 0.05*excess {
			break
		}
		explained += best.residual(j)
		benign += best.benign
		j.chosen = append(j.chosen, best)
		for _, i := range best.members {
			j.joint[i].covered = true
		}
	}
	for i := range j.joint {
		j.joint[i].covered = covered[i]
	}
	if explained < explains*excess {
		j.chosen = j.chosen[:0]
	}
}

// best is the eligible group with the largest excess; a narrower one that holds
// nearly as much is preferred.
func (c *Crowd) best(j *judging, benign, slack float64) (best *group) {
	most := 0.0
	for d := numDims - 1; d >= 0; d-- {
		var here *group
		held := 0.0
		for _, g := range j.margin[d] {
			if r := g.residual(j); r > held && c.eligible(j, g, benign, slack) {
				here, held = g, r
			}
		}
		if here != nil && held >= narrower*most {
			best, most = here, held
		}
	}
	return best
}

// eligible tells whether a group may be acted on for its calls.
func (c *Crowd) eligible(j *judging, g *group, benign, slack float64) bool {
	return g.cohort.cusum > c.thresholdCell && g.clients >= c.cfg.MinClients &&
		g.fresh >= leastFresh*g.clients && !j.p.blocked(g.dim, g.name) &&
		c.affordable(j.p, g.benign, g.clients, benign, slack) &&
		(g.dim != dimNetwork || j.distance(g.members) >= otherTools)
}

// affordable compares the benign clients of a cohort with the limits.
func (c *Crowd) affordable(p *api, benign, clients, already, slack float64) bool {
	return benign <= slack*c.cfg.CohortCollateral*clients &&
		already+benign <= slack*c.cfg.APICollateral*p.usualClients()
}

// usualClients is the API's mean number of clients a window.
func (p *api) usualClients() float64 {
	if p.usual.weight == 0 {
		return 0
	}
	return p.usual.clients / p.usual.weight
}

// distance is the total variation between the fingerprints of the calls of some
// cohorts and those usual on the API, 0..1.
func (j *judging) distance(members []int) float64 {
	total := 0.0
	calls := map[string]float64{}
	var names []string
	for _, i := range members {
		s := &j.joint[i]
		if _, ok := calls[s.print]; !ok {
			names = append(names, s.print)
		}
		calls[s.print] += float64(s.tally.requests)
		total += float64(s.tally.requests)
	}
	far := 0.0
	for _, name := range names {
		usual, _ := j.p.share(j.p.cohorts[dimPrint][name], 1)
		far += max(calls[name]/total-usual, 0)
	}
	return far
}

// strangers puts into j.chosen the cohorts of network and fingerprint that never
// occurred before, where a few tools that are rare on the API hold the excess
// through them: a flood from many networks, none of which stands out.
func (c *Crowd) strangers(j *judging, excess float64) {
	j.chosen = j.chosen[:0]
	p := j.p
	if p.level.learnt < knownLong {
		return
	}
	held := 0.0
	prints := map[string]float64{}
	for _, g := range j.margin[dimJoint] {
		s := &j.joint[g.members[0]]
		if g.cohort.calls > 0 || p.blocked(g.dim, g.name) || s.covered || g.fresh < 0.9*g.clients {
			continue
		}
		held += g.calls
		prints[s.print] += g.calls
		j.chosen = append(j.chosen, g)
	}
	// Benign callers come from places never seen, too, at a rate that is known.
	if p.strange.mean*j.mean > c.cfg.CohortCollateral*held {
		j.chosen = j.chosen[:0]
		return
	}
	j.chosen = slices.DeleteFunc(j.chosen, func(g *group) bool {
		print := j.joint[g.members[0]].print
		usual, _ := p.share(p.cohorts[dimPrint][print], 1)
		return prints[print] < max(leastTool, 5*usual)*held
	})
	var members []int
	var clients []byte
	held = 0
	for _, g := range j.chosen {
		held += g.calls
		members = append(members, g.members...)
		clients = features.MergeRegisters(clients, g.registers.clients)
	}
	if held < explains*excess || features.EstimateRegisters(clients) < 2*c.cfg.MinClients || j.distance(members) < otherTools {
		j.chosen = j.chosen[:0]
		return
	}
	slices.SortFunc(j.chosen, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), strings.Compare(a.name, b.name))
	})
	j.chosen = j.chosen[:min(len(j.chosen), maxStrangers)]
}
