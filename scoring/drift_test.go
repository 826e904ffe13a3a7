package scoring

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestDriftEvidenceIsHalfTheSquareOfT(t *testing.T) {
	for _, tc := range []struct{ above, sd, want float64 }{{0, 1, 0}, {-3, 1, 0}, {2, 1, 2}, {1, 0.25, 8}} {
		if got := driftEvidence(tc.above, tc.sd); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%v above, standard deviation %v: %v nats, want %v", tc.above, tc.sd, got, tc.want)
		}
	}
	ev := &Evidence{Today: Baseline{N: 10, Mean: 9}}
	ev.Own[baseTaken] = Baseline{N: 100, Mean: 8, M2: 100 * 0.5}
	above, sd := ev.shift(&Context{Behaviour: testBehaviour()})
	if want := math.Sqrt(0.05 + 0.5/10 + 0.5/100); above != 1 || math.Abs(sd-want) > 1e-12 {
		t.Errorf("shift %v with standard deviation %v, want 1 with %v", above, sd, want)
	}
	for name, ev := range map[string]*Evidence{
		"no habit yet": {Own: [numBaselines]Baseline{baseTaken: {N: driftHabit - 1, Mean: 1}}, Today: Baseline{N: 50, Mean: 9}},
		"too early":    {Own: [numBaselines]Baseline{baseTaken: {N: 300, Mean: 1}}, Today: Baseline{N: driftToday - 1, Mean: 9}},
	} {
		if above, _ := ev.shift(&Context{Behaviour: testBehaviour()}); above != 0 {
			t.Errorf("%s: shifted by %v", name, above)
		}
	}
}

// takers feeds days of windows whose ln bytes are normal, the last day shifted by
// some standard deviations, and returns the windows of that day up to a block.
func takers(t *testing.T, seed uint64, shift float64) (after int, d decisions) {
	t.Helper()
	const days, windows = 6, 60
	b := newBench(t, func(c *Config) { c.Model.Strata[Pooled].DayShift = 0.015 })
	rng := rand.New(rand.NewPCG(seed, 1))
	for day := range int64(days) {
		for i := range int64(windows) {
			z := rng.NormFloat64()
			if day == days-1 {
				z += shift
			}
			b.feed(record(day*8640+i*100, true, func(f *schemas.ClientFeatures) {
				f.FirstSeen = baseUS + 1
				f.RespBytes = uint64(math.Exp(8 + 0.5*z))
			}))
			if n := len(b.verdicts); n > 0 && b.verdicts[n-1].Action == schemas.ActionBlock {
				return int(i) + 1, b.take()
			}
		}
	}
	return 0, b.take()
}

func TestShiftOfTwoDeviationsIsFoundWithinTheDay(t *testing.T) {
	found := 0
	for seed := range uint64(20) {
		after, d := takers(t, seed, 2)
		if after == 0 {
			continue
		}
		found++
		if v := d.verdicts[len(d.verdicts)-1]; v.Attack != schemas.AttackSlowExfiltration || v.Explanation.Features[0].Baseline != "self" {
			t.Errorf("seed %d: %s, %+v", seed, v.Attack, v.Explanation.Features[0])
		}
	}
	if found < 18 {
		t.Errorf("found in %d of 20 days", found)
	}
}

func TestOrdinaryDayIsNoDrift(t *testing.T) {
	for seed := range uint64(20) {
		if after, d := takers(t, 100+seed, 0); after > 0 || len(d.verdicts) > 0 {
			t.Errorf("seed %d: decisions of an ordinary day:\n%s", seed, &d)
		}
	}
}

func TestSuspectedDayIsNotLearnt(t *testing.T) {
	day := func(drifts float64) Baseline {
		ev := &Evidence{Day: 10, Today: Baseline{N: 50, Mean: 12, M2: 5}, Drifts: drifts}
		ev.Own[baseTaken] = Baseline{N: 100, Mean: 8, M2: 50}
		ev.newDay(11)
		if ev.Today != (Baseline{}) || ev.Drifts != 0 {
			t.Errorf("after midnight today is %+v, drifts %v", ev.Today, ev.Drifts)
		}
		return ev.Own[baseTaken]
	}
	if got := day(driftSuspect); got.N != 100 || got.Mean != 8 {
		t.Errorf("a suspected day was learnt: %+v", got)
	}
	// 100 values of mean 8 and 50 of mean 12, the squares between them added.
	got := day(driftSuspect - 0.1)
	if got.N != 150 || math.Abs(got.Mean-28.0/3) > 1e-12 || math.Abs(got.M2-(55+16*100*50/150.0)) > 1e-9 {
		t.Errorf("an ordinary day was learnt as %+v", got)
	}
}

func TestMergedBaselineIsThatOfAllValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(91, 1))
	var all, a, b Baseline
	for i := range 200 {
		x := rng.NormFloat64()*2 + float64(i%3)
		all.add(x, 1)
		if i < 120 {
			a.add(x, 1)
		} else {
			b.add(x, 1)
		}
	}
	a.merge(&b)
	if a.N != all.N || math.Abs(a.Mean-all.Mean) > 1e-9 || math.Abs(a.M2-all.M2) > 1e-6 {
		t.Errorf("merged %+v, of all values %+v", a, all)
	}
	before := a
	if a.merge(&Baseline{}); a != before {
		t.Errorf("nothing changed it to %+v", a)
	}
	// No more is remembered than fits.
	full := Baseline{N: selfMemory, Mean: 1, M2: selfMemory}
	full.merge(&Baseline{N: 100, Mean: 1, M2: 100})
	if full.N > selfMemory+1e-9 || math.Abs(full.variance()-1) > 1e-9 {
		t.Errorf("a full memory holds %+v", full)
	}
}
