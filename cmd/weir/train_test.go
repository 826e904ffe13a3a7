package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/simulate"
)

// command runs weir with arguments and returns what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTrainWritesAModelThatDetectReads(t *testing.T) {
	dir := t.TempDir()
	cfg := simulate.DefaultConfig()
	cfg.Start, cfg.Duration, cfg.Clients, cfg.Activity = cfg.Start.Add(9*time.Hour), time.Hour, 150, 20
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	n, err := simulate.WriteNDJSON(&log, g)
	if err != nil {
		t.Fatal(err)
	}
	events, model := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "own.model")
	if err := os.WriteFile(events, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "train", events, "--out", model, "--name", "shop", "-o", "json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		pipeline.Description
		pipeline.Lesson
		File string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Ref, "shop@") || int(got.Parsed) != n || got.Passes != 9 || got.File != model || got.Parameters == 0 {
		t.Errorf("trained %+v", got)
	}
	if len(got.APIs) != 2 || got.APIs[0].API != "bank" || got.APIs[0].Norms == 0 || got.APIs[0].Clients == 0 || got.APIs[0].Status.Status != features.StatusTrained {
		t.Errorf("APIs %+v", got.APIs)
	}
	if len(got.Strata) == 0 || len(got.Strata[0].Thresholds) != 3 {
		t.Errorf("strata %+v", got.Strata)
	}
	m, err := pipeline.LoadModel(model)
	if err != nil || pipeline.ModelRef(m) != got.Ref {
		t.Errorf("the file holds %v: %v", m, err)
	}
	table, err := command(t, "train", events, "--out", model, "--name", "shop", "-o", "table")
	if err != nil || !strings.Contains(table, "written to "+model) || !strings.Contains(table, got.Ref) {
		t.Errorf("as a table: %v\n%s", err, table)
	}
	for _, args := range [][]string{{"train", events}, {"train", events, "--out", model, "--publish"}, {"train"}} {
		if _, err := command(t, args...); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
