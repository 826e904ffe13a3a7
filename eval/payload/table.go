package payload

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Table is what one subject did on one set of rows at one threshold.
type Table struct {
	Set     string `json:"set"`
	Subject string `json:"subject"`
	// Threshold is the score from which on rows were flagged, and Setting says
	// what fixed it.
	Threshold float64     `json:"threshold"`
	Setting   string      `json:"setting"`
	Benign    Share       `json:"benign"`
	Attacks   Share       `json:"attacks"`
	Types     []TypeShare `json:"types,omitempty"` // more than one kind of row
	// AUC, F1 and the rest are absent where the rows do not define them.
	AUC       *float64 `json:"auc,omitempty"`
	F1        *float64 `json:"f1,omitempty"`
	Precision *float64 `json:"precision,omitempty"`
	// ECE is the expected calibration error in ten bins at the subject's Prior.
	ECE *float64 `json:"ece,omitempty"`
	// SampledFrom is the number of rows of which Benign and Attacks are a sample;
	// 0 where all were judged.
	SampledFrom int     `json:"sampled_from,omitempty"`
	Micros      float64 `json:"micros_per_row"` // of one processor
}

// TypeShare is the part of a Table about one kind of row.
type TypeShare struct {
	Type  string `json:"type"`
	Label int    `json:"label"`
	Rows  Share  `json:"rows"`
}

// Scored are rows with the scores that a subject gave them.
type Scored struct {
	Subject *Subject
	Rows    []*Request
	Scores  []float64
	Each    time.Duration // mean time of one row
}

// Part are the scores of the rows with a label.
func (s *Scored) Part(label int) []float64 {
	var out []float64
	for i, r := range s.Rows {
		if r.Label == label {
			out = append(out, s.Scores[i])
		}
	}
	return out
}

// Table states what is flagged at a threshold.
func (s *Scored) Table(set string, threshold float64, setting string) *Table {
	attack, benign := s.Part(Attack), s.Part(Benign)
	t := &Table{
		Set: set, Subject: s.Subject.Name, Threshold: finite(threshold), Setting: setting,
		Benign: ShareOf(benign, threshold), Attacks: ShareOf(attack, threshold),
		Micros: float64(s.Each.Nanoseconds()) / 1e3,
	}
	t.AUC = number(AUC(attack, benign))
	if len(attack) > 0 && len(benign) > 0 {
		c := Confuse(attack, benign, threshold)
		t.F1, t.Precision = number(c.F1()), number(c.Precision())
		if s.Subject.Prior > 0 {
			_, ece := Reliability(attack, benign, s.Subject.Prior, 10)
			t.ECE = number(ece)
		}
	}
	if types := s.Kinds(threshold); len(types) > 1 {
		t.Types = types
	}
	return t
}

// Kinds are the shares flagged by label and kind.
func (s *Scored) Kinds(threshold float64) []TypeShare {
	type key struct {
		kind  string
		label int
	}
	by := map[key]*TypeShare{}
	for i, r := range s.Rows {
		k := key{r.Kind(), r.Label}
		t := by[k]
		if t == nil {
			t = &TypeShare{Type: k.kind, Label: k.label}
			by[k] = t
		}
		t.Rows.N++
		if s.Scores[i] >= threshold {
			t.Rows.Flagged++
		}
	}
	out := make([]TypeShare, 0, len(by))
	for _, t := range by {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b TypeShare) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Type, b.Type))
	})
	return out
}

// Type is the share of one kind of row.
func (t *Table) Type(name string) (Share, bool) {
	for _, s := range t.Types {
		if s.Type == name {
			return s.Rows, true
		}
	}
	return Share{}, false
}

// finite makes a threshold that JSON can hold: one that nothing or everything
// reaches becomes the largest number, or its negative.
func finite(v float64) float64 {
	return max(-math.MaxFloat64, min(v, math.MaxFloat64))
}

func number(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
