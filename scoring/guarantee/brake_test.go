package guarantee

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func newBrake(t *testing.T, cfg BrakeConfig) *Brake {
	t.Helper()
	b, err := NewBrake(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBrakeEngagesByRateAndReleases(t *testing.T) {
	b := newBrake(t, BrakeConfig{PerMinute: 10, Quiet: 5})
	b.Advance(100, 1000)
	if b.Blocked(100, 10) {
		t.Error("engaged at the limit")
	}
	b.Advance(101, 1000)
	if b.Blocked(101, 10) || !b.Blocked(101, 1) || !b.Engaged() {
		t.Error("not engaged above the limit")
	}
	// Going on keeps it engaged; 5 minutes below the limit release it.
	b.Advance(102, 1000)
	b.Blocked(102, 11)
	for m := int64(103); m <= 107; m++ {
		b.Advance(m, 1000)
		if !b.Engaged() {
			t.Fatalf("released at %d", m)
		}
		b.Blocked(m, 10)
	}
	b.Advance(108, 1000)
	if b.Engaged() {
		t.Error("still engaged after five quiet minutes")
	}
	// What came late for the minute that engaged it is forgiven, too.
	if b.Blocked(102, 5) {
		t.Error("engaged anew by a minute long past")
	}
	if b.Blocked(20, 100) {
		t.Error("counted a minute that is forgotten")
	}
}

func TestBrakeEngagesByShare(t *testing.T) {
	b := newBrake(t, BrakeConfig{Share: 0.1, Window: 10, MinActive: 20, Quiet: 3})
	b.Advance(0, 0)
	for m := int64(0); m < 10; m++ {
		b.Blocked(m, 1)
		b.Advance(m+1, 100)
	}
	if b.Engaged() {
		t.Error("engaged at a tenth")
	}
	b.Blocked(10, 2)
	b.Advance(11, 100) // 1 to 10: eleven
	if !b.Engaged() {
		t.Error("not engaged above a tenth")
	}
	for m := int64(12); m < 14; m++ {
		b.Advance(m, 1000)
		if !b.Engaged() {
			t.Fatalf("released at %d", m)
		}
	}
	b.Advance(14, 1000)
	if b.Engaged() {
		t.Error("not released after three minutes")
	}
	few := newBrake(t, BrakeConfig{Share: 0.1, Window: 10, MinActive: 20, Quiet: 3})
	few.Blocked(5, 19)
	few.Advance(6, 19)
	if few.Engaged() {
		t.Error("engaged with hardly anybody there")
	}
	few.Advance(500, 20)
	if few.Engaged() {
		t.Error("counted a minute that is forgotten")
	}
}

// TestBrakeDoesNotDependOnTheOrderWithinAMinute shuffles the blocks of each
// minute, splits and joins them.
func TestBrakeDoesNotDependOnTheOrderWithinAMinute(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	cfg := BrakeConfig{PerMinute: 20, Share: 0.2, Window: 5, MinActive: 10, Quiet: 2}
	a, b := newBrake(t, cfg), newBrake(t, cfg)
	engaged := 0
	for m := int64(-50); m < 2000; m++ {
		a.Advance(m, 300)
		b.Advance(m, 300)
		// Blocks of this minute and of the one before, which come late.
		counts := []int{rng.IntN(25), rng.IntN(3)}
		for _, k := range rng.Perm(2) {
			a.Blocked(m-int64(k), counts[k])
		}
		for _, k := range rng.Perm(2) {
			for range counts[k] {
				b.Blocked(m-int64(k), 1)
			}
		}
		if a.Engaged() {
			engaged++
		}
		if !bytes.Equal(a.AppendSnapshot(nil), b.AppendSnapshot(nil)) {
			t.Fatalf("after minute %d the state depends on the order", m)
		}
	}
	if engaged == 0 || engaged == 2050 {
		t.Errorf("engaged in %d minutes: nothing was tested", engaged)
	}
}

func TestBrakeSnapshotAndConfig(t *testing.T) {
	cfg := BrakeConfig{PerMinute: 3, Quiet: 2}
	b := newBrake(t, cfg)
	b.Advance(7, 1)
	b.Blocked(7, 9)
	data := append(b.AppendSnapshot(nil), 1)
	c := newBrake(t, cfg)
	if rest, err := c.RestoreSnapshot(data); err != nil || len(rest) != 1 || *b != *c {
		t.Errorf("restored %+v: %v", c, err)
	}
	for i := range brakeSize {
		if _, err := c.RestoreSnapshot(data[:i]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	for _, cfg := range []BrakeConfig{
		{}, {PerMinute: -1, Quiet: 1}, {Share: 2, Window: 1, Quiet: 1}, {Share: 0.5, Quiet: 1}, {Share: 0.5, Window: 61, Quiet: 1},
	} {
		if _, err := NewBrake(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { b.Blocked(8, 1); b.Advance(9, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHeldOut(t *testing.T) {
	key := [2]uint64{1, 2}
	const n, share = 20000, 0.02
	held, same := 0, 0
	for i := range n {
		id := fmt.Appendf(nil, "verdict-%d", i)
		if HeldOut(key, id, 0) || !HeldOut(key, id, 1) {
			t.Fatal("no share and all of it")
		}
		is := HeldOut(key, id, share)
		if is != HeldOut(key, id, share) {
			t.Fatal("an id is held out once and once not")
		}
		if is {
			held++
			if !HeldOut(key, id, 2*share) {
				t.Fatal("a larger share holds out other ids")
			}
			if HeldOut([2]uint64{1, 3}, id, share) {
				same++
			}
		}
	}
	if sd := math.Sqrt(n * share * (1 - share)); math.Abs(float64(held)-n*share) > 4*sd {
		t.Errorf("held out %d of %d at %g", held, n, share)
	}
	if same > 40 {
		t.Errorf("another key holds out %d of the same %d ids", same, held)
	}
	id := []byte("0190c9f2-0000-7000-8000-000000000000")
	if n := testing.AllocsPerRun(100, func() { HeldOut(key, id, share) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRestore: no bytes make a state that panics or is not a number.
func FuzzRestore(f *testing.F) {
	bet, _ := NewBet(0.01)
	drift, _ := NewDrift(0, 0)
	fdr, _ := NewFDR(FDRConfig{})
	brake, _ := NewBrake(BrakeConfig{PerMinute: 3, Share: 0.1, Window: 5, Quiet: 2})
	for range 3 {
		f.Add(bet.AppendSnapshot(nil))
		f.Add(drift.AppendSnapshot(nil))
		f.Add(fdr.AppendSnapshot(nil))
		f.Add(brake.AppendSnapshot(nil))
		bet.Add(10, 3)
		drift.Add(0.1)
		fdr.Test(0)
		fdr.Advance()
		brake.Blocked(4, 5)
		brake.Advance(5, 30)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := bet.RestoreSnapshot(data); err == nil {
			if e := bet.Add(3, 1); math.IsNaN(e) || e < 0 {
				t.Errorf("an e-value of %v", e)
			}
		}
		if _, err := drift.RestoreSnapshot(data); err == nil {
			drift.Add(0.3)
			if math.IsNaN(drift.LogMartingale()) {
				t.Error("a martingale that is no number")
			}
		}
		if _, err := fdr.RestoreSnapshot(data); err == nil {
			fdr.Test(0.5)
			fdr.Advance()
			if l := fdr.Level(); !(l >= 0 && l <= 1) {
				t.Errorf("a level of %v", l)
			}
		}
		if _, err := brake.RestoreSnapshot(data); err == nil {
			brake.Blocked(math.MaxInt64, 1)
			brake.Advance(math.MinInt64, 1)
		}
	})
}
