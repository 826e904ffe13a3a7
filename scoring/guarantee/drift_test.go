package guarantee

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func newDrift(t *testing.T, threshold float64, epoch int) *Drift {
	t.Helper()
	d, err := NewDrift(threshold, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDriftRarelyAlarmsOnUniformPValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const runs, threshold = 2000, 20
	wrong := 0
	for range runs {
		d := newDrift(t, threshold, 1000)
		for range 1000 {
			if d.Add(rng.Float64()) {
				wrong++
				break
			}
		}
	}
	if share := float64(wrong) / runs; share > 1.0/threshold+3*math.Sqrt(0.05*0.95/runs) {
		t.Errorf("false alarms in %.4f of the epochs, at most 1/%d was promised", share, threshold)
	}
}

// TestDriftFindsBothDirections: more unusual days than there were, and fewer,
// after a long calm that the reset rule forgets.
func TestDriftFindsBothDirections(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for name, shifted := range map[string]func(float64) float64{
		"small": func(u float64) float64 { return math.Pow(u, 1.6) },
		"large": func(u float64) float64 { return math.Pow(u, 0.6) },
	} {
		d := newDrift(t, 100, 2000)
		for range 50000 {
			if d.Add(rng.Float64()) {
				d.Reset() // a hundredth of the epochs may
			}
		}
		after := 0
		for after < 4000 && !d.Add(shifted(rng.Float64())) {
			after++
		}
		t.Logf("%s p-values: found after %d", name, after)
		if after > 2000 {
			t.Errorf("%s p-values: found after %d", name, after)
		}
		if !d.Add(0.5) || !d.Alarm() {
			t.Errorf("%s p-values: the alarm went by itself", name)
		}
		d.Reset()
		if d.Alarm() || d.LogMartingale() != 0 {
			t.Error("reset left something")
		}
	}
}

// TestDriftIsAMartingale: from any state, the mean capital over uniform p-values
// is the capital before. Betting functions are linear, so two p-values that mean
// 1/2 suffice.
func TestDriftIsAMartingale(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	d := newDrift(t, 1e9, 1000)
	for range 500 {
		p := rng.Float64()
		up, down := *d, *d
		up.Add(p)
		down.Add(1 - p)
		if mean := (math.Exp(up.log-d.log) + math.Exp(down.log-d.log)) / 2; !near(mean, 1, 1e-12) {
			t.Fatalf("the mean of what becomes of 1 is %v", mean)
		}
		d.Add(p)
	}
}

func TestDriftSnapshotAndConfig(t *testing.T) {
	d := newDrift(t, 0, 0)
	for range 300 {
		d.Add(0.2)
	}
	d.Add(math.NaN())
	d.Add(2)
	if !d.Alarm() {
		t.Error("300 p-values of 0.2 raise no alarm")
	}
	data := append(d.AppendSnapshot(nil), 1, 2)
	e := newDrift(t, 0, 0)
	if rest, err := e.RestoreSnapshot(data); err != nil || len(rest) != 2 || *d != *e {
		t.Errorf("restored %+v of %+v: %v", e, d, err)
	}
	for i := range driftSize {
		if _, err := e.RestoreSnapshot(data[:i]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	for _, c := range []struct {
		threshold float64
		epoch     int
	}{{1, 1}, {math.NaN(), 1}, {math.Inf(1), 1}, {10, -1}} {
		if _, err := NewDrift(c.threshold, c.epoch); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	e.Reset()
	if n := testing.AllocsPerRun(100, func() { e.Add(0.5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSmoothedPIsUniform where most scores tie and only the highest are kept.
func TestSmoothedPIsUniform(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	const n, kept, trials = 199, 20, 20000
	var below [10]int
	d := newDrift(t, 1e6, trials)
	for i := range trials {
		// The rank of a new score among n: all ranks are as likely.
		rank := rng.IntN(n + 1)
		above, ties := rank, 0
		if rank >= kept {
			above, ties = kept, n-kept
		}
		p := SmoothedP(above, ties, n, Uniform([2]uint64{5, 6}, []byte{byte(i), byte(i >> 8), byte(i >> 16)}))
		if !(p >= 0 && p <= 1) {
			t.Fatalf("p = %v", p)
		}
		below[min(int(p*10), 9)]++
		d.Add(p)
	}
	for i, count := range below {
		if math.Abs(float64(count)-trials/10) > 4*math.Sqrt(trials*0.09) {
			t.Errorf("%d p-values in the %d-th tenth", count, i+1)
		}
	}
	if d.Alarm() {
		t.Error("an alarm")
	}
}
