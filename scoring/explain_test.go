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
	"github.com/weir-dev/weir/scoring/joint"
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
	days   int64 // days before, of perDay ordinary windows each
	usual  func(*schemas.ClientFeatures)
	change func(*schemas.ClientFeatures)
	again  int64 // how often the change is repeated before the verdict is due
	config func(*Config)
}

// perDay is how many windows a day of a scenario has.
const perDay = 40

// at is the device and place of a client, and its credential.
func at(ip, agent, country, credential string, asn int64) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) {
		f.ClientIP, f.UserAgent, f.Country, f.ASN = []byte(ip), []byte(agent), []byte(country), asn
		f.Credential, f.DayLoginUsers = []byte(credential), 0
	}
}

var (
	atHome = at("203.0.113.7", "weir-browser/1", "NL", "c1", 64500)
	abroad = at("198.51.100.9", "curl/8", "BR", "c1", 64501)
)

var scenarios = []scenario{
	{name: "password guessing", change: logins(14)},
	{name: "password guessing of one name", change: func(f *schemas.ClientFeatures) { logins(14)(f); f.DayLoginUsers = 1 }},
	{name: "password guessing after hours of quiet", known: 1, change: func(f *schemas.ClientFeatures) {
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
		f.Requests, f.Status2xx, f.ObjectAccesses, f.ObjectNew, f.ObjectSequential, f.WindowObjects = 20, 20, 20, 20, 19, 4
	}},
	{name: "objects of others", known: 200, change: func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.ObjectAccesses, f.ObjectDenied, f.ObjectNew, f.WindowObjects, f.WindowRoutes = 16, 0, 16, 16, 5, 5, 1
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
	{name: "one name tried again and again", change: func(f *schemas.ClientFeatures) {
		logins(60)(f)
		f.LoginNewAttempts, f.LoginNewFailures, f.DayLoginUsers = 1, 1, 1
		f.Requests = 3 // the guesses alone
	}},
	{name: "slow calls", change: func(f *schemas.ClientFeatures) { f.NormedCalls, f.SlowCalls, f.Duration15m = 12, 11, 20 }},
	{name: "oversize bodies", change: func(f *schemas.ClientFeatures) { f.NormedCalls, f.LargeRequests = 12, 11 }},
	{name: "oversize responses", change: func(f *schemas.ClientFeatures) { f.NormedCalls, f.LargeResponses = 12, 11 }},
	{name: "a backend kept busy", change: func(f *schemas.ClientFeatures) { f.Duration15m = 90_000 }},
	{name: "many uploads", change: func(f *schemas.ClientFeatures) { f.ReqBytes15m = 4e12 }},
	{name: "deletions", change: func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Mutations, f.ObjectWrites, f.Deletes = 12, 12, 12, 12, 12
	}, again: 3},
	{name: "steps left out", change: func(f *schemas.ClientFeatures) {
		f.Prerequisites, f.Skipped, f.SkippedStep, f.SkippedStepP = 8, 8, []byte("POST /pay without POST /cart"), 0.997
		f.SkipSurprise = 40
	}},
	{name: "steps left out that nobody names", change: func(f *schemas.ClientFeatures) { f.Prerequisites, f.Skipped, f.SkipSurprise = 8, 8, 40 }},
	{name: "a way of its own", change: func(f *schemas.ClientFeatures) {
		f.Steps, f.Surprise, f.RareStep, f.RareStepP = 12, 40, []byte("GET /login > POST /transfer"), 0.00021
	}},
	{name: "code in values", change: func(f *schemas.ClientFeatures) {
		f.PayloadCalls, f.PayloadHits, f.PayloadConfidence = 6, 5, 0.99
		f.PayloadClass, f.PayloadWhere, f.PayloadSpan = []byte("sqli"), []byte("query q"), []byte("' or 1=1 --")
	}},
	{name: "parameters of its own", change: func(f *schemas.ClientFeatures) {
		f.StructuredCalls, f.Violations, f.ViolationLogP = 9, 9, -9
		f.ViolationWhere, f.ViolationKind = []byte("query debug"), []byte("unknown-parameter")
	}},
	{name: "a stranger", days: 20, usual: atHome, change: func(f *schemas.ClientFeatures) { abroad(f); f.Alternations = 6 }},
	{name: "a stranger of no country", days: 20, usual: atHome, change: func(f *schemas.ClientFeatures) {
		abroad(f)
		f.Country, f.Alternations = nil, 6
	}},
	{name: "a little more all day", days: 6, usual: func(f *schemas.ClientFeatures) { f.RespBytes = wobble(f) }, change: func(f *schemas.ClientFeatures) {
		f.RespBytes = 8 * wobble(f)
	}, again: 30},
	{name: "a decoy", change: func(f *schemas.ClientFeatures) {
		f.DecoyHits, f.DayDecoyHits, f.DayRequests, f.Decoy = 1, 1, 12, []byte("GET /admin/backup")
	}},
	{name: "a decoy and nothing else", change: func(f *schemas.ClientFeatures) {
		f.DecoyHits, f.DayDecoyHits, f.DayRequests, f.Decoy = 2, 2, 2, []byte("GET /admin/backup")
	}},
	{name: "an unusual mix", known: 60, usual: ordinaryMix, change: oddMix, again: 4, config: func(c *Config) {
		c.Model.Joint = map[string]*joint.Model{Pooled: testJoint()}
	}},
}

// wobble are response bytes whose logarithm is spread by about a half.
func wobble(f *schemas.ClientFeatures) uint64 {
	return [...]uint64{2000, 3500, 1200, 2600, 900, 4100, 1700}[f.WindowStart/hopUS%7]
}

// play runs a scenario and returns its last verdict.
func play(t *testing.T, s scenario) schemas.Verdict {
	t.Helper()
	b := newBench(t, s.config)
	s.prepare(b)
	s.act(b)
	if len(b.verdicts) != 1 {
		t.Fatalf("%s: decisions:\n%s", s.name, &b.decisions)
	}
	return b.verdicts[0]
}

// prepare feeds what is ordinary.
func (s *scenario) prepare(b *bench) {
	for d := -s.days; d < 0; d++ {
		for i := range int64(perDay) {
			b.feed(record(d*8640+i*20, true, func(f *schemas.ClientFeatures) {
				f.FirstSeen = baseUS - s.days*dayUS + 1
				s.usual(f)
			}))
		}
	}
	for i := range s.known {
		b.feed(record(i, true, s.usual))
	}
}

// act feeds what leads to the verdict.
func (s *scenario) act(b *bench) {
	for i := range s.again + 1 {
		if len(b.verdicts) > 0 {
			return
		}
		b.feed(record(s.known+6*i, true, s.change)) // a minute apart
	}
}

func TestVerdictsExplainThemselves(t *testing.T) {
	var out strings.Builder
	for _, s := range scenarios {
		v := play(t, s)
		fmt.Fprintf(&out, "# %s: %s, %s\n%s\n", s.name, v.Attack, v.Action, v.Explanation.Text)
		for _, line := range []string{v.Explanation.Counterfactual, v.Explanation.Sequence, v.Explanation.Payload} {
			if line != "" {
				fmt.Fprintf(&out, "  %s\n", line)
			}
		}
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
		if first := v.Explanation.Features[0]; v.Attack != schemas.AttackDecoyHit && first.Observed >= first.Low && first.Observed <= first.High {
			t.Errorf("%s: the first feature is ordinary: %+v", s.name, first)
		}
		if text := v.Explanation.Text; !strings.HasPrefix(text, "ip 203.0.113.7 ") && v.Attack != schemas.AttackAccountTakeover || !strings.HasSuffix(text, ".") ||
			strings.Contains(text, "NaN") || strings.Contains(text, " ,") || strings.Contains(text, "()") || strings.Contains(text, "  ") || strings.Contains(text, "%!") {
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
	if len(b.verdicts) != 1 || len(b.verdicts[0].Explanation.Features) == 0 || b.verdicts[0].Explanation.Features[0].Name != shareNames[ShareLogin] {
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
	if got, want := phrase(&e, &schemas.ClientFeatures{}, "bank"), "shows something new of 3.1 on bank, where its own habit is 1000"; got != want {
		t.Errorf("an unknown feature reads %q, want %q", got, want)
	}
}
