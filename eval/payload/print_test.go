package payload

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func twoSubjects() *Figures {
	f := &Figures{}
	for _, name := range []string{"ours", "theirs"} {
		s := &Scored{
			Subject: &Subject{Name: name},
			Rows:    []*Request{{Label: Attack, Type: "sqli"}, {Label: Attack, Type: "xss"}, {Label: Benign, Type: "norm"}},
			Scores:  []float64{1, 0.5, 0},
		}
		f.Add(&Measurement{HTTPParams: s, Tables: []*Table{
			s.Table(SetHTTPParams, 0.9, SettingOperating), s.Table(SetATRDF, 0.1, SettingNoFalseAlarm),
		}})
	}
	f.Tables[1].SampledFrom = 1000
	return f
}

func TestPrintShowsSubjectsSideBySide(t *testing.T) {
	var out bytes.Buffer
	r := &Report{Figures: *twoSubjects(), Targets: []Target{{Name: "a figure", Measured: 0.9, Target: 0.99}}}
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	order := []string{"a figure", "NO", "HttpParams test", "ours", "50.00 %", "HttpParams test", "theirs", "ATRDF (3 of 1000), no false alarm", "ours", "ATRDF, no false alarm", "theirs", "flagged by kind", "sqli", "100.00 % of 1"}
	rest := out.String()
	for _, want := range order {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is missing or out of order in\n%s", want, out.String())
		}
		rest = after
	}
	if r.Met() {
		t.Error("a missed target counts as met")
	}
}

func TestPlotIsAnImage(t *testing.T) {
	f := twoSubjects()
	path := filepath.Join(t.TempDir(), "roc.png")
	if err := f.Plot(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	image, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if b := image.Bounds(); b.Dx() < 300 || b.Dy() < 200 {
		t.Errorf("the image is %v", b)
	}
}

func TestThinKeepsEndsAndTheUsefulPart(t *testing.T) {
	var points []Point
	for i := range 10_000 {
		points = append(points, Point{FPR: float64(i) / 9999, TPR: float64(i) / 9999})
	}
	got := thin(points)
	if len(got) > maxPoints+1 || got[0] != points[0] || got[len(got)-1] != points[9999] {
		t.Errorf("%d points from %+v to %+v", len(got), got[0], got[len(got)-1])
	}
	useful := 0
	for _, p := range got {
		if p.FPR < 0.01 {
			useful++
		}
	}
	if useful < 100 {
		t.Errorf("%d points below 1 %%", useful)
	}
}
