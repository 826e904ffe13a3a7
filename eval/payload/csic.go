package payload

import (
	"context"
	"slices"
)

// runCSIC judges CSIC 2010 as it is, and each distinct request once, without
// the normal ones that the training part holds already. A subject that learns
// does so from the training part, which also sets its threshold; one that does
// not is judged at its operating threshold.
func (m *measurement) runCSIC(ctx context.Context) error {
	data, err := ReadCSIC(ctx, m.dir)
	if err != nil {
		return err
	}
	subject, threshold, setting := m.subject, m.Operating, SettingOperating
	if m.subject.Learn != nil {
		if subject, err = m.subject.Learn(data.Training); err != nil {
			return err
		}
		threshold, setting = subject.Threshold, SettingTraining
	}
	known := map[string]bool{}
	for _, r := range data.Training {
		known[same(r)] = true
	}
	var once []*Request
	for _, r := range slices.Concat(data.Normal, data.Anomalous) {
		if k := same(r); r.Label == Attack && !known["attack "+k] || r.Label == Benign && !known[k] {
			if r.Label == Attack {
				k = "attack " + k
			}
			known[k] = true
			once = append(once, r)
		}
	}
	total := len(data.Normal) + len(data.Anomalous)
	all := slices.Concat(spread(data.Normal, m.o.ListSample), spread(data.Anomalous, m.o.ListSample))
	for _, set := range []struct {
		name  string
		rows  []*Request
		total int
	}{{SetCSIC, all, total}, {SetCSICOnce, spread(once, m.o.ListSample), len(once)}} {
		scored, err := m.score(ctx, subject, set.rows)
		if err != nil {
			return err
		}
		t := scored.Table(set.name, threshold, setting)
		if len(set.rows) < set.total {
			t.SampledFrom = set.total
		}
		m.Tables = append(m.Tables, t)
	}
	return nil
}

// same is equal for requests that differ in headers alone: each has a session
// of its own.
func same(r *Request) string { return r.Method + " " + r.URL + "\n" + r.Body }
