package eval

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

// Labelled is traffic that carries labels.
type Labelled struct {
	Labels []schemas.Label
	Events training.Events // the same on every call
	Setup  Setup
	Alphas []float64
	// Without, where set, asks for an ablation.
	Without func(cfg *scoring.Config, family string)
}

// instanceGap is how far apart the labels of one attack may begin and still be
// one instance of it.
const instanceGap = 10 * time.Minute

// Judge measures detection on the traffic. The same traffic gives the same
// result, but for its Seconds.
func (l *Labelled) Judge() (*SuiteResult, error) {
	began := time.Now()
	out := &SuiteResult{Suite: "labelled events"}
	ranking := NewRanking(l.Labels)
	sum, err := l.run(l.Setup, ranking)
	if err != nil {
		return nil, err
	}
	out.Attacks, out.Classes, out.Collateral = sum.Attacks(), sum.FalseBlockTable(), &sum.Collateral
	out.Rates = []NamedRates{{"had nobody been blocked", Rates([]*Ranking{ranking}, l.Alphas)}}
	out.Tradeoff = tradeoff([]*Ranking{ranking})
	if l.Without != nil {
		whole := sum
		out.Ablation = append(out.Ablation, lost("", whole, whole))
		for _, family := range ablated() {
			part, err := l.run(l.Setup.without(family, l.Without), nil)
			if err != nil {
				return nil, fmt.Errorf("without the family %s: %w", family, err)
			}
			out.Ablation = append(out.Ablation, lost(family, whole, part))
		}
	}
	out.Seconds = time.Since(began).Seconds()
	return out, nil
}

func (l *Labelled) run(setup Setup, ranking *Ranking) (*Result, error) {
	report := NewReport(l.Labels, instanceGap)
	e, err := NewEngine(setup, report, ranking)
	if err != nil {
		return nil, err
	}
	if err := l.Events(func(ev *schemas.Event) { e.Event(ev, Unknown()) }); err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	e.Close()
	return report.Result(), nil
}

// together names what many clients show together, beside the families of
// evidence about one.
const together = "crowd"

// ablated lists what an ablation leaves out, one at a time.
func ablated() []string { return append(scoring.FamilyNames(), together) }

// without leaves out a family, turned off by off, or what many clients show
// together; "" leaves out nothing.
func (s Setup) without(family string, off func(*scoring.Config, string)) Setup {
	switch family {
	case "":
	case together:
		s.Alone = true
	default:
		s.Configure = func(c *scoring.Config) { off(c, family) }
	}
	return s
}

// lost compares a run without a family with the whole one.
func lost(family string, whole, part *Result) AblationRow {
	found, n := part.Recall()
	row := AblationRow{Without: family, Recall: share(found, n), Blocked: part.FalseBlockTable()[0].Rate, Lost: map[string]float64{}}
	before := map[string]float64{}
	for _, a := range whole.Attacks() {
		before[a.Attack+"/"+a.Variant] = a.Recall
	}
	for _, a := range part.Attacks() {
		if name := a.Attack + "/" + a.Variant; a.Recall < before[name] {
			row.Lost[name] = a.Recall
		}
	}
	return row
}
