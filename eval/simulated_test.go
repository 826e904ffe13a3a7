package eval

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

// offline runs events through extraction and scoring with the shipped prior.
type offline struct {
	s      *scoring.Scorer
	report *Report
	offset int64
	days   map[string]bool // client-days judged
}

func (o *offline) Features(f *schemas.ClientFeatures) {
	if f.Final {
		o.days[fmt.Sprintf("%s %s %d", f.Client, f.API, f.WindowStart/86_400_000_000)] = true
	}
	o.s.Features(f, o.offset, o)
}

func (o *offline) Aggregate(*schemas.Aggregate)      {}
func (o *offline) Verdict(v *schemas.Verdict)        { o.report.Verdict(v) }
func (o *offline) Block(string, *schemas.BlockEntry) {}

func judge(t *testing.T, cfg simulate.Config) (*Report, int) {
	t.Helper()
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	model, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	x, err := features.New(features.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	s, err := scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: 100_000, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	o := &offline{s: s, report: NewReport(g.Labels(), 10*time.Minute), days: map[string]bool{}}
	ev := schemas.NewEvent()
	for g.Next(ev) {
		x.Apply(ev, ev.Time, o.offset, o)
		o.offset++
	}
	x.Flush(o)
	return o.report, len(o.days)
}

// unseen are the simulated attacks that the families built so far cannot see:
// three logins a source, downloads at an ordinary pace, and applications that
// call fast or regularly among applications that do so every night.
var unseen = []simulate.AttackSpec{
	{Name: schemas.AttackCredentialStuffing, Variant: "thin"},
	{Name: schemas.AttackDataExfiltration},
	{Name: schemas.AttackExtremeClient, Variant: "consumer"},
	{Name: schemas.AttackIntervalAbuse, Variant: "consumer"},
}

// TestPriorFindsAttacks judges days that the prior has never seen, with the
// attacks of the simulator in them: each is to be found, and of the benign
// client-days no more blocked than the policy's one in 10,000 allows for.
func TestPriorFindsAttacks(t *testing.T) {
	days, falseBlocks := 0, 0
	for _, seed := range []uint64{77, 78, 79, 80, 81, 82} {
		cfg := simulate.DefaultConfig()
		cfg.Seed, cfg.Clients, cfg.Duration = seed, 1000, 24*time.Hour
		for _, a := range simulate.EveryAttack(8*time.Hour, 20*time.Minute, 1) {
			if !slices.ContainsFunc(unseen, func(u simulate.AttackSpec) bool {
				return u.Name == a.Name && (u.Variant == "" || u.Variant == a.Variant)
			}) {
				cfg.Attacks = append(cfg.Attacks, a)
			}
		}
		r, n := judge(t, cfg)
		days += n
		for _, a := range r.Attacks() {
			t.Logf("seed %d: %-22s %3d of %3d blocked, %3d named, median after %s", seed, a.Name, a.Blocked, a.Entities, a.Named, a.MedianDelay().Round(time.Second))
			if !a.Found() {
				t.Errorf("seed %d: %s was not found", seed, a.Name)
			}
		}
		for _, v := range r.FalseBlocks() {
			falseBlocks++
			t.Logf("seed %d: benign client blocked: %s %s", seed, v.Attack, v.Explanation.Text)
		}
	}
	alpha := scoring.DefaultPolicy().AlphaBlock
	expected := alpha * float64(days)
	t.Logf("%d of %d benign client-days blocked, %.1f allowed for", falseBlocks, days, expected)
	// Beyond the 99.9 % quantile of the Poisson law the claim does not hold.
	if limit := (distuv.Poisson{Lambda: expected}); 1-limit.CDF(float64(falseBlocks-1)) < 0.001 {
		t.Errorf("%d of %d benign client-days were blocked; a rate of %g allows for %.1f", falseBlocks, days, alpha, expected)
	}
}

// TestStuffingIsBlockedWithinFifteenFailures counts failures, not seconds: the
// pace does not matter.
func TestStuffingIsBlockedWithinFifteenFailures(t *testing.T) {
	model, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"ip", "device", "session"} {
		for _, pace := range []time.Duration{200 * time.Millisecond, 5 * time.Second, time.Minute, 30 * time.Minute} {
			x, err := features.New(features.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			s, err := scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: 100, Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			b := &blockWatch{s: s}
			ev := schemas.NewEvent()
			ev.API, ev.Method, ev.Path, ev.Status = []byte("bank"), []byte("POST"), []byte("/v1/login"), 401
			ev.ClientIP = []byte("203.0.113.7")
			switch client {
			case "device":
				ev.JA4, ev.UserAgent = []byte("t13d1516h2_000000000000_000000000000"), []byte("curl/8.5")
			case "session":
				ev.Session = []byte("5e55")
			}
			start := time.Date(2026, 3, 4, 0, 5, 0, 0, time.UTC)
			failures := 0
			for !b.blocked && failures < 60 {
				failures++
				x.Apply(ev, start.Add(time.Duration(failures)*pace).UnixMicro(), int64(failures), b)
			}
			if failures > 15 {
				t.Errorf("%s, one login every %s: blocked after %d failures, want at most 15", client, pace, failures)
			}
		}
	}
}

type blockWatch struct {
	s       *scoring.Scorer
	blocked bool
}

func (b *blockWatch) Features(f *schemas.ClientFeatures) { b.s.Features(f, 0, b) }
func (b *blockWatch) Aggregate(*schemas.Aggregate)       {}
func (b *blockWatch) Verdict(*schemas.Verdict)           {}
func (b *blockWatch) Block(_ string, e *schemas.BlockEntry) {
	b.blocked = b.blocked || e != nil && e.Action == schemas.ActionBlock
}
