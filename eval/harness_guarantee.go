package eval

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/training"
)

// runGuarantee measures how many benign client-days each nominal alpha would block,
// with two models: the shipped prior in worlds that it was not made from, and
// one trained on the earlier days of other clients of the same worlds.
func runGuarantee(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	seeds := o.pick(20, 1)
	ranked := func(what string, first uint64, eventful bool) ([]*Ranking, error) {
		n := seeds
		if eventful {
			n = (seeds + 1) / 2
		}
		return each(ctx, o, what, n, func(ctx context.Context, i int) (*Ranking, error) {
			cfg := priorLike(first+uint64(i), i, o.pick(400, 60))
			if eventful {
				cfg = cfg.Eventful()
			}
			model, err := acquainted(ctx, cfg, o.Prior)
			if err != nil {
				return nil, err
			}
			w := world{cfg: cfg, setup: Setup{Model: model, Policy: policyAt(1e-3)}, ranked: true, unreported: true}
			_, ranking, err := w.judge(ctx)
			return ranking, err
		})
	}
	fresh, err := ranked("guarantee: prior", 1, false)
	if err != nil {
		return nil, err
	}
	out.add("shipped prior, other seeds", Rates(fresh, o.Alphas))

	clients := o.pick(1000, 100)
	chain := make([]training.Source, seeds)
	knowledge := make([]features.Learnt, seeds)
	for i := range chain {
		cfg := splitWorld(uint64(101+i), clients)
		cfg.Tenant = fmt.Sprintf("w%d", i)
		acquaintance, err := acquainted(ctx, cfg, o.Prior)
		if err != nil {
			return nil, err
		}
		x, err := extraction(Setup{Model: acquaintance, Clients: 1 << 18})
		if err != nil {
			return nil, err
		}
		knowledge[i] = acquaintance.Learnt
		chain[i] = training.Extract(eventsOf(ctx, cfg, half), x)
	}
	model, err := training.Train(training.Chain(chain...), training.Options{
		Name: "trained", Prior: o.Prior, MinStratum: 3000,
		Progress: func(pass, passes int) {
			if o.Progress != nil {
				o.Progress("guarantee: training", pass-1, passes)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	later, err := each(ctx, o, "guarantee: later days, other clients", seeds, func(ctx context.Context, i int) (*Ranking, error) {
		cfg := splitWorld(uint64(101+i), clients)
		cfg.Start = cfg.Start.Add(cfg.Duration)
		own := *model
		own.Learnt = knowledge[i]
		w := world{
			cfg: cfg, keep: func(client []byte) bool { return !half(client) },
			setup: Setup{Model: &own, Policy: policyAt(1e-3)}, ranked: true, unreported: true,
		}
		_, ranking, err := w.judge(ctx)
		return ranking, err
	})
	if err != nil {
		return nil, err
	}
	out.add("trained, later days of other clients", Rates(later, o.Alphas))

	if o.Quick {
		return out, nil
	}
	// No calibration states anything about days unlike its own, so that these
	// have no target: they show what such days cost.
	eventful, err := ranked("guarantee: eventful days", 41, true)
	if err != nil {
		return nil, err
	}
	out.Rates = append(out.Rates, NamedRates{"shipped prior, days with outages, deploys, crowds and launches", Rates(eventful, o.Alphas)})
	return out, nil
}

// add notes rates and holds each against the interval that its calibration
// states.
func (s *SuiteResult) add(name string, rows []RateRow) {
	s.Rates = append(s.Rates, NamedRates{name, rows})
	for _, row := range rows {
		f := Figure{
			Name:     fmt.Sprintf("false blocks at %g, %s", row.Alpha, name),
			Measured: row.Rate, Low: row.Low, High: row.High, N: row.Days,
			Target: fmt.Sprintf("%.3g to %.3g", row.StatedLow, row.StatedHigh), Met: row.Inside(),
		}
		switch row.Kind {
		case kindNone:
			f.Note = "a layer is too small to claim this rate, and blocks nobody"
		case kindExtrapolated:
			f.Note = "extrapolated"
		}
		s.Figures = append(s.Figures, f)
	}
}

// priorLike is a world of the kinds that the shipped prior is made from, with
// another seed.
func priorLike(seed uint64, kind, clients int) simulate.Config {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = seed, clients, 96*time.Hour
	cfg.Start = cfg.Start.AddDate(0, 0, kind%7)
	switch kind % 4 {
	case 1:
		cfg.Activity = 3
	case 2:
		cfg.Mix.Partner, cfg.Mix.Job, cfg.Mix.Crawler, cfg.Mix.Probe = 20, 20, 8, 8
	case 3:
		cfg.World = simulate.OtherWorld()
	}
	return cfg
}

// acquainted is the prior with what extraction knows of a world's APIs, learnt
// from other people than those who are judged: the prior's calibration was made
// so.
func acquainted(ctx context.Context, cfg simulate.Config, prior *scoring.Model) (*scoring.Model, error) {
	cfg.Seed += 1 << 20
	cfg.Clients = 800
	cfg.Duration = 48 * time.Hour
	cfg.Attacks = nil
	learnt, err := training.Knowledge(eventsOf(ctx, cfg, nil))
	if err != nil {
		return nil, fmt.Errorf("learning the world's APIs: %w", err)
	}
	m := *prior
	m.Learnt = *learnt
	return &m, nil
}

// splitWorld is the first two days of a default world.
func splitWorld(seed uint64, clients int) simulate.Config {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = seed, clients, 48*time.Hour
	return cfg
}
