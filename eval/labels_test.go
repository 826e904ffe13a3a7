package eval

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

func TestLabelsAreReadAsSimulateWritesThem(t *testing.T) {
	want := []schemas.Label{label("ip", "1", "probing", 0, time.Hour), label("user", "u", "scraping", 1, 2)}
	var b bytes.Buffer
	if err := simulate.WriteLabels(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLabels(&b)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUnusableLabelsAreRefused(t *testing.T) {
	for _, line := range []string{
		`{`, `[]`, `{}`,
		`{"entity_type":"ip","entity":"1","start":"2026-03-04T12:00:00Z","end":"2026-03-04T13:00:00Z"}`,
		`{"entity_type":"ip","entity":"1","attack":"x","start":"2026-03-04T12:00:00Z","end":"2026-03-04T11:00:00Z"}`,
		`{"entity_type":"ip","entity":"1","attack":"x","end":"2026-03-04T11:00:00Z"}`,
		`{"entity_type":"ip","entity":"1","attack":"x","start":"noon","end":"2026-03-04T11:00:00Z"}`,
		`{"entity_type":"ip","entity":"1","attack":"x","begin":"2026-03-04T12:00:00Z","end":"2026-03-04T13:00:00Z"}`,
	} {
		if _, err := ReadLabels(strings.NewReader("\n" + line + "\n")); !errors.Is(err, ErrLabel) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func FuzzReadLabels(f *testing.F) {
	f.Add([]byte(`{"entity_type":"ip","entity":"1","attack":"x","start":"2026-03-04T12:00:00Z","end":"2026-03-04T13:00:00Z"}`))
	f.Add([]byte("\n\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		labels, err := ReadLabels(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, l := range labels {
			if l.Entity == "" || l.Attack == "" || l.End.Before(l.Start) {
				t.Errorf("accepted %+v", l)
			}
		}
	})
}
