package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/eval"
)

// weir runs a command and returns what it printed.
func weir(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&errs)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestEvalJudgesWhatSimulateWrites(t *testing.T) {
	dir := t.TempDir()
	events, labels, plots := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "labels.ndjson"), filepath.Join(dir, "plots")
	if _, err := weir(t, "simulate", "--clients", "80", "--duration", "6h", "--attack", "credential-stuffing,probing", "--labels", labels, "--file", events); err != nil {
		t.Fatal(err)
	}
	args := []string{"eval", events, "--labels", labels, "--alpha", "1e-2,1e-3", "--plots", plots}
	out, err := weir(t, append(args, "-o", "json")...)
	if err != nil {
		t.Fatal(err)
	}
	var r eval.SuiteResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(r.Attacks) != 2 || r.Attacks[0].Attack != "credential-stuffing" || r.Attacks[0].Instances != 1 || r.Attacks[0].Entities != 1 {
		t.Errorf("attacks %+v", r.Attacks)
	}
	if len(r.Classes) != 2 || r.Classes[0].Days < 50 {
		t.Errorf("client-days %+v", r.Classes)
	}
	if len(r.Rates) != 1 || len(r.Rates[0].Rows) != 2 || r.Rates[0].Rows[0].Days != r.Classes[0].Days {
		t.Errorf("rates %+v", r.Rates)
	}
	if _, err := os.Stat(filepath.Join(plots, "calibration.png")); err != nil {
		t.Error(err)
	}
	table, err := weir(t, append(args, "-o", "table")...)
	if err != nil || !strings.Contains(table, "credential-stuffing") || !strings.Contains(table, "realised") && !strings.Contains(table, "REALISED") {
		t.Errorf("%v: %s", err, table)
	}
	again, err := weir(t, append(args, "-o", "json")...)
	if err != nil || withoutTime(t, again) != withoutTime(t, out) {
		t.Errorf("two runs over one file differ: %v", err)
	}
}

func withoutTime(t *testing.T, out string) string {
	t.Helper()
	var r eval.SuiteResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	r.Seconds = 0
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEvalRefusesWhatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "labels.ndjson")
	if err := os.WriteFile(bad, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"events.ndjson"}, "--labels"},
		{[]string{"--labels", bad}, "EVENTS"},
		{[]string{"events.ndjson", "--labels", bad, "--suite", "recall"}, "--suite"},
		{[]string{"events.ndjson", "--labels", bad}, "line 1"},
		{[]string{"events.ndjson", "--labels", filepath.Join(dir, "absent")}, "labels"},
		{[]string{"--suite", "everything"}, "guarantee"},
		{[]string{"--alpha", "2"}, "--alpha"},
		{[]string{"--output", "yaml"}, "yaml"},
	} {
		if _, err := weir(t, append([]string{"eval"}, tc.args...)...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want mention of %s", tc.args, err, tc.want)
		}
	}
}
