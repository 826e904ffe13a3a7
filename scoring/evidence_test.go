package scoring

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// fillEvidence gives each field below v a value of its own.
func fillEvidence(v reflect.Value, next *int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillEvidence(v.Field(i), next)
		}
	case reflect.Array:
		for i := range v.Len() {
			fillEvidence(v.Index(i), next)
		}
	case reflect.Bool:
		v.SetBool(true)
	default:
		*next++
		n := reflect.ValueOf(*next)
		if v.Type() == reflect.TypeFor[Rank]() {
			n = reflect.ValueOf(*next%3 + 1)
		}
		v.Set(n.Convert(v.Type()))
	}
}

// A field that the encoding forgets would be lost on the next restart only.
func TestEveryFieldOfEvidenceIsEncoded(t *testing.T) {
	var want, got Evidence
	n := 0
	fillEvidence(reflect.ValueOf(&want).Elem(), &n)
	want.Surprise = 0 // never outlives its window
	data := want.append([]byte("x"))[1:]
	if len(data) != evidenceBytes {
		t.Errorf("%d bytes, want %d", len(data), evidenceBytes)
	}
	rest, err := got.decode(append(data, "rest"...))
	if err != nil || string(rest) != "rest" {
		t.Fatalf("left %q, error %v", rest, err)
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Each byte matters: a changed one is another Evidence, or none.
	for i := range data {
		bad := append([]byte(nil), data...)
		bad[i] ^= 1
		var other Evidence
		if _, err := other.decode(bad); err == nil && other == want {
			t.Errorf("byte %d of %d is not read", i, len(data))
		}
	}
}

func TestEvidenceThatMakesNoSenseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Evidence){
		"not a number":       func(ev *Evidence) { ev.Own[baseRequests].Mean = math.NaN() },
		"endless":            func(ev *Evidence) { ev.Runs[runObjects].S = math.Inf(1) },
		"less than nothing":  func(ev *Evidence) { ev.Trials[2] = -1 },
		"no day of the past": func(ev *Evidence) { ev.Known.Days = -1 },
		"hours of nobody":    func(ev *Evidence) { ev.Known.Hours[3] = float32(math.NaN()) },
		"an unknown action":  func(ev *Evidence) { ev.Blocked = RankBlock + 1 },
		"an unknown rank":    func(ev *Evidence) { ev.Pending[1].Rank = 200 },
	} {
		var ev, got Evidence
		change(&ev)
		if _, err := got.decode(ev.append(nil)); !errors.Is(err, errEvidence) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	var ev Evidence
	if _, err := ev.decode(make([]byte, evidenceBytes-1)); !errors.Is(err, errEvidence) {
		t.Errorf("torn: error %v", err)
	}
	// A sum of squares may round below zero; that is no reason to lose a shard.
	ev.Own[baseBytes].M2 = -1e-17
	if _, err := new(Evidence).decode(ev.append(nil)); err != nil {
		t.Errorf("rounding: error %v", err)
	}
}

func TestBaselineIsTheWeightedMeanAndVariance(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 1))
	var b Baseline
	var n, sum, sq float64
	for range 300 {
		x, w := rng.NormFloat64()*3+5, rng.Float64()
		b.add(x, w)
		n, sum, sq = n+w, sum+w*x, sq+w*x*x
	}
	mean := sum / n
	if math.Abs(b.N-n) > 1e-9 || math.Abs(b.Mean-mean) > 1e-9 || math.Abs(b.variance()-(sq/n-mean*mean)) > 1e-9 {
		t.Errorf("%+v with variance %v; want %v, %v, %v", b, b.variance(), n, mean, sq/n-mean*mean)
	}
	b.add(1e9, 0)
	b.add(1e9, -1)
	if math.Abs(b.Mean-mean) > 1e-9 {
		t.Error("a value without weight was learnt")
	}
}

// With a full memory each value weighs 1/selfMemory: an exponential window.
func TestBaselineForgets(t *testing.T) {
	var b Baseline
	for range 1000 {
		b.add(10, 1)
	}
	if b.N != selfMemory || b.variance() > 1e-9 {
		t.Fatalf("%+v", b)
	}
	for range selfMemory {
		b.add(20, 1)
	}
	want := 20 - 10*math.Pow(1-1.0/selfMemory, selfMemory)
	if math.Abs(b.N-selfMemory) > 1e-6 || math.Abs(b.Mean-want) > 1e-6 {
		t.Errorf("mean %v after as many new values as are remembered, want %v", b.Mean, want)
	}
	if v := b.variance(); v < 15 || v > 30 {
		t.Errorf("variance %v of a mixture of 10 and 20", v)
	}
	if one := (&Baseline{N: 1, M2: 5}); one.variance() != 0 {
		t.Errorf("variance %v of one value", one.variance())
	}
}

func TestMidnightHalvesCountsAndClearsSums(t *testing.T) {
	full := func() (ev Evidence) {
		n := 0
		fillEvidence(reflect.ValueOf(&ev).Elem(), &n)
		return ev
	}
	before, ev := full(), full()
	ev.newDay(before.Day + 1)
	for i := range ev.Trials {
		if ev.Trials[i] != before.Trials[i]/2 || ev.Taken[i] != before.Taken[i]/2 {
			t.Errorf("kind %d: %v of %v", i, ev.Taken[i], ev.Trials[i])
		}
	}
	if ev.Guesses != before.Guesses/2 {
		t.Errorf("guesses %v of %v", ev.Guesses, before.Guesses)
	}
	if ev.Runs != [numRuns]Run{} || ev.Day != before.Day+1 || ev.Own[baseRequests] != before.Own[baseRequests] || ev.Blocked != before.Blocked || ev.Pending != before.Pending ||
		ev.Today != (Baseline{}) || ev.Drifts != 0 || ev.RegularToday != 0 {
		t.Errorf("after midnight %+v", ev)
	}
	// The first day of all has nothing before it.
	fresh := Evidence{Trials: Shares{4, 4, 4}}
	if fresh.newDay(7); fresh.Trials[0] != 4 {
		t.Errorf("first day %+v", fresh)
	}
}
