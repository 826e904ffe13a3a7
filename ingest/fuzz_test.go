package ingest

import (
	"bytes"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// FuzzParsers: whatever the line, no adapter panics, and what it accepts is an
// event that its own encodings carry unchanged.
func FuzzParsers(f *testing.F) {
	for _, name := range Names() {
		for _, line := range goldenLines(f, name) {
			f.Add(line)
		}
	}
	key := testKey(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		for _, name := range Names() {
			a := testAdapter(t, name, Options{Key: key, ExtraUnit: "us", BodySamples: true})
			ev := schemas.NewEvent()
			if err := a.Parse(line, ev); err != nil {
				if r := schemas.ReasonOf(err); r == schemas.ReasonOther || r == "" {
					t.Fatalf("%s: error without a reason: %v", name, err)
				}
				continue
			}
			if !bytes.Equal(line, before) {
				t.Fatalf("%s changed the line", name)
			}
			json := ev.AppendJSON(nil)
			again := schemas.NewEvent()
			if err := again.DecodeJSON(json); err != nil {
				t.Fatalf("%s: event does not decode: %v\n%s", name, err, json)
			}
			if got := again.AppendJSON(nil); !bytes.Equal(got, json) {
				t.Fatalf("%s: event changed on its way:\n%s\n%s", name, json, got)
			}
			if err := again.DecodeProto(ev.AppendProto(nil)); err != nil {
				t.Fatalf("%s: event does not decode as Protobuf: %v", name, err)
			}
			if again.Time != ev.Time || again.Status != ev.Status || !bytes.Equal(again.Path, ev.Path) || !bytes.Equal(again.Query, ev.Query) {
				t.Fatalf("%s: encoding repaired what the adapter should have:\n%s", name, json)
			}
		}
	})
}

// FuzzMaskQuery: the value of a secret parameter never survives.
func FuzzMaskQuery(f *testing.F) {
	f.Add("a=1&", "password", "x;y?z#w", "&b=2")
	f.Add("?u=http://h/?", "%74oken", "v", "")
	f.Fuzz(func(t *testing.T, before, name, value, after string) {
		if !secretParam([]byte(name)) || bytes.ContainsAny([]byte(name), "&;?#=") || bytes.ContainsAny([]byte(value), "&") {
			return
		}
		if before != "" && !endsParam(before[len(before)-1]) || after != "" && after[0] != '&' {
			return
		}
		// A mark that no other part of the query can hold.
		value += "\x00mark\x00"
		if bytes.Contains([]byte(before+name+after), []byte("\x00mark\x00")) {
			return
		}
		var fl filler
		got, _ := fl.maskQuery([]byte(before + name + "=" + value + after))
		if bytes.Contains(got, []byte("\x00mark\x00")) {
			t.Fatalf("secret survives in %q", got)
		}
	})
}

// FuzzTimes: no time stamp panics, and remembering a day changes nothing.
func FuzzTimes(f *testing.F) {
	f.Add([]byte("02/Mar/2026:09:15:01 +0000"))
	f.Add([]byte("2026-03-02T09:15:01.5Z"))
	f.Add([]byte("1772442901.350"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c clfClock
		first, ok1 := c.parse(b)
		again, ok2 := c.parse(b)
		if ok1 != ok2 || ok1 && first != again {
			t.Fatalf("the remembered day changes %q: %d, %d", b, first, again)
		}
		parseRFC3339(b)
		for _, shift := range []int{-3, 0, 3, 6} {
			parseScaled(b, shift)
		}
	})
}
