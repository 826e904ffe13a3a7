package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
)

func detectCommand() *cobra.Command {
	var o pipeline.FileOptions
	var output, summaryFile, alphas string
	c := &cobra.Command{
		Use:   "detect FILE…",
		Short: "Find abuse in log files, offline",
		Long: `Runs the same extraction and scoring as the live service over log files and
prints a verdict for each client that deserves one: a table on a terminal, else
one JSON object a line. Files may be plain, gzip, zstd or xz; - is standard input.

The model that is shipped knows no API in particular. With --train it first
learns from logs that are believed to be mostly benign.

Formats: auto, ` + strings.Join(ingest.Names(), ", "),
		Example: `  weir detect access.log
  weir detect --train last-week.log.gz today.log
  weir detect --format caddy --summary summary.json -o json caddy.log > verdicts.ndjson`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			out := c.OutOrStdout()
			inJSON, err := asJSON(output, out)
			if err != nil {
				return err
			}
			if alphas != "" {
				if _, err := fmt.Sscan(alphas, &o.AlphaBlock); err != nil {
					return fmt.Errorf("reading --alpha-block: %w", err)
				}
			}
			key, err := localKey()
			if err != nil {
				return err
			}
			o.Parse.Key = key
			progress := bar(-1, "reading")
			o.Parse.Progress = func(read, total int64) {
				progress.ChangeMax64(total)
				_ = progress.Set64(read)
			}
			w := bufio.NewWriterSize(out, 1<<16)
			var shown []*schemas.Verdict
			enc := json.NewEncoder(w)
			o.Verdict = func(v *schemas.Verdict) error {
				if !inJSON {
					shown = append(shown, v)
					return nil
				}
				return enc.Encode(v)
			}
			summary, err := pipeline.DetectFiles(c.Context(), files, o)
			_ = progress.Finish()
			if err != nil {
				return err
			}
			if !inJSON {
				printVerdicts(w, shown)
				printSummary(w, summary)
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("writing verdicts: %w", err)
			}
			if summaryFile != "" {
				return writeSummary(summaryFile, summary)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.Parse.Format, "format", ingest.FormatAuto, "log format")
	f.StringSliceVar(&o.Train, "train", nil, "log files to learn from first")
	f.StringVar(&o.ModelFile, "model", "", "model file to judge with (default: the one shipped in the program)")
	f.DurationVar(&o.Disorder, "disorder", time.Hour, "how far out of time order lines may be")
	f.StringVar(&o.Parse.API, "api", "", "API name for logs that name none")
	f.StringVar(&alphas, "alpha-block", "", "share of benign client-days that may be blocked (default 1e-4)")
	f.StringVar(&summaryFile, "summary", "", "write counts, speed and memory to this file as JSON")
	outputFlag(c, &output)
	return c
}

// localKey makes the pseudonyms of an offline run: the service's key where it is
// set, so that both name a client alike, else a fixed one, so that the same log
// gives the same verdicts. Pseudonyms under the fixed key are no secret.
func localKey() (ingest.Key, error) {
	if secret := os.Getenv("WEIR_INGEST_HASH_KEY"); secret != "" {
		return ingest.NewKey([]byte(secret))
	}
	return ingest.NewKey([]byte("weir detect, pseudonyms of one local run"))
}

func writeSummary(path string, s *pipeline.Summary) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("creating the summary: %w", err)
	}
	if err := printJSON(f, s); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}

// printVerdicts shows the most severe verdict of each client, blocks first.
func printVerdicts(w io.Writer, verdicts []*schemas.Verdict) {
	type row struct {
		v *schemas.Verdict
		n int
	}
	byClient := map[string]*row{}
	var rows []*row
	for _, v := range verdicts {
		r := byClient[v.Entity.String()]
		if r == nil {
			r = &row{v: v}
			byClient[v.Entity.String()] = r
			rows = append(rows, r)
		}
		r.n++
		if v.Action.Severity() > r.v.Action.Severity() {
			r.v = v
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		if d := b.v.Action.Severity() - a.v.Action.Severity(); d != 0 {
			return d
		}
		return a.v.Time.Compare(b.v.Time)
	})
	if len(rows) == 0 {
		fmt.Fprintln(w, "No client deserves a verdict.")
		return
	}
	t := newTable(w, "action", "attack", "time (UTC)", "verdicts", "why")
	for _, r := range rows {
		t.AppendRow([]any{r.v.Action, r.v.Attack, r.v.Time.Format(time.DateTime), r.n, wrap(r.v.Explanation.Text, 90)})
	}
	t.Render()
}

// wrap breaks text at spaces into lines of at most width characters.
func wrap(text string, width int) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case n+1+len(word) > width:
			b.WriteByte('\n')
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}

func printSummary(w io.Writer, s *pipeline.Summary) {
	fmt.Fprintf(w, "\n%d lines, %d parsed", s.Lines, s.Parsed)
	for _, reason := range sortedKeys(s.Refused) {
		fmt.Fprintf(w, ", %d refused (%s)", s.Refused[reason], reason)
	}
	if s.Late > 0 {
		fmt.Fprintf(w, ", %d too late for their window", s.Late)
	}
	fmt.Fprintf(w, "; %d clients; %.0f events/s; %d MiB peak\n", s.Clients, s.EventsPerSecond, s.PeakRSSBytes>>20)
	fmt.Fprintf(w, "model %s\n", s.Model)
	actions := sortedKeys(s.Verdicts)
	for _, action := range actions {
		for _, attack := range sortedKeys(s.Verdicts[action]) {
			fmt.Fprintf(w, "%s %s: %d verdicts\n", action, attack, s.Verdicts[action][attack])
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
