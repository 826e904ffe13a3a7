package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/weir-dev/weir/eval"
)

// printSuite shows everything that a suite, or a run over labelled events,
// measured.
func printSuite(w io.Writer, r *eval.SuiteResult) error {
	fmt.Fprintf(w, "\n%s (%.0f s)\n\n", r.Suite, r.Seconds)
	if r.Note != "" {
		fmt.Fprintf(w, "%s\n\n", r.Note)
	}
	section := func(rows int, t table.Writer) {
		if rows > 0 {
			t.Render()
			fmt.Fprintln(w)
		}
	}
	section(len(r.Attacks), recallTable(w, r.Attacks))
	section(len(r.Classes), falseBlockTable(w, r.Classes))
	if c := r.Collateral; c != nil {
		fmt.Fprintf(w, "%d blocks of addresses, devices or cohorts; %d of them refused %d benign people; %d cohorts held no attacker\n\n", c.Shared, c.Hurting, c.People, c.Baseless)
	}
	for _, rates := range r.Rates {
		fmt.Fprintln(w, rates.Name)
		section(len(rates.Rows), rateTable(w, rates.Rows))
	}
	section(len(r.Intensities), intensityTable(w, r.Intensities))
	section(len(r.Starts), startTable(w, r.Starts))
	section(len(r.Poisons), poisonTable(w, r.Poisons))
	section(len(r.Framings), framingTable(w, r.Framings))
	section(len(r.Ablation), ablationTable(w, r.Ablation))
	if r.Payload != nil {
		if err := r.Payload.Print(w); err != nil {
			return err
		}
	}
	section(len(r.Figures), figureTable(w, r.Figures))
	return nil
}

func percent(x float64) string {
	if x < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*x)
}

// within is a share with its interval.
func within(x, low, high float64) string {
	if x < 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g (%.2g to %.2g)", x, low, high)
}

func recallTable(w io.Writer, rows []eval.AttackRow) table.Writer {
	t := newTable(w, "attack", "instances", "found", "entities", "blocked", "named", "requests p50", "p90", "seconds p50", "p90", "damage", "logins")
	for _, r := range rows {
		name := r.Attack
		if r.Variant != "" {
			name += "/" + r.Variant
		}
		t.AppendRow(table.Row{
			name, r.Instances, r.Found, r.Entities, r.Blocked, r.Named,
			r.RequestsP50, r.RequestsP90, fmt.Sprintf("%.0f", r.SecondsP50), fmt.Sprintf("%.0f", r.SecondsP90), percent(r.Damage), percent(r.Attempts),
		})
	}
	return t
}

func falseBlockTable(w io.Writer, rows []eval.ClassRow) table.Writer {
	t := newTable(w, "benign clients", "client-days", "blocked", "rate (95 %)")
	for _, r := range rows {
		t.AppendRow(table.Row{r.Class, r.Days, r.Blocked, within(r.Rate, r.Low, r.High)})
	}
	return t
}

func rateTable(w io.Writer, rows []eval.RateRow) table.Writer {
	t := newTable(w, "nominal", "client-days", "above", "realised (95 %)", "stated", "rests on", "product of windows", "Fisher", "bets")
	for _, r := range rows {
		t.AppendRow(table.Row{
			r.Alpha, r.Days, r.Blocked, within(r.Rate, r.Low, r.High), fmt.Sprintf("%.2g to %.2g", r.StatedLow, r.StatedHigh),
			r.Kind, percent(r.NaiveProduct), percent(r.NaiveFisher), percent(r.NaiveBets),
		})
	}
	return t
}

func intensityTable(w io.Writer, rows []eval.IntensityRow) table.Writer {
	header := []any{"recall at intensity"}
	for _, i := range eval.Intensities() {
		header = append(header, i)
	}
	t := newTable(w, header...)
	var order []string
	cells := map[string]map[float64]float64{}
	for _, r := range rows {
		name := r.Attack + "/" + r.Variant
		if cells[name] == nil {
			cells[name] = map[float64]float64{}
			order = append(order, name)
		}
		cells[name][r.Intensity] = r.Recall
	}
	for _, name := range order {
		row := table.Row{name}
		for _, i := range eval.Intensities() {
			cell := "-"
			if x, ok := cells[name][i]; ok {
				cell = percent(x)
			}
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	return t
}

func startTable(w io.Writer, rows []eval.StartRow) table.Writer {
	t := newTable(w, "windows of history", "instances", "found", "recall (95 %)", "client-days", "blocked", "rate (95 %)")
	for _, r := range rows {
		t.AppendRow(table.Row{r.Windows, r.Instances, r.Found, within(r.Recall, r.Low, r.High), r.Days, r.Blocked, within(r.Rate, r.RateLow, r.RateHigh)})
	}
	return t
}

func poisonTable(w io.Writer, rows []eval.PoisonRow) table.Writer {
	t := newTable(w, "poison", "clients", "found from calls/s", "without poison", "gain")
	for _, r := range rows {
		t.AppendRow(table.Row{percent(r.Share), r.Clients, fmt.Sprintf("%.3g", r.Found), fmt.Sprintf("%.3g", r.Clean), fmt.Sprintf("%.2f", r.Gain)})
	}
	return t
}

func framingTable(w io.Writer, rows []eval.FramingRow) table.Writer {
	t := newTable(w, "framing", "victims", "blocked", "attacks", "found", "people refused beside")
	for _, r := range rows {
		t.AppendRow(table.Row{r.Framing, r.Victims, r.Blocked, r.Attacks, r.Found, r.Refused})
	}
	return t
}

func ablationTable(w io.Writer, rows []eval.AblationRow) table.Writer {
	t := newTable(w, "without", "recall", "false blocks", "what falls")
	for _, r := range rows {
		var lost []string
		for name, x := range r.Lost {
			lost = append(lost, fmt.Sprintf("%s to %s", name, percent(x)))
		}
		slices.Sort(lost)
		name := r.Without
		if name == "" {
			name = "nothing"
		}
		t.AppendRow(table.Row{name, percent(r.Recall), fmt.Sprintf("%.2g", r.Blocked), wrap(strings.Join(lost, ", "), 80)})
	}
	return t
}

func figureTable(w io.Writer, rows []eval.Figure) table.Writer {
	t := newTable(w, "figure", "measured", "interval", "n", "target", "", "note")
	for _, r := range rows {
		met := "met"
		if !r.Met {
			met = "MISSED"
		}
		t.AppendRow(table.Row{r.Name, fmt.Sprintf("%.4g", r.Measured), fmt.Sprintf("%.3g to %.3g", r.Low, r.High), r.N, r.Target, met, r.Note})
	}
	return t
}
