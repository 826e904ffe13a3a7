package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

// trainFlags are what weir train was asked for.
type trainFlags struct {
	parse    ingest.ParseOptions
	disorder time.Duration
	prior    string
	name     string
	out      string
	publish  bool
	vouch    bool
	output   string
}

func trainCommand() *cobra.Command {
	var o trainFlags
	c := &cobra.Command{
		Use:   "train FILE…",
		Short: "Learn a model from log files",
		Long: `Learns how the clients of each API behave, its routes, what their calls usually
take, the orders in which they are called and the structure of their parameters,
on top of a prior. Files may be plain, gzip, zstd or xz, of any format that weir
detect reads; they are read nine times.

No labels are needed. What few clients do teaches little: an API needs three
clients of three networks, no network or ASN counts for more than a tenth, the
hundredth of client-days with the most evidence is left out, and nothing learnt
leaves a factor of the prior (see docs/operations.md). --vouch lifts this for logs
that are known to hold no attacks.

The model is written to --out, or to the models topic with --publish, from where
weir models activate puts it to use.

Formats: auto, ` + strings.Join(ingest.Names(), ", "),
		Example: `  weir train last-week.log.gz --out own.model
  weir detect --model own.model today.log
  weir train last-week.log.gz --publish --name shop && weir models list`,
		Args: cobra.MinimumNArgs(1),
	}
	load := settings(c)
	c.RunE = func(c *cobra.Command, files []string) error {
		if o.publish == (o.out != "") {
			return fmt.Errorf("give either --out FILE or --publish")
		}
		var cfg *config.Config
		if o.publish {
			var err error
			if cfg, err = load(); err != nil {
				return err
			}
		}
		return train(c.Context(), files, &o, cfg, c.OutOrStdout())
	}
	f := c.Flags()
	f.StringVar(&o.parse.Format, "format", ingest.FormatAuto, "log format")
	f.StringVar(&o.parse.API, "api", "", "API name for logs that name none")
	f.DurationVar(&o.disorder, "disorder", time.Hour, "how far out of time order lines may be")
	f.StringVar(&o.prior, "prior", "", "model file to learn on top of (default: the one shipped in the program)")
	f.StringVar(&o.name, "name", "own", "name of the model")
	f.StringVar(&o.out, "out", "", "file to write the model to")
	f.BoolVar(&o.publish, "publish", false, "write the model to the models topic")
	f.BoolVar(&o.vouch, "vouch", false, "the logs hold no attacks: learn from everybody alike")
	outputFlag(c, &o.output)
	return c
}

// trained is the result of weir train.
type trained struct {
	pipeline.Description
	*pipeline.Lesson
	File      string `json:"file,omitempty"`
	Published bool   `json:"published,omitempty"`
}

func train(ctx context.Context, files []string, o *trainFlags, cfg *config.Config, out io.Writer) error {
	inJSON, err := asJSON(o.output, out)
	if err != nil {
		return err
	}
	prior, err := pipeline.LoadModel(o.prior)
	if err != nil {
		return err
	}
	var models *pipeline.Models
	if o.publish {
		// Before an hour of learning, not after it.
		var closeModels func()
		if models, closeModels, err = openModels(ctx, cfg); err != nil {
			return err
		}
		defer closeModels()
	}
	if o.parse.Key, err = localKey(); err != nil {
		return err
	}
	options := training.Options{Name: o.name, Prior: prior}
	if !o.vouch {
		options.Guard, options.Trim = training.DefaultGuard(prior), training.DefaultTrim
	}
	progress := bar(-1, "reading")
	o.parse.Progress = func(read, total int64) {
		progress.ChangeMax64(total)
		_ = progress.Set64(read)
	}
	progress.Describe("learning routes")
	options.Progress = func(pass, passes int) {
		progress.Describe(fmt.Sprintf("learning behaviour, pass %d of %d", pass, passes))
	}
	m, lesson, err := pipeline.LearnFiles(ctx, files, o.parse, o.disorder, options)
	_ = progress.Finish()
	if err != nil {
		return err
	}
	r := trained{Lesson: lesson, File: o.out, Published: o.publish}
	if o.publish {
		_, err = models.Publish(ctx, m)
	} else {
		err = writeModel(o.out, m)
	}
	if err != nil {
		return err
	}
	r.Description = pipeline.Describe(m, policyAlphas()...)
	if inJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%d lines, %d parsed", lesson.Lines, lesson.Parsed)
	for _, reason := range sortedKeys(lesson.Refused) {
		fmt.Fprintf(out, ", %d refused (%s)", lesson.Refused[reason], reason)
	}
	fmt.Fprintln(out)
	printModel(out, &r.Description)
	if o.publish {
		_, err = fmt.Fprintf(out, "\npublished as %s; put it to use with: weir models activate %s\n", r.Ref, r.Ref)
	} else {
		_, err = fmt.Fprintf(out, "\nwritten to %s; use it with: weir detect --model %s\n", o.out, o.out)
	}
	return err
}

func policyAlphas() []float64 {
	p := scoring.DefaultPolicy()
	return []float64{p.AlphaThrottle, p.AlphaChallenge, p.AlphaBlock}
}

func writeModel(path string, m *scoring.Model) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("creating the model file: %w", err)
	}
	w := bufio.NewWriter(f)
	if err := m.Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the model file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the model file: %w", err)
	}
	return nil
}

// printModel shows a model in numbers.
func printModel(out io.Writer, d *pipeline.Description) {
	fmt.Fprintf(out, "model %s: %d APIs, %d parameters, %d positions of paths that are values\n", d.Ref, len(d.APIs), d.Parameters, d.Collapsed)
	if len(d.APIs) > 0 {
		t := newTable(out, "api", "status", "since (UTC)", "windows", "clients", "networks", "route norms", "steps", "own numbers")
		for _, a := range d.APIs {
			since := "-"
			if a.Since > 0 {
				since = time.UnixMicro(a.Since).UTC().Format(time.DateTime)
			}
			t.AppendRow([]any{a.API, a.Status.Status, since, a.Windows, a.Clients, a.Networks, a.Norms, a.Steps, strings.Join(a.Types, " ")})
		}
		t.Render()
	}
	header := []any{"stratum", "client-days"}
	for _, th := range d.Strata[0].Thresholds {
		header = append(header, "nats at "+strconv.FormatFloat(th.Alpha, 'g', -1, 64), "kind")
	}
	t := newTable(out, header...)
	for _, s := range d.Strata {
		row := []any{s.Stratum, s.ClientDays}
		for _, th := range s.Thresholds {
			evidence := "never"
			if th.Evidence != nil {
				evidence = strconv.FormatFloat(*th.Evidence, 'f', 2, 64)
			}
			kind := th.Kind
			if s.Demoted {
				kind = "demoted"
			}
			row = append(row, evidence, kind)
		}
		t.AppendRow(row)
	}
	t.Render()
}

// learntStatus is the status of a model as a whole: learning while any API is.
func learntStatus(d *pipeline.Description) string {
	if len(d.APIs) == 0 {
		return "knows no API"
	}
	trained := 0
	for _, a := range d.APIs {
		if a.Status.Status == features.StatusTrained {
			trained++
		}
	}
	return fmt.Sprintf("%d of %d APIs trained", trained, len(d.APIs))
}
