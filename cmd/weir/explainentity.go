package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// entityOptions of weir explain --entity.
type entityOptions struct {
	entity   string
	parse    ingest.ParseOptions
	model    string
	train    []string
	disorder time.Duration
}

// clientDay is how far one client got on one API on one day.
type clientDay struct {
	API string    `json:"api"`
	Day time.Time `json:"day"`
	// Calls and Windows are those that were judged: none while it was blocked.
	Calls   uint64 `json:"calls"`
	Windows int    `json:"windows"`
	// Peak is where it stood when it stood highest; Families are each at its own
	// highest.
	Peak     scoring.Standing         `json:"peak"`
	PeakAt   time.Time                `json:"peak_at"`
	Families []scoring.FamilyStanding `json:"families"`
	Verdicts []*schemas.Verdict       `json:"verdicts"`
}

// entityWatch follows one client through extraction and scoring.
type entityWatch struct {
	client  string
	scorer  *scoring.Scorer
	offset  int64
	days    []*clientDay
	address string          // of an entity of type ip
	others  map[string]bool // clients that called from that address
}

// Features implements features.Emitter.
func (e *entityWatch) Features(f *schemas.ClientFeatures) {
	if string(f.Client) == e.client {
		e.scorer.Features(f, e.offset, e)
		return
	}
	if e.address != "" && string(f.ClientIP) == e.address && len(e.others) < 100 {
		e.others[string(f.Client)] = true
	}
}

// Aggregate implements features.Emitter.
func (*entityWatch) Aggregate(*schemas.Aggregate) {}

// Verdict implements scoring.Emitter.
func (e *entityWatch) Verdict(v *schemas.Verdict) {
	if d := e.day(v.API, v.WindowStart); !v.Provisional && !v.Withdrawn {
		d.Verdicts = append(d.Verdicts, v)
	}
}

// Block implements scoring.Emitter.
func (*entityWatch) Block(string, *schemas.BlockEntry) {}

func (e *entityWatch) day(api string, at time.Time) *clientDay {
	at = at.UTC().Truncate(24 * time.Hour)
	for i := len(e.days) - 1; i >= 0; i-- {
		if d := e.days[i]; d.API == api && d.Day.Equal(at) {
			return d
		}
	}
	d := &clientDay{API: api, Day: at}
	e.days = append(e.days, d)
	return d
}

func (e *entityWatch) observe(f *schemas.ClientFeatures, combined float64, _ *scoring.Scores) {
	at := time.UnixMicro(f.WindowStart).UTC()
	d := e.day(string(f.API), at)
	d.Windows++
	d.Calls += uint64(f.Requests)
	st := e.scorer.Standing()
	if d.Families == nil || combined > d.Peak.Combined {
		d.Peak, d.PeakAt = st, at
	}
	if d.Families == nil {
		d.Families = slices.Clone(st.Families)
		return
	}
	for i := range st.Families {
		if st.Families[i].Evidence > d.Families[i].Evidence {
			d.Families[i] = st.Families[i]
		}
	}
}

func explainEntity(ctx context.Context, out io.Writer, files []string, o entityOptions, inJSON bool) error {
	kind, value, ok := strings.Cut(o.entity, ":")
	if !ok || kind == "" || value == "" {
		return fmt.Errorf("entity %q: want type:value, as in ip:203.0.113.7", o.entity)
	}
	var err error
	if o.parse.Key, err = localKey(); err != nil {
		return err
	}
	model, err := pipeline.LoadModel(o.model)
	if err != nil {
		return err
	}
	if len(o.train) > 0 {
		if model, err = pipeline.TrainFiles(ctx, o.train, o.parse, o.disorder, model); err != nil {
			return err
		}
	}
	watch, err := watchEntity(ctx, files, o, model)
	if err != nil {
		return err
	}
	if inJSON {
		return printJSON(out, struct {
			Entity schemas.Entity `json:"entity"`
			Model  string         `json:"model"`
			Days   []*clientDay   `json:"days"`
			Others []string       `json:"others,omitempty"`
		}{schemas.Entity{Type: kind, Value: value}, model.Name + "@" + model.Version, watch.days, sortedKeys(watch.others)})
	}
	printEntity(out, watch, model)
	return nil
}

// watchEntity runs extraction over all of the files and scoring over the windows
// of one client.
func watchEntity(ctx context.Context, files []string, o entityOptions, model *scoring.Model) (*entityWatch, error) {
	x := features.DefaultConfig()
	x.Lateness, x.FinalOnly, x.Clients, x.Shards = o.disorder.Microseconds(), true, 200_000, 1
	var err error
	if x.Knowledge, err = features.NewKnowledge(&model.Learnt, nil); err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	extractor, err := features.New(x)
	if err != nil {
		return nil, fmt.Errorf("making the extractor: %w", err)
	}
	watch := &entityWatch{client: o.entity, others: map[string]bool{}}
	if address, ok := strings.CutPrefix(o.entity, features.ClientIP+":"); ok {
		watch.address = address
	}
	watch.scorer, err = scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: 1000, Shards: 1, Seed: x.Seed})
	if err != nil {
		return nil, fmt.Errorf("making the scorer: %w", err)
	}
	watch.scorer.Observer = watch.observe
	newest := int64(0)
	for _, path := range files {
		_, err := ingest.ParseFile(ctx, path, o.parse, func(b *ingest.Batch) error {
			defer b.Release()
			for i := range b.Events {
				e := &b.Events[i]
				if e.Time == 0 {
					e.Time = newest
				}
				newest = max(newest, e.Time)
				extractor.Apply(e, e.Time, watch.offset, watch)
				watch.offset++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	extractor.Flush(watch)
	slices.SortStableFunc(watch.days, func(a, b *clientDay) int { return a.Day.Compare(b.Day) })
	return watch, nil
}

func printEntity(w io.Writer, watch *entityWatch, model *scoring.Model) {
	if len(watch.days) == 0 {
		fmt.Fprintf(w, "No calls of %s.\n", watch.client)
		if names := sortedKeys(watch.others); len(names) > 0 {
			fmt.Fprintf(w, "Calls from that address are known by who made them: %s\n", strings.Join(names[:min(len(names), 10)], ", "))
		}
		return
	}
	for i, d := range watch.days {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printDay(w, watch.client, d)
	}
	fmt.Fprintf(w, "\nmodel %s@%s\n", model.Name, model.Version)
}

func printDay(w io.Writer, client string, d *clientDay) {
	api := d.API
	if api == "" {
		api = "an unnamed API"
	}
	fmt.Fprintf(w, "%s on %s, %s: %d calls in %d windows\n", client, api, d.Day.Format(time.DateOnly), d.Calls, d.Windows)
	fmt.Fprintln(w, wrap(outcomeOf(d), 100))
	for _, v := range d.Verdicts {
		fmt.Fprintf(w, "  %s %s %s: %s\n", v.Time.Format(time.TimeOnly), v.Action, v.ID, wrap(v.Explanation.Text, 1000))
	}
	var rungs []string
	for _, r := range d.Peak.Rungs {
		if r.Evidence == 0 {
			rungs = append(rungs, fmt.Sprintf("%s out of reach", r.Action))
			continue
		}
		rungs = append(rungs, fmt.Sprintf("%s above %.1f (%s)", r.Action, r.Evidence, r.Kind))
	}
	fmt.Fprintf(w, "Rungs in nats, of %d benign client-days of stratum %s: %s.\n\n", d.Peak.N, d.Peak.Stratum, strings.Join(rungs, ", "))
	t := newTable(w, "family", "feature", "observed", "expected", "usual band", "baseline", "nats", "what it would have taken")
	families := slices.Clone(d.Families)
	slices.SortStableFunc(families, func(a, b scoring.FamilyStanding) int {
		switch {
		case a.Evidence > b.Evidence:
			return -1
		case a.Evidence < b.Evidence:
			return 1
		}
		return 0
	})
	for _, f := range families {
		observed := figure(f.Feature.Observed)
		if f.Of > 0 {
			observed += " of " + figure(f.Of)
		}
		t.AppendRow([]any{
			f.Family, strings.ReplaceAll(f.Feature.Name, "_", " "), observed, figure(f.Feature.Expected),
			figure(f.Feature.Low) + " to " + figure(f.Feature.High), fmt.Sprintf("%s (%d)", f.Feature.Baseline, f.Feature.N),
			fmt.Sprintf("%.1f", math.Max(f.Evidence, 0)), needed(&f),
		})
	}
	t.Render()
}

// outcomeOf says what came of a day in a sentence or two.
func outcomeOf(d *clientDay) string {
	if n := len(d.Verdicts); n > 0 {
		last := d.Verdicts[n-1]
		return fmt.Sprintf("Acted on: %s for %s. The evidence peaked at %.1f nats.", last.Action, last.Attack, d.Peak.Combined)
	}
	for _, r := range d.Peak.Rungs {
		if r.Evidence > 0 && d.Peak.Combined <= r.Evidence {
			return fmt.Sprintf("Not acted on: the evidence peaked at %.1f nats at %s, and the lowest rung (%s) takes more than %.1f.",
				d.Peak.Combined, d.PeakAt.Format(time.TimeOnly), r.Action, r.Evidence)
		}
	}
	if slices.ContainsFunc(d.Peak.Rungs, func(r scoring.Rung) bool { return r.Evidence > 0 }) {
		return fmt.Sprintf("Not acted on anew: an action of before was still in force. The evidence peaked at %.1f nats.", d.Peak.Combined)
	}
	return fmt.Sprintf("Not acted on: stratum %s is only observed, or has too few client-days for any rung.", d.Peak.Stratum)
}

// needed says what would have led a family to the next rung.
func needed(f *scoring.FamilyStanding) string {
	switch {
	case f.Next == "":
		return "nothing: it is above all rungs"
	case f.Feature.Baseline == "self" && f.Feature.N == 0:
		return "no habit to compare with yet"
	case f.Statistic == 0 && f.Feature.Observed == 0:
		return "nothing of the kind seen"
	case f.More > 0:
		return fmt.Sprintf("%s: %.0f more in a row", f.Next, f.More)
	case f.Reach > 0 && f.Reach < f.Feature.Expected:
		return fmt.Sprintf("%s: %s or less", f.Next, figure(f.Reach))
	case f.Reach > 0:
		return fmt.Sprintf("%s: %s", f.Next, figure(f.Reach))
	}
	return "no value of this alone"
}
