package joint

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// busier is behaviour at another API: more of everything, hanging together in
// the same way.
func busier(rng *rand.Rand, x []float64) {
	behaviour(rng, x)
	for j := range x {
		if j%6 < 2 {
			x[j]++
		}
	}
}

// TestBlendHelpsWhereThereIsLittle: with few rows of its own, an API's odd rows
// are told better with a prior than without, and without the false alarms of the
// prior alone.
func TestBlendHelpsWhereThereIsLittle(t *testing.T) {
	const d, n = 12, 60
	prior := fitted(t, 21, d, 4000, behaviour)
	rng := rand.New(rand.NewPCG(22, 1))
	f := newFitter(t, Config{Features: d, Clients: n, PerClient: 1, Seed: 1, ProjectionSeed: 2})
	x, y := make([]float64, d), make([]float64, d)
	for i := range uint64(n) {
		busier(rng, x)
		f.Add(i, x)
	}
	own, err := f.Fit()
	if err != nil {
		t.Fatal(err)
	}
	blend, err := Blend(prior, own, DefaultKappa)
	if err != nil {
		t.Fatal(err)
	}
	calibrated, err := f.FitFrom(prior, DefaultKappa)
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]*Model{"prior": prior, "own": own, "blend": blend, "calibrated": calibrated}
	scores := map[string]*[2][]float64{}
	for name := range models {
		scores[name] = new([2][]float64)
	}
	var s Scratch
	for range 600 {
		busier(rng, x)
		busier(rng, y)
		for name, m := range models {
			scores[name][0] = append(scores[name][0], -m.LogP(&s, x))
		}
		for j := range d {
			if j%6 == 1 || j%6 == 2 {
				x[j] = y[j]
			}
		}
		for name, m := range models {
			scores[name][1] = append(scores[name][1], -m.LogP(&s, x))
		}
	}
	got, alarms := map[string]float64{}, map[string]float64{}
	for name, both := range scores {
		got[name] = auc(both[0], both[1])
		for _, e := range both[0] {
			if e > -math.Log(0.01) {
				alarms[name] += 1 / float64(len(both[0]))
			}
		}
		t.Logf("%s: AUC %.3f, p <= 0.01 in %.4f of the normal rows", name, got[name], alarms[name])
	}
	for _, name := range []string{"blend", "calibrated"} {
		if got[name] < got["own"]+0.02 {
			t.Errorf("%s: AUC %.3f, %.3f without a prior", name, got[name], got["own"])
		}
		if alarms[name] > 0.02 || alarms["prior"] < 0.05 {
			t.Errorf("%s: p <= 0.01 in %.4f of the normal rows", name, alarms[name])
		}
	}
}

// TestBlendWeights: a prior that counts for nothing vanishes, one that counts
// for much stays, and in between the correlation is the weighted mean.
func TestBlendWeights(t *testing.T) {
	const d = 6
	prior, own := fitted(t, 23, d, 2000, behaviour), fitted(t, 24, d, 600, busier)
	for _, kappa := range []float64{0, 200, 1e9} {
		m, err := Blend(prior, own, kappa)
		if err != nil {
			t.Fatal(err)
		}
		k := min(kappa, prior.N) // a prior counts for no more than it was made of
		for i := range m.Correlation {
			want := (k*prior.Correlation[i] + own.N*own.Correlation[i]) / (k + own.N)
			if !near(m.Correlation[i], want, 1e-12) {
				t.Errorf("kappa %g: correlation %d is %v, want %v", kappa, i, m.Correlation[i], want)
			}
		}
		if m.N != k+own.N {
			t.Errorf("kappa %g: made of %g rows", kappa, m.N)
		}
		if kappa == 0 {
			var s Scratch
			rng := rand.New(rand.NewPCG(1, 9))
			x := make([]float64, d)
			for range 100 {
				busier(rng, x)
				if a, b := m.LogP(&s, x), own.LogP(&s, x); math.Abs(a-b) > 0.5+0.1*math.Abs(b) {
					t.Errorf("with a prior of no weight %g, without %g", a, b)
				}
			}
		}
	}
	same, err := Blend(prior, nil, 200)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(prior)
	b, _ := json.Marshal(same)
	if string(a) != string(b) {
		t.Error("blending nothing changes the prior")
	}
	// Blends of blends stay models.
	m := prior
	for range 30 {
		if m, err = Blend(m, own, 200); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBlendRefuses(t *testing.T) {
	six, seven := fitted(t, 25, 6, 100, behaviour), fitted(t, 25, 7, 100, behaviour)
	otherSeed := *six
	otherSeed.Projections.Seed++
	for name, try := range map[string]func() (*Model, error){
		"other features": func() (*Model, error) { return Blend(six, seven, 200) },
		"other seed":     func() (*Model, error) { return Blend(six, &otherSeed, 200) },
		"no prior":       func() (*Model, error) { return Blend(nil, six, 200) },
		"not checked":    func() (*Model, error) { return Blend(six, &Model{}, 200) },
		"NaN":            func() (*Model, error) { return Blend(six, six, math.NaN()) },
		"negative":       func() (*Model, error) { return Blend(six, six, -1) },
	} {
		if _, err := try(); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := newFitter(t, Config{Features: 6, Clients: 10, PerClient: 1})
	m, err := f.FitFrom(six, 200)
	if err != nil || m.N != six.N {
		t.Errorf("a fitter without rows: %v", err)
	}
}
