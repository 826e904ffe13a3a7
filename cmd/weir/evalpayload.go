package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/eval/payload"
)

// maxShownRefusals is how many refused lines are shown one by one.
const maxShownRefusals = 5

func newEvalPayloadCommand() *cobra.Command {
	var output, scores, train string
	fpr := 0.001
	c := &cobra.Command{
		Use:   "payload FILE",
		Short: "Judge strings or HTTP requests for injected code",
		Long: `Reads JSON lines of either {"payload","label","type"} or
{"method","url","headers","body","label","type"}; label is 1 for an attack, 0
for benign, and may be absent. Files may be plain, gzip, zstd or xz; - is
standard input. Lines that are neither are refused and counted.

Prints how many of each type are flagged at the shipped threshold, and, where
there are labels, on a terminal also how many are found when at most --fpr of
the benign lines are flagged. With --train the detector first learns the values
and the structure of the requests of a file, but for those labelled as attacks.`,
		Example: `  weir eval payload attacks.jsonl
  weir eval payload --train benign.jsonl.gz --scores scores.txt -o json today.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			inJSON, err := asJSON(output, out)
			if err != nil {
				return err
			}
			if !(fpr > 0 && fpr < 1) {
				return fmt.Errorf("--fpr %g is not between 0 and 1", fpr)
			}
			subject, err := payload.Shipped()
			if err != nil {
				return err
			}
			p := payloadRun{subject: subject, errors: c.ErrOrStderr()}
			if train != "" {
				if err := p.learn(c.Context(), train); err != nil {
					return err
				}
			}
			if err := p.judge(c.Context(), args[0], scores); err != nil {
				return err
			}
			if inJSON {
				return printJSON(out, p.summary())
			}
			p.print(out, fpr)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&scores, "scores", "", "file for the score of each line, 0 to 1, in order; nan for a refused line")
	f.StringVar(&train, "train", "", "file of benign requests to learn from first")
	f.Float64Var(&fpr, "fpr", fpr, "share of benign lines that may be flagged, for the table")
	outputFlag(c, &output)
	return c
}

// payloadRun is one run of the command.
type payloadRun struct {
	subject *payload.Subject
	errors  io.Writer

	refused int
	spent   time.Duration
	scored  payload.Scored // rows hold their label and type alone
}

// read gives every row of a file to fn, and a nil row for a refused line, of
// which it shows the first few. A file without a row is an error.
func (p *payloadRun) read(ctx context.Context, path, what string, fn func(*payload.Request) error) error {
	progress := bar(-1, what)
	rows, refused := 0, 0
	var lineErr error
	err := payload.ReadFile(ctx, path, func(r *payload.Request) error {
		rows++
		return errors.Join(lineErr, fn(r))
	}, func(r *payload.Refusal) {
		if refused++; refused <= maxShownRefusals {
			fmt.Fprintf(p.errors, "%s: %v\n", path, r)
		}
		if err := fn(nil); err != nil && lineErr == nil {
			lineErr = err
		}
	}, func(read, total int64) {
		progress.ChangeMax64(total)
		_ = progress.Set64(read)
	})
	_ = progress.Finish()
	switch {
	case err != nil:
		return err
	case lineErr != nil:
		return lineErr
	case rows == 0:
		return fmt.Errorf("%s: no usable line, %d refused", path, refused)
	case refused > 0:
		fmt.Fprintf(p.errors, "%s: %d lines refused, %d used\n", path, refused, rows)
	}
	p.refused = refused
	return nil
}

func (p *payloadRun) learn(ctx context.Context, path string) error {
	var benign []*payload.Request
	err := p.read(ctx, path, "learning", func(r *payload.Request) error {
		if r != nil && r.Label != payload.Attack {
			benign = append(benign, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.subject, err = p.subject.Learn(benign); err != nil {
		return fmt.Errorf("learning from %s: %w", path, err)
	}
	return nil
}

// judgeBatch is how many rows are held at once.
const judgeBatch = 4096

// judge scores a file and writes the scores to another, if that has a name.
func (p *payloadRun) judge(ctx context.Context, path, scores string) error {
	if scores == "" {
		return p.judgeTo(ctx, path, io.Discard)
	}
	f, err := os.Create(scores)
	if err != nil {
		return fmt.Errorf("creating the scores: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	err = p.judgeTo(ctx, path, w)
	if err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

func (p *payloadRun) judgeTo(ctx context.Context, path string, w io.Writer) error {
	p.scored.Subject = p.subject
	var lines, rows []*payload.Request // rows are the lines that are not refused
	flush := func() error {
		got, each, err := p.subject.Score(ctx, rows)
		if err != nil {
			return err
		}
		p.spent += each * time.Duration(len(rows))
		i := 0
		for _, r := range lines {
			text := "nan"
			if r != nil {
				text = strconv.FormatFloat(got[i], 'g', -1, 64)
				p.scored.Rows = append(p.scored.Rows, &payload.Request{Label: r.Label, Type: r.Type})
				p.scored.Scores = append(p.scored.Scores, got[i])
				i++
			}
			if _, err := io.WriteString(w, text+"\n"); err != nil {
				return fmt.Errorf("writing scores: %w", err)
			}
		}
		lines, rows = lines[:0], rows[:0]
		return nil
	}
	err := p.read(ctx, path, "judging", func(r *payload.Request) error {
		lines = append(lines, r)
		if r != nil {
			rows = append(rows, r)
		}
		if len(lines) < judgeBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// payloadSummary is the result for programs.
type payloadSummary struct {
	N         int                    `json:"n"`
	Refused   int                    `json:"refused,omitempty"` // lines; not in N
	Threshold float64                `json:"threshold"`
	ByType    map[string]payloadType `json:"by_type"`
	Micros    float64                `json:"micros_per_request"` // of one processor
}

type payloadType struct {
	N       int `json:"n"`
	Flagged int `json:"flagged"`
}

func (p *payloadRun) micros() float64 {
	return math.Round(float64(p.spent.Nanoseconds())/float64(len(p.scored.Rows))) / 1e3
}

func (p *payloadRun) summary() payloadSummary {
	s := payloadSummary{
		N: len(p.scored.Rows), Refused: p.refused, Threshold: p.subject.Threshold,
		ByType: map[string]payloadType{}, Micros: p.micros(),
	}
	for i, r := range p.scored.Rows {
		t := s.ByType[r.Kind()]
		t.N++
		if p.scored.Scores[i] >= s.Threshold {
			t.Flagged++
		}
		s.ByType[r.Kind()] = t
	}
	return s
}

// print shows each kind at the shipped threshold and, where benign lines say
// what that is, at the threshold of a rate of false alarms.
func (p *payloadRun) print(w io.Writer, fpr float64) {
	benign := p.scored.Part(payload.Benign)
	at := payload.Threshold(benign, fpr)
	t := newTable(w, "TYPE", "LABEL", "LINES", "FLAGGED", "SHARE", "95 %", fmt.Sprintf("AT %g %% FPR", 100*fpr))
	matched := p.scored.Kinds(at)
	for i, k := range p.scored.Kinds(p.subject.Threshold) {
		low, high := k.Rows.Interval()
		found := ""
		if len(benign) > 0 {
			found = fmt.Sprintf("%.2f %%", 100*matched[i].Rows.Rate())
		}
		t.AppendRow([]any{
			k.Type, labelName(k.Label), k.Rows.N, k.Rows.Flagged, fmt.Sprintf("%.2f %%", 100*k.Rows.Rate()),
			fmt.Sprintf("%.2f-%.2f", 100*low, 100*high), found,
		})
	}
	t.Render()
	fmt.Fprintf(w, "\n%d lines at threshold %.4g, %.1f us each", len(p.scored.Rows), p.subject.Threshold, p.micros())
	if auc := payload.AUC(p.scored.Part(payload.Attack), benign); !math.IsNaN(auc) {
		fmt.Fprintf(w, "; AUC %.5f", auc)
	}
	if len(benign) > 0 {
		fmt.Fprintf(w, "; %d of %d benign lines flagged at the threshold of that rate, %.4g", payload.Flagged(benign, at), len(benign), at)
	}
	fmt.Fprintln(w)
}

func labelName(label int) string {
	switch label {
	case payload.Attack:
		return "attack"
	case payload.Benign:
		return "benign"
	}
	return ""
}
