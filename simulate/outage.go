package simulate

import (
	"fmt"
	"time"
)

// Outage is a time in which 97 % of an API's calls end in 503 (55 %), 504
// (33 %) or no answer. What clients then do depends on their class.
type Outage struct {
	API             string // empty: every API
	Start, Duration time.Duration
}

// outage is an Outage in the time of the simulation.
type outage struct {
	api         *api // nil: every API
	from, until int64
}

func (g *Generator) addOutages() error {
	for _, o := range g.cfg.Outages {
		a, err := g.named(o.API)
		if err != nil || o.Duration <= 0 {
			return fmt.Errorf("%w: outage %+v, want a positive duration and an API of the world", ErrConfig, o)
		}
		from := g.start + o.Start.Microseconds()
		g.outages = append(g.outages, outage{a, from, from + o.Duration.Microseconds()})
	}
	return nil
}

// named finds an API; an empty name stands for none.
func (g *Generator) named(name string) (*api, error) {
	if name == "" {
		return nil, nil
	}
	for _, a := range g.apis {
		if string(a.name) == name {
			return a, nil
		}
	}
	return nil, fmt.Errorf("%w: no API %q", ErrConfig, name)
}

// down says whether an API is in an outage.
func (g *Generator) down(a *api, at int64) bool {
	for i := range g.outages {
		o := &g.outages[i]
		if at >= o.from && at < o.until && (o.api == nil || o.api == a) {
			return true
		}
	}
	return false
}

// refusal draws the answer of an API that is in an outage; false lets the call
// through.
func (g *Generator) refusal() (int64, bool) {
	switch x := g.dice.float(); {
	case x < .03:
		return 0, false
	case x < .56:
		return 503, true
	case x < .88:
		return 504, true
	}
	return 0, true
}
