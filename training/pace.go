package training

import (
	"math"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring"
)

// Half-lives of the two models that follow an API, days.
const (
	FastHalfLife = 1
	SlowHalfLife = 30
)

// PaceFactor is how far the fast model may run from the slow one: what is judged
// by is the fast one's rates, within this factor of the slow one's.
const PaceFactor = 1.25

// Pace follows how the clients of one type behave on one API, at two speeds. The
// fast model adapts to a deploy within days; the slow one holds it back, so that
// who raises what is usual by a little every day gains little in a month.
type Pace struct {
	Fast *scoring.Behaviour `json:"fast"`
	Slow *scoring.Behaviour `json:"slow"`
	// Days is how long it has been followed. A model younger than its half-life is
	// a plain mean.
	Days float64 `json:"days"`
	// Clients is how many clients an interval of a day has, by the slow model.
	Clients float64 `json:"clients"`
	Windows int     `json:"windows"`
	Since   int64   `json:"since"` // µs
}

// Paces are the paces of all APIs, by API and client type.
type Paces struct {
	APIs map[string]map[string]*Pace `json:"apis"`
	// Seen is how far each API is learnt, all intervals together.
	Seen map[string]features.Status `json:"seen,omitempty"`
	// Until is the event time up to which they have learnt, µs.
	Until int64 `json:"until"`
}

// NewPaces returns Paces that follow nothing yet.
func NewPaces() *Paces { return &Paces{APIs: map[string]map[string]*Pace{}} }

// Update takes in the behaviours of an interval of so many days that ends at until.
// The slow model follows only what enough clients show: at least breadth of those
// that an interval usually has. Those that the interval did not show stay as they
// are.
func (p *Paces) Update(apis map[string]map[string]*scoring.Behaviour, days float64, until int64, breadth float64) {
	p.Until = until
	for api, types := range apis {
		for name, own := range types {
			if own.Windows < minAPIWindows {
				continue
			}
			if p.APIs[api] == nil {
				p.APIs[api] = map[string]*Pace{}
			}
			t := p.APIs[api][name]
			if t == nil {
				p.APIs[api][name] = &Pace{
					Fast: own, Slow: own, Days: days, Clients: float64(own.Clients), Windows: own.Windows,
					Since: until - int64(days*dayMicros),
				}
				continue
			}
			t.Fast = between(t.Fast, own, t.weight(days, FastHalfLife))
			w := t.weight(days, SlowHalfLife)
			if float64(own.Clients) >= breadth*t.Clients {
				t.Slow = between(t.Slow, own, w)
			}
			t.Clients += w * (float64(own.Clients) - t.Clients)
			t.Days += days
			t.Windows += own.Windows
		}
	}
}

func (t *Pace) weight(days, halfLife float64) float64 {
	return max(1-math.Exp2(-days/halfLife), days/(t.Days+days))
}

// Behaviours are what clients are to be judged by: the fast models, held to the
// slow ones.
func (p *Paces) Behaviours() map[string]map[string]*scoring.Behaviour {
	out := map[string]map[string]*scoring.Behaviour{}
	for api, types := range p.APIs {
		out[api] = map[string]*scoring.Behaviour{}
		for name, t := range types {
			b := *t.Fast
			b.Windows = t.Windows
			hold(&b, t.Slow)
			out[api][name] = &b
		}
	}
	return out
}

// hold keeps the rates and bounds of b within PaceFactor of those of slow.
func hold(b, slow *scoring.Behaviour) {
	clamp := func(x *float64, s float64) { *x = min(max(*x, s/PaceFactor), s*PaceFactor) }
	for i := range b.Bounds {
		clamp(&b.Bounds[i], slow.Bounds[i])
		b.Bounds[i] = min(b.Bounds[i], 0.99)
	}
	for i := range b.Novelty {
		clamp(&b.Novelty[i], slow.Novelty[i])
	}
	clamp(&b.DayShift, slow.DayShift)
	for _, c := range []struct{ b, s *scoring.Counts }{
		{&b.Requests, &slow.Requests}, {&b.Objects, &slow.Objects}, {&b.Writes, &slow.Writes},
	} {
		clamp(&c.b.Mean, c.s.Mean)
		clamp(&c.b.Between, c.s.Between)
		clamp(&c.b.Size, c.s.Size)
	}
	for _, m := range []struct{ b, s *scoring.Moments }{
		{&b.Volume, &slow.Volume}, {&b.Bytes, &slow.Bytes}, {&b.Load, &slow.Load}, {&b.Uploads, &slow.Uploads},
	} {
		room := math.Log(PaceFactor)
		m.b.Mean = min(max(m.b.Mean, m.s.Mean-room), m.s.Mean+room)
		clamp(&m.b.Between, m.s.Between)
		clamp(&m.b.Within, m.s.Within)
	}
}
