package sequence

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

const minute = 60 * 1_000_000

// chain plays sessions of a, b, c with b after a at 3 in 4 and c else.
func learnt(t testing.TB, clients int) (*Learner, *Model) {
	t.Helper()
	l := NewLearner()
	rng := rand.New(rand.NewPCG(1, 2))
	for c := range clients {
		at := int64(c) * minute
		for range 10 {
			at += 2 * hour
			l.Add(uint64(c+1), []byte("GET /a"), at)
			next := "GET /b"
			if rng.IntN(4) == 0 {
				next = "GET /c"
			}
			l.Add(uint64(c+1), []byte(next), at+1)
			l.Add(uint64(c+1), []byte("POST /d"), at+2)
		}
	}
	m, err := New(l.Steps())
	if err != nil {
		t.Fatal(err)
	}
	return l, m
}

func h(name string) Route { return Hash([]byte(name)) }

func TestProbabilitiesFollowTheSessions(t *testing.T) {
	_, m := learnt(t, 200)
	if p := m.P(0, h("GET /a"), h("GET /b")); math.Abs(p-.75) > .03 {
		t.Errorf("b after a: %.3f, want about 3/4", p)
	}
	if p := m.P(h("GET /a"), h("GET /b"), h("POST /d")); p < .99 {
		t.Errorf("d after a, b: %.3f", p)
	}
	if p := m.P(0, h("POST /d"), h("GET /b")); p > .5 {
		t.Errorf("b after d, which never happened: %.3f", p)
	}
	sum := 0.0
	for _, r := range []string{"GET /a", "GET /b", "GET /c", "POST /d"} {
		sum += m.P(0, h("GET /a"), h(r))
	}
	if sum > 1 || sum < .99 {
		t.Errorf("probabilities after a sum to %v", sum)
	}
}

// The interpolation by hand: a is followed by b 3 times and by c once; the
// routes alone are 4 of a, 3 of b, 1 of c.
func TestInterpolationIsTheFormula(t *testing.T) {
	m, err := New(&Steps{
		Routes: []string{"a", "b", "c"},
		Counts: []Count{{-1, -1, 0, 4}, {-1, -1, 1, 3}, {-1, -1, 2, 1}, {-1, 0, 1, 3}, {-1, 0, 2, 1}, {1, 0, 2, 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	single := (3. + 1) / (8 + 3 + 1)
	one := (3 + 2*single) / (4 + 2)
	if got := m.P(0, h("a"), h("b")); math.Abs(got-one) > 1e-12 {
		t.Errorf("b after a: %v, want %v", got, one)
	}
	two := (0 + 2*one) / (1 + 2)
	if got := m.P(h("b"), h("a"), h("b")); math.Abs(got-two) > 1e-12 {
		t.Errorf("b after b, a: %v, want %v", got, two)
	}
	if got, want := m.Gain(two), math.Log(.8+.2/(3*two)); math.Abs(got-want) > 1e-12 {
		t.Errorf("gain %v, want %v", got, want)
	}
}

func TestGainOfClientsThatFollowTheModelIsATestMartingale(t *testing.T) {
	_, m := learnt(t, 200)
	routes := []string{"GET /a", "GET /b", "GET /c", "POST /d"}
	for _, last := range routes {
		mean, mass := 0.0, 0.0
		for _, next := range routes {
			p := m.P(0, h(last), h(next))
			mean += p * math.Exp(m.Gain(p))
			mass += p
		}
		// What is left of the mass belongs to routes never seen, which are not judged.
		if mean > 1+1e-9 || mean < mass-Wander {
			t.Errorf("expected growth after %s is %v", last, mean)
		}
	}
}

func TestWhatNearlyAllSessionsCallFirstIsAPrerequisite(t *testing.T) {
	_, m := learnt(t, 200)
	if _, _, needed := m.Missing(h("GET /a"), nil); needed {
		t.Error("the first route of every session has a prerequisite")
	}
	first, share, needed := m.Missing(h("POST /d"), nil)
	if !needed || first != h("GET /a") || share != 1 {
		t.Errorf("d alone: missing %q of share %v, %v", m.Name(first), share, needed)
	}
	if first, _, needed := m.Missing(h("POST /d"), []uint32{Short(h("GET /a"))}); first != 0 || !needed {
		t.Errorf("d after a: missing %q, %v", m.Name(first), needed)
	}
}

func TestSkipGainOfClientsThatFollowTheModelIsATestMartingale(t *testing.T) {
	for _, share := range []float64{0.8, 0.95, 0.99} {
		mean := share*math.Exp(SkipGain(share, false)) + (1-share)*math.Exp(SkipGain(share, true))
		if math.Abs(mean-1) > 1e-12 {
			t.Errorf("expected growth at a share of %v is %v", share, mean)
		}
	}
}

func TestOneClientDefinesNothing(t *testing.T) {
	l, _ := learnt(t, 50)
	for i := range 5000 {
		l.Add(9999, []byte("GET /odd"), int64(i)*hour)
		l.Add(9999, []byte("POST /d"), int64(i)*hour+1)
	}
	m, err := New(l.Steps())
	if err != nil {
		t.Fatal(err)
	}
	if m.Knows(h("GET /odd")) {
		t.Error("a route that one client calls was learnt")
	}
	if _, _, needed := m.Missing(h("POST /d"), nil); needed {
		t.Log("the prerequisite survived one client's sessions without it")
	}
}

func TestRepetitionsAndNewSessionsAreNoSteps(t *testing.T) {
	l := NewLearner()
	for c := range uint64(10) {
		for i := range 20 {
			l.Add(c+1, []byte("GET /poll"), int64(i)*minute)
		}
		l.Add(c+1, []byte("GET /late"), 20*minute+SessionGap)
	}
	s := l.Steps()
	for _, c := range s.Counts {
		if c.Last >= 0 && s.Routes[c.Last] != StartName {
			t.Errorf("a step %+v of %v", c, s.Routes)
		}
	}
}

func TestStepsSurviveJSONAndAreTheSameForTheSameCalls(t *testing.T) {
	a, _ := learnt(t, 60)
	b, _ := learnt(t, 60)
	if !reflect.DeepEqual(a.Steps(), b.Steps()) {
		t.Error("the same calls gave other steps")
	}
	data, err := json.Marshal(a.Steps())
	if err != nil {
		t.Fatal(err)
	}
	var back Steps
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, a.Steps()) {
		t.Error("JSON changed the steps")
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for name, s := range map[string]*Steps{
		"an index without a route":   {Routes: []string{"a"}, Counts: []Count{{-1, -1, 1, 1}}},
		"a negative index":           {Routes: []string{"a"}, Counts: []Count{{-2, 0, 0, 1}}},
		"no next route":              {Routes: []string{"a"}, Counts: []Count{{-1, 0, -1, 1}}},
		"a count of nothing":         {Routes: []string{"a"}, Counts: []Count{{-1, -1, 0, 0}}},
		"a context without its last": {Routes: []string{"a"}, Counts: []Count{{0, -1, 0, 1}}},
		"a share above one":          {Routes: []string{"a", "b"}, Prerequisites: []Prerequisite{{0, 1, 1.5, 300}}},
	} {
		if _, err := New(s); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJudgingAStepAllocatesNothing(t *testing.T) {
	_, m := learnt(t, 60)
	a, b, d := h("GET /a"), h("GET /b"), h("POST /d")
	called := []uint32{Short(a), Short(b)}
	if n := testing.AllocsPerRun(100, func() {
		m.Gain(m.P(a, b, d))
		m.Missing(d, called)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStep(b *testing.B) {
	_, m := learnt(b, 60)
	x, y, z := h("GET /a"), h("GET /b"), h("POST /d")
	for b.Loop() {
		m.Gain(m.P(x, y, z))
	}
}
