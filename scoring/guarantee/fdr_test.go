package guarantee

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// stream is tests with one in 1/rare from attacks, whose p-values are uniform on
// a logarithmic scale from 1e-2 to 1e-12.
func stream(seed uint64, n int, rare float64) (p []float64, attack []bool) {
	rng := rand.New(rand.NewPCG(seed, 11))
	p, attack = make([]float64, n), make([]bool, n)
	for i := range p {
		if rng.Float64() < rare {
			attack[i] = true
			p[i] = math.Pow(10, -2-10*rng.Float64())
		} else {
			p[i] = rng.Float64()
		}
	}
	return p, attack
}

type outcome struct{ attacks, found, wrong int }

func (o *outcome) count(isAttack, isFound bool) {
	if isAttack {
		o.attacks++
	}
	switch {
	case isFound && isAttack:
		o.found++
	case isFound:
		o.wrong++
	}
}

func (o outcome) power() float64 { return float64(o.found) / float64(max(o.attacks, 1)) }
func (o outcome) fdp() float64   { return float64(o.wrong) / float64(max(o.found+o.wrong, 1)) }

func runFDR(t *testing.T, f *FDR, p []float64, attack []bool, window int) (o outcome) {
	t.Helper()
	for i := range p {
		if i%window == 0 && i > 0 {
			f.Advance()
		}
		o.count(attack[i], f.Test(p[i]))
	}
	return o
}

// lordPlusPlus is LORD++ without memory loss (Ramdas et al. 2017), the test's own.
func lordPlusPlus(rate float64, p []float64, attack []bool) (o outcome, last float64) {
	gamma := make([]float64, len(p)+1)
	for t := range gamma {
		gamma[t] = lordSequence(float64(max(t, 1)))
	}
	w0 := rate / 2
	var found []int
	for i := range p {
		t := i + 1
		level := gamma[t] * w0
		for k, r := range found {
			earned := rate
			if k == 0 {
				earned = rate - w0
			}
			level += earned * gamma[t-r]
		}
		hit := p[i] <= level
		if hit {
			found = append(found, t)
		}
		o.count(attack[i], hit)
		last = level
	}
	return o, last
}

// TestFDRKeepsPowerWhereAttacksAreRare: the published shape, where a million tests
// hold a hundred attacks: about .03 false discoveries at a power of .63; and ten
// attacks: LORD++ falls to .40 while decaying memory keeps .67.
func TestFDRKeepsPowerWhereAttacksAreRare(t *testing.T) {
	const n = 1_000_000
	for _, window := range []int{50, 1000} {
		var sum outcome
		var fdp float64
		const seeds = 2
		for seed := range uint64(seeds) {
			p, attack := stream(seed, n, 1e-4)
			f, err := NewFDR(FDRConfig{})
			if err != nil {
				t.Fatal(err)
			}
			o := runFDR(t, f, p, attack, window)
			sum.attacks += o.attacks
			sum.found += o.found
			sum.wrong += o.wrong
			fdp += o.fdp() / seeds
		}
		t.Logf("windows of %d: %d false, FDP %.3f, power %.3f", window, sum.wrong, fdp, sum.power())
		if fdp > 0.05 || sum.power() < 0.56 || sum.power() > 0.72 {
			t.Errorf("windows of %d: FDP %.3f, power %.3f", window, fdp, sum.power())
		}
	}
	var decaying, lord outcome
	var starved float64
	for seed := range uint64(2) {
		p, attack := stream(seed, n, 1e-5)
		f, err := NewFDR(FDRConfig{})
		if err != nil {
			t.Fatal(err)
		}
		o := runFDR(t, f, p, attack, 1000)
		decaying.attacks, decaying.found, decaying.wrong = decaying.attacks+o.attacks, decaying.found+o.found, decaying.wrong+o.wrong
		o, last := lordPlusPlus(0.05, p, attack)
		lord.attacks, lord.found = lord.attacks+o.attacks, lord.found+o.found
		starved = max(starved, last)
	}
	t.Logf("one in 100,000: decaying memory %d false, power %.3f; LORD++ power %.3f, last level %.1e", decaying.wrong, decaying.power(), lord.power(), starved)
	if decaying.power() <= lord.power()+0.1 || decaying.wrong > 4 {
		t.Errorf("power %.3f (%d false), LORD++ %.3f", decaying.power(), decaying.wrong, lord.power())
	}
	if starved > 1e-7 {
		t.Errorf("LORD++ still has %g, which is no alpha-death", starved)
	}
}

// TestFDRFollowsItsFormula compares levels with the sum that defines them, where
// windows hold one test.
func TestFDRFollowsItsFormula(t *testing.T) {
	const rate, memory = 0.1, 0.99
	f, err := NewFDR(FDRConfig{Rate: rate, Memory: memory, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var found []int
	for i := 1; i <= 3000; i++ {
		want := max(lordSequence(float64(i)), 1-memory)
		for _, r := range found {
			want += math.Pow(memory, float64(i-r)) * lordSequence(float64(i-r))
		}
		want = min(want*rate, rate)
		if !near(f.Level(), want, 1e-9) && len(found) < recentBatches {
			t.Fatalf("level of test %d with %d discoveries: %v, want %v", i, len(found), f.Level(), want)
		}
		p := rng.Float64()
		if rng.Float64() < 0.03 {
			p = 0
		}
		if f.Test(p) {
			found = append(found, i)
		}
		f.Advance()
	}
	if len(found) < 50 || f.batches > recentBatches {
		t.Fatalf("%d discoveries are too few", len(found))
	}
}

// TestFDRForgetsToItsCost: a control with more discoveries than it remembers one
// by one has lower levels than the sum over all, and still more than the floor.
func TestFDRForgetsToItsCost(t *testing.T) {
	const memory = 0.9999
	f, err := NewFDR(FDRConfig{Memory: memory, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 1500; i++ {
		want := max(lordSequence(float64(i)), 1-memory)
		for r := 1; r < i; r++ {
			if r%5 == 0 {
				want += math.Pow(memory, float64(i-r)) * lordSequence(float64(i-r))
			}
		}
		want = min(want*DefaultFDR, DefaultFDR)
		if l := f.Level(); l > want*(1+1e-9) || l < want*0.5 {
			t.Fatalf("level of test %d: %v, of all discoveries %v", i, l, want)
		}
		p := 1.0
		if i%5 == 0 {
			p = 0
		}
		f.Test(p)
		f.Advance()
	}
}

func TestFDRDoesNotDependOnTheOrderWithinAWindow(t *testing.T) {
	p, _ := stream(9, 20000, 0.01)
	a, _ := NewFDR(FDRConfig{Memory: 0.9999})
	b, _ := NewFDR(FDRConfig{Memory: 0.9999})
	rng := rand.New(rand.NewPCG(2, 3))
	for len(p) > 0 {
		window := p[:min(len(p), 1+rng.IntN(200))]
		p = p[len(window):]
		foundA, foundB := map[float64]bool{}, map[float64]bool{}
		for _, x := range window {
			if a.Test(x) {
				foundA[x] = true
			}
		}
		for _, i := range rng.Perm(len(window)) {
			if b.Test(window[i]) {
				foundB[window[i]] = true
			}
		}
		if len(foundA) != len(foundB) {
			t.Fatal("a window's discoveries depend on its order")
		}
		a.Advance()
		b.Advance()
		if *stateOf(a) != *stateOf(b) {
			t.Fatal("the state depends on the order within a window")
		}
	}
}

// stateOf is what is compared of a control: all that is not a table.
func stateOf(f *FDR) *[fdrSize]byte {
	return (*[fdrSize]byte)(f.AppendSnapshot(nil))
}

func TestFDRSnapshot(t *testing.T) {
	p, attack := stream(4, 30000, 0.01)
	whole, _ := NewFDR(FDRConfig{})
	runFDR(t, whole, p, attack, 70)
	half, _ := NewFDR(FDRConfig{})
	runFDR(t, half, p[:15015], attack, 70)
	data := append(half.AppendSnapshot(nil), "rest"...)
	again, _ := NewFDR(FDRConfig{})
	rest, err := again.RestoreSnapshot(data)
	if err != nil || string(rest) != "rest" {
		t.Fatal(err)
	}
	for i := 15015; i < len(p); i++ {
		if i%70 == 0 {
			again.Advance()
		}
		again.Test(p[i])
	}
	if *stateOf(whole) != *stateOf(again) {
		t.Error("a restored control goes another way")
	}
	for i := range fdrSize {
		if _, err := again.RestoreSnapshot(data[:i]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
}

func TestFDRConfig(t *testing.T) {
	for _, cfg := range []FDRConfig{{Rate: 1}, {Rate: -1}, {Memory: 1}, {Memory: math.NaN()}, {Batch: -1}} {
		if _, err := NewFDR(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestFDRAllocatesNothing(t *testing.T) {
	f, _ := NewFDR(FDRConfig{})
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		f.Test(float64(i%7) / 7)
		f.Level()
		if i%50 == 0 {
			f.Advance()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
