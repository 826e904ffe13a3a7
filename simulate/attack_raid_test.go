package simulate

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate/injections"
)

func TestDestructionGoesFromOwnObjectsToOthers(t *testing.T) {
	for variant, methods := range map[string]string{"delete": "DELETE", "overwrite": "PUT PATCH"} {
		for _, api := range []string{"bank", "shop"} {
			evs := strike(t, AttackSpec{Name: schemas.AttackDataDestruction, Variant: variant, API: api})[1:]
			paths := make(map[string]bool)
			for _, e := range evs {
				paths[string(e.Path)] = true
				if !strings.Contains(methods, string(e.Method)) {
					t.Errorf("%s calls %s", variant, e.Method)
				}
			}
			within(t, "calls", float64(len(evs)), 240, 260)
			within(t, "distinct objects", float64(len(paths)), 100, 250)
			within(t, "successes", shareOf(evs, succeeded), .5, .8)
			if shareOf(evs[:8], succeeded) < 1 {
				t.Error("cannot even destroy what is its own")
			}
		}
	}
}

func TestDataInjectionIsBulkOrOversize(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackDataInjection})[1:]
	within(t, "POSTs", shareOf(evs, func(e *schemas.Event) bool { return string(e.Method) == "POST" }), 1, 1)
	within(t, "calls", float64(len(evs)), 1490, 1510)
	within(t, "creations", shareOf(evs, succeeded), .9, 1)

	evs = strike(t, AttackSpec{Name: schemas.AttackDataInjection, Variant: "oversize"})[1:]
	for _, e := range evs {
		// The payee's median is 220 with a sigma of .2.
		if f := float64(e.ReqBytes) / 220; f < 15 || f > 200 {
			t.Errorf("body of %d bytes, %.0f times the usual", e.ReqBytes, f)
		}
		if len(e.BodySample) > bodyLimit {
			t.Errorf("sample of %d bytes", len(e.BodySample))
		}
	}
}

func TestCodeInjectionPutsAttackStringsWhereValuesGo(t *testing.T) {
	for _, api := range []string{"bank", "shop"} {
		for _, class := range injections.Classes() {
			evs := strike(t, AttackSpec{Name: schemas.AttackCodeInjection, Variant: class, API: api})
			g := besieged(t, AttackSpec{Name: schemas.AttackCodeInjection, Variant: class, API: api})
			texts := g.agents[g.benign].act.(*raider).texts
			n := 0
			for _, e := range evs {
				where := [][]byte{e.Query, e.Path, e.BodySample}
				for _, h := range e.Headers {
					where = append(where, h.Value)
				}
				if slices.ContainsFunc(where, func(w []byte) bool {
					return slices.ContainsFunc(texts, func(text []byte) bool { return holds(w, text) })
				}) {
					n++
				}
				if bytes.ContainsAny(e.Query, " \"<>\n\r#") || bytes.ContainsAny(e.Path, " \"<>\n\r#?") {
					t.Errorf("%s: what no client can send: %s?%s", class, e.Path, e.Query)
				}
			}
			if n < len(texts)*9/10 || n > mostInjections || len(evs) > 80 || len(texts) < 5 {
				t.Errorf("%s on %s: %d attack strings in %d calls", class, api, n, len(evs))
			}
		}
	}
}

// holds says whether a value holds a text, however it is escaped. Samples are
// cut, so that a beginning has to do.
func holds(value, text []byte) bool {
	if len(value) == 0 {
		return false
	}
	const enough = 24
	begin := text[:min(len(text), enough)]
	if bytes.Contains(value, begin) {
		return true
	}
	if u, err := url.QueryUnescape(string(value)); err == nil && strings.Contains(u, string(begin)) {
		return true
	}
	if u, err := url.PathUnescape(string(value)); err == nil && strings.Contains(u, string(begin)) {
		return true
	}
	var b []byte
	return bytes.Contains(value, appendJSONText(b, begin)) || bytes.Contains(value, appendHeaderText(nil, begin)) ||
		bytes.Contains(value, appendEscaped(nil, begin, true, true)) || bytes.Contains(value, appendEscaped(nil, begin, false, true)) ||
		bytes.Contains(value, appendEscaped(nil, begin, true, false)) || bytes.Contains(value, appendEscaped(nil, begin, false, false))
}

func TestExpensiveCallsAreFewAndSlow(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackExpensiveCalls})[1:]
	var took []float64
	for _, e := range evs {
		took = append(took, float64(e.UpstreamUS)/second)
		if len(e.Query) == 0 {
			t.Errorf("%s asks for nothing much", e.Path)
		}
	}
	slices.Sort(took)
	within(t, "median seconds", took[len(took)/2], 1.5, 29)
	minutes := float64(evs[len(evs)-1].Time-evs[0].Time) / minute
	within(t, "calls a minute", float64(len(evs))/minutes, 1.5, 5)
}

func TestDistributedDoSStaysBelowEveryLimit(t *testing.T) {
	for _, variant := range Variants(schemas.AttackDistributedDoS) {
		cfg := DefaultConfig()
		cfg.Clients, cfg.Mix = 3000, Mix{Traveller: 1}
		cfg.Attacks = []AttackSpec{{Name: schemas.AttackDistributedDoS, Variant: variant, Start: 9 * time.Hour}}
		cfg.Duration = 10 * time.Hour
		g := mustNew(t, cfg)
		labels := g.Labels()
		within(t, variant+"'s sources", float64(len(labels)), 125, 400)
		first, last := labels[0].Start, labels[0].Start
		for _, l := range labels {
			if l.Start.Before(first) {
				first = l.Start
			}
			if l.Start.After(last) {
				last = l.Start
			}
		}
		if last.Sub(first) > 10*time.Second {
			t.Errorf("%s begins within %s", variant, last.Sub(first))
		}
		src := attackers(g)
		sources := make(map[string][]int64)
		ja4, asn, paths := map[string]bool{}, map[int64]bool{}, map[string]bool{}
		scratch := schemas.NewEvent()
		calls := 0
		for ; src.Next(scratch); calls++ {
			sources[string(scratch.ClientIP)] = append(sources[string(scratch.ClientIP)], scratch.Time)
			ja4[string(scratch.JA4)], asn[scratch.ASN], paths[string(scratch.Path)] = true, true, true
		}
		span := last.Sub(first).Minutes() + dosMinutes
		load := callsPerClient * 3000 / 1440 / 2
		within(t, variant+"'s factor of the ordinary load", float64(calls)/span/load, 2, 5)
		for ip, times := range sources {
			mins := float64(times[len(times)-1]-times[0]) / minute
			if rate := float64(len(times)-1) / mins; rate < 2.5 || rate > 13 {
				t.Errorf("%s: %.1f calls a minute from %s", variant, rate, ip)
			}
		}
		if len(paths) != 1 {
			t.Errorf("%s calls %d routes", variant, len(paths))
		}
		switch variant {
		case "shared-fingerprint":
			if len(ja4) > 2 || len(asn) < 10 {
				t.Errorf("%d fingerprints in %d networks", len(ja4), len(asn))
			}
		case "one-provider":
			if len(ja4) < 6 || len(asn) > 3 {
				t.Errorf("%d fingerprints in %d networks", len(ja4), len(asn))
			}
		default:
			if len(ja4) < 12 || len(asn) < 30 {
				t.Errorf("%d fingerprints in %d networks", len(ja4), len(asn))
			}
		}
	}
}

func TestSequenceAbuseSkipsAndReorders(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackSequenceAbuse})[1:]
	pays := shareOf(evs, func(e *schemas.Event) bool { return string(e.Path) == "/v1/transfers" })
	within(t, "share of last steps", pays, .6, 1)
	if n := shareOf(evs, func(e *schemas.Event) bool { return string(e.Path) == "/v1/payees" }); n > 0 {
		t.Error("a step before is taken")
	}
	seconds := float64(evs[len(evs)-1].Time-evs[0].Time) / second / float64(len(evs))
	within(t, "seconds a call", seconds, 20, 120)

	evs = strike(t, AttackSpec{Name: schemas.AttackSequenceAbuse, Variant: "reorder", API: "shop"})[1:]
	backward, forward := 0, 0
	for i := 1; i < len(evs); i++ {
		switch a, b := string(evs[i-1].Path), string(evs[i].Path); {
		case a == "/api/cart/items" && b == "/api/cart":
			forward++
		case a == "/api/checkout" && b == "/api/gift-cards/check", a == "/api/checkout" && b == "/api/checkout":
			backward++
		}
	}
	if backward < 4 {
		t.Errorf("%d steps backward, %d forward", backward, forward)
	}
}

func TestExposureExceedsTheNormByFar(t *testing.T) {
	norm := map[string]float64{"/v1/accounts": 1700, "/v1/payees": 2600, "/v1/profile": 1400}
	n := 0
	for _, e := range strike(t, AttackSpec{Name: schemas.AttackExcessiveExposure})[1:] {
		if m := norm[string(e.Path)]; m > 0 {
			n++
			if f := float64(e.RespBytes) / m; f < 2 || f > 400 || e.Status != 200 || len(e.Query) == 0 {
				t.Errorf("%s?%s: %d with %.0f times the norm", e.Path, e.Query, e.Status, f)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d calls looked at", n)
	}
}

func TestManipulationShowsInItsPlace(t *testing.T) {
	for _, variant := range Variants(schemas.AttackRequestManipulation) {
		for _, w := range []World{DefaultWorld(), OtherWorld()} {
			cfg := DefaultConfig()
			cfg.Clients, cfg.World = 5, w
			cfg.Attacks = []AttackSpec{{Name: schemas.AttackRequestManipulation, Variant: variant}}
			g := mustNew(t, cfg)
			src := attackers(g)
			calls, ok, odd := 0, 0, 0
			for ev := schemas.NewEvent(); src.Next(ev); {
				if len(ev.User) == 0 {
					continue
				}
				calls++
				if succeeded(ev) {
					ok++
				}
				if len(ev.BodySample) > 0 && int(ev.ReqBytes) == len(ev.BodySample) && variant != "types" && !json.Valid(ev.BodySample) {
					t.Errorf("%s: body %s", variant, ev.BodySample)
				}
				switch variant {
				case "headers":
					if len(ev.Headers) > 0 {
						odd++
					}
				case "verbs":
					odd++
				default:
					if len(ev.Query) > 0 || len(ev.BodySample) > 0 || bytes.ContainsAny(ev.Path, "-.%") || hasWrongID(ev.Path) {
						odd++
					}
				}
			}
			within(t, variant+"'s calls", float64(calls), 40, 40)
			within(t, variant+"'s successes", float64(ok)/float64(calls), .1, .75)
			if odd != calls {
				t.Errorf("%s: %d of %d calls are odd", variant, odd, calls)
			}
		}
	}
}

func hasWrongID(path []byte) bool {
	for _, w := range wrongTypes {
		if bytes.Contains(path, append([]byte{'/'}, w...)) {
			return true
		}
	}
	return false
}

func TestDecoysAreHitOnceOrTwice(t *testing.T) {
	decoys := make(map[string]bool)
	for _, a := range DefaultWorld().APIs {
		if len(a.Decoys) == 0 {
			t.Errorf("%s has no decoy", a.Name)
		}
		for _, d := range a.Decoys {
			decoys[d] = true
		}
	}
	for _, variant := range Variants(schemas.AttackDecoyHit) {
		hits, others := 0, 0
		for _, e := range strike(t, AttackSpec{Name: schemas.AttackDecoyHit, Variant: variant}) {
			if decoys[string(e.Path)] {
				hits++
			} else {
				others++
			}
		}
		if hits < 1 || hits > 2 || others < 2 {
			t.Errorf("%s: %d hits among %d other calls", variant, hits, others)
		}
	}
	// Nobody else ever comes across one.
	cfg := DefaultConfig()
	cfg.Clients = 300
	g := mustNew(t, cfg)
	for ev := schemas.NewEvent(); g.Next(ev); {
		if decoys[string(ev.Path)] {
			t.Fatalf("%s calls %s", ev.ID, ev.Path)
		}
	}
}

func TestMisconfigurationIsTheAPIs(t *testing.T) {
	shows := map[string]func(e *schemas.Event) bool{
		"open-route":     func(e *schemas.Event) bool { return e.Status == 200 && len(e.User) == 0 && len(e.Credential) == 0 },
		"plain-http":     func(e *schemas.Event) bool { return string(e.Scheme) == "http" },
		"verbose-errors": func(e *schemas.Event) bool { return e.Status >= 400 && e.RespBytes > 3000 },
	}
	for variant, is := range shows {
		spec := AttackSpec{Name: schemas.AttackMisconfiguration, Variant: variant, API: "bank"}
		within(t, variant, shareOf(strike(t, spec), is), 1, 1)
		l := besieged(t, spec).Labels()
		if len(l) != 1 || l[0].EntityType != "api" || l[0].Entity != "bank" {
			t.Errorf("%s: labels %v", variant, l)
		}
	}
}

func TestIntensityOfDistributedDoSIsInItsSources(t *testing.T) {
	var sources []int
	for _, i := range []float64{.25, 1, 4} {
		sources = append(sources, len(besieged(t, AttackSpec{Name: schemas.AttackDistributedDoS, Intensity: i}).Labels()))
	}
	if !slices.Equal(sources, []int{30, 120, 480}) {
		t.Errorf("sources by rising intensity are %v", sources)
	}
}
