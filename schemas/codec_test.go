package schemas

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDecodePicksTheEncoding(t *testing.T) {
	e := typicalEvent(t)
	e.Reset()
	e.API = []byte("x")
	inJSON, inProto := string(e.AppendJSON(nil)), string(e.AppendProto(nil))
	for name, tc := range map[string]struct {
		contentType, data string
		reason            Reason
	}{
		"json, sniffed":             {"", inJSON, ""},
		"proto, sniffed":            {"", inProto, ""},
		"json":                      {ContentTypeJSON, inJSON, ""},
		"json after white space":    {ContentTypeJSON, " \n" + inJSON, ""},
		"json with parameters":      {"Application/JSON ; charset=utf-8", inJSON, ""},
		"proto":                     {ContentTypeProtobuf, inProto, ""},
		"proto under json's name":   {ContentTypeJSON, inProto, ReasonMalformedJSON},
		"json under proto's name":   {ContentTypeProtobuf, inJSON, ReasonWrongType},
		"another type":              {"text/csv", inJSON, ReasonUnknownContentType},
		"a longer name":             {"application/json5", inJSON, ReasonUnknownContentType},
		"nothing":                   {"", "", ReasonEmpty},
		"nothing, said to be proto": {ContentTypeProtobuf, "", ReasonEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			got := typicalEvent(t)
			err := got.Decode(tc.contentType, []byte(tc.data))
			if ReasonOf(err) != tc.reason {
				t.Fatalf("got %v, want %q", err, tc.reason)
			}
			if err != nil && (got.API != nil || got.Status != Unknown) {
				t.Fatalf("refused record left %+v", got)
			}
			if err == nil && string(got.API) != "x" {
				t.Fatalf("api = %q", got.API)
			}
		})
	}
}

func TestCheckSchemaHeader(t *testing.T) {
	for _, tc := range []struct {
		value, want string
		reason      Reason
	}{
		{"event/1", SchemaEvent, ""},
		{"event/1", "event", ""},
		{"", SchemaVerdict, ""},
		{"event/2", SchemaEvent, ReasonUnknownVersion},
		{"event/2", "event", ReasonUnknownVersion},
		{"event/01", SchemaEvent, ReasonUnknownVersion},
		{"event/", SchemaEvent, ReasonUnknownVersion},
		{"event/1/2", SchemaEvent, ReasonUnknownVersion},
		{"features/1", SchemaEvent, ReasonUnknownSchema},
		{"event", SchemaEvent, ReasonUnknownSchema},
		{"events/1", SchemaEvent, ReasonUnknownSchema},
		{"Event/1", SchemaEvent, ReasonUnknownSchema},
		{"/1", SchemaEvent, ReasonUnknownSchema},
	} {
		if err := CheckSchemaHeader([]byte(tc.value), tc.want); ReasonOf(err) != tc.reason {
			t.Errorf("%q for %q: %v, want %q", tc.value, tc.want, err, tc.reason)
		}
	}
}

func TestReasonOf(t *testing.T) {
	de := &DecodeError{Reason: ReasonWrongType, Field: "status", Offset: 12}
	if got := de.Error(); got != "wrong type in field status at byte 12" {
		t.Errorf("Error() = %q", got)
	}
	if got := (&DecodeError{Reason: ReasonTooDeep, Offset: 3}).Error(); got != "too deep at byte 3" {
		t.Errorf("Error() = %q", got)
	}
	for err, want := range map[error]Reason{
		nil:                                  "",
		de:                                   ReasonWrongType,
		fmt.Errorf("decoding event: %w", de): ReasonWrongType,
		errors.New("elsewhere"):              ReasonOther,
	} {
		if got := ReasonOf(err); got != want {
			t.Errorf("ReasonOf(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestDecodeErrorOffsetPointsAtTheFault(t *testing.T) {
	for data, at := range map[string]string{
		`{"api":"x","status":"200"}`:             `"200"`,
		`{"api":"x","status":-5}`:                `-5`,
		`{"api":"x","time":"noon"}`:              `"noon"`,
		`{"api":"x","attrs":{"a":"b","c":true}}`: `true`,
		`{"api":"x";"id":"y"}`:                   `;`,
		`{"api":"x"} !`:                          `!`,
	} {
		err := NewEvent().DecodeJSON([]byte(data))
		var de *DecodeError
		if !errors.As(err, &de) || de.Offset != strings.Index(data, at) {
			t.Errorf("%s: %v, want byte %d", data, err, strings.Index(data, at))
		}
	}
}

// Every decoder and encoder on the path of an event or a window must leave the
// garbage collector out, once its buffers have grown.
func TestCodecsDoNotAllocateInSteadyState(t *testing.T) {
	escaped := []byte(`{"time":"2026-11-23T02:20:50Z","path":"/a\tb","user_agent":"\"quoted\" \u00e9","new":[1,{"a":"\n"}],` +
		`"headers":{"a":"1\n","b":"2"},"attrs":{"k\u0020":"v"},"status":2e2,"asn":null}`)
	full := NewEvent()
	if err := full.DecodeJSON(escaped); err != nil {
		t.Fatal(err)
	}
	full.ID = []byte("not\xffutf8")
	inProto := full.AppendProto(nil)

	rng := newFiller(4)
	var f ClientFeatures
	var a Aggregate
	rng.fill(&f)
	rng.fill(&a)
	f.EventIDs = [][]byte{[]byte("a"), []byte("b")}
	a.Latency = []uint32{1, 0, 300}
	fProto, aProto := f.AppendProto(nil), a.AppendProto(nil)

	e, dst := NewEvent(), make([]byte, 0, 1<<14)
	schema := []byte(SchemaEvent)
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for name, f := range map[string]func(){
		"Event.DecodeJSON":            func() { must(e.DecodeJSON(escaped)) },
		"Event.DecodeProto":           func() { must(e.DecodeProto(inProto)) },
		"Event.Decode":                func() { must(e.Decode("application/json; charset=utf-8", escaped)) },
		"Event.AppendJSON":            func() { dst = full.AppendJSON(dst[:0]) },
		"Event.AppendProto":           func() { dst = full.AppendProto(dst[:0]) },
		"ClientFeatures.DecodeProto":  func() { must(f.DecodeProto(fProto)) },
		"ClientFeatures.AppendProto":  func() { dst = f.AppendProto(dst[:0]) },
		"Aggregate.DecodeProto":       func() { must(a.DecodeProto(aProto)) },
		"Aggregate.AppendProto":       func() { dst = a.AppendProto(dst[:0]) },
		"CheckSchemaHeader":           func() { must(CheckSchemaHeader(schema, SchemaEvent)) },
		"CheckSchemaHeader bare name": func() { must(CheckSchemaHeader(schema, "event")) },
	} {
		for range 10 { // scratch doubles its way to the size of the record
			f()
		}
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
