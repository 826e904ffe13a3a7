package simulate

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// Deploy changes an API at a time: every second route of those that are not for
// login, health and administration moves to the next version of its path ("/v1/"
// to "/v2/"), answers with twice the bytes and takes a new parameter. Half of
// the clients know at once; the others go on calling the old paths until they
// are updated, and get 404 or 410 there: from a third of the moved routes
// always, from the others for one call in eight.
type Deploy struct {
	API string // empty: the first
	At  time.Duration
	// Adoption is how long it takes until the last client is updated. Zero
	// means 6 h.
	Adoption time.Duration
}

// deploy is a Deploy in the time of the simulation.
type deploy struct {
	at       int64
	adoption float64
}

// successor is what a route becomes by a deploy.
type successor struct {
	route  *route
	deploy int
	gone   bool // the old route answers nobody any more
}

func (g *Generator) addDeploys() error {
	for i, c := range g.cfg.Deploys {
		a, err := g.named(c.API)
		if err != nil || c.At < 0 || c.Adoption < 0 {
			return fmt.Errorf("%w: deploy %+v, want times that are not negative and an API of the world", ErrConfig, c)
		}
		if a == nil {
			a = g.apis[0]
		}
		if c.Adoption == 0 {
			c.Adoption = 6 * time.Hour
		}
		at := g.start + c.At.Microseconds()
		if n := len(g.deploys); n > 0 && g.deploys[n-1].at > at {
			return fmt.Errorf("%w: deploys are not in order of time", ErrConfig)
		}
		g.deploys = append(g.deploys, deploy{at, float64(c.Adoption.Microseconds())})
		moved := 0
		for k, r := range a.order {
			switch r.role {
			case RoleLogin, RoleRefresh, RoleReset, RoleHealth, RoleAdminUsers, RoleAdminAudit, RoleAdminExport, RoleAdminGrant:
				continue
			}
			if (k+i)%2 != 0 {
				continue
			}
			for r.next.route != nil {
				r = r.next.route
			}
			next := *r
			next.template = renamed(r.template)
			next.path = append(pattern{}, r.path...)
			next.path[0].literal = renamed(r.path[0].literal)
			next.reply.mu += math.Ln2
			if !r.mutation {
				more := []byte("expand=all")
				if len(r.query) > 0 {
					more = []byte("&expand=all")
				}
				next.query = append(append(pattern{}, r.query...), part{literal: more})
			}
			r.next = successor{&next, i, moved%3 == 0}
			moved++
		}
	}
	return nil
}

// renamed is a path in its next version: a version segment counts up; without
// one the version comes after "/api", or first.
func renamed(path []byte) []byte {
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '/' && path[i+1] == 'v' && path[i+2] >= '1' && path[i+2] < '9' && (i+3 == len(path) || path[i+3] == '/') {
			out := bytes.Clone(path)
			out[i+2]++
			return out
		}
	}
	if rest, ok := bytes.CutPrefix(path, []byte("/api/")); ok {
		return append([]byte("/api/v2/"), rest...)
	}
	return append([]byte("/v2"), path...)
}

// adapt applies the deploys to a call: clients who know of one call the new
// route, others may find the old one gone.
func (g *Generator) adapt(a *agent, q *request) {
	for q.path == nil && q.route.next.route != nil {
		n := &q.route.next
		dep := &g.deploys[n.deploy]
		if a.at < dep.at {
			return
		}
		// Adoption is decided by a hash, so that a client needs no state for it.
		who := uint64(n.deploy)<<40 | uint64(a.index)
		if a.attack >= 0 {
			who |= 1 << 32
		}
		h := derive(g.cfg.Seed, domainDeploy, who)
		u := float64(h>>11) / (1 << 53)
		if x := max(0, 2*u-1); float64(a.at-dep.at) >= dep.adoption*x*x {
			q.route = n.route
			continue
		}
		if q.status < 400 && q.status != 0 && (n.gone || h>>3&7 == uint64(a.seq)&7) {
			q.status = 410
			if q.route.role == RoleItem || q.route.role == RoleProduct || !n.gone {
				q.status = 404
			}
		}
		return
	}
}
