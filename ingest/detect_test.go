package ingest

import (
	"errors"
	"strings"
	"testing"
)

func TestDetectNamesEveryFormatByItsSamples(t *testing.T) {
	for _, name := range Names() {
		var sample [][]byte
		for range 3 {
			for _, line := range benchLines(name) {
				sample = append(sample, line, nil)
			}
		}
		// A minority of other lines does not matter.
		sample = append(sample, []byte("# comment"))
		if got, err := Detect(sample); err != nil || got != name {
			t.Errorf("%s was taken for %q, %v", name, got, err)
		}
	}
}

func TestDetectRefusesWhatMostAdaptersDoNotRead(t *testing.T) {
	for name, sample := range map[string]string{
		"nothing":    "",
		"prose":      "a\nb\nc",
		"other json": `{"level":"info","msg":"started"}` + "\n" + `{"time":"2026-03-02T09:15:01Z","msg":"ready"}`,
		"half":       string(benchLines(FormatCombined)[0]) + "\nx",
	} {
		var lines [][]byte
		for line := range strings.SplitSeq(sample, "\n") {
			lines = append(lines, []byte(line))
		}
		got, err := Detect(lines)
		if !errors.Is(err, ErrNotDetected) || !strings.Contains(err.Error(), FormatTraefik) {
			t.Errorf("%s: detected %q, %v", name, got, err)
		}
	}
}
