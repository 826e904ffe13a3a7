package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

func simulateCommand() *cobra.Command {
	cfg := simulate.DefaultConfig()
	var start, out, labels string
	var attacks []string
	var intensity float64
	var toTopic bool
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Generate labelled API traffic: a benign population, and attacks",
		Long: `Writes events as NDJSON to standard output, a file or the events topic, and
the labels of the attacks to a file. The same seed gives the same traffic.

Attacks (NAME or NAME/VARIANT): ` + attackNames(),
		Example: `  weir simulate --clients 500 --duration 6h --attack credential-stuffing --labels labels.ndjson > events.ndjson
  weir simulate --attack all --intensity 0.5 --topic --brokers kafka:9092`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "decides everything that is random")
	f.StringVar(&start, "start", "", "first instant, RFC 3339 (default 2026-03-02T00:00:00Z; with --topic the duration ago)")
	f.DurationVar(&cfg.Duration, "duration", cfg.Duration, "how much time to simulate")
	f.IntVar(&cfg.Clients, "clients", cfg.Clients, "benign people and machines")
	f.Float64Var(&cfg.Activity, "activity", cfg.Activity, "multiplies how often they come")
	f.StringSliceVar(&cfg.APIs, "apis", nil, "only these APIs of the simulated world")
	f.StringSliceVar(&attacks, "attack", nil, "attacks to add, or all")
	f.Float64Var(&intensity, "intensity", 1, "how blatant attacks are, 0.01 (stealthy) to 100")
	f.StringVar(&out, "file", "-", "file for the events; - is standard output")
	f.StringVar(&labels, "labels", "", "file for the labels, NDJSON")
	f.BoolVar(&toTopic, "topic", false, "publish to the events topic instead of a file")
	load := settings(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case start != "":
			t, err := time.Parse(time.RFC3339, start)
			if err != nil {
				return fmt.Errorf("reading --start: %w", err)
			}
			cfg.Start = t
		case toTopic:
			cfg.Start = time.Now().UTC().Add(-cfg.Duration).Truncate(time.Second)
		}
		var err error
		if cfg.Attacks, err = attackSpecs(attacks, cfg.Duration, intensity); err != nil {
			return err
		}
		g, err := simulate.New(cfg)
		if err != nil {
			return err
		}
		if labels != "" {
			if err := writeFile(labels, func(w io.Writer) error { return simulate.WriteLabels(w, g.Labels()) }); err != nil {
				return fmt.Errorf("writing labels: %w", err)
			}
		}
		n := 0
		switch {
		case toTopic:
			n, err = publishSimulated(c.Context(), load, g)
		case out == "-":
			w := bufio.NewWriterSize(c.OutOrStdout(), 1<<16)
			if n, err = simulate.WriteNDJSON(w, g); err == nil {
				err = w.Flush()
			}
		default:
			err = writeFile(out, func(w io.Writer) error {
				var err error
				n, err = simulate.WriteNDJSON(w, g)
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("writing events: %w", err)
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d events, %d labelled entities\n", n, len(g.Labels()))
		return nil
	}
	return c
}

func attackNames() string {
	var names []string
	for _, a := range simulate.Attacks() {
		names = append(names, a)
		for _, v := range simulate.Variants(a) {
			names = append(names, a+"/"+v)
		}
	}
	return strings.Join(names, ", ")
}

// attackSpecs spreads the named attacks over the simulation.
func attackSpecs(names []string, duration time.Duration, intensity float64) ([]simulate.AttackSpec, error) {
	if len(names) == 1 && names[0] == "all" {
		return simulate.EveryAttack(duration/10, duration/40, intensity), nil
	}
	var specs []simulate.AttackSpec
	for i, name := range names {
		attack, variant, _ := strings.Cut(name, "/")
		if attack == "all" {
			return nil, errors.New("--attack all stands alone")
		}
		specs = append(specs, simulate.AttackSpec{
			Name: attack, Variant: variant, Intensity: intensity,
			Start: duration/10 + time.Duration(i)*duration/time.Duration(2*len(names)),
		})
	}
	return specs, nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		_ = f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// publishSimulated writes the events to the events topic, keyed as gateways do.
func publishSimulated(ctx context.Context, load func() (*config.Config, error), g *simulate.Generator) (int, error) {
	cfg, err := load()
	if err != nil {
		return 0, err
	}
	probe, err := client(ctx, cfg)
	if err != nil {
		return 0, err
	}
	probe.Close()
	opts, err := cluster(cfg)
	if err != nil {
		return 0, err
	}
	cl, err := kgo.NewClient(append(opts, pipeline.EventProducerOptions()...)...)
	if err != nil {
		return 0, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	progress := bar(-1, "publishing")
	defer func() { _ = progress.Finish() }()
	topic := pipeline.TopicsUnder(cfg.Kafka.TopicPrefix).Events
	var failed error
	promise := func(_ *kgo.Record, err error) {
		if err != nil && failed == nil { // promises run one after another
			failed = err
		}
	}
	ev := schemas.NewEvent()
	n := 0
	for g.Next(ev) {
		rec := pipeline.EventRecord(topic, ev, features.AppendClientKey(nil, ev))
		cl.Produce(ctx, rec, promise)
		n++
		_ = progress.Add(len(rec.Value))
	}
	if err := cl.Flush(ctx); err != nil {
		return n, err
	}
	return n, failed
}
