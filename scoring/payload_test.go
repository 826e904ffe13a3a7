package scoring

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestAttackValuesAddUpByHand(t *testing.T) {
	hit, miss := math.Log(0.5/0.02), math.Log(0.5/0.98)
	c := &Context{Behaviour: testBehaviour()}
	ev := new(Evidence)
	var scores Scores
	for i, tc := range []struct {
		calls, hits uint32
		sure, want  float64
	}{
		{5, 0, 0, 0},                                 // misses alone are nothing
		{4, 1, 1, hit},                               // misses first, from nothing
		{3, 0, 0, hit + 3*miss},                      // clean calls take away
		{2, 1, 0.5, hit + 4*miss + 0.75*hit},         // half sure is three quarters of a hit
		{0, 0, 0, hit + 4*miss + 0.75*hit},           // nothing looked at
		{1, 1, 0, hit + 4*miss + 0.75*hit + 0.5*hit}, // hardly sure is half
		{500, 0, 0, 0},                               // a day of clean calls
	} {
		f := record(0, true, func(f *schemas.ClientFeatures) {
			f.PayloadCalls, f.PayloadHits, f.PayloadConfidence = tc.calls, tc.hits, tc.sure
		})
		payload{}.Fold(f, c, ev, &scores)
		if math.Abs(scores[ChannelPayload]-tc.want) > 1e-9 {
			t.Errorf("window %d: %v nats, want %v", i, scores[ChannelPayload], tc.want)
		}
	}
	if ev.Runs[runPayload] != (Run{}) {
		t.Errorf("the run is %+v after it came to nothing", ev.Runs[runPayload])
	}
}

// The run is a likelihood ratio: of calls at the benign rate it expects less than
// nothing, of an attacker's more.
func TestRunOfValuesFallsForBenignClients(t *testing.T) {
	drift := func(rate float64) float64 { return rate*payloadHit + (1-rate)*payloadMiss }
	if drift(payloadRate) >= 0 || drift(payloadShare) <= 0 {
		t.Errorf("a call is worth %v nats of a benign client, %v of an attacker", drift(payloadRate), drift(payloadShare))
	}
	if one := payloadRate*math.Exp(payloadHit) + (1-payloadRate)*math.Exp(payloadMiss); math.Abs(one-1) > 1e-12 {
		t.Errorf("the likelihood ratio of a benign call is %v in the mean, want 1", one)
	}
}

func TestBrokenParametersAreAnEProcess(t *testing.T) {
	ev := new(Evidence)
	var scores Scores
	f := record(0, true, func(f *schemas.ClientFeatures) { f.StructuredCalls, f.Violations = 9, 4 })
	ev.addShares(f)
	payload{}.Fold(f, &Context{Behaviour: testBehaviour()}, ev, &scores)
	if want := logBernoulliEvidence(9, 4, 0.03); scores[ChannelStructure] != want || want <= 0 {
		t.Errorf("%v nats, want %v", scores[ChannelStructure], want)
	}
}
