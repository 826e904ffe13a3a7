package payload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Target is one figure that the payload detection must reach.
type Target struct {
	Name     string  `json:"name"`
	Measured float64 `json:"measured"`
	// Low and High are the exact 95 % interval of a share; absent for others.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
	// AtMost says that the Target must not be reached, else it must.
	AtMost bool    `json:"at_most"`
	Target float64 `json:"target"`
	Met    bool    `json:"met"`
}

// Report is the result of a Suite.
type Report struct {
	Targets []Target `json:"targets"`
	Figures
	// Reliability are the bins of the detector's confidence on HttpParams' test
	// rows, attacks and benign rows weighing the same.
	Reliability []Bin `json:"reliability"`
}

// Met tells whether every target is.
func (r *Report) Met() bool {
	for _, t := range r.Targets {
		if !t.Met {
			return false
		}
	}
	return true
}

// Suite measures a detector and libinjection on the data sets in dir and holds
// the detector to the targets. beside, which may be nil, are figures of others
// that are shown with them.
func Suite(ctx context.Context, dir string, detector *Subject, beside *Figures, o Options) (*Report, error) {
	m, err := Measure(ctx, dir, detector, o)
	if err != nil {
		return nil, err
	}
	r := &Report{Targets: targets(m.Tables, detector.Name)}
	r.Reliability, _ = Reliability(m.HTTPParams.Part(Attack), m.HTTPParams.Part(Benign), 0.5, 10)
	r.Add(m)
	known := map[string]bool{detector.Name: true}
	if beside != nil {
		r.Tables = append(r.Tables, beside.Tables...)
		r.Curves = append(r.Curves, beside.Curves...)
		for _, c := range beside.Curves {
			known[c.Subject] = true
		}
	}
	if own := Libinjection(); !known[own.Name] {
		if m, err = Measure(ctx, dir, own, o); err != nil {
			return nil, err
		}
		r.Add(m)
	}
	return r, nil
}

// targets are held at one setting of the detector: the operating threshold,
// which flags at most the share of HttpParams' benign rows that Options.FPR
// allows; for CSIC one that is fixed on training data.
func targets(tables []*Table, subject string) []Target {
	find := func(set, setting string) *Table {
		for _, t := range tables {
			if t.Set == set && t.Setting == setting && (t.Subject == subject || t.Subject == subject+learntSuffix) {
				return t
			}
		}
		return nil
	}
	var out []Target
	// A share of no rows is a figure that is missing, and meets nothing.
	add := func(name string, s Share, target float64, atMost bool) {
		low, high := s.Interval()
		t := Target{Name: name, Low: &low, High: &high, AtMost: atMost, Target: target}
		if s.N > 0 {
			t.Measured = s.Rate()
			t.Met = t.Measured < target == atMost
		}
		out = append(out, t)
	}
	atLeast := func(name string, s Share, target float64) { add(name, s, target, false) }
	below := func(name string, s Share, target float64) { add(name, s, target, true) }
	if t := find(SetHTTPParams, SettingOperating); t != nil {
		atLeast("HttpParams test: attacks found at 0.1 % false alarms", t.Attacks, 0.99)
		for _, k := range t.Types {
			if k.Label == Attack {
				atLeast("HttpParams test: "+k.Type, k.Rows, 0.95)
			}
		}
	}
	if t := find(SetBrowsing, SettingOperating); t != nil {
		below("browsing: false alarms at the same setting", t.Benign, 0.003)
	}
	if t := find(SetTransplant, SettingOperating); t != nil {
		atLeast("transplanted into browsing: found at the same setting", t.Attacks, 0.97)
	}
	for _, hard := range []string{SetLookalikes, SetLexical} {
		if t := find(hard, SettingOperating); t != nil {
			below(hard+": false alarms at the same setting", t.Benign, 0.005)
		}
	}
	for _, c := range []struct {
		set    string
		target float64
	}{{SetCSIC, 0.994}, {SetCSICOnce, 0.991}} {
		if t := find(c.set, SettingTraining); t != nil && t.F1 != nil {
			out = append(out, Target{Name: c.set + ": F1", Measured: *t.F1, Target: c.target, Met: *t.F1 >= c.target})
		}
	}
	return out
}

// Print writes targets and tables for a reader.
func (r *Report) Print(w io.Writer) error {
	t := newTable("payload detection", "measured", "95 %", "target", "met")
	for _, x := range r.Targets {
		sign, met, bounds := ">=", "yes", ""
		if x.AtMost {
			sign = "<"
		}
		if !x.Met {
			met = "NO"
		}
		measured, target := fmt.Sprintf("%.4f", x.Measured), fmt.Sprintf("%s %.4g", sign, x.Target)
		if x.Low != nil && x.High != nil {
			measured, target = percent(x.Measured), fmt.Sprintf("%s %.4g %%", sign, 100*x.Target)
			bounds = fmt.Sprintf("%.2f-%.2f", 100**x.Low, 100**x.High)
		}
		t.AppendRow(table.Row{x.Name, measured, bounds, target, met})
	}
	if _, err := fmt.Fprintf(w, "%s\n\n", t.Render()); err != nil {
		return fmt.Errorf("writing targets: %w", err)
	}
	return r.Figures.Print(w)
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
