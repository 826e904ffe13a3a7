package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-dev/weir/schemas"
)

// detectLines is how many lines Detect looks at.
const detectLines = 100

// ErrNotDetected says that no adapter read most of a sample.
var ErrNotDetected = errors.New("log format not recognised")

// Detect names the format of a sample of lines: the adapter that reads most of
// its first 100 non-empty lines, if that is more than half of them. The error is
// ErrNotDetected and lists the formats there are.
func Detect(sample [][]byte) (string, error) {
	var lines [][]byte
	for _, line := range sample {
		if len(bytes.TrimSpace(line)) > 0 {
			if lines = append(lines, line); len(lines) == detectLines {
				break
			}
		}
	}
	best, most := "", len(lines)/2
	ev := schemas.NewEvent()
	for _, name := range Names() {
		a, err := newAdapter(name, Options{})
		if err != nil {
			return "", fmt.Errorf("detecting the log format: %w", err)
		}
		parsed := 0
		for _, line := range lines {
			ev.Reset()
			// The canonical decoder takes any JSON object; a call it is not.
			if a.Parse(line, ev) == nil && (name != FormatCanonical || looksLikeCall(ev)) {
				parsed++
			}
		}
		if parsed > most {
			best, most = name, parsed
		}
	}
	if best == "" {
		return "", fmt.Errorf("%w in %d lines; formats are %s", ErrNotDetected, len(lines), strings.Join(Names(), ", "))
	}
	return best, nil
}

func looksLikeCall(ev *schemas.Event) bool {
	return ev.Time > 0 && (len(ev.Path) > 0 || len(ev.Route) > 0 || len(ev.Method) > 0)
}
