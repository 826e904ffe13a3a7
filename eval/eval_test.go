package eval

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

func label(entityType, entity, attack string, start, end time.Duration) schemas.Label {
	return schemas.Label{EntityType: entityType, Entity: entity, Attack: attack, Start: at(start), End: at(end)}
}

func block(entityType, entity string, after time.Duration, attack string, linked ...schemas.Entity) *schemas.Verdict {
	return &schemas.Verdict{
		Time: at(after), Entity: schemas.Entity{Type: entityType, Value: entity}, Action: schemas.ActionBlock, Attack: attack, Linked: linked,
	}
}

func TestAttackIsFoundByABlockUpToAMinuteAfterItsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    *schemas.Verdict
		want bool
	}{
		{"at its start", block("ip", "1", 0, "probing"), true},
		{"within it", block("ip", "1", time.Minute, "probing"), true},
		{"a minute after its end", block("ip", "1", 11*time.Minute, "probing"), true},
		{"later", block("ip", "1", 11*time.Minute+1, "probing"), false},
		{"before its start", block("ip", "1", -1, "probing"), false},
		{"another entity", block("ip", "2", time.Minute, "probing"), false},
		{"another type of the same name", block("user", "1", time.Minute, "probing"), false},
		{"linked to it", block("device", "d", time.Minute, "probing", schemas.Entity{Type: "ip", Value: "1"}), true},
		{"under another name", block("ip", "1", time.Minute, "scraping"), true},
		{"a challenge", &schemas.Verdict{Time: at(time.Minute), Entity: schemas.Entity{Type: "ip", Value: "1"}, Action: schemas.ActionChallenge}, false},
		{"a withdrawal", &schemas.Verdict{Time: at(time.Minute), Entity: schemas.Entity{Type: "ip", Value: "1"}, Action: schemas.ActionObserve, Withdrawn: true}, false},
	} {
		r := NewReport([]schemas.Label{label("ip", "1", "probing", 0, 10*time.Minute)}, time.Minute)
		r.Verdict(tc.v)
		a := r.Attacks()[0]
		if a.Found() != tc.want {
			t.Errorf("%s: found %v", tc.name, a.Found())
		}
		if tc.want && (a.Blocked != 1 || !a.FirstBlock.Equal(tc.v.Time) || a.MedianDelay() != tc.v.Time.Sub(noon) || (a.Named == 1) != (tc.v.Attack == "probing")) {
			t.Errorf("%s: %+v", tc.name, a)
		}
		if !tc.want && (!a.FirstBlock.IsZero() || a.MedianDelay() != 0 || len(a.Delays) > 0) {
			t.Errorf("%s: %+v", tc.name, a)
		}
	}
}

func TestOnlyTheFirstBlockOfAnEntityCounts(t *testing.T) {
	r := NewReport([]schemas.Label{label("ip", "1", "probing", 0, time.Hour)}, time.Minute)
	for _, after := range []time.Duration{5 * time.Minute, 7 * time.Minute, time.Minute} {
		r.Verdict(block("ip", "1", after, "probing"))
	}
	if a := r.Attacks()[0]; a.Blocked != 1 || !slices.Equal(a.Delays, []time.Duration{5 * time.Minute}) || !a.FirstBlock.Equal(at(5*time.Minute)) {
		t.Errorf("%+v", a)
	}
}

func TestEntitiesOfOneStartAreOneAttack(t *testing.T) {
	r := NewReport([]schemas.Label{
		label("ip", "3", "stuffing", 9*time.Minute, time.Hour), // within reach of the second, not of the first
		label("ip", "1", "stuffing", 0, time.Hour),
		label("ip", "2", "stuffing", 5*time.Minute, time.Hour),
		label("ip", "4", "stuffing", 30*time.Minute, time.Hour),
		label("ip", "1", "probing", 5*time.Minute, time.Hour), // one entity, two attacks
	}, 5*time.Minute)
	type want struct {
		name     string
		start    time.Time
		entities int
	}
	var got []want
	for _, a := range r.Attacks() {
		got = append(got, want{a.Name, a.Start, a.Entities})
	}
	if w := []want{{"probing", at(5 * time.Minute), 1}, {"stuffing", noon, 3}, {"stuffing", at(30 * time.Minute), 1}}; !slices.Equal(got, w) {
		t.Fatalf("attacks %v, want %v", got, w)
	}
	r.Verdict(block("ip", "2", 15*time.Minute, "stuffing"))
	r.Verdict(block("ip", "1", 20*time.Minute, "stuffing"))
	r.Verdict(block("ip", "3", 10*time.Minute, "stuffing"))
	first := r.Attacks()[1]
	if first.Blocked != 3 || first.Named != 3 || first.MedianDelay() != 10*time.Minute || !first.FirstBlock.Equal(at(10*time.Minute)) {
		t.Errorf("%+v", first)
	}
	if a := r.Attacks()[0]; a.Blocked != 1 || a.Named != 0 {
		t.Errorf("the other attack of the same entity: %+v", a)
	}
	if r.Attacks()[2].Found() {
		t.Error("an instance was found by a block of another")
	}
}

func TestBlockOfAnEntityWithoutALabelIsFalse(t *testing.T) {
	labels := []schemas.Label{label("ip", "1", "probing", 0, 10*time.Minute)}
	address := schemas.Entity{Type: "ip", Value: "1"}
	for _, tc := range []struct {
		name string
		v    *schemas.Verdict
		want bool
	}{
		{"a stranger", block("user", "u", time.Minute, "probing"), true},
		{"a stranger linked to a stranger", block("user", "u", time.Minute, "probing", schemas.Entity{Type: "ip", Value: "9"}), true},
		{"a stranger, challenged", &schemas.Verdict{Entity: schemas.Entity{Type: "user", Value: "u"}, Action: schemas.ActionChallenge}, false},
		{"somebody at the attacker's address during the attack", block("user", "u", time.Minute, "probing", address), false},
		{"somebody at the attacker's address an hour later", block("user", "u", time.Hour, "probing", address), true},
		{"the attacker an hour later", block("ip", "1", time.Hour, "probing"), false},
		{"a provisional block that may be withdrawn", &schemas.Verdict{Entity: schemas.Entity{Type: "user", Value: "u"}, Action: schemas.ActionBlock, Provisional: true}, true},
	} {
		r := NewReport(labels, time.Minute)
		r.Verdict(tc.v)
		if got := len(r.FalseBlocks()) == 1; got != tc.want {
			t.Errorf("%s: false block %v", tc.name, got)
		}
	}
}

func TestFalseBlocksAreTheFirstOfEachEntityInOrder(t *testing.T) {
	r := NewReport(nil, time.Minute)
	for _, v := range []*schemas.Verdict{block("user", "b", 1, "x"), block("ip", "9", 2, "x"), block("user", "b", 3, "y"), block("user", "a", 4, "x")} {
		r.Verdict(v)
	}
	var got []string
	for _, v := range r.FalseBlocks() {
		got = append(got, v.Entity.String()+" "+v.Attack)
	}
	if want := []string{"ip:9 x", "user:a x", "user:b x"}; !slices.Equal(got, want) {
		t.Errorf("false blocks %q, want %q", got, want)
	}
	if len(r.Attacks()) != 0 {
		t.Errorf("attacks without labels: %v", r.Attacks())
	}
}
