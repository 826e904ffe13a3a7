package crowd

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// tries are login tries, one per client, each from another one: perHop of them a
// window on average. One in a hundred succeeds.
func tries(perHop float64, asn, print func(int) string) scene {
	return func(hop int, call func(caller)) {
		r := dice("tries", hop)
		for i := range poisson(r, perHop) {
			n := hop*100 + i
			c := caller{id: fmt.Sprint("bot", n), asn: asn(n), print: print(n), calls: 1, logins: 1, failures: 1, fresh: true}
			if r.Float64() < 0.01 {
				c.failures = 0
			}
			call(c)
		}
	}
}

func playStuffing(t *testing.T, hops int, s scene) *played {
	t.Helper()
	return play(t, Config{}, hops, scenes(usual(), between(attackAt, hops, s)))
}

func TestThinStuffingWithOneToolIsThatTools(t *testing.T) {
	// One try in 20 s, each from another client and network: about ten logins a
	// window are benign.
	o := playStuffing(t, attackAt+200, tries(0.5, many("65%03d", 700), always("t13bot")))
	if got := o.everBlocked(); !slices.Equal(got, []string{"block ja4=t13bot,api=bank"}) {
		t.Fatalf("acted on %q", got)
	}
	v := o.list[0]
	if v.Attack != schemas.AttackCredentialStuffing || v.Explanation.Features[0].Name != "login_failures" {
		t.Errorf("verdict %+v", v)
	}
	if n := v.Explanation.Features[0].Observed; n > 25 {
		t.Errorf("found after %v failures", n)
	}
	if k := o.keys(); len(k) != 1 {
		t.Errorf("in force at the end: %q", k)
	}
}

func TestStuffingFromOnePlaceIsThatPlaces(t *testing.T) {
	slow(t)
	o := playStuffing(t, attackAt+120, tries(2, always("65001"), always("t13chrome")))
	if got := o.everBlocked(); !slices.Equal(got, []string{"block asn=65001,ja4=t13chrome,api=bank"}) {
		t.Errorf("acted on %q", got)
	}
}

func TestStuffingThatLooksLikeEverybodyIsOnlyReported(t *testing.T) {
	slow(t)
	o := playStuffing(t, attackAt+120, tries(10, func(i int) string { return fmt.Sprint(100_000 + i) }, always("t13chrome")))
	if got := o.everBlocked(); len(got) > 0 {
		t.Fatalf("acted on %q", got)
	}
	if len(o.list) != 1 || o.list[0].Attack != schemas.AttackCredentialStuffing || o.list[0].Entity.Type != schemas.EntityAPI {
		t.Errorf("verdicts %+v", o.list)
	}
}

func TestStuffingThatEndsIsLifted(t *testing.T) {
	slow(t)
	s := scenes(usual(), between(attackAt, attackAt+120, tries(2, many("65%03d", 700), always("t13bot"))))
	o := play(t, Config{}, attackAt+160, s)
	if len(o.everBlocked()) != 1 || len(o.keys()) != 0 {
		t.Errorf("acted on %q, in force %q", o.everBlocked(), o.keys())
	}
	if last := o.log[len(o.log)-1]; last != "default/cohort/ja4=t13bot,api=bank null" {
		t.Errorf("last change of the blocklist: %s", last)
	}
}

func TestPeopleWhoForgotTheirPasswordsAreNoCohort(t *testing.T) {
	slow(t)
	// A relaunch: for half an hour a third of the people's logins fail.
	relaunch := func(hop int, call func(caller)) {
		r := dice("relaunch", hop)
		usual()(hop, func(c caller) {
			if c.logins > 0 && r.Float64() < 0.3 {
				c.failures = c.logins
			}
			call(c)
		})
	}
	o := play(t, Config{}, attackAt+180, scenes(between(0, attackAt, usual()), between(attackAt, attackAt+180, relaunch)))
	if got := o.everBlocked(); len(got) > 0 {
		t.Errorf("acted on %q", got)
	}
}

func TestOneClientWithAnOldPasswordIsNoCohort(t *testing.T) {
	slow(t)
	stuck := func(_ int, call func(caller)) {
		call(caller{id: "stuck", asn: "65001", print: "t13job", calls: 3, logins: 3, failures: 3, fresh: true})
	}
	o := playStuffing(t, attackAt+120, stuck)
	if got := o.everBlocked(); len(got) > 0 {
		t.Errorf("acted on %q", got)
	}
}

func TestShadowEnforcesNothing(t *testing.T) {
	slow(t)
	attack := scenes(usual(), between(attackAt, attackAt+30, flood(100, 5, many("65%03d", 100), always("t13bot"))))
	for _, cfg := range []Config{{Shadow: true}, {ShadowAPIs: map[string]bool{"bank": true}}} {
		o := play(t, cfg, attackAt+30, attack)
		if len(o.log) > 0 || len(o.list) != 1 || o.list[0].Enforced || o.list[0].Action != schemas.ActionBlock {
			t.Errorf("%+v: %d changes of the blocklist, verdicts %+v", cfg, len(o.log), o.list)
		}
	}
}
