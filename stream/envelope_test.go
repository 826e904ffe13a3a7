package stream

import (
	"bytes"
	"errors"
	"maps"
	"testing"
)

func FuzzDecodeEnvelope(f *testing.F) {
	full := &envelope{
		configHash: "hash", set: 7, index: 1, count: 3,
		next: map[string]int64{"a": 10, "b": 1 << 40}, resume: map[string]int64{"a": 9, "b": 0},
		data: []byte("data"),
	}
	f.Add(full.appendTo(nil))
	f.Add((&envelope{count: 1}).appendTo(nil))
	f.Add([]byte{})
	f.Add([]byte{snapshotVersion})
	f.Add([]byte{2, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(b)
		if err != nil {
			if !errors.Is(err, ErrSnapshotCorrupt) && !errors.Is(err, ErrSnapshotVersion) {
				t.Fatalf("unclassified error %v", err)
			}
			return
		}
		again, err := decodeEnvelope(e.appendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if e.configHash != again.configHash || e.set != again.set || e.index != again.index || e.count != again.count ||
			!maps.Equal(e.next, again.next) || !maps.Equal(e.resume, again.resume) || !bytes.Equal(e.data, again.data) {
			t.Fatalf("got %+v, want %+v", again, e)
		}
	})
}

func TestEveryDamageToAnEnvelopeIsNoticed(t *testing.T) {
	e := &envelope{configHash: "h", count: 1, next: map[string]int64{"a": 10}, resume: map[string]int64{"a": 9}, data: []byte("data")}
	good := e.appendTo(nil)
	for i := range good {
		if _, err := decodeEnvelope(good[:i]); err == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := decodeEnvelope(bad); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
	}
}

func FuzzParseSnapshotKey(f *testing.F) {
	for _, s := range []string{"g/0/3", "g/0/3/a/1", "g/0/3/b/0", "g/0/x", "g/1/3", "g/0/3/c/1", "g/0/03", "", "g/0/", "g/0/1/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := parseSnapshotKey(s, "g", 0); ok && string(k.appendTo(nil, "g", 0)) != s {
			t.Fatalf("%q is read as %+v, which is written %q", s, k, k.appendTo(nil, "g", 0))
		}
	})
}
