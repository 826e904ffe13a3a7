package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	var start, out, labels, classes, mix string
	var attacks []string
	var befalls incidents
	var intensity float64
	var toTopic bool
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Generate labelled API traffic: a benign population, and attacks",
		Long: `Writes events as NDJSON to standard output, a file or the events topic, and
the labels of the attacks to a file. The same seed gives the same traffic.

What happens to everybody is written [API@]START[/DURATION], where START counts
from the beginning: --outage bank@2h/8m, --deploy shop@6h, --crowd 9h/1h.
--events draws outages, deploys, crowds, password-reset waves and new APIs from
the seed, as a company sees them.

Benign classes, with their share of the clients by default (--mix
CLASS=WEIGHT,... changes some; "none" as the first word leaves out the rest):
` + classTable() + `
Attacks (NAME or NAME/VARIANT): ` + attackNames(),
		Example: `  weir simulate --clients 500 --duration 6h --attack credential-stuffing --labels labels.ndjson > events.ndjson
  weir simulate --attack all --intensity 0.5 --topic --brokers kafka:9092
  weir simulate --clients 300 --mix none,human=9,kiosk=1 --outage bank@2h/5m --duration 6h > rough-day.ndjson`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "decides everything that is random")
	f.StringVar(&start, "start", "", "first instant, RFC 3339 (default 2026-03-02T00:00:00Z; with --topic the duration ago)")
	f.DurationVar(&cfg.Duration, "duration", cfg.Duration, "how much time to simulate")
	f.IntVar(&cfg.Clients, "clients", cfg.Clients, "benign people and machines")
	f.Float64Var(&cfg.Activity, "activity", cfg.Activity, "multiplies how often they come")
	f.StringVar(&mix, "mix", "", "weights of benign classes, CLASS=WEIGHT,...")
	f.BoolVar(&befalls.all, "events", false, "add outages, deploys, crowds, reset waves and new APIs, drawn from the seed")
	f.StringSliceVar(&befalls.outages, "outage", nil, "an API answers hardly anybody: [API@]START[/DURATION], 5m long by default")
	f.StringSliceVar(&befalls.deploys, "deploy", nil, "routes and sizes change: [API@]START[/ADOPTION], adopted within 6h by default")
	f.StringSliceVar(&befalls.crowds, "crowd", nil, "a tenth as many newcomers as clients: [API@]START[/DURATION], within 1h by default")
	f.StringSliceVar(&befalls.resets, "reset-wave", nil, "30 % of people must choose a new password: [API@]START[/DURATION], within 6h by default")
	f.DurationVar(&cfg.ClockSkew, "clock-skew", 0, "one client in fifty reports times that are wrong by up to this")
	f.StringVar(&classes, "classes", "", "file for the class of every benign client key, NDJSON")
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
		if mix != "" {
			if cfg.Mix, err = simulate.ParseMix(mix); err != nil {
				return fmt.Errorf("reading --mix: %w", err)
			}
		}
		if err := befalls.add(&cfg); err != nil {
			return err
		}
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
		if classes != "" {
			if err := writeFile(classes, func(w io.Writer) error { return simulate.WriteClasses(w, g) }); err != nil {
				return fmt.Errorf("writing classes: %w", err)
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

// incidents are the flags that say what happens to everybody.
type incidents struct {
	all                              bool
	outages, deploys, crowds, resets []string
}

// add puts the incidents into a simulation.
func (in *incidents) add(cfg *simulate.Config) error {
	for _, kind := range []struct {
		flag   string
		values []string
		length time.Duration // where the value has none
		add    func(api string, start, length time.Duration)
	}{
		{"outage", in.outages, 5 * time.Minute, func(api string, start, length time.Duration) {
			cfg.Outages = append(cfg.Outages, simulate.Outage{API: api, Start: start, Duration: length})
		}},
		{"deploy", in.deploys, 6 * time.Hour, func(api string, start, length time.Duration) {
			cfg.Deploys = append(cfg.Deploys, simulate.Deploy{API: api, At: start, Adoption: length})
		}},
		{"crowd", in.crowds, time.Hour, func(api string, start, length time.Duration) {
			cfg.Crowds = append(cfg.Crowds, simulate.Crowd{API: api, Start: start, Duration: length, Newcomers: cfg.Clients / 10})
		}},
		{"reset-wave", in.resets, 6 * time.Hour, func(api string, start, length time.Duration) {
			cfg.Resets = append(cfg.Resets, simulate.ResetWave{API: api, Start: start, Duration: length, Share: .3})
		}},
	} {
		for _, v := range kind.values {
			api, start, length, err := when(v, kind.length)
			if err != nil {
				return fmt.Errorf("reading --%s: %w", kind.flag, err)
			}
			kind.add(api, start, length)
		}
	}
	slices.SortStableFunc(cfg.Deploys, func(a, b simulate.Deploy) int { return cmp.Compare(a.At, b.At) })
	if in.all {
		*cfg = cfg.Eventful()
	}
	return nil
}

// when reads "[API@]START[/DURATION]".
func when(s string, length time.Duration) (api string, start, _ time.Duration, err error) {
	at := s
	if before, after, ok := strings.Cut(s, "@"); ok {
		api, at = before, after
	}
	at, rest, long := strings.Cut(at, "/")
	if start, err = time.ParseDuration(at); err == nil && long {
		length, err = time.ParseDuration(rest)
	}
	if err != nil {
		return "", 0, 0, fmt.Errorf("%q is not [API@]START[/DURATION]: %w", s, err)
	}
	return api, start, length, nil
}

// classTable lists the benign classes for the help.
func classTable() string {
	var b strings.Builder
	shares := simulate.DefaultMix().Shares()
	for _, c := range simulate.Classes() {
		share := "-"
		if s, ok := shares[c]; ok {
			share = fmt.Sprintf("%.1f %%", 100*s)
		}
		fmt.Fprintf(&b, "  %-10s %7s  %s\n", c, share, c.Description())
	}
	return b.String()
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
		return simulate.EveryAttack(duration/10, duration*85/100/time.Duration(max(1, len(simulate.EveryAttack(0, 0, 1)))), intensity), nil
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
