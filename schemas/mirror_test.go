package schemas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// filler fills records with random values by reflection, so that a field added
// to a type is covered by the round trips without a change here.
type filler struct{ *rand.Rand }

func newFiller(seed uint64) filler { return filler{rand.New(rand.NewPCG(seed, 17))} }

func (f filler) text() []byte {
	words := []string{"", "a", "user:u_8f3a", "GET /v1/accounts/{id}", "h\u00f6flich \U0001F30A", "\x00\"\\\n", strings.Repeat("x", 200)}
	return []byte(words[f.IntN(len(words))])
}

func (f filler) uint(bits int) uint64 {
	return f.Uint64() >> (64 - bits) >> f.IntN(bits)
}

// fill sets every exported field of the struct that record points to. Integers
// named ASN are in range or Unknown.
func (f filler) fill(record any) {
	v := reflect.ValueOf(record).Elem()
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch p := field.Addr().Interface().(type) {
		case *[]byte:
			*p = f.text()
		case *[][]byte:
			*p = nil
			for range f.IntN(4) {
				*p = append(*p, f.text())
			}
		case *[]uint32:
			*p = nil
			for range f.IntN(40) {
				*p = append(*p, uint32(f.uint(32)))
			}
		case *[]KV:
			*p = nil
			for n := range f.IntN(4) {
				*p = append(*p, KV{fmt.Appendf(nil, "k%d", n), f.text()})
			}
		case *uint32:
			*p = uint32(f.uint(32))
		case *uint64:
			*p = f.uint(64)
		case *int32:
			*p = int32(f.Uint32())
		case *int64:
			*p = f.integer(name)
		case *float64:
			*p = f.float()
		case *bool:
			*p = f.IntN(2) == 0
		case *int: // Event.UnknownFields is a result, not content
		default:
			panic("no rule to fill " + name)
		}
	}
}

func (f filler) integer(name string) int64 {
	limit := int64(math.MaxInt64)
	switch name {
	case "WindowStart", "WindowEnd", "LastEvent", "FirstSeen":
		return int64(f.Uint64() >> f.IntN(64))
	case "Time":
		return f.Int64N(maxTime)
	case "Status":
		limit = maxStatus
	case "ClientPort":
		limit = maxPort
	case "ASN":
		limit = math.MaxUint32
	}
	switch f.IntN(4) {
	case 0:
		return Unknown
	case 1:
		return 0
	}
	return f.Int64N(limit)
}

func (f filler) float() float64 {
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), 1e-320, -1.5}
	if n := f.IntN(2 * len(special)); n < len(special) {
		return special[n]
	}
	return f.NormFloat64()
}

// goField finds the field of a record that a Protobuf field mirrors.
func goField(tb testing.TB, record any, fd protoreflect.FieldDescriptor) reflect.Value {
	tb.Helper()
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	v := reflect.ValueOf(record).Elem()
	for _, name := range []string{plain(string(fd.Name())), strings.TrimSuffix(plain(string(fd.Name())), "us")} {
		for i := range v.NumField() {
			if plain(v.Type().Field(i).Name) == name {
				return v.Field(i)
			}
		}
	}
	tb.Fatalf("%T has no field for %s", record, fd.Name())
	return reflect.Value{}
}

// mirror copies a record into its generated message, field by field by name:
// the independent path that the hand-written codecs are compared with.
func mirror[M proto.Message](tb testing.TB, record any, into M) M {
	tb.Helper()
	m := into.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch v := goField(tb, record, fd).Interface().(type) {
		case []byte:
			if fd.Kind() == protoreflect.BytesKind {
				m.Set(fd, protoreflect.ValueOfBytes(v))
			} else {
				m.Set(fd, protoreflect.ValueOfString(string(v)))
			}
		case [][]byte:
			for _, s := range v {
				m.Mutable(fd).List().Append(protoreflect.ValueOfString(string(s)))
			}
		case []uint32:
			for _, n := range v {
				m.Mutable(fd).List().Append(protoreflect.ValueOfUint32(n))
			}
		case []KV:
			for _, kv := range v {
				m.Mutable(fd).Map().Set(protoreflect.ValueOfString(string(kv.Key)).MapKey(),
					protoreflect.ValueOfString(string(kv.Value)))
			}
		case uint32:
			m.Set(fd, protoreflect.ValueOfUint32(v))
		case uint64:
			m.Set(fd, protoreflect.ValueOfUint64(v))
		case int32:
			m.Set(fd, protoreflect.ValueOfInt32(v))
		case float64:
			m.Set(fd, protoreflect.ValueOfFloat64(v))
		case bool:
			m.Set(fd, protoreflect.ValueOfBool(v))
		case int64:
			switch {
			case fd.HasPresence() && v < 0:
			case fd.Kind() == protoreflect.Uint32Kind:
				m.Set(fd, protoreflect.ValueOfUint32(uint32(v)))
			case fd.Kind() == protoreflect.Uint64Kind:
				m.Set(fd, protoreflect.ValueOfUint64(uint64(v)))
			default:
				m.Set(fd, protoreflect.ValueOfInt64(v))
			}
		default:
			tb.Fatalf("no rule to mirror %s", fd.Name())
		}
	}
	return into
}

// codec is what every record with a hand-written Protobuf codec has.
type codec interface {
	AppendProto(dst []byte) []byte
	DecodeProto(data []byte) error
}

// checkMirror asserts that record and its generated message read each other's
// bytes.
func checkMirror(tb testing.TB, record, blank codec, message, empty proto.Message) {
	tb.Helper()
	want := mirror(tb, record, message)
	if err := proto.Unmarshal(record.AppendProto(nil), empty); err != nil {
		tb.Fatalf("generated code refuses AppendProto: %v", err)
	}
	if !proto.Equal(want, empty) {
		tb.Fatalf("AppendProto wrote\n%v\nwant\n%v", empty, want)
	}
	data, err := proto.Marshal(want)
	if err != nil {
		tb.Fatal(err)
	}
	if err := blank.DecodeProto(data); err != nil {
		tb.Fatalf("DecodeProto refuses generated bytes: %v", err)
	}
	got := mirror(tb, blank, want.ProtoReflect().New().Interface())
	if !proto.Equal(want, got) {
		tb.Fatalf("DecodeProto read\n%v\nwant\n%v", got, want)
	}
}
