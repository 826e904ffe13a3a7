package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/simulate"
)

func TestWhen(t *testing.T) {
	for s, want := range map[string]struct {
		api           string
		start, length time.Duration
	}{
		"2h":            {"", 2 * time.Hour, time.Minute},
		"bank@2h":       {"bank", 2 * time.Hour, time.Minute},
		"bank@2h30m/8m": {"bank", 150 * time.Minute, 8 * time.Minute},
		"0s/1h":         {"", 0, time.Hour},
	} {
		api, start, length, err := when(s, time.Minute)
		if err != nil || api != want.api || start != want.start || length != want.length {
			t.Errorf("%q is %q at %s for %s, %v", s, api, start, length, err)
		}
	}
	for _, s := range []string{"", "bank", "bank@", "2h/", "/2h", "2h/8m/1m", "a@b@2h"} {
		if _, _, _, err := when(s, time.Minute); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func FuzzWhen(f *testing.F) {
	for _, s := range []string{"bank@2h/8m", "1h", "@1s/", "x@-3h/2h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if api, _, _, err := when(s, time.Minute); err == nil && !strings.HasPrefix(s, api) {
			t.Errorf("%q is of %q", s, api)
		}
	})
}

func TestIncidentsReachTheSimulation(t *testing.T) {
	cfg := simulate.DefaultConfig()
	in := incidents{
		outages: []string{"bank@2h"}, deploys: []string{"6h", "shop@3h/1h"}, crowds: []string{"9h/30m"},
		resets: []string{"1h"},
	}
	if err := in.add(&cfg); err != nil {
		t.Fatal(err)
	}
	if len(cfg.Outages) != 1 || cfg.Outages[0].Duration != 5*time.Minute || len(cfg.Resets) != 1 {
		t.Errorf("outages %+v, resets %+v", cfg.Outages, cfg.Resets)
	}
	if len(cfg.Deploys) != 2 || cfg.Deploys[0].API != "shop" || cfg.Deploys[1].Adoption != 6*time.Hour {
		t.Errorf("deploys %+v are not in order of time", cfg.Deploys)
	}
	if len(cfg.Crowds) != 1 || cfg.Crowds[0].Newcomers != cfg.Clients/10 {
		t.Errorf("crowds %+v", cfg.Crowds)
	}
	in = incidents{all: true}
	if err := in.add(&cfg); err != nil || len(cfg.Outages) < 2 || len(cfg.Launches) == 0 {
		t.Errorf("--events gives %d outages and %d launches, %v", len(cfg.Outages), len(cfg.Launches), err)
	}
	in = incidents{crowds: []string{"noon"}}
	if err := in.add(&cfg); err == nil || !strings.Contains(err.Error(), "--crowd") {
		t.Errorf("error %v", err)
	}
}

func TestSimulateWritesEventsAndClasses(t *testing.T) {
	dir := t.TempDir()
	classes := filepath.Join(dir, "classes.ndjson")
	var out bytes.Buffer
	c := simulateCommand()
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SetArgs([]string{"--clients", "30", "--duration", "2h", "--mix", "none,kiosk=1,probe=1", "--outage", "1h", "--classes", classes})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(classes)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"class":"kiosk"`)); n < 10 {
		t.Errorf("%d kiosk keys", n)
	}
	if n := bytes.Count(text, []byte(`"allowed":true`)); n != 15 {
		t.Errorf("%d allowed keys", n)
	}
	if bytes.Count(out.Bytes(), []byte("\n")) < 1000 || bytes.Count(out.Bytes(), []byte(`"status":503`)) < 20 {
		t.Errorf("%d bytes of events without an outage in them", out.Len())
	}
	help := c.Long
	for _, class := range simulate.Classes() {
		if !strings.Contains(help, string(class)) {
			t.Errorf("%s is not in the help", class)
		}
	}
}
