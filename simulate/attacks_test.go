package simulate

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// besieged is one attack on an API that few people use.
func besieged(t *testing.T, spec AttackSpec) *Generator {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Clients, cfg.Attacks, cfg.Duration = 50, []AttackSpec{spec}, 72*time.Hour
	cfg.Mix = Mix{Human: 1}
	return mustNew(t, cfg)
}

// strike returns the events of one attack, without the ordinary life of its
// account.
func strike(t *testing.T, spec AttackSpec) []*schemas.Event {
	t.Helper()
	src := attackers(besieged(t, spec))
	var out []*schemas.Event
	for ev := schemas.NewEvent(); src.Next(ev); {
		c := schemas.NewEvent()
		if err := c.DecodeJSON(ev.AppendJSON(nil)); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// attackers leaves only the hostile agents, who do not depend on others but for
// the credentials they steal.
func attackers(g *Generator) *Generator {
	g.queue = slices.DeleteFunc(g.queue, func(e entry) bool {
		a := g.agents[e.agent]
		return a.attack < 0 || a.cover
	})
	g.queue.build()
	return g
}

func shareOf(evs []*schemas.Event, is func(*schemas.Event) bool) float64 {
	n := 0
	for _, e := range evs {
		if is(e) {
			n++
		}
	}
	return float64(n) / float64(max(len(evs), 1))
}

func succeeded(e *schemas.Event) bool { return e.Status >= 200 && e.Status < 300 }

func TestStuffingMostlyFails(t *testing.T) {
	for variant, sources := range map[string]int{"single": 1, "distributed": 40, "thin": 600} {
		evs := strike(t, AttackSpec{Name: schemas.AttackCredentialStuffing, Variant: variant})
		within(t, variant+"'s successes", shareOf(evs, succeeded), .002, .05)
		from, names := make(map[string]int), make(map[string]bool)
		for _, e := range evs {
			from[string(e.ClientIP)]++
			names[string(e.LoginUser)] = true
		}
		if len(from) != sources {
			t.Errorf("%s comes from %d addresses, want %d", variant, len(from), sources)
		}
		if variant == "distributed" {
			for a, n := range from {
				if n < 25 || n > 60 {
					t.Errorf("%d logins from %s", n, a)
				}
			}
		}
		// Few of 50 people, but always someone else.
		if len(names) < len(evs)/4 {
			t.Errorf("%s tries %d names in %d logins", variant, len(names), len(evs))
		}
	}
}

func TestSlowLoginIsSlow(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackSlowLogin})
	hours := float64(evs[len(evs)-1].Time-evs[0].Time) / hour
	within(t, "logins an hour", float64(len(evs))/hours, 3, 15)
	one := strike(t, AttackSpec{Name: schemas.AttackSlowLogin, Variant: "one-user"})
	for _, e := range one {
		if string(e.LoginUser) != string(one[0].LoginUser) {
			t.Fatalf("one-user tries %s and %s", one[0].LoginUser, e.LoginUser)
		}
	}
}

func TestEnumerationWalksIDs(t *testing.T) {
	steps := func(variant string) (adjacent float64, evs []*schemas.Event) {
		evs = strike(t, AttackSpec{Name: schemas.AttackObjectEnumeration, Variant: variant})
		evs = evs[1:] // the login
		n, last := 0, int64(0)
		for _, e := range evs {
			segment := strings.Split(string(e.Path), "/")[3]
			id, err := strconv.ParseInt(segment, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if d := id - last; d == 1 || d == -1 {
				n++
			}
			last = id
		}
		return float64(n) / float64(len(evs)), evs
	}
	adjacent, evs := steps("sequential")
	within(t, "adjacent ids", adjacent, .95, 1)
	within(t, "successes", shareOf(evs, succeeded), .1, .7)
	within(t, "refusals", shareOf(evs, func(e *schemas.Event) bool { return e.Status == 403 }), .1, .85)
	adjacent, _ = steps("random")
	within(t, "adjacent random ids", adjacent, 0, .15)
}

func TestScrapingSucceedsAtASteadyPace(t *testing.T) {
	for _, variant := range Variants(schemas.AttackScraping) {
		evs := strike(t, AttackSpec{Name: schemas.AttackScraping, Variant: variant})[1:]
		within(t, "successes", shareOf(evs, succeeded), .98, 1)
		paths := make(map[string]bool)
		for _, e := range evs {
			paths[string(e.Path)] = true
		}
		within(t, "distinct paths", float64(len(paths))/float64(len(evs)), .9, 1)
		within(t, "seconds a call", float64(evs[len(evs)-1].Time-evs[0].Time)/second/float64(len(evs)), .9, 1.2)
	}
}

func TestProbingIsRefused(t *testing.T) {
	for _, name := range []string{schemas.AttackProbing, schemas.AttackSlowProbing, schemas.AttackFunctionProbing} {
		for _, v := range Variants(name) {
			evs := strike(t, AttackSpec{Name: name, Variant: v})
			within(t, name+"'s refusals", shareOf(evs, func(e *schemas.Event) bool { return e.Status >= 400 }), .9, 1)
		}
	}
}

func TestExtremeClientIsFarAbovePeople(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix = 300, Mix{Human: 1}
	var gaps []float64
	for _, c := range survey(t, cfg) {
		for i := 1; i < len(c.times); i++ {
			if d := float64(c.times[i]-c.times[i-1]) / second; d < 300 {
				gaps = append(gaps, d)
			}
		}
	}
	mean := 0.0
	for _, x := range gaps {
		mean += x / float64(len(gaps))
	}
	evs := strike(t, AttackSpec{Name: schemas.AttackExtremeClient})
	pace := float64(evs[len(evs)-1].Time-evs[1].Time) / second / float64(len(evs)-1)
	within(t, "times a person's pace", mean/pace, 20, 200)
	within(t, "failures", shareOf(evs, func(e *schemas.Event) bool { return e.Status >= 400 }), 0, .05)
}

func TestIntervalAbuseKeepsTheBeat(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackIntervalAbuse})[1:]
	if len(evs) != 80 {
		t.Fatalf("%d calls", len(evs))
	}
	skipped := 0
	for i := 1; i < len(evs); i++ {
		beats := float64(evs[i].Time-evs[i-1].Time) / second / 45
		if off := math.Abs(beats - math.Round(beats)); off > metronomeJitter+.001 {
			t.Errorf("interval %d is %.2f beats", i, beats)
		}
		if math.Round(beats) > 1 {
			skipped++
		}
	}
	within(t, "gaps", float64(skipped)/79, .03, .35)
	within(t, "successes", shareOf(evs, succeeded), .8, 1)
}

func TestStealthLeavesTheBeatAlone(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackIntervalAbuse, Intensity: .3})
	last, reads := int64(0), 0
	for _, e := range evs[1:] {
		if string(e.Method) == "GET" {
			reads++
			continue
		}
		if last > 0 {
			beats := float64(e.Time-last) / second / 150
			if off := math.Abs(beats - math.Round(beats)); off > metronomeJitter+.001 {
				t.Errorf("an interval is %.2f beats", beats)
			}
		}
		last = e.Time
	}
	if reads == 0 {
		t.Error("no ordinary calls at intensity 0.3")
	}
}

func TestIntensityIsMonotone(t *testing.T) {
	for _, spec := range EveryAttack(0, 0, 1) {
		switch spec.Name {
		case schemas.AttackSlowExfiltration, schemas.AttackDistributedDoS, schemas.AttackDecoyHit:
			continue // more of these is not more calls of each source
		}
		var pace, calls []float64
		for _, i := range []float64{.25, 1, 4} {
			spec.Intensity = i
			// Per source, as a distributed attack's span is that of its start.
			span, gaps := 0.0, 0
			g := besieged(t, spec)
			attackers(g)
			for _, times := range keys(g, func(Origin) bool { return true }) {
				span += float64(times[len(times)-1]-times[0]) / second
				gaps += len(times) - 1
			}
			pace = append(pace, float64(gaps)/span)
			calls = append(calls, float64(gaps))
		}
		if !slices.IsSorted(pace) || pace[0] == pace[2] {
			t.Errorf("%s %s: calls a second by rising intensity are %v", spec.Name, spec.Variant, pace)
		}
		if calls[1] >= calls[2] && spec.Variant != "thin" {
			t.Errorf("%s %s: calls by rising intensity are %v", spec.Name, spec.Variant, calls)
		}
	}
}

func TestDurationEndsAnAttack(t *testing.T) {
	for _, spec := range EveryAttack(time.Hour, 0, 1) {
		spec.Duration = 5 * time.Minute
		evs := strike(t, spec)
		end := defaultStart().Add(spec.Start + spec.Duration).UnixMicro()
		for _, e := range evs {
			if e.Time >= end || e.Time < end-int64(5*minute) {
				t.Errorf("%s %s has a call at %d, outside of its time", spec.Name, spec.Variant, e.Time)
				break
			}
		}
	}
}

func TestInsidersHaveAnOrdinaryLife(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 10, 48*time.Hour
	cfg.Attacks = []AttackSpec{{Name: schemas.AttackObjectEnumeration, Start: 40 * time.Hour}}
	g := mustNew(t, cfg)
	l := g.Labels()[0]
	before := 0
	for key, times := range keys(g, func(o Origin) bool { return o.Cover }) {
		if key != "user:"+l.Entity {
			continue
		}
		for _, at := range times {
			if at < l.Start.UnixMicro() {
				before++
			}
		}
	}
	if before == 0 {
		t.Error("the account did nothing before the attack")
	}
}
