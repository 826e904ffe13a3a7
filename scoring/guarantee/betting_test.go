package guarantee

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func demoted(t *testing.T, rng *rand.Rand, alpha, rate float64, n int) (at int) {
	t.Helper()
	b, err := NewBet(alpha)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		k := 0
		if rng.Float64() < rate {
			k = 1
		}
		b.Add(1, k)
		if b.Demoted() {
			return i
		}
	}
	return 0
}

// TestBetRarelyDemotesWhoKeepsToAlpha: P(sup e >= 20) <= 1/20 at the worst rate
// that the hypothesis allows, looking after every outcome.
func TestBetRarelyDemotesWhoKeepsToAlpha(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, alpha := range []float64{0.01, 0.2} {
		const runs = 600
		var wrong int
		for range runs {
			if demoted(t, rng, alpha, alpha, 2000) > 0 {
				wrong++
			}
		}
		// Three standard errors above 1/20.
		if share := float64(wrong) / runs; share > 0.05+3*math.Sqrt(0.05*0.95/runs) {
			t.Errorf("alpha %g: demoted in %.4f of the runs", alpha, share)
		} else {
			t.Logf("alpha %g: demoted in %.4f of the runs", alpha, share)
		}
	}
}

func TestBetDemotesThreeTimesAlpha(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	const alpha, runs = 0.01, 200
	var sum float64
	for range runs {
		at := demoted(t, rng, alpha, 3*alpha, 20000)
		if at == 0 {
			t.Fatal("never demoted")
		}
		sum += float64(at)
	}
	// The best bet wins 3 alpha ln 3 + (1-3 alpha) ln((1-3 alpha)/(1-alpha)) a
	// time, which makes ln 20 after 225; not knowing the rate costs the mixture's
	// ln 7 beside it.
	gain := 3*alpha*math.Log(3) + (1-3*alpha)*math.Log((1-3*alpha)/(1-alpha))
	if mean := sum / runs; mean > 2*(math.Log(DemoteAt)+math.Log(7))/gain {
		t.Errorf("demoted after %.0f outcomes", mean)
	} else {
		t.Logf("demoted after %.0f outcomes; knowing the rate, %.0f", mean, math.Log(DemoteAt)/gain)
	}
}

// TestBetIsTheMeanOfLikelihoodRatios compares with the products themselves, and
// has the mean over all outcomes of given length: exactly 1 at alpha.
func TestBetIsTheMeanOfLikelihoodRatios(t *testing.T) {
	const alpha, n = 0.03, 12
	var mean float64
	for k := 0; k <= n; k++ {
		b, err := NewBet(alpha)
		if err != nil {
			t.Fatal(err)
		}
		got := b.Add(n, k)
		var want float64
		bets := 0
		for _, m := range betMultiples {
			if theta := m * alpha; theta < 1 {
				want += math.Pow(theta/alpha, float64(k)) * math.Pow((1-theta)/(1-alpha), float64(n-k))
				bets++
			}
		}
		want /= float64(bets)
		if !near(got, want, 1e-9) || b.E() != got {
			t.Errorf("%d of %d: %v, want %v", k, n, got, want)
		}
		choose := 1.0
		for i := range k {
			choose *= float64(n-i) / float64(i+1)
		}
		mean += got * choose * math.Pow(alpha, float64(k)) * math.Pow(1-alpha, float64(n-k))
	}
	if !near(mean, 1, 1e-9) {
		t.Errorf("the mean over outcomes is %v, want 1", mean)
	}
}

func TestBetStateAndReset(t *testing.T) {
	b, _ := NewBet(0.01)
	b.Add(10, 5)
	if !b.Demoted() {
		t.Fatal("five in ten at one in a hundred")
	}
	b.Add(100000, 0)
	if b.E() >= 1 || !b.Demoted() {
		t.Error("a lost test was won back")
	}
	data := append(b.AppendSnapshot(nil), 7)
	c, _ := NewBet(0.01)
	rest, err := c.RestoreSnapshot(data)
	if err != nil || len(rest) != 1 || *b != *c {
		t.Errorf("restored %+v, %v", c, err)
	}
	for i := range betSize {
		if _, err := c.RestoreSnapshot(data[:i]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	b.Reset()
	if n, k := b.Counts(); b.Demoted() || b.E() != 1 || n != 0 || k != 0 {
		t.Error("reset left something")
	}
	for _, alpha := range []float64{0, 1, -1, math.NaN()} {
		if _, err := NewBet(alpha); !errors.Is(err, ErrConfig) {
			t.Errorf("alpha %g: %v", alpha, err)
		}
	}
	if b, err := NewBet(0.9); err != nil || math.IsNaN(b.Add(10, 10)) || b.E() <= 1 {
		t.Error("a high alpha has no alternative to bet on")
	}
	if n := testing.AllocsPerRun(100, func() { b.Add(1, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
