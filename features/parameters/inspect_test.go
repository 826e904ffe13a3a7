package parameters

import (
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-dev/weir/features/payload"
)

func TestBoundOfPValues(t *testing.T) {
	// Table 1 of Sellke, Bayarri and Berger: p = 0.05 is worth at most 2.46 to the
	// alternative, 0.01 at most 7.99, 0.001 at most 53.3.
	for p, want := range map[float64]float64{0.05: 1 / 0.407, 0.01: 1 / 0.125, 0.001: 1 / 0.0188} {
		if got := bound(math.Log(p), 0.5); math.Abs(got/want-1) > 0.005 {
			t.Errorf("p = %g is worth %.2f, want %.2f", p, got, want)
		}
	}
	if got := bound(0, 0.5); got != 0.5 {
		t.Errorf("p = 1 is worth %g", got)
	}
	last := 0.0
	for lp := 0.0; lp > -300; lp -= 0.25 {
		b := bound(lp, 0.02)
		if b < last || math.IsInf(b, 0) {
			t.Fatalf("ln p %g is worth %g after %g", lp, b, last)
		}
		last = b
	}
}

func TestCombineScores(t *testing.T) {
	tests := []struct {
		logP       float64
		known      bool
		confidence float64
		least      float64
		most       float64
		code       bool
	}{
		{0, false, 0.3, 0.3, 0.3, true},   // an API never seen: the values alone
		{0, true, 0, 0, 0.02, false},      // all usual
		{0, true, 0.999, 0.99, 1, true},   // code in a field of free text
		{0, true, 0.6, 0.1, 0.5, true},    // doubtful, where the field takes such text
		{-6, true, 0.6, 0.93, 1, true},    // doubtful, where it never was
		{-10, true, 0, 0.99, 1, false},    // structure alone
		{-4, true, 0, 0.6, 0.9, false},    // rather odd
		{-300, true, 1, 0.999, 1, true},   // no overflow
		{-1, true, 0.01, 0.1, 0.4, false}, // p = 0.37
	}
	for _, tt := range tests {
		score, code := combineScores(tt.logP, tt.known, tt.confidence)
		if !(score >= tt.least && score <= tt.most) || code != tt.code {
			t.Errorf("ln p %g, confidence %g: %.3f by code %v, want %g to %g, %v", tt.logP, tt.confidence, score, code, tt.least, tt.most, tt.code)
		}
	}
}

func inspector(t testing.TB, l *Learner) *Inspector {
	t.Helper()
	d, err := payload.Prior()
	if err != nil {
		t.Fatal(err)
	}
	return &Inspector{Model: l.Model(), Payload: d}
}

func TestInspect(t *testing.T) {
	in := inspector(t, shop(300))
	s := NewInspectScratch()
	usual := in.Inspect(s, get(9, "/items", "page=7&sort=small&q=river+stone").e, []byte("GET /items"))
	if usual.Score > 0.2 {
		t.Errorf("usual: %.3f, %s", usual.Score, in.Reason(&usual))
	}
	for _, tt := range []struct{ what, query, reason string }{
		{"injection", "page=7&sort=small&q=" + url.QueryEscape("x' union select password from users--"), "query"},
		{"manipulation", "page=7&sort=small&q=river+stone&debug=1", "query parameter \"debug\""},
		{"wrong type", "page=seven&sort=small&q=river+stone", "query parameter \"page\" is always an integer"},
	} {
		i := in.Inspect(s, get(9, "/items", tt.query).e, []byte("GET /items"))
		if reason := in.Reason(&i); i.Score < 0.7 || !strings.HasPrefix(reason, tt.reason) {
			t.Errorf("%s: %.3f, %q", tt.what, i.Score, reason)
		}
	}
	for _, in := range []*Inspector{{}, {Model: in.Model}, {Payload: in.Payload}} {
		i := in.Inspect(s, get(9, "/items", "page=1'--").e, []byte("GET /items"))
		if i.Score < 0 || i.Score > 1 {
			t.Errorf("%+v", i)
		}
		in.Reason(&i)
	}
}

// Inspecting costs no allocation beyond what the values' detector does.
func TestInspectAllocatesNothingOfItsOwn(t *testing.T) {
	in := inspector(t, shop(300))
	s, alone := NewInspectScratch(), &payload.Scratch{}
	calls := append(shopCalls(5), get(1, "/items", "page=%31%27+or+1=1--&sort=tall"))
	inspect := func() {
		for i := range calls {
			in.Inspect(s, calls[i].e, calls[i].route)
		}
	}
	detect := func() {
		for i := range calls {
			in.Payload.Request(alone, calls[i].e)
		}
	}
	inspect()
	detect()
	if got, want := testing.AllocsPerRun(100, inspect), testing.AllocsPerRun(100, detect); got > want {
		t.Errorf("%v allocations a run, %v of the detector", got, want)
	}
}
