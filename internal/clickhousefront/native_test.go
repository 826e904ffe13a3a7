package clickhousefront

import (
	"bytes"
	"errors"
	"testing"
)

// A result as the engine writes it, in parts: a block with a UInt8 and a
// dictionary column, and a block with strings.
const (
	columnA = "\x01a\x05UInt8"
	dataA   = "\x07"
	columnB = "\x01b\x16LowCardinality(String)"
	dataB   = "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01x\x01\x00\x00\x00\x00\x00\x00\x00\x01"
	columnS = "\x01s\x06String"
	dataS   = "\x01y\x00"

	firstBlock  = "\x02\x01" + columnA + dataA + columnB + dataB
	secondBlock = "\x01\x02" + columnS + dataS
	twoBlocks   = firstBlock + secondBlock
)

func TestEncodeNativeAddsWhatTheRevisionHas(t *testing.T) {
	const info = "\x01\x00\x02\xff\xff\xff\xff\x00"
	for _, c := range []struct {
		revision uint64
		want     string
	}{
		{0, twoBlocks},
		{54400, info + firstBlock + info + secondBlock},
		{54460, info + "\x02\x01" + columnA + "\x00" + dataA + columnB + "\x00" + dataB +
			info + "\x01\x02" + columnS + "\x00" + dataS},
	} {
		got, err := EncodeNative(nil, []byte(twoBlocks), c.revision)
		if err != nil || string(got) != c.want {
			t.Errorf("revision %d:\ngot  %q %v\nwant %q", c.revision, got, err, c.want)
		}
	}
}

func TestEncodeNativeRefusesCutData(t *testing.T) {
	whole := []byte(twoBlocks)
	for n := 1; n < len(whole); n++ {
		if n == len(firstBlock) {
			continue // the end of the first block is a fine place to stop
		}
		if _, err := EncodeNative(nil, whole[:n], 54460); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

func TestTypesWithoutKnownLengthAreRefused(t *testing.T) {
	for _, name := range []string{
		"AggregateFunction(sum, UInt64)", "JSON", "Dynamic", "Variant(String, UInt8)", "Array(JSON)", "", "Array", "Array()",
		"Array(UInt8", "FixedString(0)", "FixedString(-1)", "Decimal(x)", "LowCardinality(JSON)", "Tuple()", "Map(String)",
	} {
		_, err := parseNativeType(name)
		var exception *Exception
		if !errors.As(err, &exception) || exception.Code != codeNotImplemented {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// FuzzEncodeNative checks that the re-encoded form is the original with only
// the additions of the revision in it: taking the block infos' bytes into
// account, nothing is lost.
func FuzzEncodeNative(f *testing.F) {
	f.Add([]byte(twoBlocks))
	f.Add([]byte("\x01\x01\x01m\x13Map(String, String)\x01\x00\x00\x00\x00\x00\x00\x00\x01a\x01b"))
	f.Add([]byte("\x01\x02\x01t\x1dTuple(a UInt8, `b c` Nothing)\x01\x02\x03\x04"))
	f.Add([]byte("\x01\x01\x01n\x1aArray(Nullable(FixedString(2)))\x01\x00\x00\x00\x00\x00\x00\x00\x00ab"))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01s\x06String"))
	f.Fuzz(func(t *testing.T, data []byte) {
		old, err := EncodeNative(nil, data, 1)
		if err != nil {
			return
		}
		current, err := EncodeNative(nil, data, 54460)
		if err != nil {
			t.Fatalf("revision 1 was fine, 54460 gives %v", err)
		}
		if len(current) < len(old) || len(old) < len(data) {
			t.Fatalf("%d bytes became %d and %d", len(data), len(old), len(current))
		}
		prefix := []byte("kept")
		appended, err := EncodeNative(prefix, data, 54460)
		if err != nil || !bytes.Equal(appended, append([]byte("kept"), current...)) {
			t.Fatal("appending to a prefix gives another result")
		}
	})
}

func FuzzParseNativeType(f *testing.F) {
	for _, seed := range []string{
		"String", "Array(LowCardinality(Nullable(String)))", "Map(LowCardinality(String), Array(Tuple(a UInt8, b Enum8('x,)' = 1))))",
		"DateTime64(6, 'UTC')", "Decimal(18, 4)", "SimpleAggregateFunction(sum, UInt64)", "Nested(a UInt8, `b,c` String)", "Array(((", "Polygon",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		parsed, err := parseNativeType(name)
		if err == nil && (parsed.prefix() < 0 || parsed.kind == kindFixed && parsed.width <= 0) {
			t.Fatalf("%q became %+v", name, parsed)
		}
	})
}
