package crowd

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

const (
	hopUS = 10_000_000
	// begin is midnight UTC.
	begin = 1_789_948_800 * 1_000_000
)

// caller is a client of the API "bank" in one window.
type caller struct {
	id, asn, print          string
	calls, logins, failures int
	fresh, broken           bool
}

// scene is what happens, window by window. It must be the same each time.
type scene func(hop int, call func(caller))

// scenes plays several at once.
func scenes(all ...scene) scene {
	return func(hop int, call func(caller)) {
		for _, s := range all {
			s(hop, call)
		}
	}
}

// between limits a scene to some windows.
func between(from, to int, s scene) scene {
	return func(hop int, call func(caller)) {
		if hop >= from && hop < to {
			s(hop, call)
		}
	}
}

func dice(name string, hop int) *rand.Rand {
	return rand.New(rand.NewPCG(xxhash.Sum64String(name), uint64(hop)))
}

func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for p := r.Float64(); p > math.Exp(-mean); p *= r.Float64() {
		n++
	}
	return n
}

// tools are the fingerprints of ordinary callers, by share.
var tools = []struct {
	print string
	share float64
}{{"t13chrome", 0.5}, {"t13safari", 0.25}, {"t13firefox", 0.15}, {"t13app", 0.07}, {"t13curl", 0.03}}

func tool(r *rand.Rand) string {
	x := r.Float64()
	for _, t := range tools {
		if x -= t.share; x < 0 {
			return t.print
		}
	}
	return tools[0].print
}

// people are n ordinary clients from 40 networks of unlike size, of which some
// call in a window; the activity follows the hour of the day by swing. One in
// fifty is new.
func people(n int, active, swing float64) scene {
	type person struct{ asn, print string }
	r := rand.New(rand.NewPCG(7, 7))
	all := make([]person, n)
	for i := range all {
		all[i] = person{fmt.Sprint(64500 + int(40*math.Pow(r.Float64(), 2))), tool(r)}
		if all[i].print == "t13curl" {
			all[i].asn = "64510" // the scripts run in one place
		}
	}
	return func(hop int, call func(caller)) {
		r := dice("people", hop)
		rate := active * (1 + swing*math.Sin(2*math.Pi*float64(hop)/8640)) * math.Exp(0.1*r.NormFloat64())
		for range poissonLarge(r, rate*float64(n)) {
			i := r.IntN(n)
			c := caller{id: fmt.Sprint("p", i), asn: all[i].asn, print: all[i].print, calls: 1 + poisson(r, 2), fresh: hop < 300}
			if r.Float64() < 0.02 {
				c.id, c.fresh = fmt.Sprint("new", hop, i), true
			}
			if r.Float64() < 0.1 {
				c.logins = 1
				if r.Float64() < 0.08 {
					c.failures = 1
				}
			}
			call(c)
		}
	}
}

func poissonLarge(r *rand.Rand, mean float64) int {
	return max(int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())), 0)
}

// usual are 1,500 people of whom about 50 call in a window, 150 calls. They are
// made once for all tests.
func usual() scene {
	return func(hop int, call func(caller)) {
		for len(usualCallers) <= hop {
			var all []caller
			everybody(len(usualCallers), func(c caller) { all = append(all, c) })
			usualCallers = append(usualCallers, all)
		}
		for _, c := range usualCallers[hop] {
			call(c)
		}
	}
}

var (
	usualCallers [][]caller
	everybody    = people(1500, 0.033, 0.5)
)

// flood are n bots with calls calls each in a window.
func flood(n, calls int, asn, print func(bot int) string) scene {
	return func(_ int, call func(caller)) {
		for i := range n {
			call(caller{id: fmt.Sprint("bot", i), asn: asn(i), print: print(i), calls: calls, fresh: true})
		}
	}
}

func always(s string) func(int) string { return func(int) string { return s } }
func many(format string, n int) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i%n) }
}

// played is what a Crowd decided.
type played struct {
	verdicts map[string]string // by id
	list     []*schemas.Verdict
	log      []string // block changes, in order, with the window
	blocks   map[string]*schemas.BlockEntry
	hop      int
	seen     map[*schemas.Verdict]int
}

func newPlayed() *played {
	return &played{verdicts: map[string]string{}, blocks: map[string]*schemas.BlockEntry{}, seen: map[*schemas.Verdict]int{}}
}

func (o *played) Verdict(v *schemas.Verdict) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	kept := *v
	o.verdicts[v.ID] = string(text)
	o.list = append(o.list, &kept)
	o.seen[&kept] = o.hop
}

func (o *played) Block(key string, e *schemas.BlockEntry) {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	o.log = append(o.log, key+" "+string(text))
	if e == nil {
		delete(o.blocks, key)
	} else {
		o.blocks[key] = e
	}
}

func (o *played) keys() []string {
	var keys []string
	for k := range o.blocks {
		keys = append(keys, strings.TrimPrefix(k, "default/cohort/"))
	}
	slices.Sort(keys)
	return keys
}

// everBlocked are the values that were acted on, with the action.
func (o *played) everBlocked() []string {
	var values []string
	for _, v := range o.list {
		if v.Action != schemas.ActionObserve {
			values = append(values, string(v.Action)+" "+v.Entity.Value)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// windowOf makes the aggregates of one window, split over sources by client.
func windowOf(hop, sources int, s scene) []*schemas.Aggregate {
	type key struct {
		source int32
		name   string
	}
	of := map[key]*schemas.Aggregate{}
	start := int64(begin + hop*hopUS)
	s(hop, func(c caller) {
		h := xxhash.Sum64String(c.id)
		source := int32(h >> 32 % uint64(sources))
		for _, name := range []string{"", c.asn + "|" + c.print} {
			a := of[key{source, name}]
			if a == nil {
				kind, size, entity := schemas.EntityCohort, 64, name
				if name == "" {
					kind, size, entity = schemas.EntityAPI, 256, "bank"
				}
				a = &schemas.Aggregate{
					Tenant: []byte("default"), EntityType: []byte(kind), Entity: []byte(entity), API: []byte("bank"),
					WindowStart: start, WindowEnd: start + hopUS, Source: source,
					Clients: make([]byte, size), FailedClients: make([]byte, size), NewClients: make([]byte, size),
				}
				of[key{source, name}] = a
			}
			a.Requests += uint64(c.calls)
			if c.broken {
				a.Status5xx += uint64(c.calls)
			} else {
				a.Status2xx += uint64(c.calls)
			}
			a.LoginAttempts += uint64(c.logins)
			a.LoginFailures += uint64(c.failures)
			a.LoginSuccesses += uint64(c.logins - c.failures)
			features.AddRegister(a.Clients, h)
			if c.failures > 0 {
				features.AddRegister(a.FailedClients, h)
			}
			if c.fresh {
				features.AddRegister(a.NewClients, h)
			}
		}
	})
	var out []*schemas.Aggregate
	for _, a := range of {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *schemas.Aggregate) int {
		if a.Source != b.Source {
			return int(a.Source - b.Source)
		}
		return strings.Compare(string(a.Entity), string(b.Entity))
	})
	return out
}

func markOf(hop, source int) *schemas.Aggregate {
	return &schemas.Aggregate{WindowStart: int64(begin + hop*hopUS), WindowEnd: int64(begin + (hop+1)*hopUS), Source: int32(source)}
}

func newCrowd(t testing.TB, cfg Config) *Crowd {
	t.Helper()
	if cfg.Sources == 0 {
		cfg.Sources = 1
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play runs windows of a scene through a Crowd with one source.
func play(t testing.TB, cfg Config, hops int, s scene) *played {
	t.Helper()
	c, o := newCrowd(t, cfg), newPlayed()
	offset := int64(0)
	for hop := range hops {
		o.hop = hop
		for _, a := range append(windowOf(hop, 1, s), markOf(hop, 0)) {
			c.Apply(a, offset, o)
			offset++
		}
	}
	if c.Stats != (Stats{}) {
		t.Logf("left out: %+v", c.Stats)
	}
	return o
}
