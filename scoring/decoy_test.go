package scoring

import (
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func decoys(hits, today uint32) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) {
		f.DecoyHits, f.DayDecoyHits, f.DayRequests, f.Decoy = hits, hits, today, []byte("GET /backup.sql")
	}
}

func TestDecoyRule(t *testing.T) {
	shared := func(f *schemas.ClientFeatures) {
		decoys(1, 50)(f)
		f.DayLoginSuccessUsers, f.DayLoginUsers = 20, 25
	}
	for name, tc := range map[string]struct {
		change func(*schemas.ClientFeatures)
		want   []schemas.Action
	}{
		"a decoy and other calls":           {decoys(1, 12), []schemas.Action{schemas.ActionBlock}},
		"a decoy alone":                     {decoys(1, 1), []schemas.Action{schemas.ActionChallenge}},
		"an address that many share":        {shared, []schemas.Action{schemas.ActionChallenge}},
		"a decoy earlier today, none now":   {func(f *schemas.ClientFeatures) { f.DayDecoyHits, f.DayRequests = 1, 9 }, nil},
		"an ordinary window on a lucky day": {nil, nil},
	} {
		b := newBench(t, nil)
		b.feed(record(0, true, tc.change))
		if got := actions(b.decisions); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
			continue
		}
		if len(b.verdicts) == 0 {
			continue
		}
		v := b.verdicts[0]
		if v.Attack != schemas.AttackDecoyHit || v.Calibration.Kind != Rule || v.Confidence != decoyConfidence ||
			v.Explanation.Features[0].Name != "decoy_calls" || v.Explanation.Sequence != "GET /backup.sql" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestDecoyRuleYieldsToStrongerEvidence(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, func(f *schemas.ClientFeatures) { logins(30)(f); decoys(1, 31)(f) }))
	if v := b.verdicts[0]; v.Attack != schemas.AttackCredentialStuffing || v.Calibration.Kind == Rule {
		t.Errorf("blocked for %s by %+v", v.Attack, v.Calibration)
	}
}

func TestWithoutLeavesFamiliesOut(t *testing.T) {
	for _, family := range FamilyNames() {
		b := newBench(t, func(c *Config) { c.Without = []string{family} })
		if len(b.families) != len(families)-1 || slices.ContainsFunc(b.families, func(f Family) bool { return f.Name() == family }) {
			t.Errorf("%s is not left out", family)
		}
	}
	b := newBench(t, func(c *Config) { c.Without = []string{"outcome", "rate"} })
	b.Observer = func(_ *schemas.ClientFeatures, _ float64, scores *Scores) {
		for _, c := range append(outcome{}.Channels(), rate{}.Channels()...) {
			if scores[c] != 0 {
				t.Errorf("channel %d says %v", c, scores[c])
			}
		}
	}
	b.feed(record(0, true, logins(30)))
	if len(b.verdicts) > 0 {
		t.Errorf("thirty failed logins without the families that see them:\n%s", &b.decisions)
	}
}

func TestFamiliesAreNamed(t *testing.T) {
	want := []string{"rate", "load", "outcome", "object", "writes", "timing", "drift", "joint", "order", "identity", "payload"}
	if got := FamilyNames(); !slices.Equal(got, want) {
		t.Errorf("families %v, want %v", got, want)
	}
}

// A layer that is taken out of action decides nothing, and its clients are judged
// by it all the same: no wider layer takes over.
func TestDemotedStratumIsOnlyObserved(t *testing.T) {
	b := newBench(t, func(c *Config) {
		demoted := *testLayer()
		demoted.Demoted = true
		c.Model.Calibration["ip"] = &demoted
	})
	judged := 0.0
	b.Observer = func(_ *schemas.ClientFeatures, combined float64, _ *Scores) { judged = max(judged, combined) }
	for i := range int64(20) {
		b.feed(record(i, true, logins(30)))
	}
	if len(b.verdicts) > 0 || judged < 20 {
		t.Errorf("evidence of %v nats, decisions:\n%s", judged, &b.decisions)
	}
	b.feed(record(0, true, func(f *schemas.ClientFeatures) { logins(30)(f); f.Client = []byte("user:u1") }))
	if len(b.blocks) != 1 {
		t.Error("another stratum is demoted too")
	}
	// So is what a rule says of it not: a decoy is no matter of calibration.
	b.feed(record(21, true, decoys(1, 700)))
	if n := len(b.verdicts); n != 2 || b.verdicts[1].Attack != schemas.AttackDecoyHit {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
}

func TestModelIsSwappedAndEvidenceKept(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, logins(6)))
	if len(b.verdicts) > 0 {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	next := testModel(t)
	next.Name = "next"
	if err := next.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := b.SetModel(next); err != nil || b.Model() != next {
		t.Fatalf("model %s, error %v", b.Model().Name, err)
	}
	b.feed(record(1, true, logins(9)))
	if len(b.blocks) != 1 || b.verdicts[0].Model != "next@"+next.Version {
		t.Errorf("fifteen failures under two models:\n%s", &b.decisions)
	}
	for name, m := range map[string]*Model{"none": nil, "an empty one": {}, "one without a layer": {Strata: next.Strata}} {
		if err := b.SetModel(m); err == nil || b.Model() != next {
			t.Errorf("%s was put in place: error %v", name, err)
		}
	}
}
