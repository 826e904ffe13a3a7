package scoring

import (
	"errors"
	"maps"
	"testing"
)

// Evidence outlives a switch of models, what it is worth does not.
func TestModelsAreSwappedOverTheSameEvidence(t *testing.T) {
	b := newBench(t, nil)
	demoted := *testModel(t)
	demoted.Name, demoted.Calibration = "demoted", maps.Clone(demoted.Calibration)
	for name, c := range demoted.Calibration {
		own := *c
		own.Demoted = true
		demoted.Calibration[name] = &own
	}
	first := b.Model()
	if err := b.SetModel(&demoted); err != nil {
		t.Fatal(err)
	}
	for i := range int64(4) {
		b.feed(record(i, true, logins(30)))
	}
	if d := b.take(); len(d.verdicts) > 0 {
		t.Errorf("a demoted stratum is acted on: %v", actions(d))
	}
	if err := b.SetModel(first); err != nil || b.Model() != first {
		t.Fatal(err)
	}
	b.feed(record(4, true, nil))
	d := b.take()
	if len(d.verdicts) != 1 || d.verdicts[0].Model != first.Name+"@"+first.Version {
		t.Errorf("after the switch back an ordinary window of the same client: %v", actions(d))
	}
	for _, bad := range []*Model{nil, {}} {
		if err := b.SetModel(bad); !errors.Is(err, ErrConfig) || b.Model() != first {
			t.Errorf("a model of nothing: %v", err)
		}
	}
}
