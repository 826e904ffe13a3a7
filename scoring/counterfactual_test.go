package scoring

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

// reasoned is one channel behind a verdict.
type reasoned struct {
	channel int
	Reason
}

// reasons are the channels that a verdict's explanation counts.
func (j *judgement) reasons(view *Evidence) []reasoned {
	leader := j.leader()
	var out []reasoned
	for channel, e := range j.evidence {
		if channel == leader || counts(e, j.evidence[leader]) {
			out = append(out, reasoned{channel, familyOf(channel).Explain(channel, j.f, &j.context, view)})
		}
	}
	return out
}

// withoutTop is the combined evidence if the first features of an explanation had
// been as expected, which changes the statistics of the channels behind them.
func (j *judgement) withoutTop(first int, x *schemas.Explanation, view *Evidence) float64 {
	top := map[string]bool{}
	for _, e := range x.Features[:min(first, len(x.Features))] {
		top[e.Name] = true
	}
	s := j.scores
	for _, r := range j.reasons(view) {
		hit := top[r.Feature.Name]
		for _, p := range r.Parts {
			hit = hit || top[p.Name]
		}
		if hit {
			s[r.channel] = r.At(r.Feature.Expected)
		}
	}
	var parts Scores
	return j.ladder.calibration.combine(&s, &parts)
}

// extracted takes what an Extractor makes.
type extracted struct{ b *bench }

func (x extracted) Features(f *schemas.ClientFeatures) {
	x.b.Features(f, x.b.offset, x.b)
	x.b.offset++
}
func (extracted) Aggregate(*schemas.Aggregate) {}

// What a counterfactual says holds: with the feature at what it names the action
// would not have been taken, with one more it would.
func TestCounterfactualsHold(t *testing.T) {
	said := 0
	for _, s := range scenarios {
		b := newBench(t, s.config)
		b.capture = func(v *schemas.Verdict, j *judgement, view *Evidence) {
			if v.Calibration.Kind == Rule {
				return
			}
			leader := j.leader()
			r := familyOf(leader).Explain(leader, j.f, &j.context, view)
			x, alone, ok := j.limit(leader, &r)
			if !ok {
				t.Errorf("%s: nothing could have been otherwise", s.name)
				return
			}
			said++
			text := v.Explanation.Counterfactual
			if strings.Contains(text, "the rest as usual") != alone || !strings.HasPrefix(text, "With ") || !strings.HasSuffix(text, "ed.") {
				t.Errorf("%s: alone %v, %q", s.name, alone, text)
			}
			if !j.bearable(leader, &r, x, alone) {
				t.Errorf("%s: %v leads to the action", s.name, x)
			}
			// One more of many, a little more of what is measured.
			more := math.Floor(x+1e-9) + 1
			if continuous[r.Feature.Name] || r.Feature.Observed > 1e4 {
				more = x + 0.01*(r.Feature.Observed-r.Feature.Expected)
			}
			if j.bearable(leader, &r, more, alone) {
				t.Errorf("%s: %q, but %v does not lead to it either", s.name, text, more)
			}
			var stated float64
			if strings.HasPrefix(text, "With at most ") && !strings.Contains(r.Feature.Name, "_bytes_") {
				if _, err := fmt.Sscanf(text, "With at most %g ", &stated); err != nil {
					t.Fatalf("%s: %q", s.name, text)
				}
				if !j.bearable(leader, &r, stated, alone) || stated > x+1e-6 {
					t.Errorf("%s: %q, the limit is %v", s.name, text, x)
				}
			}
		}
		s.prepare(b)
		s.act(b)
	}
	if said < len(scenarios)-2 {
		t.Errorf("%d of %d scenarios have a counterfactual", said, len(scenarios))
	}
}

// The reasons given are the reasons: where the first three features had been as
// expected, nothing would have happened.
func TestExplanationsAreFaithful(t *testing.T) {
	if raceEnabled {
		t.Skip("a day of traffic in one goroutine: nothing for the race detector, which takes a minute for it")
	}
	model, err := Prior()
	if err != nil {
		t.Fatal(err)
	}
	sim := simulate.DefaultConfig()
	sim.Clients, sim.Seed = 300, 7
	sim.Attacks = simulate.EveryAttack(time.Hour, 8*time.Minute, 1)
	g, err := simulate.New(sim)
	if err != nil {
		t.Fatal(err)
	}
	x := features.DefaultConfig()
	x.Clients, x.Shards, x.FinalOnly = 20_000, 1, true
	if x.Knowledge, err = features.NewKnowledge(&model.Learnt, nil); err != nil {
		t.Fatal(err)
	}
	extractor, err := features.New(x)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *Config) { c.Model, c.Clients, c.Shards = model, 20_000, 1 })
	alerts, faithful := 0, 0
	unfaithful := map[string]int{}
	b.capture = func(v *schemas.Verdict, j *judgement, view *Evidence) {
		if v.Calibration.Kind == Rule {
			return
		}
		alerts++
		if j.withoutTop(3, &v.Explanation, view) <= j.ladder.at[RankThrottle] {
			faithful++
			return
		}
		unfaithful[v.Attack]++
	}
	ev := schemas.NewEvent()
	for offset := int64(0); g.Next(ev); offset++ {
		extractor.Apply(ev, ev.Time, offset, extracted{b})
	}
	extractor.Flush(extracted{b})
	if alerts < 50 {
		t.Fatalf("only %d alerts", alerts)
	}
	share := float64(faithful) / float64(alerts)
	t.Logf("%d of %d alerts (%.1f %%) fall below the lowest rung without their first three features; others: %v", faithful, alerts, 100*share, unfaithful)
	if share < 0.9 {
		t.Errorf("%.1f %% of alerts are explained by their first three features, want 90 %%", 100*share)
	}
}
