package crowd

import (
	"slices"

	"github.com/weir-dev/weir/schemas"
)

const (
	// calm is how many windows in a row without excess end an action on a flood:
	// a minute, and twice as long with every relapse, since an action that works
	// makes its own cause disappear.
	calm, maxCalm = 6, 60
	// calmLogins is the same of login runs, whose pace may be slow.
	calmLogins = 30
	// remember is for how long an action that ended counts as a relapse's
	// predecessor, windows: an hour.
	remember = 360
	// lasting is the share of the excess at the start that keeps an action up.
	lasting = 0.1
)

// block is an action on a cohort.
type block struct {
	dim    int
	name   string // of the cohort in its dimension
	value  string // of the block key
	attack string
	action schemas.Action
	id     string // of the verdict
	reason string

	confidence     float64
	created        int64 // µs
	until          int64 // µs
	benign         float64
	peak           float64 // excess of calls when it began
	quiet, relapse int64   // windows without excess; earlier actions on the cohort
	ended          int64   // window in which it was lifted; 0: in force
}

// standing is the action in force on a cohort, or the one that ended last.
func (p *api) standing(dim int, name string) *block {
	for _, b := range p.blocks {
		if b.dim == dim && b.name == name {
			return b
		}
	}
	return nil
}

// blocked tells whether an action on a cohort is in force.
func (p *api) blocked(dim int, name string) bool {
	b := p.standing(dim, name)
	return b != nil && b.ended == 0
}

// acting tells whether any action against an attack is in force.
func (p *api) acting(attack string) bool {
	return slices.ContainsFunc(p.blocks, func(b *block) bool { return b.attack == attack && b.ended == 0 })
}

// benignActedOn is the number of benign clients a window in the cohorts that are
// acted on: blocked, for the limits themselves, or challenged too, for softer ones.
func (p *api) benignActedOn(slack float64) float64 {
	sum := 0.0
	for _, b := range p.blocks {
		if b.ended == 0 && (slack > 1 || b.action == schemas.ActionBlock) {
			sum += b.benign
		}
	}
	return sum
}

// covers tells whether an action in force is about a cohort's callers.
func (p *api) covers(s *seen) bool {
	for _, b := range p.blocks {
		if b.ended != 0 {
			continue
		}
		if name, ok := s.nameIn(b.dim); ok && name == b.name {
			return true
		}
	}
	return false
}

// excessOfBlocked marks the cohorts that are acted on and sums their excess: it
// is answered for, and must neither raise the alarm again nor hide another.
func (p *api) excessOfBlocked(j *judging) float64 {
	sum := 0.0
	if len(p.blocks) == 0 {
		return 0
	}
	for i := range j.joint {
		s := &j.joint[i]
		if s.covered = p.covers(s); s.covered {
			sum += max(float64(s.tally.requests)-s.expected, 0)
		}
	}
	return sum
}

// maintain renews the actions whose cause lasts and lifts the others.
func (c *Crowd) maintain(j *judging, out Emitter) {
	p := j.p
	for _, b := range p.blocks {
		if b.ended != 0 {
			continue
		}
		if b.created == j.end || b.lasts(j) {
			b.quiet = 0
		} else {
			b.quiet++
		}
		limit := min(int64(calm)<<min(b.relapse, 8), maxCalm)
		if b.attack == schemas.AttackCredentialStuffing {
			limit = max(limit, calmLogins)
		}
		switch ttl := c.cfg.TTL.Microseconds(); {
		case b.quiet >= limit:
			b.ended = p.index + 1
			if k := p.cohorts[b.dim][b.name]; k != nil {
				k.cusum, k.login = 0, loginRun{} // what was answered for is no evidence any more
			}
			if c.enforced(p) {
				out.Block(schemas.BlockKey(p.tenant, schemas.ScopeCohort, b.value), nil)
			}
		case b.until-j.end <= ttl/2:
			b.until = j.end + ttl
			c.write(p, b, out)
		}
	}
	p.blocks = slices.DeleteFunc(p.blocks, func(b *block) bool { return b.ended != 0 && p.index-b.ended > remember })
}

// lasts tells whether a cohort still does what it is acted on for.
func (b *block) lasts(j *judging) bool {
	for _, g := range j.margin[b.dim] {
		if g.name != b.name {
			continue
		}
		if b.attack == schemas.AttackCredentialStuffing {
			return g.failed > 0
		}
		return g.calls-g.expected >= max(lasting*b.peak, 1)
	}
	return false
}

func (c *Crowd) enforced(p *api) bool { return !c.cfg.Shadow && !c.cfg.ShadowAPIs[p.name] }

// write puts an action on the blocklist.
func (c *Crowd) write(p *api, b *block, out Emitter) {
	if !c.enforced(p) {
		return
	}
	out.Block(schemas.BlockKey(p.tenant, schemas.ScopeCohort, b.value), &schemas.BlockEntry{
		VerdictID: b.id, Action: b.action, Attack: b.attack, Confidence: b.confidence, Reason: b.reason,
		Created: utc(b.created), ExpiresAt: utc(b.until),
	})
}
