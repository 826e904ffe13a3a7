package eval

import (
	"testing"
	"time"

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
}

func (o *offline) Features(f *schemas.ClientFeatures) { o.s.Features(f, o.offset, o) }
func (o *offline) Aggregate(*schemas.Aggregate)       {}
func (o *offline) Verdict(v *schemas.Verdict)         { o.report.Verdict(v) }
func (o *offline) Block(string, *schemas.BlockEntry)  {}

func run(t *testing.T, cfg simulate.Config) (*Report, int) {
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
	o := &offline{s: s, report: NewReport(g.Labels(), 10*time.Minute)}
	ev := schemas.NewEvent()
	n := 0
	for g.Next(ev) {
		x.Apply(ev, ev.Time, o.offset, o)
		o.offset++
		n++
	}
	x.Flush(o)
	return o.report, n
}

// TestPriorFindsEveryAttack judges a day that the prior has never seen, with
// every attack of the simulator in it.
func TestPriorFindsEveryAttack(t *testing.T) {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = 77, 1500, 24*time.Hour
	cfg.Attacks = simulate.EveryAttack(8*time.Hour, 20*time.Minute, 1)
	r, n := run(t, cfg)
	t.Logf("%d events", n)
	for i, a := range r.Attacks() {
		t.Logf("%-22s %3d of %3d blocked, %3d named, median after %s", a.Name, a.Blocked, a.Entities, a.Named, a.MedianDelay().Round(time.Second))
		if !a.Found() {
			t.Errorf("%s (instance %d) was not found", a.Name, i)
		}
	}
	for _, v := range r.FalseBlocks() {
		t.Errorf("benign client blocked: %s %s", v.Attack, v.Explanation.Text)
	}
}
