package scoring

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/guarantee"
)

// exponentials is a layer of n client-days whose combined evidence is exponential,
// with or without a tail.
func exponentials(t *testing.T, n int, tail bool) *Calibration {
	t.Helper()
	rng := rand.New(rand.NewPCG(101, uint64(n)))
	e := make([]float64, n)
	for i := range e {
		e[i] = rng.ExpFloat64()
	}
	c := layer(e)
	if tail {
		g, err := guarantee.FitGPD(e, guarantee.DefaultTail)
		if err != nil {
			t.Fatal(err)
		}
		c.Tail = &g
	}
	return c
}

func TestThresholdSaysWhatItRestsOn(t *testing.T) {
	for _, tc := range []struct {
		n     int
		alpha float64
		tail  bool
		kind  string
		want  float64 // exponential: -ln alpha; 0: not asked for
		never bool
	}{
		{50_000, 1e-2, true, Conformal, -math.Log(1e-2), false},
		{50_000, 1e-3, true, Conformal, -math.Log(1e-3), false},
		{50_000, 1e-3, false, Conformal, -math.Log(1e-3), false},
		{5000, 1e-4, true, Extrapolated, -math.Log(1e-4), false},
		{5000, 1e-5, true, Extrapolated, -math.Log(1e-5), false},
		{5000, 1e-4, false, Extrapolated, 0, true},
	} {
		c := exponentials(t, tc.n, tc.tail)
		at, kind := c.Threshold(tc.alpha)
		if kind != tc.kind || math.IsInf(at, 1) != tc.never {
			t.Errorf("%d client-days, alpha %g, tail %v: %v, %s", tc.n, tc.alpha, tc.tail, at, kind)
			continue
		}
		if tc.want > 0 && math.Abs(at/tc.want-1) > 0.2 {
			t.Errorf("%d client-days, alpha %g: threshold %v, the law has %v", tc.n, tc.alpha, at, tc.want)
		}
		if kind == Extrapolated && at < c.Top[0] {
			t.Errorf("%d client-days, alpha %g: threshold %v below the highest, %v", tc.n, tc.alpha, at, c.Top[0])
		}
	}
}

func TestPValueSaysWhatItRestsOn(t *testing.T) {
	const n = 5000
	c := exponentials(t, n, true)
	for _, at := range []float64{0, 1, 3, c.Top[0]} {
		if p, kind := c.PValue(at); kind != Conformal || p < 1.0/(n+1) {
			t.Errorf("evidence %v: p %v, %s", at, p, kind)
		}
	}
	p, kind := c.PValue(c.Top[0] + 5)
	if kind != Extrapolated || p >= 1.0/(n+1) || p < math.Exp(-3*(c.Top[0]+5)) {
		t.Errorf("five nats beyond the highest: p %v, %s", p, kind)
	}
	if further, _ := c.PValue(c.Top[0] + 9); further >= p {
		t.Errorf("further out: p %v, before %v", further, p)
	}
	// Without a tail nothing is said beyond what was counted.
	if p, kind := exponentials(t, n, false).PValue(100); kind != Conformal || p != 1.0/(n+1) {
		t.Errorf("without a tail: p %v, %s", p, kind)
	}
}

// A rung whose threshold is extrapolated says so in its verdicts; one without any
// is not climbed.
func TestVerdictSaysWhatItsRungRestsOn(t *testing.T) {
	run := func(tail bool) []schemas.Verdict {
		b := newBench(t, func(c *Config) { c.Model.Calibration[Pooled] = smallLayer(tail) })
		for i := range int64(40) {
			b.feed(record(i, true, logins(1)))
		}
		return b.verdicts
	}
	kinds := map[schemas.Action]string{}
	for _, v := range run(true) {
		kinds[v.Action] = v.Calibration.Kind
	}
	if kinds[schemas.ActionThrottle] != Conformal || kinds[schemas.ActionBlock] != Extrapolated {
		t.Errorf("rungs rest on %v", kinds)
	}
	for _, v := range run(false) {
		if v.Action == schemas.ActionBlock {
			t.Errorf("blocked at %g on %d client-days", v.Calibration.Alpha, v.Calibration.N)
		}
	}
}

// smallLayer allows claims of one in 100 and of one in 1,000 of what was counted.
func smallLayer(tail bool) *Calibration {
	c := *testCalibration(4000, 43)
	c.Top = slices.Clone(c.Top)
	if !tail {
		c.Tail = nil
	}
	return &c
}

func TestEProcessWithoutItsPromiseIsOneNoMore(t *testing.T) {
	rng := rand.New(rand.NewPCG(102, 1))
	m := make([]float64, 5000)
	for i := range m {
		m[i] = rng.ExpFloat64()
	}
	if kept := newTail(m, true); !kept.Ville {
		t.Error("an honest e-process lost its promise")
	}
	m[17] += 60 // no e-process of a benign client reaches this
	broken := newTail(m, true)
	if broken.Ville {
		t.Error("a broken promise is believed")
	}
	if plain := newTail(m, false); plain.Ville {
		t.Error("a statistic without a promise got one")
	}
}
