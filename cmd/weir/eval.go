package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/eval"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// evalSettings are the flags of weir eval.
type evalSettings struct {
	beside                            string
	labels, model, output, plots, out string
	train, suites                     []string
	alphas                            []float64
	disorder                          time.Duration
	parse                             ingest.ParseOptions
	ablation, quick, strict           bool
}

func evalCommand() *cobra.Command {
	var o evalSettings
	c := &cobra.Command{
		Use:   "eval [EVENTS]",
		Short: "Measure detection quality: recall, time to block, false blocks",
		Long: `With EVENTS and --labels, judges labelled traffic (as weir simulate writes it,
or logs of any known format) and prints what was found of each attack, after how
many requests and seconds, how much damage was done before the block, and how
many benign client-days were blocked, beside what several nominal rates promise.
Every entity without a label counts as benign.

Without EVENTS, runs the simulated suites that detection is held to, and prints
every figure beside its target. Suites: all, ` + strings.Join(eval.Suites(), ", "),
		Example: `  weir simulate --attack all --labels labels.ndjson --file events.ndjson
  weir eval events.ndjson --labels labels.ndjson
  weir eval --suite guarantee,recall --out results --strict`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			inJSON, err := asJSON(o.output, c.OutOrStdout())
			if err != nil {
				return err
			}
			for _, alpha := range o.alphas {
				if !(alpha > 0 && alpha < 1) {
					return fmt.Errorf("--alpha %g does not lie between 0 and 1", alpha)
				}
			}
			switch {
			case len(args) == 1 && o.labels == "":
				return errors.New("EVENTS need --labels: without them nothing says what was an attack")
			case len(args) == 1 && len(o.suites) > 0:
				return errors.New("--suite runs simulated traffic and takes no EVENTS")
			case len(args) == 1:
				return o.evalFile(c, args[0], inJSON)
			case o.labels != "":
				return errors.New("--labels need EVENTS")
			}
			return o.evalSuites(c, inJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&o.labels, "labels", "", "labels of the attacks in EVENTS, NDJSON")
	f.StringVar(&o.parse.Format, "format", ingest.FormatAuto, "format of EVENTS: auto, "+strings.Join(ingest.Names(), ", "))
	f.StringVar(&o.parse.API, "api", "", "API name for logs that name none")
	f.StringSliceVar(&o.train, "train", nil, "files to learn from first")
	f.StringVar(&o.model, "model", "", "model file to judge with (default: the one shipped in the program)")
	f.DurationVar(&o.disorder, "disorder", 2*time.Second, "how far out of time order EVENTS may be")
	f.Float64SliceVar(&o.alphas, "alpha", []float64{1e-2, 1e-3, 1e-4}, "nominal false-block rates per client-day to evaluate; of EVENTS the least one blocks")
	f.BoolVar(&o.ablation, "ablation", false, "also measure what is lost without each family of evidence")
	f.StringVar(&o.plots, "plots", "", "folder for pictures (PNG)")
	f.StringSliceVar(&o.suites, "suite", nil, "suites to run without EVENTS (default all)")
	f.BoolVar(&o.quick, "quick", false, "run the suites small, to see that they work")
	f.StringVar(&o.beside, "beside", "", "payload figures of other detectors, as benchmarks/waf writes them")
	f.StringVar(&o.out, "out", "", "folder for latest.json and the suites' pictures")
	f.BoolVar(&o.strict, "strict", false, "exit with status 1 where a suite misses a target")
	outputFlag(c, &o.output)
	c.AddCommand(newEvalPayloadCommand())
	return c
}

// evalSuites runs the simulated suites.
func (o *evalSettings) evalSuites(c *cobra.Command, inJSON bool) error {
	names := o.suites
	if len(names) == 0 || slices.Contains(names, "all") {
		names = eval.Suites()
	}
	for _, name := range names {
		if !slices.Contains(eval.Suites(), name) {
			return fmt.Errorf("unknown suite %q: want all or some of %s", name, strings.Join(eval.Suites(), ", "))
		}
	}
	opts := eval.Options{Quick: o.quick, Alphas: o.alphas, Progress: evalProgress(c.ErrOrStderr()), Datasets: os.Getenv("WEIR_DATASETS"), Beside: o.beside}
	var err error
	if opts.Prior, err = pipeline.LoadModel(o.model); err != nil {
		return err
	}
	if o.ablation {
		opts.Without = evalWithout
	}
	if o.out != "" && o.plots == "" {
		o.plots = o.out
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return fmt.Errorf("making the folder for results: %w", err)
		}
	}
	results := make([]*eval.SuiteResult, 0, len(names))
	missed := 0
	for _, name := range names {
		r, err := eval.RunSuite(c.Context(), name, opts)
		if err != nil {
			return err
		}
		results = append(results, r)
		for _, f := range r.Figures {
			if !f.Met {
				missed++
			}
		}
		if !inJSON {
			if err := printSuite(c.OutOrStdout(), r); err != nil {
				return err
			}
		}
		if err := o.plot(c, r); err != nil {
			return err
		}
	}
	if inJSON {
		if err := printJSON(c.OutOrStdout(), results); err != nil {
			return err
		}
	}
	if o.out != "" {
		if err := writeFile(filepath.Join(o.out, "latest.json"), func(w io.Writer) error { return printJSON(w, results) }); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	if missed > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d targets missed\n", missed)
		if o.strict {
			return quietError{}
		}
	}
	return nil
}

func (o *evalSettings) plot(c *cobra.Command, r *eval.SuiteResult) error {
	if o.plots == "" {
		return nil
	}
	if err := os.MkdirAll(o.plots, 0o755); err != nil {
		return fmt.Errorf("making the folder for pictures: %w", err)
	}
	paths, err := eval.Plot(r, o.plots)
	for _, p := range paths {
		fmt.Fprintln(c.ErrOrStderr(), "wrote", p)
	}
	return err
}

// evalFile judges labelled events.
func (o *evalSettings) evalFile(c *cobra.Command, path string, inJSON bool) error {
	key, err := localKey()
	if err != nil {
		return err
	}
	o.parse.Key = key
	file, err := os.Open(o.labels)
	if err != nil {
		return fmt.Errorf("opening the labels: %w", err)
	}
	labels, err := eval.ReadLabels(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", o.labels, err)
	}
	model, err := pipeline.LoadModel(o.model)
	if err != nil {
		return err
	}
	if len(o.train) > 0 {
		if model, err = pipeline.TrainFiles(c.Context(), o.train, o.parse, o.disorder, model); err != nil {
			return err
		}
	}
	alpha := slices.Min(o.alphas)
	policy := scoring.DefaultPolicy()
	policy.AlphaBlock = alpha
	policy.AlphaChallenge, policy.AlphaThrottle = max(policy.AlphaChallenge, alpha), max(policy.AlphaThrottle, alpha)
	run := eval.Labelled{
		Labels: labels, Alphas: o.alphas,
		Setup:  eval.Setup{Model: model, Policy: policy, Disorder: o.disorder},
		Events: func(yield func(*schemas.Event)) error { return o.events(c.Context(), path, yield) },
	}
	if o.ablation {
		run.Without = evalWithout
	}
	r, err := run.Judge()
	if err != nil {
		return err
	}
	if inJSON {
		err = printJSON(c.OutOrStdout(), r)
	} else {
		err = printSuite(c.OutOrStdout(), r)
	}
	return errors.Join(err, o.plot(c, r))
}

// events reads a file once through.
func (o *evalSettings) events(ctx context.Context, path string, yield func(*schemas.Event)) error {
	progress := bar(-1, "judging")
	defer func() { _ = progress.Finish() }()
	parse := o.parse
	parse.Progress = func(read, total int64) {
		progress.ChangeMax64(total)
		_ = progress.Set64(read)
	}
	_, err := ingest.ParseFile(ctx, path, parse, func(b *ingest.Batch) error {
		defer b.Release()
		for i := range b.Events {
			yield(&b.Events[i])
		}
		return nil
	})
	return err
}

// evalProgress prints each stage when it is complete, and on a terminal how far
// the one at hand is.
func evalProgress(w io.Writer) func(what string, done, total int) {
	began := time.Now()
	live := isTerminal(w)
	return func(what string, done, total int) {
		line := fmt.Sprintf("%6s  %s: %d of %d", time.Since(began).Round(time.Second), what, done, total)
		switch {
		case live && done < total:
			fmt.Fprintf(w, "\r\033[K%s", line)
		case live:
			fmt.Fprintf(w, "\r\033[K%s\n", line)
		case done == total:
			fmt.Fprintln(w, line)
		}
	}
}

// evalWithout turns a family of evidence off.
func evalWithout(cfg *scoring.Config, family string) { cfg.Without = append(cfg.Without, family) }
