package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

func TestEveryNameOfTheCatalogueIsOffered(t *testing.T) {
	all := []string{
		schemas.AttackCredentialStuffing, schemas.AttackSlowLogin, schemas.AttackAccountTakeover, schemas.AttackObjectEnumeration,
		schemas.AttackFunctionProbing, schemas.AttackDataExfiltration, schemas.AttackSlowExfiltration, schemas.AttackScraping,
		schemas.AttackDataDestruction, schemas.AttackDataInjection, schemas.AttackCodeInjection, schemas.AttackExpensiveCalls,
		schemas.AttackProbing, schemas.AttackSlowProbing, schemas.AttackDistributedDoS, schemas.AttackExtremeClient,
		schemas.AttackIntervalAbuse, schemas.AttackSequenceAbuse, schemas.AttackExcessiveExposure,
		schemas.AttackRequestManipulation, schemas.AttackDecoyHit, schemas.AttackMisconfiguration,
	}
	got := Attacks()
	slices.Sort(all)
	slices.Sort(got)
	if !slices.Equal(all, got) {
		t.Errorf("offered are %v, want %v", got, all)
	}
	for _, name := range append(Attacks(), Framings()...) {
		if len(Variants(name)) == 0 {
			t.Errorf("%s has no variant", name)
		}
	}
}

func TestBenignBodiesAreJSONAndChangeNothingElse(t *testing.T) {
	for _, w := range []World{DefaultWorld(), OtherWorld()} {
		cfg := DefaultConfig()
		cfg.Clients, cfg.World, cfg.Duration = 130, w, 10*time.Hour
		cfg.Attacks = EveryAttack(time.Hour, 8*time.Minute, 1)
		with := mustNew(t, cfg)
		cfg.Attacks, cfg.Bodies = nil, false
		without := mustNew(t, cfg)
		a, b := schemas.NewEvent(), schemas.NewEvent()
		src := only{with, func(o Origin) bool { return o.Class != "" }}
		bodies := 0
		for src.Next(a) {
			if !without.Next(b) {
				t.Fatal("fewer events without bodies")
			}
			if len(b.BodySample) > 0 {
				t.Fatal("a body nevertheless")
			}
			if string(a.ID) != string(b.ID) || a.Time != b.Time || string(a.Path) != string(b.Path) || string(a.Query) != string(b.Query) || a.RespBytes != b.RespBytes {
				t.Fatalf("%s differs from %s", a.ID, b.ID)
			}
			if n := len(a.BodySample); n > 0 {
				bodies++
				if n > bodyLimit || int64(n) > a.ReqBytes || int64(n) == a.ReqBytes && !json.Valid(a.BodySample) {
					t.Errorf("%d bytes of %d: %s", n, a.ReqBytes, a.BodySample)
				}
			}
		}
		if bodies < 40 {
			t.Errorf("only %d bodies", bodies)
		}
	}
}

func TestHostileEventsAreKeyedAsLabelled(t *testing.T) {
	for _, name := range Attacks() {
		if name == schemas.AttackMisconfiguration {
			continue
		}
		for _, v := range Variants(name) {
			g := besieged(t, AttackSpec{Name: name, Variant: v})
			labelled := make(map[string]schemas.Label)
			for _, l := range g.Labels() {
				labelled[l.EntityType+":"+l.Entity] = l
			}
			src := attackers(g)
			inside, n := 0, 0
			for ev := schemas.NewEvent(); src.Next(ev); n++ {
				l, ok := labelled[string(features.AppendClientKey(nil, ev))]
				if at := time.UnixMicro(ev.Time).UTC(); ok && !at.Before(l.Start) && !at.After(l.End) {
					inside++
				}
			}
			// Logins come under the key of a device, and some calls are ordinary.
			if inside == 0 || name != schemas.AttackDecoyHit && inside < n*4/5 {
				t.Errorf("%s %s: %d of %d events under a label", name, v, inside, n)
			}
		}
	}
}

func TestEveryAttackRunsOnEveryAPIThatSuffersIt(t *testing.T) {
	apis := slices.Concat(DefaultWorld().APIs, OtherWorld().APIs, []API{NewAPI(), TinyAPI()})
	suffered := make(map[string]int)
	for _, a := range apis {
		for _, intensity := range []float64{.25, 4} {
			for _, name := range slices.Concat(Attacks(), Framings()) {
				for _, v := range Variants(name) {
					cfg := DefaultConfig()
					cfg.World, cfg.Clients, cfg.Duration = World{APIs: []API{a}}, 12, time.Hour
					cfg.Attacks = []AttackSpec{{Name: name, Variant: v, Intensity: intensity, Start: 10 * time.Minute, Duration: 4 * time.Minute}}
					g, err := New(cfg)
					if errors.Is(err, ErrUnknownAttack) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					g = attackers(g)
					for ev, n := schemas.NewEvent(), 0; n < 200 && g.Next(ev); n++ {
						suffered[a.Name+" "+name]++
						if len(ev.Path) == 0 || bytes.ContainsAny(ev.Path, "{}") && name != schemas.AttackCodeInjection && name != schemas.AttackRequestManipulation {
							t.Fatalf("%s %s: path %q", name, v, ev.Path)
						}
					}
				}
			}
		}
	}
	for _, a := range apis[:4] {
		for _, name := range slices.Concat(Attacks(), Framings()) {
			scraped := name == schemas.AttackScraping && (a.Name == "bank" || a.Name == "wallet")
			// The siphon has nothing to do in an idle half hour.
			if suffered[a.Name+" "+name] == 0 && !scraped && name != schemas.AttackSlowExfiltration {
				t.Errorf("%s does not suffer %s", a.Name, name)
			}
		}
	}
}
