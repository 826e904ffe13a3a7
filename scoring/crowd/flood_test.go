package crowd

import (
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

const attackAt, attackEnd = 440, 480

// wantBlocked plays a flood over usual traffic and wants just these actions,
// within a minute of its start, and all lifted within ten minutes of its end.
func wantBlocked(t *testing.T, attack scene, want ...string) *played {
	t.Helper()
	o := play(t, Config{}, attackEnd+66, scenes(usual(), between(attackAt, attackEnd, attack)))
	if got := o.everBlocked(); !slices.Equal(got, want) {
		t.Fatalf("acted on %q, want %q", got, want)
	}
	for _, v := range o.list {
		if v.Action == schemas.ActionObserve {
			t.Errorf("reported %s: %s", v.Entity, v.Explanation.Text)
			continue
		}
		if o.seen[v] == 0 || v.Attack != schemas.AttackDistributedDoS || !v.Enforced || v.Calibration.Kind != "extrapolated" {
			t.Errorf("verdict %+v", v)
		}
		// The window that ends attackAt+5 is judged a minute after the start.
		if late := o.seen[v] - (attackAt + 5); late > 0 {
			t.Errorf("%s found %d windows after the first minute", v.Entity, late)
		}
		if v.Explanation.Cohort == "" || len(v.Explanation.Features) < 3 || v.Explanation.Counterfactual == "" {
			t.Errorf("%s explains nothing: %+v", v.Entity, v.Explanation)
		}
	}
	if k := o.keys(); len(k) > 0 {
		t.Errorf("%q are still acted on ten minutes after the flood", k)
	}
	return o
}

func TestFloodOfOneToolFromManyNetworksIsThatTools(t *testing.T) {
	// Twice the load: 300 calls of 100 bots with 3 each.
	o := wantBlocked(t, flood(100, 3, many("65%03d", 100), always("t13bot")), "block ja4=t13bot,api=bank")
	if first := o.seen[o.list[0]]; first > attackAt+1 {
		t.Errorf("found after %d windows", first-attackAt)
	}
	renewed := 0
	for _, l := range o.log {
		if strings.Contains(l, "expires_at") {
			renewed++
		}
	}
	if renewed < 2 { // once at first, once before half of its time was over
		t.Errorf("%d entries written in 7 minutes of flood, want it renewed", renewed)
	}
}

func TestFloodOfManyToolsFromOneNetworkIsThatNetworks(t *testing.T) {
	slow(t)
	wantBlocked(t, flood(200, 4, always("65001"), many("t13rnd%d", 60)), "block asn=65001,api=bank")
}

func TestFloodOfOneToolFromOneNetworkIsBoths(t *testing.T) {
	slow(t)
	wantBlocked(t, flood(80, 15, always("65001"), always("t13bot")), "block asn=65001,ja4=t13bot,api=bank")
}

func TestFloodFromThreePlacesIsThreeCohorts(t *testing.T) {
	slow(t)
	wantBlocked(t, flood(150, 6, many("6500%d", 3), always("t13chrome")),
		"block asn=65000,ja4=t13chrome,api=bank", "block asn=65001,ja4=t13chrome,api=bank", "block asn=65002,ja4=t13chrome,api=bank")
}

func TestFloodWithAToolThatSomeHaveIsOfThePlacesThatNeverHadIt(t *testing.T) {
	slow(t)
	// Three in a hundred people have the tool, all in one network.
	o := play(t, Config{}, attackEnd, scenes(usual(), between(attackAt, attackEnd, flood(200, 5, many("65%03d", 50), always("t13curl")))))
	got := o.everBlocked()
	if len(got) < 45 {
		t.Fatalf("acted on %d cohorts: %q", len(got), got)
	}
	for _, v := range got {
		if !strings.HasPrefix(v, "block asn=65") || !strings.HasSuffix(v, ",ja4=t13curl,api=bank") {
			t.Errorf("acted on %s", v)
		}
	}
	for _, v := range o.list[:45] {
		if o.seen[v] > attackAt+5 {
			t.Errorf("%s found after %d windows", v.Entity, o.seen[v]-attackAt)
		}
	}
}

// wantReported wants nobody acted on, and the API reported so often.
func wantReported(t *testing.T, s scene, times int) {
	t.Helper()
	o := play(t, Config{}, attackEnd+60, scenes(usual(), between(attackAt, attackEnd, s)))
	if got := o.everBlocked(); len(got) > 0 || len(o.log) > 0 {
		t.Fatalf("acted on %q", got)
	}
	if len(o.list) != times {
		t.Errorf("%d verdicts, want %d: %v", len(o.list), times, o.list)
	}
	for _, v := range o.list {
		if v.Entity != (schemas.Entity{Type: schemas.EntityAPI, Value: "bank"}) || v.Action != schemas.ActionObserve || v.Explanation.Text == "" {
			t.Errorf("verdict %+v", v)
		}
	}
}

// crowd are ordinary people who come all at once, all new.
func crowd(n int) scene {
	all := people(20_000, float64(n)/20_000, 0)
	return func(hop int, call func(caller)) {
		all(hop, func(c caller) {
			c.id, c.fresh = "crowd "+c.id, true
			call(c)
		})
	}
}

func TestFlashCrowdBlocksNobody(t *testing.T) {
	slow(t)
	for _, size := range []int{100, 700} {
		wantReported(t, crowd(size), 1)
	}
}

func TestFloodThatLooksLikeEverybodyIsOnlyReported(t *testing.T) {
	slow(t)
	wantReported(t, flood(400, 3, many("65%03d", 400), always("t13chrome")), 1)
}

func TestRetryStormOfKnownClientsIsNoFlood(t *testing.T) {
	slow(t)
	hasty := people(3000, 0.05, 0.5)
	storm := func(hop int, call func(caller)) {
		hasty(hop, func(c caller) {
			if !c.fresh {
				c.calls, c.broken = c.calls*6, true
				call(c)
			}
		})
	}
	wantReported(t, storm, 0)
}

func TestOneHeavyClientIsNotACohort(t *testing.T) {
	slow(t)
	wantReported(t, flood(1, 2000, always("65001"), always("t13bot")), 0)
}

func TestOrdinaryDaysAlarmNobody(t *testing.T) {
	slow(t)
	o := play(t, Config{}, 8640, people(500, 0.04, 0.9))
	if len(o.list) > 0 {
		t.Errorf("%d verdicts in an ordinary day, the first: %s", len(o.list), o.list[0].Explanation.Text)
	}
}

func TestLevelThatStaysIsAccepted(t *testing.T) {
	slow(t)
	s := scenes(usual(), between(100, 420, crowd(200)), between(400, 420, flood(200, 8, many("65%03d", 200), always("t13bot"))))
	o := play(t, Config{}, 420, s)
	// The crowd has become normal by the time of the flood, which is found in it.
	if got := o.everBlocked(); !slices.Equal(got, []string{"block ja4=t13bot,api=bank"}) {
		t.Errorf("acted on %q", got)
	}
}
