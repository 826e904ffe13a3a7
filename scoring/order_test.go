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

func TestSkippedStepsAddUp(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := new(Evidence)
	var scores Scores
	gain := 0.0
	for i := range int64(3) {
		f := record(i, true, func(f *schemas.ClientFeatures) { f.Prerequisites, f.Skipped, f.SkipSurprise = 6, 5, 8 })
		order{}.Fold(f, c, ev, &scores)
		gain += 8
	}
	if math.Abs(scores[ChannelSkipped]-gain) > 1e-12 {
		t.Errorf("%v nats, want %v", scores[ChannelSkipped], gain)
	}
	r := order{}.Explain(ChannelSkipped, nil, c, ev)
	if e := r.Feature; e.Observed != 15 || r.Of != 18 || math.Abs(r.At(e.Observed)-gain) > 1e-9 || r.At(e.Expected) != 0 {
		t.Errorf("explained as %+v of %v", e, r.Of)
	}
	// Who keeps to them lowers it.
	f := record(4, true, func(f *schemas.ClientFeatures) { f.Prerequisites, f.SkipSurprise = 6, -3 })
	if order.Fold(order{}, f, c, ev, &scores); scores[ChannelSkipped] >= gain {
		t.Errorf("%v nats after six steps that were kept", scores[ChannelSkipped])
	}
}
