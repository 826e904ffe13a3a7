package eval

import (
	"context"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

// FramingRow is what became of those whom attackers try to have blocked.
type FramingRow struct {
	Framing string `json:"framing"`
	Victims int    `json:"victims"`
	Blocked int    `json:"victims_blocked"`
	Attacks int    `json:"attacks"`
	Found   int    `json:"attacks_found"`
	Refused int    `json:"people_refused"` // by blocks of shared entities
}

// runFraming lets attackers try to have others blocked.
func runFraming(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	framings := simulate.Framings()
	seeds := o.pick(6, 1)
	type run struct {
		framing string
		row     FramingRow
	}
	runs, err := each(ctx, o, "framing", seeds*len(framings), func(ctx context.Context, i int) (run, error) {
		name := framings[i%len(framings)]
		cfg := simulate.DefaultConfig()
		cfg.Seed, cfg.Clients, cfg.Duration = uint64(501+i/len(framings)), o.pick(300, 200), 24*time.Hour
		for k, variant := range simulate.Variants(name) {
			for n := range 3 {
				cfg.Attacks = append(cfg.Attacks, simulate.AttackSpec{Name: name, Variant: variant, Start: time.Duration(4+5*n)*time.Hour + time.Duration(k)*time.Hour})
			}
		}
		row, err := frame(ctx, cfg, o.Prior)
		return run{name, row}, err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range framings {
		sum := FramingRow{Framing: name}
		for _, r := range runs {
			if r.framing == name {
				sum.Victims += r.row.Victims
				sum.Blocked += r.row.Blocked
				sum.Attacks += r.row.Attacks
				sum.Found += r.row.Found
				sum.Refused += r.row.Refused
			}
		}
		out.Framings = append(out.Framings, sum)
		out.Figures = append(out.Figures, Figure{
			Name: "victims blocked by " + name, Measured: float64(sum.Blocked), Low: float64(sum.Blocked), High: float64(sum.Blocked),
			N: sum.Victims, Target: "0", Met: sum.Blocked == 0 && sum.Victims > 0,
		})
	}
	return out, nil
}

// frame counts the victims who are blocked under the policy at which recall is
// measured, which blocks more readily than the default one. Who is blocked in the
// same world without the attackers, for what it does itself, was framed by nobody.
func frame(ctx context.Context, cfg simulate.Config, model *scoring.Model) (FramingRow, error) {
	g, err := simulate.New(cfg)
	if err != nil {
		return FramingRow{}, err
	}
	victims := map[schemas.Entity]bool{}
	for _, v := range g.Victims() {
		victims[v] = false
	}
	peaceful := cfg
	peaceful.Attacks = nil
	own := map[schemas.Entity]bool{}
	p := world{cfg: peaceful, setup: Setup{Model: model, Policy: policyAt(recallAlpha)}}
	p.setup.Verdict = func(v *schemas.Verdict) {
		if v.Action == schemas.ActionBlock {
			own[v.Entity] = true
		}
	}
	if _, _, err := p.judge(ctx); err != nil {
		return FramingRow{}, err
	}
	w := world{cfg: cfg, setup: Setup{Model: model, Policy: policyAt(recallAlpha)}}
	w.setup.Verdict = func(v *schemas.Verdict) {
		if _, ok := victims[v.Entity]; ok && v.Action == schemas.ActionBlock {
			victims[v.Entity] = true
		}
	}
	report, _, err := w.judge(ctx)
	if err != nil {
		return FramingRow{}, err
	}
	r := report.Result()
	row := FramingRow{Victims: len(victims), Refused: r.Collateral.People}
	row.Found, row.Attacks = r.Recall()
	for v, blocked := range victims {
		if blocked && !own[v] {
			row.Blocked++
		}
	}
	return row, nil
}
