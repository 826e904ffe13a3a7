package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-dev/weir/features/payload"
)

func TestBuildIsDeterministicAndWorks(t *testing.T) {
	dir := t.TempDir()
	o := payload.DefaultTrainOptions()
	o.Epochs = 1
	var files [2][]byte
	for i := range files {
		name := filepath.Join(dir, "prior.bin.gz")
		if err := build(name, 7, 1200, 10100, o); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = data
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Fatal("the same seed gave two models")
	}
	d, err := payload.Read(bytes.NewReader(files[0]))
	if err != nil {
		t.Fatal(err)
	}
	f := d.Value(new(payload.Scratch), []byte("1' union all select null,version(),null-- -"))
	if f.Confidence < 0.5 || f.Class != payload.SQLi {
		t.Errorf("%+v", f)
	}
}

func TestBuildNeedsExamples(t *testing.T) {
	if err := build(filepath.Join(t.TempDir(), "x"), 1, 10, 10, payload.DefaultTrainOptions()); err == nil {
		t.Error("a model was made of twenty values")
	}
}

func TestExamplesAreWhatWasAskedFor(t *testing.T) {
	attacks, benign := 0, 0
	for ex := range examples(1, 300, 700) {
		if ex.Class == payload.Benign {
			benign++
		} else {
			attacks++
		}
	}
	if attacks != 300 || benign != 700 {
		t.Errorf("%d attacks and %d benign values", attacks, benign)
	}
}
