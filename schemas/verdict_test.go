package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/schemas/weirv1"
)

// fillPlain sets every field below v to something that is not its zero value,
// so that a field forgotten in a conversion shows.
func fillPlain(rng *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.UnixMicro(1 + rng.Int64N(maxTime)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillPlain(rng, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rng.IntN(3), 4))
		for i := range v.Len() {
			fillPlain(rng, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \u00e9", rng.IntN(1000)))
	case reflect.Float64:
		v.SetFloat(rng.NormFloat64())
	case reflect.Int:
		v.SetInt(1 + rng.Int64N(1<<40))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("no rule to fill " + v.Type().String())
	}
}

// converted sends a record through Protobuf bytes, and through JSON, and wants
// it back whole from both, with JSON that is the same every time.
func converted[R any, M proto.Message](t *testing.T, in *R, toProto func(*R) M, fromProto func(*R, M), blank M) {
	t.Helper()
	data, err := proto.Marshal(toProto(in))
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(data, blank); err != nil {
		t.Fatal(err)
	}
	var viaProto, viaJSON R
	fromProto(&viaProto, blank)
	if d := cmp.Diff(in, &viaProto); d != "" {
		t.Fatalf("through Protobuf:\n%s", d)
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &viaJSON); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, &viaJSON); d != "" {
		t.Fatalf("through JSON:\n%s", d)
	}
	again, err := json.Marshal(&viaProto)
	if err != nil || !bytes.Equal(text, again) {
		t.Fatalf("JSON after Protobuf differs:\n%s\n%s\n%v", text, again, err)
	}
}

func TestVerdictBlockEntryAndLabelRoundTrip(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var v Verdict
		fillPlain(rng, reflect.ValueOf(&v).Elem())
		converted(t, &v, (*Verdict).ToProto, (*Verdict).FromProto, &weirv1.Verdict{})
		var b BlockEntry
		fillPlain(rng, reflect.ValueOf(&b).Elem())
		converted(t, &b, (*BlockEntry).ToProto, (*BlockEntry).FromProto, &weirv1.BlockEntry{})
		var l Label
		fillPlain(rng, reflect.ValueOf(&l).Elem())
		converted(t, &l, (*Label).ToProto, (*Label).FromProto, &weirv1.Label{})
	}
}

func TestSparseVerdictRoundTrips(t *testing.T) {
	v := Verdict{ID: "v1", Action: ActionObserve, Explanation: Explanation{Features: []FeatureExplanation{}}}
	converted(t, &v, (*Verdict).ToProto, (*Verdict).FromProto, &weirv1.Verdict{})
	if m := v.ToProto(); m.ExpiresAtUs != 0 || m.TimeUs != 0 {
		t.Fatalf("zero times became %d and %d", m.ExpiresAtUs, m.TimeUs)
	}
}

func TestVerdictJSONShape(t *testing.T) {
	data, err := json.Marshal(Verdict{ID: "v1", Entity: Entity{"ip", "203.0.113.7"}, Action: ActionObserve})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"v1","time":"0001-01-01T00:00:00Z","tenant":"","entity":{"type":"ip","value":"203.0.113.7"},` +
		`"api":"","attack":"","action":"observe","enforced":false,"confidence":0,"p_value":0,` +
		`"calibration":{"kind":"","n":0,"stratum":"","alpha":0},"explanation":{"features":[],"text":""},` +
		`"model":"","window_start":"0001-01-01T00:00:00Z","window_end":"0001-01-01T00:00:00Z"}`
	if string(data) != want {
		t.Fatalf("got  %s\nwant %s", data, want)
	}
}

func TestFromProtoOfNothingIsTheZeroRecord(t *testing.T) {
	v := Verdict{ID: "before"}
	v.FromProto(nil)
	b := BlockEntry{Reason: "before"}
	b.FromProto(nil)
	l := Label{Entity: "before"}
	l.FromProto(nil)
	want := Verdict{Explanation: Explanation{Features: []FeatureExplanation{}}}
	if d := cmp.Diff(want, v); d != "" || b != (BlockEntry{}) || l != (Label{}) {
		t.Fatalf("left %+v %+v %s", b, l, d)
	}
}

// A field added to a Go record but not to weir.proto, or the reverse, is found
// here rather than by whoever misses its value.
func TestVerdictFieldsAreThoseOfTheSchema(t *testing.T) {
	for _, tc := range []struct {
		record  any
		message proto.Message
	}{
		{&Verdict{}, &weirv1.Verdict{}},
		{&Entity{}, &weirv1.Entity{}},
		{&Calibration{}, &weirv1.Calibration{}},
		{&FeatureExplanation{}, &weirv1.FeatureExplanation{}},
		{&Explanation{}, &weirv1.Explanation{}},
		{&BlockEntry{}, &weirv1.BlockEntry{}},
		{&Label{}, &weirv1.Label{}},
		{&ClientFeatures{}, &weirv1.ClientFeatures{}},
		{&Aggregate{}, &weirv1.Aggregate{}},
	} {
		fields := tc.message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			goField(t, tc.record, fields.Get(i))
		}
		if n := reflect.TypeOf(tc.record).Elem().NumField(); n != fields.Len() {
			t.Errorf("%T has %d fields, its message %d", tc.record, n, fields.Len())
		}
	}
}
