package eval

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func TestPicturesAreDrawnOfWhatWasMeasured(t *testing.T) {
	r := &SuiteResult{
		Rates: []NamedRates{{"a", []RateRow{
			{Alpha: 1e-2, Rate: .012, Low: .008, High: .02, NaiveProduct: .2}, {Alpha: 1e-3, Rate: .0008, Low: .0002, High: .002, NaiveProduct: .1}, {Alpha: 1e-4, High: 3e-4},
		}}, {"b", []RateRow{{Alpha: 1e-2, Rate: .005, Low: .004, High: .006}}}},
		Intensities: []IntensityRow{{"probing", "paths", .25, 4, 1, .25}, {"probing", "fuzz", .25, 4, 4, 1}, {"probing", "paths", 1, 4, 4, 1}, {"scraping", "ip", 2, 0, 0, -1}},
		Tradeoff:    []TradeoffPoint{{1e-1, 1, .1}, {1e-3, .9, 1e-3}, {1e-5, .5, 0}},
	}
	dir := t.TempDir()
	paths, err := Plot(r, dir)
	if err != nil || len(paths) != 3 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, name := range []string{"calibration.png", "recall-intensity.png", "recall-false-blocks.png"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil || img.Bounds().Dx() < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if paths, err := Plot(&SuiteResult{}, dir); err != nil || len(paths) != 0 {
		t.Errorf("nothing measured: %v, %v", paths, err)
	}
	if _, err := Plot(r, filepath.Join(dir, "absent")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestDecadesAreLabelled(t *testing.T) {
	var labels []string
	for _, tick := range (decades{}).Ticks(1e-4, 1) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	want := []string{"1/10000", "1/1000", "1/100", "1/10", "1"}
	if len(labels) != len(want) {
		t.Fatal(labels)
	}
	for i := range want {
		if labels[i] != want[i] {
			t.Errorf("label %q, want %q", labels[i], want[i])
		}
	}
}
