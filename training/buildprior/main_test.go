package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/scoring"
)

func TestBuiltPriorLoadsAndItsTableHoldsEveryClientDay(t *testing.T) {
	dir := t.TempDir()
	out, table := filepath.Join(dir, "prior.json.gz"), filepath.Join(dir, "days.csv")
	if err := build(out, table, 1, 80, 1); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := scoring.ReadModel(f)
	if err != nil {
		t.Fatal(err)
	}
	days, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer days.Close()
	held := 0
	lines := bufio.NewScanner(days)
	for lines.Scan() {
		columns := strings.Split(lines.Text(), ",")
		if len(columns) != 2+scoring.NumChannels {
			t.Fatalf("%d columns: %s", len(columns), lines.Text())
		}
		if columns[1] == "true" {
			held++
		}
	}
	if n := m.Calibration[scoring.Pooled].N; held != n || n == 0 {
		t.Errorf("%d client-days held out in the table, %d in the model", held, n)
	}
}

func TestFileThatCannotBeWrittenIsReported(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "missing", "file")
	if err := build(nowhere, "", 1, 80, 1); err == nil {
		t.Error("a model without a folder was written")
	}
	if err := build(nowhere, nowhere, 1, 80, 1); err == nil {
		t.Error("a table without a folder was written")
	}
}
