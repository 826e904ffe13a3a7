package scoring

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestWritesAddUpAndForget(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := new(Evidence)
	var scores Scores
	fold := func(n uint32) float64 {
		writes{}.Fold(record(0, true, func(f *schemas.ClientFeatures) { f.ObjectWrites = n }), c, ev, &scores)
		return scores[ChannelWrites]
	}
	if got := fold(0); got != 0 || ev.Runs[runWrites] != (Run{}) {
		t.Errorf("a window without writes is %v nats", got)
	}
	mean, size := predictCounts(c.Behaviour.Writes, &Baseline{}, 1)
	want := logBet(logNegativeBinomialTail(20, mean, size))
	if got := fold(20); math.Abs(got-want) > 1e-12 || got <= 0 {
		t.Errorf("twenty writes are %v nats, want %v", got, want)
	}
	if got := fold(20); math.Abs(got-2*want) > 1e-12 || ev.Runs[runWrites].Observed != 40 {
		t.Errorf("forty writes are %v nats, want %v", got, 2*want)
	}
	// A window of other calls takes away what p = 1 loses.
	if got := fold(0); math.Abs(got-(2*want+logBet(0))) > 1e-12 {
		t.Errorf("after a window of other calls %v nats, want %v", got, 2*want+logBet(0))
	}
	for range 100 {
		fold(0)
	}
	if scores[ChannelWrites] != 0 || ev.Runs[runWrites] != (Run{}) {
		t.Errorf("a hundred windows later %v nats", scores[ChannelWrites])
	}
}

func TestDeletionsAreDataDestruction(t *testing.T) {
	b := newBench(t, nil)
	for i := range int64(20) {
		b.feed(record(i, true, func(f *schemas.ClientFeatures) {
			f.Requests, f.Status2xx, f.Mutations, f.ObjectWrites, f.Deletes = 15, 15, 15, 15, 15
		}))
	}
	if n := len(b.verdicts); n == 0 || b.verdicts[n-1].Action != schemas.ActionBlock || b.verdicts[n-1].Attack != schemas.AttackDataDestruction {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
}
