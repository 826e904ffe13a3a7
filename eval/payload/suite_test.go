package payload

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lengths scores a row by the length of its string.
type lengths struct{}

func (lengths) Score(r *Request) float64 {
	if r.Payload == "?" {
		return math.NaN()
	}
	return float64(len(r.Payload)) / 1000
}

func fixed() *Subject {
	return &Subject{Name: "lengths", Threshold: 0.5, New: func() (Scorer, error) { return lengths{}, nil }}
}

func TestScoresStandInOrderHoweverManyWorkers(t *testing.T) {
	var rows []*Request
	for i := range 777 {
		rows = append(rows, &Request{Payload: strings.Repeat("x", i)})
	}
	scores, _, err := fixed().Score(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scores {
		if s != float64(i)/1000 {
			t.Fatalf("row %d scores %g", i, s)
		}
	}
	if s, _, err := fixed().Score(t.Context(), []*Request{{Payload: "?"}}); err != nil || s[0] != 1 {
		t.Errorf("no number scores %v, %v", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := fixed().Score(ctx, rows); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	broken := &Subject{New: func() (Scorer, error) { return nil, os.ErrInvalid }}
	if _, _, err := broken.Score(t.Context(), rows); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("a scorer that cannot be made gives %v", err)
	}
}

func TestTableCountsByKind(t *testing.T) {
	s := &Scored{Subject: fixed(), Each: 2500 * time.Nanosecond, Rows: []*Request{
		{Label: Attack, Type: "sqli"}, {Label: Attack, Type: "sqli"}, {Label: Attack, Type: "xss"}, {Label: Benign}, {Label: Unlabelled},
	}, Scores: []float64{0.9, 0.2, 0.9, 0.3, 0.9}}
	got := s.Table("set", 0.5, SettingOperating)
	auc, f1, precision := 2.0/3, 0.8, 1.0
	want := &Table{
		Set: "set", Subject: "lengths", Threshold: 0.5, Setting: SettingOperating,
		Benign: Share{1, 0}, Attacks: Share{3, 2}, AUC: &auc, F1: &f1, Precision: &precision, Micros: 2.5,
		Types: []TypeShare{
			{"unlabelled", Unlabelled, Share{1, 1}}, {"benign", Benign, Share{1, 0}},
			{"sqli", Attack, Share{2, 1}}, {"xss", Attack, Share{1, 1}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if share, ok := got.Type("sqli"); !ok || share != (Share{2, 1}) {
		t.Errorf("sqli %v", share)
	}
	if _, ok := got.Type("none"); ok {
		t.Error("a kind that is not there is found")
	}
}

func TestFiguresSurviveTheirFile(t *testing.T) {
	s := &Scored{Subject: fixed(), Rows: []*Request{{Label: Attack, Type: "a"}, {Label: Benign, Type: "b"}}, Scores: []float64{1, 0}}
	f := &Figures{}
	f.Add(&Measurement{Tables: []*Table{s.Table("set", math.Inf(1), SettingROC)}, HTTPParams: s})
	path := filepath.Join(t.TempDir(), "f.json")
	if err := f.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFigures(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"x", `{"tables":[{"attacks":{"n":1,"flagged":2}}]}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFigures(path); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestTargetsHoldOneSetting(t *testing.T) {
	table := func(set, setting string, attacks, benign Share, types ...TypeShare) *Table {
		return &Table{Set: set, Setting: setting, Subject: "weir", Attacks: attacks, Benign: benign, Types: types}
	}
	good, bad := 0.995, 0.99
	csic := table(SetCSIC, SettingTraining, Share{}, Share{})
	once := table(SetCSICOnce, SettingTraining, Share{}, Share{})
	csic.F1, once.F1 = &good, &bad
	csic.Subject += learntSuffix
	once.Subject += learntSuffix
	got := map[string]bool{}
	for _, x := range targets([]*Table{
		table(SetHTTPParams, SettingROC, Share{100, 0}, Share{}),
		table(SetHTTPParams, SettingOperating, Share{100, 99}, Share{1000, 1},
			TypeShare{"sqli", Attack, Share{20, 19}}, TypeShare{"xss", Attack, Share{20, 18}}, TypeShare{"norm", Benign, Share{1000, 1}}),
		table(SetBrowsing, SettingOperating, Share{}, Share{1000, 3}),
		table(SetTransplant, SettingOperating, Share{100, 97}, Share{}),
		table(SetLookalikes, SettingOperating, Share{}, Share{1000, 4}),
		table(SetLexical, SettingOperating, Share{}, Share{}),
		csic, once,
	}, "weir") {
		got[x.Name] = x.Met
		if x.Met && x.AtMost && x.Measured >= x.Target || x.Met && !x.AtMost && x.Measured < x.Target {
			t.Errorf("%+v", x)
		}
	}
	want := map[string]bool{
		"HttpParams test: attacks found at 0.1 % false alarms":                    true,
		"HttpParams test: sqli":                                                   true,
		"HttpParams test: xss":                                                    false,
		"browsing: false alarms at the same setting":                              false, // less than 0.3 %, not equal
		"transplanted into browsing: found at the same setting":                   true,
		"hard benign: libinjection look-alikes: false alarms at the same setting": true,
		"hard benign: lexical: false alarms at the same setting":                  false, // no rows, no claim
		"CSIC 2010: F1":               true,
		"CSIC 2010, deduplicated: F1": false,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSpreadTakesAboutAsManyAsAsked(t *testing.T) {
	rows := make([]*Request, 1000)
	for _, want := range []int{1, 7, 333, 999, 1000, 2000} {
		if got := len(spread(rows, want)); got != min(want, 1000) {
			t.Errorf("%d rows, want %d", got, want)
		}
	}
	if len(spread(rows, 0)) != 1000 {
		t.Error("0 is not all")
	}
}

func TestLibinjectionLooksAtEveryValue(t *testing.T) {
	s, err := Libinjection().New()
	if err != nil {
		t.Fatal(err)
	}
	const sqli, xss = "1' or '1'='1", "<script>alert(1)</script>"
	f := func(want float64, r *Request) {
		t.Helper()
		if got := s.Score(r); got != want {
			t.Errorf("%+v scores %g, want %g", r, got, want)
		}
	}
	f(1, &Request{Payload: sqli})
	f(1, &Request{Payload: xss})
	f(0, &Request{Payload: "o'neill"})
	f(1, &Request{Method: "GET", URL: "/?a=1%27+or+%271%27%3d%271"})
	f(1, &Request{Method: "GET", URL: "/x/%3Cscript%3Ealert(1)%3C/script%3E"})
	f(1, &Request{Method: "POST", URL: "/", Body: `{"a":["b","<script>alert(1)<\/script>"]}`})
	f(1, &Request{Method: "POST", URL: "/", Headers: form, Body: "a=" + xss})
	f(1, &Request{Method: "POST", URL: "/", Body: xss})
	f(1, &Request{Method: "GET", URL: "/", Headers: map[string]string{"cookie": "a=b; c=" + sqli}})
	f(1, &Request{Method: "GET", URL: "/", Headers: map[string]string{"User-Agent": xss}})
	f(1, &Request{Method: "POST", URL: "/", Headers: map[string]string{"Content-Type": "multipart/form-data; boundary=b"},
		Body: "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + sqli + "\r\n--b--\r\n"})
	f(0, &Request{Method: "POST", URL: "/?a=b", Headers: map[string]string{"Content-Type": "multipart/form-data; boundary=b", "Cookie": "a=b"},
		Body: "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhello\r\n--b--\r\n"})
}
