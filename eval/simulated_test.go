package eval

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/weir-dev/weir/scoring"
)

// TestStuffingIsBlockedWithinFifteenFailures counts failures, not seconds: the
// pace does not matter.
func TestStuffingIsBlockedWithinFifteenFailures(t *testing.T) {
	model, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	n, err := stuffingFailures(model, policyAt(recallAlpha))
	if err != nil {
		t.Fatal(err)
	}
	if n > 15 {
		t.Errorf("blocked after %d failures, want at most 15", n)
	}
}

// enoughFound is the recall below which the short form fails: small worlds know
// their clients badly, and find less than those of make eval.
const enoughFound = 0.75

// TestSuites is the short form of make eval: fixed seeds, small worlds. It asks
// that most attacks are found and that false blocks are not several times what
// is stated.
func TestSuites(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine at a time: the race detector would only take ten times as long")
	}
	for _, name := range Suites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := RunSuite(context.Background(), name, Options{Quick: true, Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Figures {
				t.Logf("%-60s %.4g [%.3g, %.3g] n=%d, target %s, met %v %s", f.Name, f.Measured, f.Low, f.High, f.N, f.Target, f.Met, f.Note)
				if f.Name == "recall of all attacks" && f.Measured < enoughFound {
					t.Errorf("found %v of all attacks", f.Measured)
				}
			}
			for _, rates := range r.Rates {
				for _, row := range rates.Rows {
					if row.Low > row.StatedHigh+3*row.Alpha {
						t.Errorf("%s: %v client-days of %d at a nominal %g, stated %v to %v", rates.Name, row.Blocked, row.Days, row.Alpha, row.StatedLow, row.StatedHigh)
					}
				}
			}
			for _, row := range r.Framings {
				if row.Victims == 0 || row.Blocked > 0 {
					t.Errorf("%s: %d of %d victims blocked", row.Framing, row.Blocked, row.Victims)
				}
			}
			for _, row := range r.Starts {
				t.Logf("after %d windows: recall %.2f, %d of %d client-days blocked", row.Windows, row.Recall, row.Blocked, row.Days)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnknownSuite(t *testing.T) {
	if _, err := RunSuite(context.Background(), "everything", Options{}); !errors.Is(err, ErrNoSuite) {
		t.Error(err)
	}
}

func TestSuiteEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range Suites() {
		if _, err := RunSuite(ctx, name, Options{Quick: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
