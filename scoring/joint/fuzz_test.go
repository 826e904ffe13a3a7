package joint

import (
	"encoding/json"
	"math"
	"testing"
)

func FuzzModel(f *testing.F) {
	for _, d := range []int{1, 3} {
		data, err := json.Marshal(fitted(f, 11, d, 64, behaviour))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 0.5)
		f.Add(data, math.NaN())
		f.Add(data[:len(data)/2], 1.0)
	}
	f.Fuzz(func(t *testing.T, data []byte, v float64) {
		m := new(Model)
		if json.Unmarshal(data, m) != nil || m.Check() != nil {
			return
		}
		var s Scratch
		x := make([]float64, m.Features())
		for j := range x {
			x[j] = v * float64(j+1)
		}
		if l := m.LogP(&s, x); !(l <= 0 && l >= MinLogP) {
			t.Errorf("ln p = %v", l)
		}
		m.Attribute(&s, x, nil)
		m.ProjectionT(&s, x, make([]float64, len(x)))
	})
}

// FuzzModelNumbers overwrites one number of a model.
func FuzzModelNumbers(f *testing.F) {
	m := fitted(f, 14, 3, 200, behaviour)
	data, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	for i, v := range []float64{0, -1, 1e308, -1e308, 1e-308, 1e99, 1e-99, 5, 0.999999, math.NaN(), math.Inf(1)} {
		f.Add(uint(i), v, 0.5)
		f.Add(uint(7*i+3), v, 1e300)
		f.Add(uint(31*i+1), v, -1.0)
	}
	f.Fuzz(func(t *testing.T, at uint, v, x0 float64) {
		m := new(Model)
		if err := json.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		numbers := []*float64{&m.N, &m.Covariance, &m.Projections.N, &m.Distance.Scale, &m.Surprise.Scale}
		slice := func(s []float64) {
			for i := range s {
				numbers = append(numbers, &s[i])
			}
		}
		for j := range m.Marginals {
			g := &m.Marginals[j]
			numbers = append(numbers, &g.Low.Z, &g.Low.Scale, &g.Low.Limit, &g.High.Z, &g.High.Scale, &g.High.Limit)
			slice(g.X)
			slice(g.Z)
		}
		slice(m.Correlation)
		slice(m.Distance.X)
		slice(m.Distance.Y)
		slice(m.Surprise.X)
		slice(m.Surprise.Y)
		slice(m.Projections.Mass[0])
		*numbers[at%uint(len(numbers))] = v
		if m.Check() != nil {
			return
		}
		var s Scratch
		for _, x := range [][]float64{{x0, x0, x0}, {v, 1, 1}, {1, math.NaN(), v}} {
			if l := m.LogP(&s, x); !(l <= 0 && l >= MinLogP) {
				t.Errorf("ln p = %v of %v", l, x)
			}
			for _, a := range m.Attribute(&s, x, nil) {
				if !finite(a.Expected, a.Low, a.High, a.Contribution) {
					t.Errorf("attribution %+v of %v", a, x)
				}
			}
		}
	})
}
