package scoring

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// standingAfter is where a client stands after its windows.
func standingAfter(t *testing.T, fs ...*schemas.ClientFeatures) Standing {
	t.Helper()
	b := newBench(t, nil)
	var st Standing
	b.Observer = func(*schemas.ClientFeatures, float64, *Scores) { st = b.Standing() }
	b.feed(fs...)
	return st
}

func family(t *testing.T, st *Standing, name string) FamilyStanding {
	t.Helper()
	for _, f := range st.Families {
		if f.Family == name {
			return f
		}
	}
	t.Fatalf("no family %q in %+v", name, st)
	return FamilyStanding{}
}

func TestStandingSaysHowManyMoreItWouldHaveTaken(t *testing.T) {
	st := standingAfter(t, record(0, true, logins(5)))
	if len(st.Families) != len(families) || len(st.Rungs) != 3 || st.N != 40_000 || st.Stratum != Pooled {
		t.Fatalf("standing %+v", st)
	}
	f := family(t, &st, "outcome")
	if f.Feature.Name != shareNames[ShareLogin] || f.Feature.Observed != 5 || f.Of != 5 || f.Next != schemas.ActionThrottle || f.More < 1 {
		t.Fatalf("outcome stands at %+v", f)
	}
	if math.Abs(f.Evidence-st.Combined) > 1e-12 {
		t.Errorf("the only evidence is %v, combined %v", f.Evidence, st.Combined)
	}
	// So many more lead there, one less does not.
	for extra, want := range map[float64]int{f.More - 1: 0, f.More: 1} {
		b := newBench(t, nil)
		b.feed(record(0, true, logins(5)))
		for i := range int64(extra) {
			b.feed(record(i+1, true, func(f *schemas.ClientFeatures) { logins(1)(f); f.Decayed15m = 5 }))
		}
		if len(b.verdicts) != want {
			t.Errorf("%v more failures: decisions:\n%s", extra, &b.decisions)
		}
	}
}

func TestStandingSaysWhatItWouldHaveTaken(t *testing.T) {
	quiet := standingAfter(t, record(0, true, nil))
	for _, f := range quiet.Families {
		if f.Feature.Name == "" || f.Evidence >= quiet.Rungs[0].Evidence || f.Next != schemas.ActionThrottle && !math.IsInf(quiet.Rungs[0].Evidence, 1) {
			t.Errorf("%s of an ordinary window: %+v", f.Family, f)
		}
	}
	f := family(t, &quiet, "rate")
	if f.Reach <= f.Feature.High {
		t.Fatalf("rate needs %v of %s, the band ends at %v", f.Reach, f.Feature.Name, f.Feature.High)
	}
	at := family(t, &quiet, "timing")
	if at.Reach != 0 {
		t.Errorf("regularity of no intervals leads somewhere: %+v", at)
	}
	some := standingAfter(t, record(0, true, func(f *schemas.ClientFeatures) { f.Mutations, f.Intervals, f.IntervalEntropy = 1, 20, 2.1 }))
	if at := family(t, &some, "timing"); at.Reach <= 0 || at.Reach >= 2.1 {
		t.Errorf("timing needs %v bits", at.Reach)
	}
	top := standingAfter(t, record(0, true, logins(60)))
	if f := family(t, &top, "outcome"); f.Next != "" || f.Evidence <= top.Rungs[2].Evidence {
		t.Errorf("above all rungs: %+v", f)
	}
}

func TestFirstFindsWhereItBegins(t *testing.T) {
	for _, want := range []float64{1, 2, 3, 7, 64, 1000} {
		if got := first(func(k float64) bool { return k >= want }); got != want {
			t.Errorf("begins at %v, found %v", want, got)
		}
	}
	if got := first(func(float64) bool { return false }); got != 0 {
		t.Errorf("what never holds begins at %v", got)
	}
}
