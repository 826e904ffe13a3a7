package config

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite reference.yml")

// reference.yml is written by go test ./config -update.
func TestReferenceIsCurrentAndLoads(t *testing.T) {
	const path = "reference.yml"
	var want bytes.Buffer
	if err := Reference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not current; run go test ./config -update", path)
	}
	c, err := Load(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.origins = Default().origins
	normalise(c)
	if d := Default(); !reflect.DeepEqual(c, d) {
		t.Errorf("the reference does not hold the defaults:\n%+v\n%+v", c, d)
	}
	for _, f := range newSchema().fields {
		if !strings.Contains(want.String(), "env "+f.env+"\n") {
			t.Errorf("%s is not in the reference", f.key)
		}
	}
}

// normalise makes an empty list nil, which is how Default leaves one.
func normalise(c *Config) {
	for _, f := range newSchema().fields {
		if v := f.value(c); f.isList() && v.Len() == 0 {
			v.SetZero()
		}
	}
}

func TestPrintLoadsAgain(t *testing.T) {
	for _, file := range append(corpus(t, "*.good.yml"), "reference.yml") {
		c, err := Load(file, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, effective := range []bool{true, false} {
			var out bytes.Buffer
			if err := c.Print(&out, effective); err != nil {
				t.Fatal(err)
			}
			again, err := Load(written(t, "printed.yml", out.String()), nil, nil)
			if err != nil {
				t.Fatalf("%s printed (effective %v) does not load: %v\n%s", file, effective, err, out.String())
			}
			a, b := *c, *again
			for _, x := range []*Config{&a, &b} {
				x.origins = nil
				normalise(x)
			}
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s printed (effective %v) loads as something else:\n%s", file, effective, out.String())
			}
		}
	}
}

func TestPrintShowsOriginsAndOnlyWhatWasSet(t *testing.T) {
	file := written(t, "weir.yml", "kafka:\n  tls: {enabled: true}\n")
	env := environment(map[string]string{"WEIR_KAFKA_BROKERS": "kafka:9092", "WEIR_LISTEN_TOKEN": "pw"})
	c, err := Load(file, parsed(t, "--kafka.sasl.mechanism=none"), env)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Print(&out, false); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, "\n")
		if text := strings.TrimSpace(line); text != "" && (text[0] != '#' || strings.Contains(text, redacted)) {
			lines = append(lines, strings.ReplaceAll(line, file, "FILE"))
		}
	}
	want := []string{
		"kafka:",
		"  brokers: [kafka:9092] # env WEIR_KAFKA_BROKERS",
		"  tls:",
		"    enabled: true # FILE:2",
		"  sasl:",
		"    mechanism: none # flag --kafka.sasl.mechanism",
		"listen:",
		"  # token: [redacted] # env WEIR_LISTEN_TOKEN",
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("printed\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestPrintReportsAWriterThatFails(t *testing.T) {
	if err := Default().Print(brokenWriter{}, true); err == nil {
		t.Error("Print hid the error")
	}
	if err := Reference(brokenWriter{}); err == nil {
		t.Error("Reference hid the error")
	}
}
