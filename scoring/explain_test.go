package scoring

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// scenario is a client's windows up to the verdict that explains itself.
type scenario struct {
	name   string
	known  int64 // ordinary windows before
	change func(*schemas.ClientFeatures)
	config func(*Config)
}

var scenarios = []scenario{
	{name: "password guessing", change: logins(14)},
	{name: "password guessing of one name", change: func(f *schemas.ClientFeatures) { logins(14)(f); f.DayLoginUsers = 1 }},
	{name: "slow password guessing", known: 1, change: func(f *schemas.ClientFeatures) {
		logins(14)(f)
		f.WindowStart, f.WindowEnd, f.LastEvent = baseUS+4320*hopUS, baseUS+4321*hopUS, baseUS+4320*hopUS+5
	}},
	{name: "too few for more than a throttle", change: logins(9)},
	{name: "a shared address", change: func(f *schemas.ClientFeatures) {
		logins(30)(f)
		f.DayLoginUsers, f.DayLoginSuccessUsers = 40, 22
	}},
	{name: "denied calls", change: func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Status4xx, f.Forbidden, f.WindowRoutes = 20, 2, 18, 18, 15
	}},
	{name: "missing paths", change: func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Status4xx, f.NotFound, f.WindowRoutes = 20, 2, 18, 18, 18
	}},
	{name: "ids in sequence", change: func(f *schemas.ClientFeatures) {
		f.Requests, f.ObjectAccesses, f.ObjectNew, f.ObjectSequential, f.WindowObjects = 20, 20, 20, 19, 4
	}},
	{name: "objects of others", known: 200, change: func(f *schemas.ClientFeatures) {
		f.Requests, f.ObjectAccesses, f.ObjectDenied, f.Forbidden, f.Status4xx, f.ObjectNew, f.WindowObjects, f.WindowRoutes = 16, 16, 16, 16, 16, 5, 5, 1
	}},
	{name: "many objects", known: 100, change: func(f *schemas.ClientFeatures) {
		f.Requests, f.ObjectAccesses, f.WindowObjects, f.ObjectNew = 12, 300, 300, 0
	}},
	{name: "a burst of a newcomer", change: func(f *schemas.ClientFeatures) { f.Requests, f.Status2xx, f.Mutations = 90, 90, 90 }},
	{name: "a burst of somebody known", known: 200, change: func(f *schemas.ClientFeatures) { f.Requests, f.Status2xx, f.Mutations = 40, 40, 40 }},
	{name: "a busy quarter of an hour", known: 200, change: func(f *schemas.ClientFeatures) { f.Decayed15m = 90_000 }},
	{name: "a large download", known: 200, change: func(f *schemas.ClientFeatures) { f.Bytes15m = 60 << 30 }},
	{name: "a machine among people", change: func(f *schemas.ClientFeatures) {
		f.Mutations, f.Intervals, f.IntervalEntropy, f.IntervalMean, f.IntervalLogSD = 1, 30, 0.2, 90, 0.01
	}},
	{name: "a machine of few seconds", change: func(f *schemas.ClientFeatures) {
		f.Mutations, f.Intervals, f.IntervalEntropy, f.IntervalMean = 1, 40, 0, 2.51
	}},
	{name: "an API with its own model", change: logins(14), config: func(c *Config) {
		c.Model.APIs = map[string]map[string]*Behaviour{"bank": {"ip": testBehaviour()}}
	}},
	{name: "no API name", change: func(f *schemas.ClientFeatures) { logins(14)(f); f.API = nil }},
	{name: "two signs of one family", change: func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Mutations = 60, 60, 0
		f.ObjectAccesses, f.ObjectNew, f.ObjectSequential, f.WindowObjects = 60, 60, 59, 60
	}},
}

// play runs a scenario and returns its last verdict.
func play(t *testing.T, s scenario) schemas.Verdict {
	t.Helper()
	b := newBench(t, s.config)
	for i := range s.known {
		b.feed(record(i, true, nil))
	}
	b.feed(record(s.known, true, s.change))
	if len(b.verdicts) != 1 {
		t.Fatalf("%s: decisions:\n%s", s.name, &b.decisions)
	}
	return b.verdicts[0]
}

func TestVerdictsExplainThemselves(t *testing.T) {
	var out strings.Builder
	for _, s := range scenarios {
		v := play(t, s)
		fmt.Fprintf(&out, "# %s: %s, %s\n%s\n", s.name, v.Attack, v.Action, v.Explanation.Text)
		total := 0.0
		for _, e := range v.Explanation.Features {
			fmt.Fprintf(&out, "    %-20s %.4g, expected %.4g in [%.4g, %.4g], %.0f %% of the evidence, %s baseline of %d\n",
				e.Name, e.Observed, e.Expected, e.Low, e.High, 100*e.Contribution, e.Baseline, e.N)
			total += e.Contribution
			if e.Low > e.Expected || e.Expected > e.High {
				t.Errorf("%s: %s is expected at %g outside of its band [%g, %g]", s.name, e.Name, e.Expected, e.Low, e.High)
			}
			if e.Contribution < 0 {
				t.Errorf("%s: %s contributes %g", s.name, e.Name, e.Contribution)
			}
		}
		if math.Abs(total-1) > 1e-9 {
			t.Errorf("%s: contributions sum to %g", s.name, total)
		}
		if first := v.Explanation.Features[0]; first.Observed >= first.Low && first.Observed <= first.High {
			t.Errorf("%s: the first feature is ordinary: %+v", s.name, first)
		}
		if text := v.Explanation.Text; !strings.HasPrefix(text, "ip 203.0.113.7 ") || !strings.HasSuffix(text, ".") ||
			strings.Contains(text, "NaN") || strings.Contains(text, "  ") || strings.Contains(text, "%!") {
			t.Errorf("%s: text %q", s.name, text)
		}
	}
	golden(t, "verdicts", out.String())
}

func TestBaselineOfALongKnownClientIsItsOwn(t *testing.T) {
	for name, want := range map[string]string{"a burst of a newcomer": "prior", "a burst of somebody known": "self", "an API with its own model": "api"} {
		for _, s := range scenarios {
			if s.name != name {
				continue
			}
			if got := play(t, s).Explanation.Features[0].Baseline; got != want {
				t.Errorf("%s: baseline %q, want %q", name, got, want)
			}
		}
	}
}

// Whatever leads is named, also where a small layer lets weak evidence decide.
func TestWeakLeaderIsExplainedToo(t *testing.T) {
	b := newBench(t, func(c *Config) {
		weak := *testLayer()
		weak.Top = make([]float64, maxTop)
		c.Model.Calibration[Pooled] = &weak
	})
	b.feed(record(0, true, logins(4)))
	if len(b.verdicts) != 1 || len(b.verdicts[0].Explanation.Features) == 0 || b.verdicts[0].Explanation.Features[0].Name != outcomeNames[outcomeLogin] {
		t.Errorf("verdicts %+v", b.verdicts)
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 30_000: "30,000", 1_234_567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h", 90 * time.Second: "1m30s", time.Minute: "1m",
		12 * time.Second: "12s", 2510 * time.Millisecond: "2.5s", 20*time.Minute + 10*time.Second: "20m10s", 10 * time.Hour: "10h", 10 * time.Minute: "10m",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	for x, want := range map[float64]string{0: "0 bytes", 12: "12 bytes", 2048: "2 KiB", 5.5 * (1 << 20): "5.5 MiB", 60 << 30: "60 GiB"} {
		if got := size(x); got != want {
			t.Errorf("%v bytes are written %q, want %q", x, got, want)
		}
	}
	e := schemas.FeatureExplanation{Name: "something_new", Observed: 3.14159, Expected: 1000, Baseline: "self"}
	if got, want := phrase(&e, &schemas.ClientFeatures{}, "bank"), "shows something_new of 3.1 on bank, where its own habit is 1000"; got != want {
		t.Errorf("an unknown feature reads %q, want %q", got, want)
	}
}
