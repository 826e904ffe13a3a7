package eval

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

func label(entityType, entity, attack string, start, end time.Duration) schemas.Label {
	return schemas.Label{EntityType: entityType, Entity: entity, Attack: attack, Start: at(start), End: at(end)}
}

func block(entityType, entity string, after time.Duration, attack string, linked ...schemas.Entity) *schemas.Verdict {
	return &schemas.Verdict{
		ID: "v", Time: at(after), Entity: schemas.Entity{Type: entityType, Value: entity}, API: "bank",
		Action: schemas.ActionBlock, Attack: attack, Linked: linked, ExpiresAt: at(after + time.Hour),
	}
}

// call is a call of a user or, where the name is an address, of that address.
func call(name string, after time.Duration, change ...func(*schemas.Event)) *schemas.Event {
	ev := schemas.NewEvent()
	ev.Time, ev.API, ev.Status, ev.ClientIP = at(after).UnixMicro(), []byte("bank"), 200, []byte("192.0.2.1")
	if name[0] >= '0' && name[0] <= '9' {
		ev.ClientIP = []byte(name)
	} else {
		ev.User = []byte(name)
	}
	for _, f := range change {
		f(ev)
	}
	return ev
}

func benign(person int) Caller { return Caller{Class: "human", Person: person, Instance: -1} }
func hostile(n int) Caller     { return Caller{Person: -1, Instance: n} }

func only(t *testing.T, r *Report) Instance {
	t.Helper()
	in := r.Result().Instances
	if len(in) != 1 {
		t.Fatalf("%d instances: %+v", len(in), in)
	}
	return in[0]
}

func TestAttackIsFoundByABlockUpToAMinuteAfterItsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    *schemas.Verdict
		want bool
	}{
		{"at its start", block("ip", "1.1.1.1", 0, "probing"), true},
		{"within it", block("ip", "1.1.1.1", time.Minute, "probing"), true},
		{"a minute after its end", block("ip", "1.1.1.1", 11*time.Minute, "probing"), true},
		{"later", block("ip", "1.1.1.1", 11*time.Minute+1, "probing"), false},
		{"before its start", block("ip", "1.1.1.1", -1, "probing"), false},
		{"another entity", block("ip", "1.1.1.2", time.Minute, "probing"), false},
		{"another type of the same name", block("user", "1.1.1.1", time.Minute, "probing"), false},
		{"linked to it", block("device", "d", time.Minute, "probing", schemas.Entity{Type: "ip", Value: "1.1.1.1"}), true},
		{"under another name", block("ip", "1.1.1.1", time.Minute, "scraping"), true},
		{"a challenge", &schemas.Verdict{Time: at(time.Minute), Entity: schemas.Entity{Type: "ip", Value: "1.1.1.1"}, Action: schemas.ActionChallenge}, false},
		{"a withdrawal", &schemas.Verdict{Time: at(time.Minute), Entity: schemas.Entity{Type: "ip", Value: "1.1.1.1"}, Action: schemas.ActionObserve, Withdrawn: true}, false},
	} {
		r := NewReport([]schemas.Label{label("ip", "1.1.1.1", "probing", 0, 10*time.Minute)}, time.Minute)
		r.Verdict(tc.v)
		in := only(t, r)
		if in.Found() != tc.want {
			t.Errorf("%s: found %v", tc.name, in.Found())
		}
		if tc.want && (in.Blocked != 1 || in.First != tc.v.Time.Sub(noon) || in.Seconds[0] != tc.v.Time.Sub(noon).Seconds() || (in.Named == 1) != (tc.v.Attack == "probing")) {
			t.Errorf("%s: %+v", tc.name, in)
		}
		if !tc.want && (in.First != 0 || in.Named != 0 || len(in.Seconds) > 0) {
			t.Errorf("%s: %+v", tc.name, in)
		}
	}
}

func TestDamageIsWhatWasServedBeforeTheFirstBlock(t *testing.T) {
	r := NewReport([]schemas.Label{label("ip", "1.1.1.1", "credential-stuffing", 0, 9*time.Minute)}, 0)
	refused := func(ev *schemas.Event) { ev.Status = 401 }
	login := func(ev *schemas.Event) { ev.LoginUser = []byte("u") }
	r.Call(call("1.1.1.1", -time.Second), Unknown()) // before the attack
	for i := range 10 {
		changes := []func(*schemas.Event){login}
		if i%2 == 1 {
			changes = append(changes, refused)
		}
		r.Call(call("1.1.1.1", time.Duration(i)*time.Minute, changes...), Unknown())
		if i == 4 || i == 6 { // the second block changes nothing
			r.Verdict(block("ip", "1.1.1.1", time.Duration(i)*time.Minute, "credential-stuffing"))
		}
	}
	in := only(t, r)
	want := Instance{
		Attack: "credential-stuffing", Start: noon, Entities: 1, Blocked: 1, Named: 1, First: 4 * time.Minute,
		Requests: []float64{5}, Seconds: []float64{240}, Served: 5, ServedBefore: 3, Attempts: 10, AttemptsBefore: 5,
	}
	if in.Start != want.Start || in.First != want.First || !slices.Equal(in.Requests, want.Requests) || !slices.Equal(in.Seconds, want.Seconds) ||
		in.Served != want.Served || in.ServedBefore != want.ServedBefore || in.Attempts != want.Attempts || in.AttemptsBefore != want.AttemptsBefore {
		t.Errorf("%+v, want %+v", in, want)
	}
	row := r.Result().Attacks()[0]
	if row.Damage != 0.6 || row.Attempts != 0.5 || row.RequestsP50 != 5 || row.SecondsP90 != 240 || row.Recall != 1 {
		t.Errorf("%+v", row)
	}
}

func TestLabelsOfOneStartAreOneInstance(t *testing.T) {
	r := NewReport([]schemas.Label{
		label("ip", "3", "stuffing", 9*time.Minute, time.Hour), // within reach of the second, not of the first
		label("ip", "1", "stuffing", 0, time.Hour),
		label("ip", "2", "stuffing", 5*time.Minute, time.Hour),
		label("ip", "4", "stuffing", 30*time.Minute, time.Hour),
		label("ip", "1", "probing", 5*time.Minute, time.Hour), // one entity, two attacks
	}, 5*time.Minute)
	r.Verdict(block("ip", "2", 15*time.Minute, "stuffing"))
	r.Verdict(block("ip", "1", 20*time.Minute, "stuffing"))
	r.Verdict(block("ip", "3", 10*time.Minute, "stuffing"))
	type want struct {
		name                     string
		start                    time.Time
		entities, blocked, named int
	}
	var got []want
	for _, in := range r.Result().Instances {
		got = append(got, want{in.Attack, in.Start, in.Entities, in.Blocked, in.Named})
	}
	if w := []want{{"probing", at(5 * time.Minute), 1, 1, 0}, {"stuffing", noon, 3, 3, 3}, {"stuffing", at(30 * time.Minute), 1, 0, 0}}; !slices.Equal(got, w) {
		t.Fatalf("instances %v, want %v", got, w)
	}
	if first := r.Result().Instances[1].First; first != 10*time.Minute {
		t.Errorf("first block after %s", first)
	}
}

func TestCallersTellInstancesOfOneAttackApart(t *testing.T) {
	r := NewReport([]schemas.Label{
		label("ip", "1.1.1.1", "scraping", 0, time.Hour),
		label("ip", "1.1.1.2", "scraping", time.Second, time.Hour),
	}, time.Hour)
	r.NameInstances([]string{"user", "ip"})
	r.Call(call("1.1.1.1", 0), hostile(0))
	r.Call(call("1.1.1.2", time.Second), hostile(1))
	r.Verdict(block("ip", "1.1.1.2", 2*time.Second, "scraping"))
	rows := r.Result().Attacks()
	if len(rows) != 2 || rows[0].Variant != "user" || rows[0].Found != 0 || rows[1].Variant != "ip" || rows[1].Found != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestBlockOfABenignClientDayIsFalse(t *testing.T) {
	labels := []schemas.Label{label("ip", "1.1.1.1", "probing", 0, 10*time.Minute)}
	address := schemas.Entity{Type: "ip", Value: "1.1.1.1"}
	for _, tc := range []struct {
		name string
		who  Caller
		v    *schemas.Verdict
		want bool
		hit  bool
	}{
		{"a stranger", Unknown(), block("user", "u", time.Minute, "probing"), true, false},
		{"a stranger, challenged", Unknown(), &schemas.Verdict{Time: at(time.Minute), API: "bank", Entity: schemas.Entity{Type: "user", Value: "u"}, Action: schemas.ActionChallenge}, false, false},
		{"a stranger, provisionally", Unknown(), &schemas.Verdict{Time: at(time.Minute), API: "bank", Entity: schemas.Entity{Type: "user", Value: "u"}, Action: schemas.ActionBlock, Provisional: true}, true, false},
		{"somebody at the attacker's address during the attack", Unknown(), block("user", "u", time.Minute, "probing", address), false, true},
		{"somebody at the attacker's address an hour later", Unknown(), block("user", "u", time.Hour, "probing", address), true, false},
		{"somebody known to be benign at the attacker's address", benign(1), block("user", "u", time.Minute, "probing", address), true, false},
		{"the attacker an hour later", Unknown(), block("ip", "1.1.1.1", time.Hour, "probing"), false, false},
		{"an attacker's own life", Caller{Person: -1, Instance: 0, Cover: true}, block("user", "u", time.Hour, "probing"), false, false},
	} {
		r := NewReport(labels, time.Minute)
		r.Call(call("u", 0), tc.who)
		r.Verdict(tc.v)
		r.Verdict(tc.v) // once a day
		if got := len(r.FalseBlocks()) == 1; got != tc.want {
			t.Errorf("%s: false block %v", tc.name, got)
		}
		in := only(t, r)
		if in.Found() != tc.hit {
			t.Errorf("%s: attack found %v", tc.name, in.Found())
		}
	}
}

func TestFalseBlocksAreCountedByClientAPIAndDay(t *testing.T) {
	r := NewReport(nil, time.Minute)
	day := 24 * time.Hour
	shop := func(ev *schemas.Event) { ev.API = []byte("shop") }
	r.Call(call("a", 0), benign(1))
	r.Call(call("a", time.Minute, shop), benign(1))
	r.Call(call("a", day), benign(1))
	r.Call(call("b", day), Caller{Class: "partner", Person: 2, Instance: -1})
	r.Verdict(block("user", "a", time.Second, "x"))
	r.Verdict(block("user", "a", 2*time.Second, "x"))
	r.Verdict(block("user", "a", day, "x"))
	rows := r.Result().FalseBlockTable()
	if len(rows) != 3 || rows[0].Class != AllClasses || rows[0].Days != 4 || rows[0].Blocked != 2 ||
		rows[1].Class != "human" || rows[1].Days != 3 || rows[1].Blocked != 2 || rows[2].Class != "partner" || rows[2].Blocked != 0 {
		t.Errorf("%+v", rows)
	}
	// Of 2 in 4, the exact 95 % interval: Beta(2, 3) and Beta(3, 2) quantiles.
	if math.Abs(rows[0].Low-0.06758599) > 1e-6 || math.Abs(rows[0].High-0.93241401) > 1e-6 {
		t.Errorf("interval %v to %v", rows[0].Low, rows[0].High)
	}
}

func TestVerdictsAloneTellAttacksAndFalseBlocks(t *testing.T) {
	r := NewReport([]schemas.Label{label("ip", "1.1.1.1", "probing", 0, time.Hour)}, 0)
	r.Verdict(block("ip", "1.1.1.1", time.Minute, "probing"))
	r.Verdict(block("user", "u", time.Minute, "probing"))
	r.Verdict(block("user", "u", 2*time.Minute, "probing"))
	if in := only(t, r); !in.Found() || in.MedianDelay() != time.Minute {
		t.Errorf("%+v", in)
	}
	if n := len(r.FalseBlocks()); n != 1 {
		t.Errorf("%d false blocks", n)
	}
}

func TestPeopleBehindABlockedAddressAreCollateral(t *testing.T) {
	r := NewReport([]schemas.Label{label("ip", "1.1.1.1", "probing", 0, 10*time.Minute)}, time.Minute)
	from := func(ev *schemas.Event) { ev.ClientIP = []byte("1.1.1.1") }
	r.Call(call("early", 0, from), benign(1))
	r.Call(call("1.1.1.1", 0), hostile(0))
	r.Verdict(block("ip", "1.1.1.1", time.Minute, "probing"))
	r.Call(call("u", 2*time.Minute, from), benign(2))
	r.Call(call("u", 3*time.Minute, from), benign(2))
	r.Call(call("w", 3*time.Minute, from), benign(3))
	r.Call(call("elsewhere", 3*time.Minute), benign(4))
	r.Call(call("late", 2*time.Hour, from), benign(5)) // the block has ended
	res := r.Result()
	if want := (Collateral{Shared: 1, Hurting: 1, People: 2}); res.Collateral != want {
		t.Errorf("%+v, want %+v", res.Collateral, want)
	}
	if len(r.FalseBlocks()) != 0 {
		t.Error("the block of an attacker's address was counted as false")
	}
}

func cohort(asn, print string) schemas.Entity {
	return schemas.Entity{Type: schemas.ScopeCohort, Value: string(schemas.AppendCohortValue(nil, []byte(asn), []byte(print), []byte("bank")))}
}

func TestBlocklistProlongsAndLiftsBlocks(t *testing.T) {
	r := NewReport(nil, 0)
	v := block("ip", "1.1.1.1", 0, "probing")
	v.ExpiresAt = at(time.Minute)
	r.Verdict(v)
	key := schemas.BlockKey(v.Tenant, "ip", "1.1.1.1")
	from := func(ev *schemas.Event) { ev.ClientIP = []byte("1.1.1.1") }
	r.Block(key, &schemas.BlockEntry{Action: schemas.ActionBlock, ExpiresAt: at(time.Hour)})
	r.Call(call("u", 2*time.Minute, from), benign(1))
	r.Block(key, nil)
	r.Call(call("w", 3*time.Minute, from), benign(2))
	if c := r.Result().Collateral; c.People != 1 {
		t.Errorf("%+v", c)
	}
}

func TestAllowedClientsAreNobodysFalseBlock(t *testing.T) {
	r := NewReport(nil, 0)
	r.Allow([]string{"user:probe"})
	r.Call(call("probe", 0), benign(1))
	r.Verdict(block("user", "probe", time.Second, "interval-abuse"))
	if len(r.FalseBlocks()) != 0 || r.Result().FalseBlockTable()[0].Days != 0 {
		t.Errorf("%+v", r.Result())
	}
}

func TestCohortBlockFindsTheCallersItStops(t *testing.T) {
	labels := []schemas.Label{
		label("user", "x", "distributed-dos", 0, time.Hour),
		label("user", "y", "distributed-dos", 0, time.Hour),
		label("user", "z", "distributed-dos", 0, time.Hour),
	}
	in := func(asn int64, ja4, agent string) func(*schemas.Event) {
		return func(ev *schemas.Event) {
			ev.ASN, ev.JA4, ev.UserAgent = asn, []byte(ja4), []byte(agent)
		}
	}
	for _, tc := range []struct {
		entity  schemas.Entity
		blocked int
		people  int
	}{
		{cohort("64500", "t13"), 1, 1},
		{cohort("-", "t13"), 2, 1},
		{cohort("64500", "ua:curl"), 1, 0},
		{schemas.Entity{Type: schemas.EntityASN, Value: "64500"}, 2, 1},
		{schemas.Entity{Type: schemas.EntityJA4, Value: "t13"}, 2, 1},
		{schemas.Entity{Type: schemas.EntityNetwork, Value: "192.0.2.0/24"}, 3, 2},
		{schemas.Entity{Type: schemas.EntityASN, Value: "1"}, 0, 0},
	} {
		r := NewReport(labels, time.Minute)
		r.Verdict(block(tc.entity.Type, tc.entity.Value, 0, "distributed-dos"))
		r.Call(call("x", time.Second, in(64500, "t13", "a")), Unknown())
		r.Call(call("y", time.Second, in(64501, "t13", "a")), Unknown())
		r.Call(call("z", time.Second, in(64500, "", "curl/8.5")), Unknown())
		r.Call(call("benign", time.Second, in(64500, "t13", "a")), benign(1))
		r.Call(call("other", time.Second, in(2, "t14", "a")), benign(2))
		other := call("otherapi", time.Second, in(64500, "t13", "a"))
		other.API = []byte("shop")
		r.Call(other, benign(3))
		res := r.Result()
		blocked := 0
		for _, i := range res.Instances {
			blocked += i.Blocked
		}
		baseless := 0
		if tc.blocked == 0 {
			baseless = 1
		}
		if blocked != tc.blocked || res.Collateral.People != tc.people || res.Collateral.Baseless != baseless {
			t.Errorf("%v: %d blocked, want %d; %+v, want %d people", tc.entity, blocked, tc.blocked, res.Collateral, tc.people)
		}
	}
}

func TestWithdrawnBlockRefusesNobodyAfterwards(t *testing.T) {
	r := NewReport(nil, 0)
	v := block("ip", "1.1.1.1", 0, "probing")
	r.Verdict(v)
	w := *v
	w.Time, w.Action, w.Withdrawn = at(time.Second), schemas.ActionObserve, true
	r.Verdict(&w)
	r.Call(call("u", 2*time.Second, func(ev *schemas.Event) { ev.ClientIP = []byte("1.1.1.1") }), benign(1))
	if c := r.Result().Collateral; c.People != 0 || c.Shared != 1 {
		t.Errorf("%+v", c)
	}
}

func TestResultsOfSeveralRunsAddUp(t *testing.T) {
	one := func() *Result {
		r := NewReport([]schemas.Label{label("ip", "1.1.1.1", "probing", 0, time.Hour)}, 0)
		r.Call(call("u", 0), benign(1))
		r.Verdict(block("user", "u", time.Second, "x"))
		r.Verdict(block("ip", "1.1.1.1", time.Minute, "probing"))
		return r.Result()
	}
	sum := new(Result)
	sum.Add(one())
	sum.Add(one())
	found, n := sum.Recall()
	if found != 2 || n != 2 || sum.FalseBlockTable()[0].Days != 2 || sum.FalseBlockTable()[0].Blocked != 2 || sum.Collateral.Shared != 2 {
		t.Errorf("%d of %d, %+v, %+v", found, n, sum.FalseBlockTable(), sum.Collateral)
	}
}

func TestQuantileIsTheSmallestValueWithEnoughAtOrBelow(t *testing.T) {
	x := []float64{3, 1, 2, 4}
	for _, tc := range []struct{ q, want float64 }{{0, 1}, {.25, 1}, {.26, 2}, {.5, 2}, {.9, 4}, {1, 4}} {
		if got := quantile(x, tc.q); got != tc.want {
			t.Errorf("quantile %g is %g, want %g", tc.q, got, tc.want)
		}
	}
	if quantile(nil, .5) != 0 {
		t.Error("a quantile of nothing")
	}
}

// The key that labels name is the one that calls are found under.
func TestClientKeysOfTestsAreWhatTheyClaim(t *testing.T) {
	if got := string(features.AppendClientKey(nil, call("1.1.1.1", 0))); got != "ip:1.1.1.1" {
		t.Error(got)
	}
	if got := string(features.AppendClientKey(nil, call("u", 0))); got != "user:u" {
		t.Error(got)
	}
}
