package ingest

import (
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// testKey makes pseudonyms the same in every run.
func testKey(t testing.TB) Key {
	t.Helper()
	key, err := NewKey([]byte("a key that only the tests know"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testAdapter(t testing.TB, name string, opts Options) Adapter {
	t.Helper()
	if opts.Key.IsZero() {
		opts.Key = testKey(t)
	}
	a, err := New(name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustParse(t testing.TB, a Adapter, line string) *schemas.Event {
	t.Helper()
	ev := schemas.NewEvent()
	if err := a.Parse([]byte(line), ev); err != nil {
		t.Fatalf("parsing %s: %v", line, err)
	}
	return ev
}

// canonicalJSON is ev as the tests compare it.
func canonicalJSON(ev *schemas.Event) string { return string(ev.AppendJSON(nil)) }
