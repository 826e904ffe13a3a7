package sinks

import (
	"testing"
	"time"
)

func TestIntentSurvivesItsMetadata(t *testing.T) {
	text := intent{End: 91, At: 1_767_225_600}.String()
	got, ok := parseIntent(90, &text)
	if !ok || got.End != 91 || !got.since().Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("%s parsed as %+v %v", text, got, ok)
	}
}

func TestMetadataOfOthersIsNoIntent(t *testing.T) {
	f := func(offset int64, metadata string) {
		t.Helper()
		if i, ok := parseIntent(offset, &metadata); ok {
			t.Errorf("%q at %d parsed as %+v", metadata, offset, i)
		}
	}
	f(5, "")
	f(5, "consumer-1-6f0c")
	f(5, "{}")
	f(5, `{"end":5}`)
	f(5, `{"end":4}`)
	f(5, `{"end":"6"}`)
	f(5, `{"end":6.5}`)
	f(5, `{"end":6,"at":-1}`)
	f(-1, `{"end":6}`)
	if _, ok := parseIntent(1, nil); ok {
		t.Error("no metadata parsed as an intent")
	}
}

func FuzzParseIntent(f *testing.F) {
	f.Add(int64(5), `{"end":6}`)
	f.Add(int64(0), `{"end":9223372036854775807,"at":1}`)
	f.Add(int64(-1), `{"end":`)
	f.Fuzz(func(t *testing.T, offset int64, metadata string) {
		i, ok := parseIntent(offset, &metadata)
		if !ok {
			return
		}
		if i.End <= offset || offset < 0 || i.At < 0 {
			t.Fatalf("%q at %d gives the range to %d", metadata, offset, i.End)
		}
		text := i.String()
		if again, ok := parseIntent(offset, &text); !ok || again != i {
			t.Fatalf("%+v came back as %+v", i, again)
		}
	})
}
