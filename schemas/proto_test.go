package schemas

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/schemas/weirv1"
)

func TestProtoAgreesWithGeneratedCode(t *testing.T) {
	for seed := range uint64(300) {
		rng := newFiller(seed)
		var e Event
		rng.fill(&e)
		checkMirror(t, &e, NewEvent(), &weirv1.Event{}, &weirv1.Event{})
		var f ClientFeatures
		rng.fill(&f)
		checkMirror(t, &f, new(ClientFeatures), &weirv1.ClientFeatures{}, &weirv1.ClientFeatures{})
		var a Aggregate
		rng.fill(&a)
		checkMirror(t, &a, new(Aggregate), &weirv1.Aggregate{}, &weirv1.Aggregate{})
	}
}

// A decoder in use still holds the previous record: nothing of it may remain.
func TestDecodeProtoForgetsThePreviousRecord(t *testing.T) {
	rng := newFiller(3)
	e, f, a := new(Event), new(ClientFeatures), new(Aggregate)
	for range 20 {
		rng.fill(e)
		rng.fill(f)
		rng.fill(a)
		for _, tc := range []struct {
			record codec
			blank  proto.Message
			empty  codec
		}{
			{e, &weirv1.Event{}, NewEvent()},
			{f, &weirv1.ClientFeatures{}, func() codec { f := new(ClientFeatures); f.Reset(); return f }()},
			{a, &weirv1.Aggregate{}, new(Aggregate)},
		} {
			if err := tc.record.DecodeProto(nil); err != nil {
				t.Fatal(err)
			}
			if got := mirror(t, tc.record, tc.blank); !proto.Equal(got, mirror(t, tc.empty, got.ProtoReflect().New().Interface())) {
				t.Fatalf("%T keeps %v", tc.record, got)
			}
		}
	}
}

func TestDecodeProtoOfTruncatedRecords(t *testing.T) {
	rng := newFiller(9)
	for range 10 {
		e, f, a := new(Event), new(ClientFeatures), new(Aggregate)
		rng.fill(e)
		rng.fill(f)
		rng.fill(a)
		for _, record := range []codec{e, f, a} {
			whole := record.AppendProto(nil)
			for cut := range len(whole) {
				// Exact capacity: reading past the end would panic.
				data := bytes.Clone(whole[:cut])[:cut:cut]
				err := record.DecodeProto(data)
				if err != nil && ReasonOf(err) != ReasonMalformedProtobuf {
					t.Fatalf("%T cut at %d: %v", record, cut, err)
				}
				// A cut between two fields is a shorter message; any other is
				// an error for the generated code too.
				if gen := unmarshalLike(record, data); (gen == nil) != (err == nil) {
					t.Fatalf("%T cut at %d: %v, generated code says %v", record, cut, err, gen)
				}
			}
		}
	}
}

func unmarshalLike(record codec, data []byte) error {
	switch record.(type) {
	case *Event:
		return proto.Unmarshal(data, &weirv1.Event{})
	case *ClientFeatures:
		return proto.Unmarshal(data, &weirv1.ClientFeatures{})
	}
	return proto.Unmarshal(data, &weirv1.Aggregate{})
}

func TestDecodeProtoRefuses(t *testing.T) {
	varint := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	text := func(num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s)
	}
	for name, tc := range map[string]struct {
		data   []byte
		reason Reason
		field  string
	}{
		"text as varint":          {varint(fieldID, 7), ReasonWrongType, "id"},
		"integer as text":         {text(fieldStatus, "200"), ReasonWrongType, "status"},
		"map as varint":           {varint(fieldHeaders, 1), ReasonWrongType, "headers"},
		"status of four digits":   {varint(fieldStatus, 1000), ReasonOutOfRange, "status"},
		"port above 65535":        {varint(fieldClientPort, 65536), ReasonOutOfRange, "client_port"},
		"asn above 32 bits":       {varint(fieldASN, 1<<32), ReasonOutOfRange, "asn"},
		"size above 63 bits":      {varint(fieldReqBytes, 1<<63), ReasonOutOfRange, "req_bytes"},
		"time before 1970":        {varint(fieldTime, ^uint64(0)), ReasonInvalidTime, "time"},
		"time after 2262":         {varint(fieldTime, maxTime+1), ReasonInvalidTime, "time"},
		"text not UTF-8":          {text(fieldPath, "/\xff"), ReasonInvalidUTF8, "path"},
		"map key not UTF-8":       {text(fieldAttrs, string(text(1, "\xff"))), ReasonInvalidUTF8, "attrs"},
		"map value as varint":     {text(fieldAttrs, string(varint(2, 1))), ReasonWrongType, "attrs"},
		"map entry cut":           {text(fieldAttrs, "\x0a\x05ab"), ReasonMalformedProtobuf, "attrs"},
		"body sample too long":    {text(fieldBodySample, string(make([]byte, 4097))), ReasonTooLarge, "body_sample"},
		"too many entries":        {bytes.Repeat(text(fieldHeaders, ""), 257), ReasonTooLarge, "headers"},
		"record too large":        {text(900, string(make([]byte, MaxEventBytes))), ReasonTooLarge, ""},
		"field number 0":          {[]byte{0x00, 0x00}, ReasonMalformedProtobuf, ""},
		"end of a group":          {[]byte{0x0c}, ReasonWrongType, "time"},
		"endless varint":          {bytes.Repeat([]byte{0xff}, 12), ReasonMalformedProtobuf, ""},
		"length beyond the end":   {[]byte{0x12, 0x7f, 'a'}, ReasonMalformedProtobuf, "id"},
		"length that would wrap":  {append([]byte{0x12}, protowire.AppendVarint(nil, 1<<63)...), ReasonMalformedProtobuf, "id"},
		"unknown field cut short": {protowire.AppendTag(nil, 900, protowire.BytesType), ReasonMalformedProtobuf, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEvent()
			err := e.DecodeProto(append(text(fieldAPI, "x"), tc.data...))
			if len(tc.data) > MaxEventBytes {
				err = e.DecodeProto(tc.data)
			}
			checkRefused(t, e, err, tc.reason, tc.field)
		})
	}
}

func TestDecodeProtoCountsUnknownFields(t *testing.T) {
	data := protowire.AppendTag(nil, 900, protowire.StartGroupType)
	data = protowire.AppendTag(data, 900, protowire.EndGroupType)
	data = protowire.AppendVarint(protowire.AppendTag(data, 39, protowire.VarintType), 5)
	e := NewEvent()
	if err := e.DecodeProto(data); err != nil || e.UnknownFields != 2 {
		t.Fatalf("got %d unknown fields, %v; want 2", e.UnknownFields, err)
	}
	// The other records pass over what a later version may add.
	f, a := new(ClientFeatures), new(Aggregate)
	if err := f.DecodeProto(protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 5)); err != nil {
		t.Fatal(err)
	}
	if err := a.DecodeProto(protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 5)); err != nil {
		t.Fatal(err)
	}
}

func TestDecodeProtoOfAMapKeepsTheLastOfRepeatedKeys(t *testing.T) {
	e := NewEvent()
	e.Headers = []KV{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte("2")}, {[]byte("a"), []byte("3")}}
	var got Event
	if err := got.DecodeProto(e.AppendProto(nil)); err != nil {
		t.Fatal(err)
	}
	if len(got.Headers) != 2 || string(got.Headers[0].Value) != "3" || string(got.Headers[1].Value) != "2" {
		t.Fatalf("got %q", got.Headers)
	}
}

func TestDecodeProtoReadsUnpackedLatency(t *testing.T) {
	var data []byte
	for _, v := range []uint64{3, 0, 300} {
		data = protowire.AppendVarint(protowire.AppendTag(data, 22, protowire.VarintType), v)
	}
	var a Aggregate
	if err := a.DecodeProto(data); err != nil {
		t.Fatal(err)
	}
	if len(a.Latency) != 3 || a.Latency[0] != 3 || a.Latency[1] != 0 || a.Latency[2] != 300 {
		t.Fatalf("got %v", a.Latency)
	}
}

// Slices handed out end where the field ends: an append by their holder must
// not run into the next field.
func TestDecodedTextCannotBeAppendedInPlace(t *testing.T) {
	data := typicalEvent(t).AppendProto(nil)
	before := bytes.Clone(data)
	var e Event
	if err := e.DecodeProto(data); err != nil {
		t.Fatal(err)
	}
	_ = append(e.ID, "overwritten"...)
	_ = append(e.UserAgent, "overwritten"...)
	if !bytes.Equal(before, data) {
		t.Fatal("append to a text field changed the record")
	}
}

// FuzzProtoRoundTrip feeds the hand-written decoder arbitrary bytes. What it
// accepts, the generated code accepts with the same content, and encoding it
// again changes nothing.
func FuzzProtoRoundTrip(f *testing.F) {
	rng := newFiller(5)
	for range 4 {
		var e Event
		rng.fill(&e)
		f.Add(e.AppendProto(nil))
	}
	f.Add([]byte{0x0c})
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Event
		if err := e.DecodeProto(data); err != nil {
			if ReasonOf(err) == ReasonOther {
				t.Fatalf("%v has no reason", err)
			}
		} else {
			var generated weirv1.Event
			if err := proto.Unmarshal(data, &generated); err != nil {
				t.Fatalf("accepted what generated code refuses: %v", err)
			}
			generated.ProtoReflect().SetUnknown(nil)
			if got := mirror(t, &e, &weirv1.Event{}); !proto.Equal(got, &generated) {
				t.Fatalf("read\n%v\nwant\n%v", got, &generated)
			}
			checkMirror(t, &e, NewEvent(), &weirv1.Event{}, &weirv1.Event{})
		}
		for _, record := range []codec{new(ClientFeatures), new(Aggregate)} {
			if record.DecodeProto(data) == nil {
				if err := unmarshalLike(record, data); err != nil {
					t.Fatalf("%T accepted what generated code refuses: %v", record, err)
				}
			}
		}
	})
}
