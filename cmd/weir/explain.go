package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

func explainCommand() *cobra.Command {
	var output, verdicts string
	var o entityOptions
	c := &cobra.Command{
		Use:   "explain VERDICT | explain --entity TYPE:VALUE FILE…",
		Short: "Say why a verdict was given, or why an entity was not acted on",
		Long: `With the id of a verdict: the sentence, the numbers behind it, what would have
made it otherwise, what the attack is, and what the verdict rests on. Verdicts are
looked up in the verdicts topic, or with --verdicts in a file as weir detect
writes it (- is standard input).

With --entity and log files: judges the files and shows, day by day, how far each
family of evidence got for that one client and what the next rung would have
taken. Clients are named as verdicts name them: user, consumer, credential,
session, device or ip, a colon, and the value. What is found in the traffic of
many clients together is not part of it.

Formats: auto, ` + strings.Join(ingest.Names(), ", "),
		Example: `  weir explain 3f2a9c41d07be8856b1f0c2d9a4e7710
  weir explain --verdicts verdicts.ndjson 3f2a9c41d07be8856b1f0c2d9a4e7710
  weir explain --entity ip:203.0.113.7 access.log`,
	}
	load := settings(c)
	c.Args = func(_ *cobra.Command, args []string) error {
		if o.entity == "" && len(args) != 1 {
			return errors.New("give the id of one verdict, or --entity and log files")
		}
		if o.entity != "" && len(args) == 0 {
			return errors.New("give the log files in which to look for the entity")
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		out := c.OutOrStdout()
		inJSON, err := asJSON(output, out)
		if err != nil {
			return err
		}
		if o.entity != "" {
			return explainEntity(c.Context(), out, args, o, inJSON)
		}
		v, err := lookup(c.Context(), args[0], verdicts, c.InOrStdin(), load)
		if err != nil {
			return err
		}
		if inJSON {
			return printJSON(out, explained{v, attackOf(v.Attack)})
		}
		printVerdict(out, v)
		return nil
	}
	f := c.Flags()
	f.StringVar(&verdicts, "verdicts", "", "file of verdicts, one JSON object a line, instead of the topic")
	f.StringVar(&o.entity, "entity", "", "client to look at, type:value")
	f.StringVar(&o.parse.Format, "format", ingest.FormatAuto, "log format of the files, with --entity")
	f.StringVar(&o.parse.API, "api", "", "API name for logs that name none, with --entity")
	f.StringVar(&o.model, "model", "", "model file to judge with, with --entity (default: the one shipped in the program)")
	f.StringSliceVar(&o.train, "train", nil, "log files to learn from first, with --entity")
	f.DurationVar(&o.disorder, "disorder", time.Hour, "how far out of time order lines may be, with --entity")
	outputFlag(c, &output)
	return c
}

// errNoVerdict says that no verdict has the id.
var errNoVerdict = errors.New("no such verdict")

// lookup finds a verdict; of several records with its id the last holds.
func lookup(ctx context.Context, id, file string, stdin io.Reader, load func() (*config.Config, error)) (*schemas.Verdict, error) {
	if file == "" {
		cfg, err := load()
		if err != nil {
			return nil, err
		}
		return verdictInTopic(ctx, cfg, id)
	}
	if file == "-" {
		return verdictIn(stdin, id, "standard input")
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the verdicts: %w", err)
	}
	defer func() { _ = r.Close() }() // only read
	return verdictIn(r, id, file)
}

func verdictIn(r io.Reader, id, name string) (*schemas.Verdict, error) {
	var found *schemas.Verdict
	b := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := b.ReadBytes('\n')
		if v, bad := verdictOf(line, id); bad != nil {
			return nil, fmt.Errorf("reading line %d of %s: %w", n, name, bad)
		} else if v != nil {
			found = v
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %s in %s", errNoVerdict, id, name)
	}
	return found, nil
}

// verdictOf decodes a verdict if it is the one; nil else.
func verdictOf(data []byte, id string) (*schemas.Verdict, error) {
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil, nil
	}
	var head struct{ ID string }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decoding a verdict: %w", err)
	}
	if head.ID != id {
		return nil, nil
	}
	v := new(schemas.Verdict)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("decoding verdict %s: %w", id, err)
	}
	return v, nil
}

// verdictInTopic reads what is committed in the verdicts topic now.
func verdictInTopic(ctx context.Context, cfg *config.Config, id string) (*schemas.Verdict, error) {
	probe, err := client(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	topic := pipeline.TopicsUnder(cfg.Kafka.TopicPrefix).Verdicts
	starts, err := kadm.NewClient(probe).ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("looking up where %s begins: %w", topic, err)
	}
	ends, err := kadm.NewClient(probe).ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("looking up where %s ends: %w", topic, err)
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if s, ok := starts.Lookup(topic, o.Partition); ok && s.Offset < o.Offset {
			from[o.Partition], left[o.Partition] = kgo.NewOffset().At(s.Offset), o.Offset
		}
	})
	opts, err := cluster(cfg)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the end of a transaction may be the last record
	)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	var found *schemas.Verdict
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("reading %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				// What does not decode is another program's and not the one asked for.
				if v, err := verdictOf(r.Value, id); err == nil && v != nil && (found == nil || !v.Time.Before(found.Time)) {
					found = v
				}
			}
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %s in %s", errNoVerdict, id, topic)
	}
	return found, nil
}

// explained is a verdict with what is known of its attack, for --output json.
type explained struct {
	Verdict *schemas.Verdict `json:"verdict"`
	Attack  *attackInfo      `json:"attack,omitempty"`
}

type attackInfo struct {
	Title            string   `json:"title"`
	Seen             string   `json:"seen"`
	Evidence         string   `json:"evidence"`
	Remedy           string   `json:"remedy"`
	OWASP            []string `json:"owasp"`
	MITRE            []string `json:"mitre"`
	PingIntelligence []string `json:"pingintelligence"`
}

// attackOf is the catalogue's entry of an attack; nil where it has none.
func attackOf(name string) *attackInfo {
	for _, a := range scoring.Catalogue() {
		if a.Name == name {
			return &attackInfo{a.Title, a.Seen, a.Evidence, a.Remedy, a.OWASP, a.MITRE, a.PingIntelligence}
		}
	}
	return nil
}

func printVerdict(w io.Writer, v *schemas.Verdict) {
	fmt.Fprintf(w, "%s\n\n", wrap(v.Explanation.Text, 100))
	say := func(what, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-16s %s\n", what, strings.ReplaceAll(wrap(value, 84), "\n", "\n                 "))
		}
	}
	say("verdict", v.ID)
	say("action", actionText(v))
	var linked []string
	for _, e := range v.Linked {
		linked = append(linked, e.String())
	}
	say("linked", strings.Join(linked, ", "))
	say("window", v.WindowStart.UTC().Format(time.DateTime)+" to "+v.WindowEnd.UTC().Format(time.TimeOnly)+" UTC")
	if !v.ExpiresAt.IsZero() {
		say("until", v.ExpiresAt.UTC().Format(time.DateTime)+" UTC")
	}
	say("rests on", restsOn(v))
	say("model", v.Model)
	say("events", strings.Join(v.EventIDs, ", "))
	if len(v.Explanation.Features) > 0 {
		fmt.Fprintln(w)
		printFeatures(w, v.Explanation.Features)
		fmt.Fprintln(w)
	}
	say("sequence", v.Explanation.Sequence)
	say("payload", v.Explanation.Payload)
	say("cohort", v.Explanation.Cohort)
	say("otherwise", v.Explanation.Counterfactual)
	a := attackOf(v.Attack)
	if a == nil {
		return
	}
	fmt.Fprintln(w)
	say("attack", a.Title+" ("+v.Attack+")")
	say("is", a.Seen)
	say("found by", a.Evidence)
	say("do", a.Remedy)
	say("OWASP", strings.Join(a.OWASP, ", "))
	say("ATT&CK", strings.Join(a.MITRE, ", "))
	say("PingIntelligence", strings.Join(a.PingIntelligence, ", "))
}

func actionText(v *schemas.Verdict) string {
	text := string(v.Action)
	switch {
	case v.Withdrawn:
		return "none: it was withdrawn"
	case v.Held != "":
		text += ", held by " + v.Held
	case !v.Enforced:
		text += ", not enforced"
	}
	if v.Provisional {
		text += ", before its window closed"
	}
	return text
}

// crowdStratum is the stratum of verdicts about many clients together.
const crowdStratum = "crowd"

// restsOn says in words what a verdict's calibration is.
func restsOn(v *schemas.Verdict) string {
	c := v.Calibration
	switch {
	case c.Kind == scoring.Rule:
		return fmt.Sprintf("a rule, not on statistics; %.0f %% confidence", 100*v.Confidence)
	case c.Stratum == crowdStratum:
		return fmt.Sprintf("the %d windows of the API before (extrapolated): p = %.2g; such an alarm is raised in at most %.2g of windows", c.N, v.PValue, c.Alpha)
	}
	switch c.Kind {
	case scoring.Conformal, scoring.Extrapolated:
		beyond := ""
		if c.Kind == scoring.Extrapolated {
			beyond = ", which go beyond what was seen by a fitted tail (extrapolated)"
		}
		return fmt.Sprintf("%d benign client-days of stratum %s%s: p = %.2g; the action is taken on at most %.2g of benign client-days", c.N, c.Stratum, beyond, v.PValue, c.Alpha)
	}
	return fmt.Sprintf("%s of %d, stratum %s: p = %.2g at %.2g", c.Kind, c.N, c.Stratum, v.PValue, c.Alpha)
}

func printFeatures(w io.Writer, features []schemas.FeatureExplanation) {
	t := newTable(w, "feature", "observed", "expected", "usual band", "baseline", "share")
	for _, e := range features {
		t.AppendRow([]any{
			strings.ReplaceAll(e.Name, "_", " "), figure(e.Observed), figure(e.Expected), figure(e.Low) + " to " + figure(e.High),
			fmt.Sprintf("%s (%d)", e.Baseline, e.N), fmt.Sprintf("%.0f %%", 100*e.Contribution),
		})
	}
	t.Render()
}

// figure writes a number with three digits, without an exponent while it can be
// read.
func figure(x float64) string {
	if x == 0 {
		return "0" // and not "-0"
	}
	if x >= 1000 || x <= -1000 {
		if x >= 1e9 {
			return fmt.Sprintf("%.3g", x)
		}
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
