package eval

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/guarantee"
	"github.com/weir-dev/weir/simulate"
)

// recallAlpha is the rate of false blocks per client-day at which recall is
// measured.
const recallAlpha = 1e-3

// Intensities are those of the recall curve.
func Intensities() []float64 { return []float64{0.25, 0.5, 1, 2} }

// IntensityRow is one attack's recall at one intensity.
type IntensityRow struct {
	Attack    string  `json:"attack"`
	Variant   string  `json:"variant"`
	Intensity float64 `json:"intensity"`
	Instances int     `json:"instances"`
	Found     int     `json:"found"`
	Recall    float64 `json:"recall"`
}

// TradeoffPoint is what one alpha finds and what it costs.
type TradeoffPoint struct {
	Alpha       float64 `json:"alpha"`
	Recall      float64 `json:"recall"`       // share of labelled entities, each attack counting alike
	FalseBlocks float64 `json:"false_blocks"` // share of benign client-days
}

// AblationRow is what is lost without one family of evidence.
type AblationRow struct {
	Without string             `json:"without"` // empty: all families
	Recall  float64            `json:"recall"`
	Blocked float64            `json:"false_blocks"`
	Lost    map[string]float64 `json:"lost,omitempty"` // recall by attack, where it falls
}

// history is how long clients are known before the attacks of a test begin. The
// first two days of it are those that models are trained on.
const history = 72 * time.Hour

// attackWorld is a day and a half of a world with attacks, a day after the ones
// that its model was trained on.
func attackWorld(seed uint64, clients int, of simulate.World) (train, test simulate.Config) {
	train = simulate.DefaultConfig()
	train.Seed, train.Clients, train.Duration, train.World = seed, clients, 48*time.Hour, of
	test = train
	test.Duration = history + 36*time.Hour
	return train, test
}

// trained are the models of the recall suite's worlds.
type trainedWorld struct {
	test  simulate.Config
	model *scoring.Model
}

func trainWorlds(ctx context.Context, o *Options, seeds, clients int) ([]trainedWorld, error) {
	return each(ctx, o, "recall: training", seeds, func(ctx context.Context, i int) (trainedWorld, error) {
		train, test := attackWorld(uint64(201+i), clients, simulate.DefaultWorld())
		m, err := learn(eventsOf(ctx, train, nil), o.Prior)
		return trainedWorld{test, m}, err
	})
}

type judged struct {
	result  *Result
	ranking *Ranking
}

// judgeAttacks runs every attack of an intensity in each world.
func judgeAttacks(ctx context.Context, o *Options, what string, worlds []trainedWorld, count int, intensity float64, ranked bool, without string) ([]judged, error) {
	return each(ctx, o, what, len(worlds), func(ctx context.Context, i int) (judged, error) {
		cfg := worlds[i].test
		specs, err := everyAttack(cfg, history+3*time.Hour, 6*time.Minute, count, intensity)
		if err != nil {
			return judged{}, err
		}
		cfg.Attacks = specs
		setup := Setup{Model: worlds[i].model, Policy: policyAt(recallAlpha), From: cfg.Start.Add(history)}
		w := world{cfg: cfg, setup: setup.without(without, o.Without), ranked: ranked}
		report, ranking, err := w.judge(ctx)
		if err != nil {
			return judged{}, err
		}
		return judged{report.Result(), ranking}, nil
	})
}

func total(runs []judged) *Result {
	sum := new(Result)
	for _, r := range runs {
		sum.Add(r.result)
	}
	return sum
}

// runRecall measures what is found of every attack of the catalogue, on days after
// those that the models were trained on.
func runRecall(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	worlds, err := trainWorlds(ctx, o, o.pick(8, 1), o.pick(500, 60))
	if err != nil {
		return nil, err
	}
	runs, err := judgeAttacks(ctx, o, "recall: every attack", worlds, o.pick(2, 1), 1, true, "")
	if err != nil {
		return nil, err
	}
	sum := total(runs)
	out.Attacks, out.Classes = ordered(sum.Attacks()), sum.FalseBlockTable()
	out.Collateral = &sum.Collateral
	out.Figures = recallFigures(out.Attacks)
	var rankings []*Ranking
	for _, r := range runs {
		rankings = append(rankings, r.ranking)
	}
	out.Tradeoff = tradeoff(rankings)

	few := worlds[:min(len(worlds), o.pick(3, 1))]
	for _, intensity := range Intensities() {
		at := sum
		if o.Quick && intensity != 1 {
			continue
		}
		if intensity != 1 {
			runs, err := judgeAttacks(ctx, o, fmt.Sprintf("recall: intensity %g", intensity), few, o.pick(2, 1), intensity, false, "")
			if err != nil {
				return nil, err
			}
			at = total(runs)
		}
		for _, row := range ordered(at.Attacks()) {
			out.Intensities = append(out.Intensities, IntensityRow{row.Attack, row.Variant, intensity, row.Instances, row.Found, row.Recall})
		}
	}
	if err := specials(ctx, o, worlds, out); err != nil {
		return nil, err
	}
	if o.Without != nil {
		if out.Ablation, err = ablation(ctx, o, few); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ordered puts rows in the order of the catalogue.
func ordered(rows []AttackRow) []AttackRow {
	at := map[string]int{}
	for i, a := range simulate.EveryAttack(0, 0, 1) {
		at[a.Name+"/"+a.Variant] = i
	}
	slices.SortStableFunc(rows, func(a, b AttackRow) int { return at[a.Attack+"/"+a.Variant] - at[b.Attack+"/"+b.Variant] })
	return rows
}

// recallFigures holds each attack, all its variants together, and all attacks
// against their targets.
func recallFigures(rows []AttackRow) []Figure {
	var out []Figure
	atLeast := func(name string, found, n int, target float64) {
		f := Figure{Name: name, Measured: share(found, n), N: n, Target: fmt.Sprintf(">= %g", target)}
		f.Low, f.High = guarantee.ClopperPearson(found, n, 0.95)
		f.Met = f.Measured >= target
		out = append(out, f)
	}
	found, n := 0, 0
	for _, row := range rows {
		if row.Variant == "" {
			// Calls that were refused as unauthenticated carry a key of their own, and
			// so a label; the attack that they belong to is counted by the other.
			continue
		}
		atLeast("recall of "+row.Attack+"/"+row.Variant, row.Found, row.Instances, 0.9)
		found, n = found+row.Found, n+row.Instances
	}
	atLeast("recall of all attacks", found, n, 0.95)
	return out
}

// tradeoff is the recall and the false blocks at alphas from 1e-1 to 1e-5, from
// the evidence alone: no client is blocked on the way.
func tradeoff(rankings []*Ranking) []TradeoffPoint {
	var alphas []float64
	for e := -1.0; e >= -5; e -= .5 {
		alphas = append(alphas, math.Pow(10, e))
	}
	var out []TradeoffPoint
	for i, row := range Rates(rankings, alphas) {
		if row.Kind == kindNone {
			continue
		}
		found, labels, limits := map[string]int{}, map[string]int{}, thresholdsAt(alphas[i])
		for _, r := range rankings {
			for _, l := range r.attacks {
				labels[l.label.Attack]++
				if limits.exceeded(l.peaks) {
					found[l.label.Attack]++
				}
			}
		}
		mean := 0.0
		for _, attack := range slices.Sorted(maps.Keys(labels)) {
			mean += share(found[attack], labels[attack]) / float64(len(labels))
		}
		out = append(out, TradeoffPoint{alphas[i], mean, row.Rate})
	}
	return out
}

// ablation turns the families of evidence off, one at a time.
func ablation(ctx context.Context, o *Options, worlds []trainedWorld) ([]AblationRow, error) {
	var out []AblationRow
	var whole *Result
	for _, family := range append([]string{""}, ablated()...) {
		what := "recall: all families"
		if family != "" {
			what = "recall: without " + family
		}
		runs, err := judgeAttacks(ctx, o, what, worlds, 1, 1, false, family)
		if err != nil {
			return nil, err
		}
		part := total(runs)
		if whole == nil {
			whole = part
		}
		out = append(out, lost(family, whole, part))
	}
	return out, nil
}

// specials measures the attacks that have targets of their own.
func specials(ctx context.Context, o *Options, worlds []trainedWorld, out *SuiteResult) error {
	failures, err := stuffingFailures(o.Prior, policyAt(recallAlpha))
	if err != nil {
		return err
	}
	strict, err := stuffingFailures(o.Prior, scoring.DefaultPolicy())
	if err != nil {
		return err
	}
	out.Figures = append(out.Figures, Figure{
		Name: "failed logins until the block, at any pace", Measured: float64(failures), N: len(stuffingPaces()) * 3,
		Low: float64(failures), High: float64(failures), Target: "<= 15", Met: failures <= 15,
		Note: fmt.Sprintf("%d under the default policy of one in 10,000", strict),
	})
	many := func(name, what string, target float64, within func(*Instance) bool) error {
		if !slices.Contains(simulate.Attacks(), name) {
			out.Figures = append(out.Figures, Figure{Name: what, Target: fmt.Sprintf(">= %g", target), High: 1, Note: "not simulated"})
			return nil
		}
		variant := simulate.Variants(name)[0]
		runs, err := each(ctx, o, "recall: "+what, min(len(worlds), o.pick(3, 1)), func(ctx context.Context, i int) (*Result, error) {
			cfg := worlds[i].test
			for k := range o.pick(40, 4) {
				cfg.Attacks = append(cfg.Attacks, simulate.AttackSpec{Name: name, Variant: variant, Start: history + 2*time.Hour + time.Duration(k)*9*time.Minute})
			}
			w := world{cfg: cfg, setup: Setup{Model: worlds[i].model, Policy: policyAt(recallAlpha), From: cfg.Start.Add(history)}}
			report, _, err := w.judge(ctx)
			if err != nil {
				return nil, err
			}
			return report.Result(), nil
		})
		if err != nil {
			return err
		}
		found, n := 0, 0
		for _, r := range runs {
			for i := range r.Instances {
				n++
				if r.Instances[i].Found() && within(&r.Instances[i]) {
					found++
				}
			}
		}
		f := Figure{Name: what, Measured: share(found, n), N: n, Target: fmt.Sprintf(">= %g", target), Met: share(found, n) >= target}
		f.Low, f.High = guarantee.ClopperPearson(found, n, 0.95)
		out.Figures = append(out.Figures, f)
		return nil
	}
	if err := many(schemas.AttackIntervalAbuse, "interval abuse found within 16 calls", 0.92, func(in *Instance) bool {
		return quantile(in.Requests, 0) <= 16
	}); err != nil {
		return err
	}
	if err := many(schemas.AttackSlowExfiltration, "slow exfiltration found within a day", 0.8, func(in *Instance) bool {
		return in.First <= 24*time.Hour
	}); err != nil {
		return err
	}
	return distributed(ctx, o, worlds, out)
}

// distributed measures the attack that no client shows alone: how soon anything
// stops it, and whether the API's benign clients pay for that.
func distributed(ctx context.Context, o *Options, worlds []trainedWorld, out *SuiteResult) error {
	const name = schemas.AttackDistributedDoS
	late := Figure{Name: "seconds to the first block of a distributed DoS (slowest)", Target: "<= 60"}
	hurt := Figure{Name: "benign clients of the API blocked for a distributed DoS", Target: "0"}
	if !slices.Contains(simulate.Attacks(), name) {
		late.Note, hurt.Note = "not simulated", "not simulated"
		out.Figures = append(out.Figures, late, hurt)
		return nil
	}
	variants := simulate.Variants(name)
	if o.Quick {
		variants = variants[:1]
	}
	n := min(len(worlds), o.pick(4, 1)) * len(variants)
	runs, err := each(ctx, o, "recall: distributed DoS", n, func(ctx context.Context, i int) (*Report, error) {
		t := worlds[i/len(variants)]
		cfg := t.test
		cfg.Duration = history + 8*time.Hour
		cfg.Attacks = []simulate.AttackSpec{{Name: name, Variant: variants[i%len(variants)], Start: history + 5*time.Hour}}
		w := world{cfg: cfg, setup: Setup{Model: t.model, Policy: policyAt(recallAlpha), From: cfg.Start.Add(history)}}
		report, _, err := w.judge(ctx)
		return report, err
	})
	if err != nil {
		return err
	}
	for _, report := range runs {
		r := report.Result()
		for i := range r.Instances {
			late.N++
			seconds := math.Inf(1)
			if r.Instances[i].Found() {
				seconds = r.Instances[i].First.Seconds()
			} else {
				late.Note = "not every instance was found"
			}
			late.Measured = max(late.Measured, min(seconds, 1e6))
		}
		hurt.N++
		people := r.Collateral.People
		for _, b := range report.FalseBlocks() {
			if b.Verdict.Attack == name {
				people++
			}
		}
		hurt.Measured += float64(people)
	}
	late.Low, late.High = late.Measured, late.Measured
	hurt.Low, hurt.High = hurt.Measured, hurt.Measured
	late.Met, hurt.Met = late.Measured <= 60, hurt.Measured == 0
	out.Figures = append(out.Figures, late, hurt)
	return nil
}
