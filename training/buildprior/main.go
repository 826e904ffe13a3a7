// Command buildprior makes the model that is shipped inside the program, from
// simulated benign traffic alone: run it with go generate ./scoring.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/training"
)

func main() {
	out := flag.String("out", "prior.json.gz", "file to write")
	worlds := flag.Int("worlds", 16, "simulated worlds, each with people of its own")
	clients := flag.Int("clients", 800, "benign clients of each world")
	days := flag.Int("days", 4, "days of each world")
	table := flag.String("client-days", "", "write every client-day's maxima to this CSV file")
	flag.Parse()
	if err := build(*out, *table, *worlds, *clients, *days); err != nil {
		fmt.Fprintln(os.Stderr, "buildprior:", err)
		os.Exit(1)
	}
}

// minStratum gives applications a layer of their own, though what it claims beyond
// one in a few hundred is extrapolated: they are too unlike everybody else to
// share one.
const minStratum = 1000

func build(out, table string, worlds, clients, days int) error {
	var sources []training.Source
	for i := range worlds {
		cfg := simulate.DefaultConfig()
		cfg.Seed = uint64(1000 + i)
		// A day more than is counted would teach nothing; weeks begin on any day.
		cfg.Start = time.Date(2026, 3, 2+i%7, 0, 0, 0, 0, time.UTC)
		cfg.Duration = time.Duration(days) * 24 * time.Hour
		cfg.Clients = clients
		switch i % 4 {
		case 1:
			cfg.Activity = 3
		case 2:
			// Machines are few among clients and many among calls: worlds of mostly
			// machines teach enough about them.
			cfg.Mix.Partner, cfg.Mix.Job, cfg.Mix.Crawler, cfg.Mix.Probe = 20, 20, 8, 8
		case 3:
			cfg.World = simulate.OtherWorld()
		}
		fcfg := features.DefaultConfig()
		fcfg.Clients = 1 << 20
		var err error
		if fcfg.Knowledge, err = acquaint(cfg, fmt.Sprintf("w%d", i)); err != nil {
			return err
		}
		sources = append(sources, training.Extract(events(cfg, fmt.Sprintf("w%d", i)), fcfg))
	}
	began := time.Now()
	var tell func(string, bool, scoring.Scores)
	if table != "" {
		f, err := os.Create(table)
		if err != nil {
			return fmt.Errorf("creating the table of client-days: %w", err)
		}
		w := bufio.NewWriter(f)
		defer func() {
			if err := errors.Join(w.Flush(), f.Close()); err != nil {
				fmt.Fprintln(os.Stderr, "buildprior: writing the table of client-days:", err)
			}
		}()
		tell = func(stratum string, held bool, peaks scoring.Scores) {
			fmt.Fprintf(w, "%s,%v", stratum, held)
			for _, x := range peaks {
				fmt.Fprintf(w, ",%.3f", x)
			}
			fmt.Fprintln(w)
		}
	}
	cache, err := training.NewCache(training.Chain(sources...), "")
	if err != nil {
		return err
	}
	defer func() {
		if err := cache.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "buildprior: removing the cache:", err)
		}
	}()
	m, err := training.Train(cache.Source, training.Options{
		Name: "prior", ClientDays: tell, MinStratum: minStratum,
		Progress: func(pass, passes int) {
			fmt.Fprintf(os.Stderr, "%6s pass %d of %d over %d worlds\n", time.Since(began).Round(time.Second), pass, passes, worlds)
		},
	})
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("creating the model file: %w", err)
	}
	if err := m.Write(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the model file: %w", err)
	}
	describe(m)
	return nil
}

// acquaint learns what extraction needs to know of a world's APIs, from other
// people than those who are judged by it. Only the prior's calibration rests on
// it: what evidence of known routes looks like among benign clients. The APIs
// themselves are nobody's but the simulation's, and are not shipped.
func acquaint(cfg simulate.Config, tenant string) (*features.Knowledge, error) {
	cfg.Seed += 1 << 20
	cfg.Clients = 800
	cfg.Duration = 48 * time.Hour
	learnt, err := training.Knowledge(events(cfg, tenant))
	if err != nil {
		return nil, fmt.Errorf("learning the world's APIs: %w", err)
	}
	return features.NewKnowledge(learnt, nil)
}

// events simulates a world under a tenant of its own, so that its clients are
// not another world's.
func events(cfg simulate.Config, tenant string) training.Events {
	cfg.Tenant = tenant
	return func(yield func(*schemas.Event)) error {
		g, err := simulate.New(cfg)
		if err != nil {
			return err
		}
		ev := schemas.NewEvent()
		for g.Next(ev) {
			yield(ev)
		}
		return nil
	}
}

func describe(m *scoring.Model) {
	fmt.Fprintf(os.Stderr, "model %s\n", m.Version)
	for name, b := range m.Strata {
		fmt.Fprintf(os.Stderr, "%-12s clients %6d windows %8d requests %.2f objects %.2f bounds %.2f novelty %.3f entropy %.2f floor %.2f\n",
			name, b.Clients, b.Windows, b.Requests.Mean, b.Objects.Mean, b.Bounds, b.Novelty, b.Entropy.Mean, b.EntropyFloor)
	}
	for name, c := range m.Calibration {
		fmt.Fprintf(os.Stderr, "%-12s %6d client-days held out;", name, c.N)
		for _, alpha := range []float64{1e-2, 1e-3, 1e-4} {
			t, ok := c.Threshold(alpha)
			fmt.Fprintf(os.Stderr, "  %g: %.2f %v", alpha, t, ok)
		}
		fmt.Fprintf(os.Stderr, "  top %.1f\n", c.Top[:min(5, len(c.Top))])
		for k, t := range c.Tails {
			fmt.Fprintf(os.Stderr, "             channel %d tail %.1f\n", k, t.X)
		}
	}
}
