package scoring

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func steps(n uint32, surprise float64) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) { f.Steps, f.Surprise = n, surprise }
}

func TestStepsAddUp(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := new(Evidence)
	var scores Scores
	for i, tc := range []struct {
		n              uint32
		surprise, want float64
	}{
		{4, 6, 6}, {3, -2, 4}, {0, 99, 4}, {5, -9, 0}, {2, 3, 3}, // what is at or below zero begins anew
	} {
		order{}.Fold(record(0, true, steps(tc.n, tc.surprise)), c, ev, &scores)
		if math.Abs(scores[ChannelSteps]-tc.want) > 1e-12 {
			t.Errorf("window %d: %v nats, want %v", i, scores[ChannelSteps], tc.want)
		}
	}
	if ev.Runs[runSteps].Observed != 2 {
		t.Errorf("the run holds %v steps, want those since it last was zero", ev.Runs[runSteps].Observed)
	}
}

func TestOwnWayIsSubtracted(t *testing.T) {
	ev := new(Evidence)
	for range selfWeight {
		order{}.Learn(record(0, true, steps(4, 8)), ev, 1)
	}
	if own := ev.Own[baseSteps]; own.N != selfWeight || own.Mean != 2 {
		t.Fatalf("learnt %+v of two nats a step", own)
	}
	var scores Scores
	order{}.Fold(record(0, true, steps(4, 8)), &Context{Behaviour: testBehaviour()}, ev, &scores)
	if scores[ChannelSteps] >= 4 {
		t.Errorf("%v nats of 8 are left after %v windows of the same", scores[ChannelSteps], selfWeight)
	}
	// For good: whoever goes on as ever stays at nothing in the end.
	for range 10 * selfWeight {
		order{}.Learn(record(0, true, steps(4, 8)), ev, 1)
	}
	ev.Runs[runSteps] = Run{}
	for range 100 {
		order{}.Fold(record(0, true, steps(4, 8)), &Context{Behaviour: testBehaviour()}, ev, &scores)
	}
	if scores[ChannelSteps] != 0 {
		t.Errorf("a way of its own that it always goes is %v nats", scores[ChannelSteps])
	}
	before := ev.Own
	order{}.Learn(record(0, true, steps(0, 0)), ev, 1)
	order{}.Learn(record(0, true, steps(4, 80)), ev, 0)
	if ev.Own != before {
		t.Errorf("learnt %+v without steps, or under suspicion", ev.Own[baseSteps])
	}
	// A client that keeps to the model gets no credit for it.
	tame := &Evidence{Own: [numBaselines]Baseline{baseSteps: {N: 100, Mean: -0.2}}}
	order{}.Fold(record(0, true, steps(4, 8)), &Context{Behaviour: testBehaviour()}, tame, &scores)
	if scores[ChannelSteps] != 8 {
		t.Errorf("a tame client's odd steps are %v nats, want 8", scores[ChannelSteps])
	}
}

func TestSkippedStepsAreAnEProcess(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := new(Evidence)
	var scores Scores
	f := record(0, true, func(f *schemas.ClientFeatures) { f.Prerequisites, f.Skipped = 6, 5 })
	ev.addShares(f)
	order{}.Fold(f, c, ev, &scores)
	if want := logBernoulliEvidence(6, 5, 0.05); scores[ChannelSkipped] != want {
		t.Errorf("%v nats, want %v", scores[ChannelSkipped], want)
	}
}
