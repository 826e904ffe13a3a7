package payload

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Options of Measure and Suite. The zero value measures everything.
type Options struct {
	// FPR is the share of HttpParams' benign test rows that may be flagged; 0
	// means 0.001. It fixes the threshold for everything but CSIC and ATRDF.
	FPR float64
	// BrowsingSample judges only about so many browsing requests, evenly spread;
	// 0 judges all.
	BrowsingSample int
	// ListSample judges only about so many rows of each list and of each part of
	// CSIC; 0 judges all. HttpParams is never sampled.
	ListSample int
	// Transplants is how many attack strings are put into browsing requests; 0
	// means 10,000.
	Transplants int
	// Seed decides which, and where; 0 means 1.
	Seed uint64
	// Progress, where set, is told what is being measured.
	Progress func(what string)
}

func (o Options) withDefaults() Options {
	if o.FPR == 0 {
		o.FPR = 0.001
	}
	if o.Transplants == 0 {
		o.Transplants = 10_000
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Names of the sets that Measure makes tables of. A list by others is
// setList + its source.
const (
	SetHTTPParams = "HttpParams test"
	SetLookalikes = "hard benign: libinjection look-alikes"
	SetLexical    = "hard benign: lexical"
	SetList       = "list: "
	SetBrowsing   = "browsing"
	SetTransplant = "transplanted into browsing"
	SetCSIC       = "CSIC 2010"
	SetCSICOnce   = "CSIC 2010, deduplicated"
	SetATRDF      = "ATRDF"
	SetCRS        = "CRS regression"
)

// Settings: what fixed the threshold of a Table.
const (
	// SettingROC: the rows of the set themselves, at Options.FPR.
	SettingROC = "at the false-alarm rate asked for, by the set's own benign rows"
	// SettingOperating: the subject's shipped threshold, or that of HttpParams'
	// benign test rows if it is higher, so that both bounds hold.
	SettingOperating = "operating"
	// SettingTraining: held-out benign training rows.
	SettingTraining = "fixed on training data"
	// SettingNoFalseAlarm: above every benign row of the set that is judged.
	SettingNoFalseAlarm = "no false alarm"
)

// Measurement is what one subject did on everything.
type Measurement struct {
	Tables []*Table
	// Operating is the threshold of SettingOperating.
	Operating float64
	// HTTPParams are the scores of the test rows, for curves.
	HTTPParams *Scored
}

// measurement is one run in progress.
type measurement struct {
	Measurement
	dir     string
	o       Options
	subject *Subject
	lists   map[string][]*Request
}

// Measure runs one subject over all data sets in dir.
func Measure(ctx context.Context, dir string, s *Subject, o Options) (*Measurement, error) {
	m := &measurement{dir: dir, o: o.withDefaults(), subject: s}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"lists", m.runLists}, {"browsing", m.runBrowsing}, {"CSIC 2010", m.runCSIC}, {"ATRDF", m.runATRDF}, {"CRS regression", m.runCRS},
	} {
		m.o.Progress(s.Name + ": " + step.name)
		if err := step.run(ctx); err != nil {
			return nil, fmt.Errorf("measuring %s on %s: %w", s.Name, step.name, err)
		}
	}
	return &m.Measurement, nil
}

func (m *measurement) score(ctx context.Context, s *Subject, rows []*Request) (*Scored, error) {
	scores, each, err := s.Score(ctx, rows)
	return &Scored{Subject: s, Rows: rows, Scores: scores, Each: each}, err
}

func (m *measurement) runLists(ctx context.Context) error {
	var err error
	if m.lists, err = Lists(ctx, m.dir); err != nil {
		return err
	}
	test, err := m.score(ctx, m.subject, m.lists["httpparams-test"])
	if err != nil {
		return err
	}
	m.HTTPParams = test
	roc := Threshold(test.Part(Benign), m.o.FPR)
	m.Operating = max(roc, m.subject.Threshold)
	m.Tables = append(m.Tables,
		test.Table(SetHTTPParams, roc, SettingROC),
		test.Table(SetHTTPParams, m.Operating, SettingOperating))

	labelled := func(rows []*Request, label int) []*Request {
		return slices.DeleteFunc(slices.Clone(rows), func(r *Request) bool { return r.Label != label })
	}
	sets := []struct {
		name string
		rows []*Request
	}{
		{SetLookalikes, labelled(m.lists["libinjection"], Benign)},
		{SetLexical, labelled(m.lists["httpparams-lexical"], Benign)},
	}
	for _, source := range m.others() {
		rows := m.lists[source]
		if source == "libinjection" {
			rows = labelled(rows, Attack)
		}
		sets = append(sets, struct {
			name string
			rows []*Request
		}{SetList + source, spread(rows, m.o.ListSample)})
	}
	for _, set := range sets {
		scored, err := m.score(ctx, m.subject, set.rows)
		if err != nil {
			return err
		}
		t := scored.Table(set.name, m.Operating, SettingOperating)
		if source, ok := strings.CutPrefix(set.name, SetList); ok && len(set.rows) < len(m.lists[source]) && m.o.ListSample > 0 {
			t.SampledFrom = len(m.lists[source])
		}
		m.Tables = append(m.Tables, t)
	}
	return nil
}

// others are the lists of attack strings that are not HttpParams', by name.
func (m *measurement) others() []string {
	var out []string
	for source := range m.lists {
		if !strings.HasPrefix(source, "httpparams") {
			out = append(out, source)
		}
	}
	slices.Sort(out)
	return out
}

// batch is how many rows of a stream are held at once.
const batch = 4096

func (m *measurement) runBrowsing(ctx context.Context) error {
	carriers := NewCarriers(20_000, m.o.Seed)
	var all Scored
	var rows []*Request
	var spent float64
	flush := func() error {
		s, err := m.score(ctx, m.subject, rows)
		if err != nil {
			return err
		}
		all.Scores = append(all.Scores, s.Scores...)
		spent += float64(s.Each) * float64(len(rows))
		rows = rows[:0]
		return nil
	}
	seen, judged := 0, 0
	err := Browsing(ctx, m.dir, func(r *Request) error {
		seen++
		carriers.Add(r)
		if m.o.BrowsingSample > 0 && !picked(seen-1, browsingRows, m.o.BrowsingSample) {
			return nil
		}
		judged++
		if rows = append(rows, r); len(rows) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	t := &Table{
		Set: SetBrowsing, Subject: m.subject.Name, Threshold: finite(m.Operating), Setting: SettingOperating,
		Benign: ShareOf(all.Scores, m.Operating), Micros: spent / 1e3 / float64(max(1, judged)),
	}
	if judged < seen {
		t.SampledFrom = seen
	}
	m.Tables = append(m.Tables, t)

	var attacks []*Request
	for _, source := range m.others() {
		for _, r := range m.lists[source] {
			if r.Label == Attack {
				attacks = append(attacks, r)
			}
		}
	}
	placed, err := Transplant(carriers.kept, attacks, m.o.Transplants, m.o.Seed)
	if err != nil {
		return err
	}
	return m.transplanted(ctx, placed)
}

// transplanted makes a table by list, and by place and manner.
func (m *measurement) transplanted(ctx context.Context, placed []Transplanted) error {
	rows := make([]*Request, len(placed))
	for i, p := range placed {
		rows[i] = p.Request
	}
	scored, err := m.score(ctx, m.subject, rows)
	if err != nil {
		return err
	}
	byList, byPlace := *scored, *scored
	byList.Rows, byPlace.Rows = nil, nil
	for _, p := range placed {
		list, place := *p.Request, *p.Request
		list.Type = p.Source + ", " + p.Type
		place.Type = string(p.Place) + ", in place"
		if p.Appended {
			place.Type = string(p.Place) + ", appended"
		}
		byList.Rows, byPlace.Rows = append(byList.Rows, &list), append(byPlace.Rows, &place)
	}
	t := byList.Table(SetTransplant, m.Operating, SettingOperating)
	t.Types = append(t.Types, byPlace.Kinds(m.Operating)...)
	m.Tables = append(m.Tables, t)
	return nil
}

// browsingRows is the size of the capture, which a sample is spread over.
const browsingRows = 130_582

// picked spreads want picks evenly over total rows.
func picked(i, total, want int) bool {
	return want >= total || (i+1)*want/total > i*want/total
}

// spread is about want rows, evenly spread; all where want is 0.
func spread(rows []*Request, want int) []*Request {
	if want == 0 || want >= len(rows) {
		return rows
	}
	var out []*Request
	for i, r := range rows {
		if picked(i, len(rows), want) {
			out = append(out, r)
		}
	}
	return out
}

func (m *measurement) runCRS(ctx context.Context) error {
	rows, err := ReadCRS(ctx, m.dir)
	if err != nil {
		return err
	}
	scored, err := m.score(ctx, m.subject, rows)
	if err != nil {
		return err
	}
	m.Tables = append(m.Tables, scored.Table(SetCRS, m.Operating, SettingOperating))
	return nil
}

func (m *measurement) runATRDF(ctx context.Context) error {
	rows, err := ReadATRDF(ctx, m.dir)
	if err != nil {
		return err
	}
	scored, err := m.score(ctx, m.subject, rows)
	if err != nil {
		return err
	}
	m.Tables = append(m.Tables, scored.Table(SetATRDF, Threshold(scored.Part(Benign), 0), SettingNoFalseAlarm))
	if m.subject.Learn == nil {
		return nil
	}
	// Every second benign request teaches, the others judge.
	var learn, judge []*Request
	for _, r := range rows {
		if r.Label == Benign && len(learn) <= len(judge) {
			learn = append(learn, r)
		} else if r.Label == Benign {
			judge = append(judge, r)
		}
	}
	for _, r := range rows {
		if r.Label == Attack {
			judge = append(judge, r)
		}
	}
	learnt, err := m.subject.Learn(learn)
	if err != nil {
		return err
	}
	if scored, err = m.score(ctx, learnt, judge); err != nil {
		return err
	}
	m.Tables = append(m.Tables, scored.Table(SetATRDF, Threshold(scored.Part(Benign), 0), SettingNoFalseAlarm))
	return nil
}
