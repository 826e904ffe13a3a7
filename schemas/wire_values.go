package schemas

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Readers of one field's value into its place. Of repeated scalars the last
// counts, as Protobuf demands. A value that the field cannot hold is refused
// rather than cut to its width.

func (r *wireReader) integer(typ protowire.Type, limit uint64) (uint64, Reason) {
	if typ != protowire.VarintType {
		return 0, ReasonWrongType
	}
	v, ok := r.varint()
	if !ok {
		return 0, ReasonMalformedProtobuf
	}
	if v > limit {
		return 0, ReasonOutOfRange
	}
	return v, ""
}

func (r *wireReader) uint32(typ protowire.Type, place *uint32) Reason {
	v, reason := r.integer(typ, math.MaxUint32)
	*place = uint32(v)
	return reason
}

func (r *wireReader) uint64(typ protowire.Type, place *uint64) Reason {
	v, reason := r.integer(typ, math.MaxUint64)
	*place = v
	return reason
}

func (r *wireReader) int64(typ protowire.Type, place *int64) Reason {
	v, reason := r.integer(typ, math.MaxUint64)
	*place = int64(v)
	return reason
}

// int32 reads the sign-extended 64 bits that Protobuf writes for it.
func (r *wireReader) int32(typ protowire.Type, place *int32) Reason {
	v, reason := r.integer(typ, math.MaxUint64)
	if reason == "" && int64(v) != int64(int32(v)) {
		reason = ReasonOutOfRange
	}
	*place = int32(v)
	return reason
}

func (r *wireReader) bool(typ protowire.Type, place *bool) Reason {
	v, reason := r.integer(typ, math.MaxUint64)
	*place = v != 0
	return reason
}

// optional reads an integer whose absence is Unknown.
func (r *wireReader) optional(typ protowire.Type, place *int64, limit uint64) Reason {
	v, reason := r.integer(typ, limit)
	*place = int64(v)
	return reason
}

func (r *wireReader) float64(typ protowire.Type, place *float64) Reason {
	if typ != protowire.Fixed64Type {
		return ReasonWrongType
	}
	v, ok := r.double()
	if !ok {
		return ReasonMalformedProtobuf
	}
	*place = v
	return ""
}

func (r *wireReader) blob(typ protowire.Type, place *[]byte) Reason {
	if typ != protowire.BytesType {
		return ReasonWrongType
	}
	b, ok := r.bytes()
	if !ok {
		return ReasonMalformedProtobuf
	}
	*place = b
	return ""
}

func (r *wireReader) text(typ protowire.Type, place *[]byte) Reason {
	if reason := r.blob(typ, place); reason != "" {
		return reason
	}
	if !validText(*place) {
		return ReasonInvalidUTF8
	}
	return ""
}

// uint32s reads a repeated field, packed or not.
func (r *wireReader) uint32s(typ protowire.Type, place *[]uint32) Reason {
	if typ == protowire.VarintType {
		v, reason := r.integer(typ, math.MaxUint32)
		*place = append(*place, uint32(v))
		return reason
	}
	var packed []byte
	if reason := r.blob(typ, &packed); reason != "" {
		return reason
	}
	in := wireReader{data: packed}
	for in.more() {
		v, reason := in.integer(protowire.VarintType, math.MaxUint32)
		if reason != "" {
			return reason
		}
		*place = append(*place, uint32(v))
	}
	return ""
}

// pass is skip for a caller that wants a reason.
func (r *wireReader) pass(num int, typ protowire.Type) Reason {
	if !r.skip(num, typ) {
		return ReasonMalformedProtobuf
	}
	return ""
}

func appendBool(dst []byte, num int, v bool) []byte {
	if !v {
		return dst
	}
	return append(appendTag(dst, num, protowire.VarintType), 1)
}

func appendPacked(dst []byte, num int, vs []uint32) []byte {
	if len(vs) == 0 {
		return dst
	}
	size := 0
	for _, v := range vs {
		size += varintLen(uint64(v))
	}
	dst = appendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	for _, v := range vs {
		dst = protowire.AppendVarint(dst, uint64(v))
	}
	return dst
}
