package schemas

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// wireReader walks one Protobuf message. Slices that it returns alias data.
// Methods give ok false, and nothing else of use, when the bytes end early or
// are not Protobuf; they never read beyond data.
type wireReader struct {
	data []byte
	pos  int
}

func (r *wireReader) more() bool { return r.pos < len(r.data) }

func (r *wireReader) varint() (uint64, bool) {
	v, next := readVarint(r.data, r.pos)
	if next < 0 {
		return 0, false
	}
	r.pos = next
	return v, true
}

// readVarint reads the varint at pos and gives the position after it, negative
// if there is none.
func readVarint(data []byte, pos int) (v uint64, next int) {
	for shift := uint(0); pos < len(data) && shift < 70; shift += 7 {
		b := data[pos]
		pos++
		if b < 0x80 {
			if shift == 63 && b > 1 {
				return 0, -1 // more than 64 bits
			}
			return v | uint64(b)<<shift, pos
		}
		v |= uint64(b&0x7f) << shift
	}
	return 0, -1
}

// validText is utf8.Valid, faster for the short ASCII that most fields hold.
func validText(b []byte) bool {
	const highs = 0x8080808080808080
	if len(b) < 8 {
		for _, c := range b {
			if c >= utf8.RuneSelf {
				return utf8.Valid(b)
			}
		}
		return true
	}
	// The last eight bytes overlap those before: looking twice is harmless.
	set := binary.LittleEndian.Uint64(b[len(b)-8:])
	for i := 0; i+8 < len(b); i += 8 {
		set |= binary.LittleEndian.Uint64(b[i:])
	}
	return set&highs == 0 || utf8.Valid(b)
}

// tag reads a field number and wire type.
func (r *wireReader) tag() (num int, typ protowire.Type, ok bool) {
	v, ok := r.varint()
	if !ok || v>>3 < uint64(protowire.MinValidNumber) || v>>3 > uint64(protowire.MaxValidNumber) {
		return 0, 0, false
	}
	return int(v >> 3), protowire.Type(v & 7), true
}

func (r *wireReader) bytes() ([]byte, bool) {
	n, ok := r.varint()
	if !ok || n > uint64(len(r.data)-r.pos) {
		return nil, false
	}
	start := r.pos
	r.pos += int(n)
	// The capacity ends with the field: an append by whoever holds the slice
	// must not write into the rest of the record.
	return r.data[start:r.pos:r.pos], true
}

func (r *wireReader) double() (float64, bool) {
	v, n := protowire.ConsumeFixed64(r.data[r.pos:])
	if n < 0 {
		return 0, false
	}
	r.pos += n
	return math.Float64frombits(v), true
}

// skip passes over the value of a field that the schema does not name.
func (r *wireReader) skip(num int, typ protowire.Type) bool {
	n := protowire.ConsumeFieldValue(protowire.Number(num), typ, r.data[r.pos:])
	if n < 0 {
		return false
	}
	r.pos += n
	return true
}

// Appenders leave a field out when it has its zero value, as proto3 does.

func appendTag(dst []byte, num int, typ protowire.Type) []byte {
	tag := uint(num)<<3 | uint(typ)
	if tag < 0x80 {
		return append(dst, byte(tag))
	}
	return append(dst, byte(tag)|0x80, byte(tag>>7)) // num < 2048 everywhere
}

func appendUint(dst []byte, num int, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(appendTag(dst, num, protowire.VarintType), v)
}

func appendDouble(dst []byte, num int, v float64) []byte {
	b := math.Float64bits(v) // negative zero is not the zero value
	if b == 0 {
		return dst
	}
	return protowire.AppendFixed64(appendTag(dst, num, protowire.Fixed64Type), b)
}

func appendBytes(dst []byte, num int, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = protowire.AppendVarint(appendTag(dst, num, protowire.BytesType), uint64(len(b)))
	return append(dst, b...)
}

// appendText writes a string field; what is not UTF-8 is written as U+FFFD,
// because every Protobuf reader would refuse the whole record otherwise.
func appendText(dst []byte, num int, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = appendTag(dst, num, protowire.BytesType)
	return appendSizedText(dst, b)
}

func appendSizedText(dst, b []byte) []byte {
	if validText(b) {
		dst = protowire.AppendVarint(dst, uint64(len(b)))
		return append(dst, b...)
	}
	dst = protowire.AppendVarint(dst, uint64(repairedLen(b)))
	return appendRepaired(dst, b)
}

// sizedLen is the length of what appendSizedText writes.
func sizedLen(b []byte) int {
	n := len(b)
	if !validText(b) {
		n = repairedLen(b)
	}
	return varintLen(uint64(n)) + n
}

func varintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// repairedLen is the length of b with each byte that is not UTF-8 replaced by
// U+FFFD, as encoding/json does it.
func repairedLen(b []byte) int {
	n := 0
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			n += len("\uFFFD")
		} else {
			n += size
		}
		b = b[size:]
	}
	return n
}

func appendRepaired(dst, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r) // RuneError is U+FFFD itself
		b = b[size:]
	}
	return dst
}

// cutText is the longest prefix of b that takes at most limit bytes once
// written, and ends between two characters.
func cutText(b []byte, limit int) []byte {
	if len(b) <= limit && validText(b) {
		return b
	}
	n, end := 0, 0
	for end < len(b) {
		r, size := utf8.DecodeRune(b[end:])
		if n += utf8.RuneLen(r); n > limit {
			break
		}
		end += size
	}
	return b[:end]
}
