package payload

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Print writes the tables for a reader: what each subject did on a set, side by
// side, and the same by kind of row. The kinds of the CRS' own tests are too many
// to print.
func (f *Figures) Print(w io.Writer) error {
	t := newTable("set", "subject", "threshold", "attacks found", "95 %", "false alarms", "95 %", "F1", "AUC", "us/row")
	for _, x := range f.bySet() {
		set := x.Set
		if x.SampledFrom > 0 {
			set += fmt.Sprintf(" (%d of %d)", x.Attacks.N+x.Benign.N, x.SampledFrom)
		}
		if note := notes[x.Setting]; note != "" {
			set += ", " + note
		}
		t.AppendRow(table.Row{
			set, x.Subject, threshold(x.Threshold), percent(x.Attacks.Rate()), interval(x.Attacks),
			percent(x.Benign.Rate()), interval(x.Benign), optional(x.F1), optional(x.AUC), fmt.Sprintf("%.1f", x.Micros),
		})
	}
	if _, err := fmt.Fprintf(w, "%s\n\nflagged by kind\n%s\n", t.Render(), f.kinds().Render()); err != nil {
		return fmt.Errorf("writing tables: %w", err)
	}
	return nil
}

// notes say of a table at which threshold it is, where that is not the one that
// the targets are held at.
var notes = map[string]string{
	SettingROC:          "at its own false-alarm rate",
	SettingNoFalseAlarm: SettingNoFalseAlarm,
	SettingTraining:     SettingTraining,
}

// bySet are the tables with those of one set together, in the order in which
// sets first appear.
func (f *Figures) bySet() []*Table {
	first := map[string]int{}
	for i, x := range f.Tables {
		if _, ok := first[x.Set]; !ok {
			first[x.Set] = i
		}
	}
	tables := slices.Clone(f.Tables)
	slices.SortStableFunc(tables, func(a, b *Table) int { return cmp.Compare(first[a.Set], first[b.Set]) })
	return tables
}

// kinds has a row for each kind of row and a column for each subject.
func (f *Figures) kinds() table.Writer {
	type key struct {
		set, kind string
		label     int
	}
	var subjects []string
	var keys []key
	cells := map[key]map[string]Share{}
	for _, x := range f.bySet() {
		if x.Setting == SettingROC || x.Set == SetCRS || len(x.Types) == 0 {
			continue
		}
		if !slices.Contains(subjects, x.Subject) {
			subjects = append(subjects, x.Subject)
		}
		for _, k := range x.Types {
			at := key{x.Set, k.Type, k.Label}
			if cells[at] == nil {
				cells[at] = map[string]Share{}
				keys = append(keys, at)
			}
			cells[at][x.Subject] = k.Rows
		}
	}
	header := []any{"set", "kind", "label"}
	for _, s := range subjects {
		header = append(header, s)
	}
	t := newTable(header...)
	for _, at := range keys {
		row := table.Row{at.set, at.kind, labels[at.label]}
		for _, s := range subjects {
			cell := ""
			if share, ok := cells[at][s]; ok {
				cell = fmt.Sprintf("%s of %d", percent(share.Rate()), share.N)
			}
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	return t
}

var labels = map[int]string{Attack: "attack", Benign: "benign"}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateColumns = false
	t.Style().Options.DrawBorder = false
	t.AppendHeader(header)
	return t
}

// percent is a share with as many digits as tell it from 0 and from 100 %.
func percent(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	if d := min(v, 1-v); d > 0 && d < 0.0005 {
		return fmt.Sprintf("%.3f %%", 100*v)
	}
	return fmt.Sprintf("%.2f %%", 100*v)
}

func interval(s Share) string {
	if s.N == 0 {
		return ""
	}
	low, high := s.Interval()
	return fmt.Sprintf("%.2f-%.2f", 100*low, 100*high)
}

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", *v)
}

func threshold(v float64) string {
	if v >= math.MaxFloat64 {
		return "none"
	}
	return fmt.Sprintf("%.4g", v)
}
