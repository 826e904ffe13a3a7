package payload

import (
	"encoding/json"
	"fmt"
	"os"
)

// Curve is the ROC of one subject on HttpParams' test rows.
type Curve struct {
	Subject string  `json:"subject"`
	Points  []Point `json:"points"`
}

// Figures are what subjects did, in the form that programs hand each other: a
// web application firewall is measured by a program of its own, so that its
// modules stay out of this one.
type Figures struct {
	Tables []*Table `json:"tables"`
	Curves []Curve  `json:"curves"`
}

// Add takes the measurement of one more subject in.
func (f *Figures) Add(m *Measurement) {
	f.Tables = append(f.Tables, m.Tables...)
	h := m.HTTPParams
	f.Curves = append(f.Curves, Curve{h.Subject.Name, thin(ROC(h.Part(Attack), h.Part(Benign)))})
}

// maxPoints bounds a curve in a file.
const maxPoints = 400

// thin leaves out points of a long curve, evenly, but no end and none at less
// than 1 % false alarms, where the curve is read.
func thin(points []Point) []Point {
	if len(points) <= maxPoints {
		return points
	}
	var out []Point
	for i, p := range points {
		if p.FPR < 0.01 && len(out) < maxPoints/2 || i == len(points)-1 || picked(i, len(points), maxPoints/2) {
			out = append(out, p)
		}
	}
	return out
}

// ReadFigures reads what WriteFile wrote.
func ReadFigures(path string) (*Figures, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &Figures{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	return f, nil
}

// WriteFile writes the figures as JSON.
func (f *Figures) WriteFile(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding figures: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing figures: %w", err)
	}
	return nil
}
