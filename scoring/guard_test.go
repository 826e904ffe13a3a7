package scoring

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// guessing is a client that is blocked in window i.
func guessing(client int, i int64) *schemas.ClientFeatures {
	return record(i, true, func(f *schemas.ClientFeatures) {
		logins(30)(f)
		f.Client = fmt.Appendf(nil, "user:g%d", client)
	})
}

// held counts verdicts by why they are not enforced.
func held(d decisions) map[string]int {
	out := map[string]int{}
	for _, v := range d.verdicts {
		out[v.Held]++
	}
	return out
}

func TestShadowIsSaid(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Policy.Shadow = true })
	b.feed(guessing(1, 0))
	if v := b.verdicts[0]; v.Held != HeldShadow || v.Enforced || v.Action != schemas.ActionBlock || len(b.blocks) > 0 {
		t.Errorf("held by %q, enforced %v, %s", v.Held, v.Enforced, v.Action)
	}
}

func TestHoldOutDecidesAndDoesNotEnforce(t *testing.T) {
	const n = 2000
	b := newBench(t, func(c *Config) {
		c.Policy.HoldOut, c.Policy.MaxBlocksPerMinute, c.Policy.MaxBlockedShare = 0.1, 0, 0
		c.Clients = 4000
	})
	for i := range n {
		b.feed(guessing(i, 0))
	}
	out := held(b.decisions)[HeldOut]
	if out < n/10-60 || out > n/10+60 {
		t.Errorf("%d of %d held out, want about a tenth", out, n)
	}
	if len(b.blocks) != n-out {
		t.Errorf("%d published, %d held out", len(b.blocks), out)
	}
	for _, v := range b.verdicts {
		if v.Enforced == (v.Held == HeldOut) || v.Action != schemas.ActionBlock {
			t.Fatalf("held by %q, enforced %v, %s", v.Held, v.Enforced, v.Action)
		}
	}
	// The same again: the pick is a function of the verdict.
	again := newBench(t, func(c *Config) { c.Policy, c.Clients = b.cfg.Policy, 4000 })
	for i := range n {
		again.feed(guessing(i, 0))
	}
	if len(again.blocks) != len(b.blocks) {
		t.Errorf("%d published, then %d", len(b.blocks), len(again.blocks))
	}
	// What is no block is not held out.
	all := newBench(t, func(c *Config) { c.Policy.HoldOut = 1 })
	all.feed(record(0, true, logins(9)), guessing(1, 0))
	if len(all.blocks) != 1 || all.verdicts[0].Held != "" || all.verdicts[1].Held != HeldOut {
		t.Errorf("held %v", held(all.decisions))
	}
}

func TestBrakeStopsBlockingWhereThereIsTooMuch(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Policy.MaxBlocksPerMinute = 3 })
	for i := range 6 {
		b.feed(guessing(i, 0))
	}
	if h := held(b.decisions); h[HeldBrake] != 3 || h[""] != 3 || len(b.blocks) != 3 {
		t.Errorf("held %v, %d published", h, len(b.blocks))
	}
	for _, v := range b.verdicts {
		if v.Action != schemas.ActionBlock || v.Enforced != (v.Held == "") {
			t.Errorf("%s, held by %q, enforced %v", v.Action, v.Held, v.Enforced)
		}
	}
	// Once it has been quiet for a while blocks are enforced again.
	b.take()
	b.feed(guessing(20, 6))
	b.feed(guessing(21, 6*12))
	if h := held(b.decisions); h[HeldBrake] != 1 || h[""] != 1 {
		t.Errorf("a minute and twelve minutes later: held %v", h)
	}
	none := newBench(t, func(c *Config) { c.Policy.MaxBlocksPerMinute, c.Policy.MaxBlockedShare = 0, 0 })
	for i := range 20 {
		none.feed(guessing(i, 0))
	}
	if len(none.blocks) != 20 {
		t.Errorf("%d of 20 published without a brake", len(none.blocks))
	}
}

func TestProvisionalBlocksAreNotCountedByTheBrake(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Policy.MaxBlocksPerMinute = 3 })
	for i := range 6 {
		f := guessing(i, 0)
		f.Final = false
		b.feed(f)
	}
	if h := held(b.decisions); h[""] != 6 {
		t.Errorf("held %v", h)
	}
}

func TestFalseDiscoveryControlChallengesWhatItRefuses(t *testing.T) {
	// Weak layers: blocks at one in a hundred, where a control of one in twenty over
	// hundreds of client-days finds nothing.
	change := func(rate float64) func(*Config) {
		return func(c *Config) {
			c.Policy.AlphaBlock, c.Policy.AlphaChallenge, c.Policy.AlphaThrottle = 0.01, 0.01, 0.01
			c.Policy.FDR = rate
		}
	}
	run := func(rate float64) decisions {
		b := newBench(t, change(rate))
		for i := range 400 {
			b.feed(record(0, true, func(f *schemas.ClientFeatures) { f.Client = fmt.Appendf(nil, "user:o%d", i) }))
		}
		b.feed(record(6, true, logins(9)))
		return b.take()
	}
	free := run(0)
	if len(free.verdicts) != 1 || free.verdicts[0].Action != schemas.ActionBlock || free.verdicts[0].Held != "" {
		t.Fatalf("without a control:\n%s", &free)
	}
	got := run(0.01)
	if len(got.verdicts) != 1 || got.verdicts[0].Action != schemas.ActionChallenge || got.verdicts[0].Held != HeldFDR || !got.verdicts[0].Enforced {
		t.Fatalf("with a control:\n%s", &got)
	}
	if got.blocks[0].entry.Action != schemas.ActionChallenge {
		t.Errorf("published %+v", got.blocks[0].entry)
	}
	// The evidence is the same.
	if got.verdicts[0].PValue != free.verdicts[0].PValue || got.verdicts[0].ID != free.verdicts[0].ID {
		t.Error("the control changed the evidence")
	}
	// What nobody would ever show is a discovery.
	b := newBench(t, change(0.1))
	b.feed(guessing(1, 0))
	if v := b.verdicts[0]; v.Action != schemas.ActionBlock || v.Held != "" {
		t.Errorf("thirty failures of thirty: %s, held by %q at p = %v", v.Action, v.Held, v.PValue)
	}
}

// Guards change what is enforced and nothing else.
func TestGuardsChangeNoEvidence(t *testing.T) {
	run := func(change func(*Config)) (out []float64) {
		b := newBench(t, change)
		b.Observer = func(_ *schemas.ClientFeatures, combined float64, _ *Scores) { out = append(out, combined) }
		b.feed(records(64, 60)...)
		return out
	}
	free := run(nil)
	for name, change := range map[string]func(*Config){
		"hold-out": func(c *Config) { c.Policy.HoldOut = 0.5 },
		"brake":    func(c *Config) { c.Policy.MaxBlocksPerMinute = 1 },
		"control":  func(c *Config) { c.Policy.FDR = 0.001 },
		"shadow":   func(c *Config) { c.Policy.Shadow = true },
	} {
		got := run(change)
		if len(got) != len(free) {
			t.Errorf("%s: %d windows judged, without it %d", name, len(got), len(free))
			continue
		}
		for i := range got {
			if got[i] != free[i] {
				t.Errorf("%s: window %d has evidence %v, without it %v", name, i, got[i], free[i])
				break
			}
		}
	}
}

func TestGuardRoundTrips(t *testing.T) {
	change := func(c *Config) { c.Policy.MaxBlocksPerMinute, c.Policy.FDR = 3, 0.1 }
	a := newBench(t, change)
	for i := range 5 {
		a.feed(guessing(i, int64(i)))
	}
	data := a.guard.append(nil)
	b := newBench(t, change)
	if err := b.guard.restore(data); err != nil {
		t.Fatal(err)
	}
	if again := b.guard.append(nil); !bytes.Equal(again, data) {
		t.Error("a restored guard has another snapshot")
	}
	if b.guard.active != 5 || b.guard.minute != a.guard.minute || b.guard.brake.Engaged() != a.guard.brake.Engaged() || b.guard.fdr.Level() != a.guard.fdr.Level() {
		t.Errorf("restored as %+v, was %+v", b.guard, a.guard)
	}
	for n := range 32 {
		if err := b.guard.restore(data[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%d bytes: error %v", n, err)
		}
	}
	if err := b.guard.restore(data[:len(data)-1]); !errors.Is(err, ErrSnapshot) {
		t.Errorf("torn: error %v", err)
	}
	// Without anything to guard, what was kept of it is passed over.
	if err := newBench(t, func(c *Config) { c.Policy.MaxBlocksPerMinute, c.Policy.MaxBlockedShare = 0, 0 }).guard.restore(data); err != nil {
		t.Errorf("a guard of nothing: error %v", err)
	}
}

func TestGuardsThatCannotWorkAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a control of everything": func(c *Config) { c.Policy.FDR = 2 },
		"less than no blocks":     func(c *Config) { c.Policy.MaxBlocksPerMinute, c.Policy.MaxBlockedShare = -1, 0.5 },
		"more than everybody":     func(c *Config) { c.Policy.MaxBlockedShare = 2 },
	} {
		cfg := Config{Model: testModel(t), Policy: DefaultPolicy(), Clients: 10, Shards: 1}
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v, want ErrConfig", name, err)
		}
	}
}
