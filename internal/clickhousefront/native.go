package clickhousefront

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// revisionCustomSerialization is the first protocol revision that carries a
// serialization flag per column.
const revisionCustomSerialization = 54454

// errTruncated reports Native data that ends inside a value.
var errTruncated = errors.New("native data is truncated")

// EncodeNative rewrites blocks in Native format as a file holds them
// (revision 0) to the form a client of the given protocol revision reads, and
// appends them to dst. The engine writes only the first form. Types whose
// length cannot be told without the engine (AggregateFunction states, JSON,
// Dynamic, Variant) are refused with an *Exception, NOT_IMPLEMENTED.
func EncodeNative(dst, src []byte, revision uint64) ([]byte, error) {
	if revision == 0 {
		return append(dst, src...), nil
	}
	r := nativeReader{data: src}
	for r.pos < len(src) {
		columns, err := r.uvarint()
		if err != nil {
			return nil, err
		}
		rows, err := r.uvarint()
		if err != nil {
			return nil, err
		}
		// Block info: field 1 is_overflows = false, field 2 bucket_num = -1,
		// 0 ends the list.
		dst = append(dst, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0)
		dst = binary.AppendUvarint(dst, columns)
		dst = binary.AppendUvarint(dst, rows)
		for range columns {
			if dst, err = r.copyColumn(dst, rows, revision); err != nil {
				return nil, err
			}
		}
	}
	return dst, nil
}

func (r *nativeReader) copyColumn(dst []byte, rows, revision uint64) ([]byte, error) {
	start := r.pos
	if err := r.skipString(); err != nil {
		return nil, fmt.Errorf("reading column name: %w", err)
	}
	typeName, err := r.string()
	if err != nil {
		return nil, fmt.Errorf("reading column type: %w", err)
	}
	dst = append(dst, r.data[start:r.pos]...)
	if revision >= revisionCustomSerialization {
		dst = append(dst, 0)
	}
	if rows == 0 {
		return dst, nil
	}
	t, err := parseNativeType(typeName)
	if err != nil {
		return nil, err
	}
	start = r.pos
	if err := r.skip(t.prefix(), 1); err != nil {
		return nil, fmt.Errorf("reading column of type %s: %w", typeName, err)
	}
	if err := r.skipColumn(t, rows); err != nil {
		return nil, fmt.Errorf("reading column of type %s: %w", typeName, err)
	}
	return append(dst, r.data[start:r.pos]...), nil
}

type nativeReader struct {
	data []byte
	pos  int
}

func (r *nativeReader) uvarint() (uint64, error) {
	v, n := binary.Uvarint(r.data[r.pos:])
	if n <= 0 {
		return 0, errTruncated
	}
	r.pos += n
	return v, nil
}

func (r *nativeReader) uint64() (uint64, error) {
	if len(r.data)-r.pos < 8 {
		return 0, errTruncated
	}
	v := binary.LittleEndian.Uint64(r.data[r.pos:])
	r.pos += 8
	return v, nil
}

// skip passes rows values of width bytes.
func (r *nativeReader) skip(width int, rows uint64) error {
	if width != 0 && rows > uint64(len(r.data)-r.pos)/uint64(width) {
		return errTruncated
	}
	r.pos += width * int(rows)
	return nil
}

func (r *nativeReader) string() (string, error) {
	start := r.pos
	n, err := r.uvarint()
	if err != nil {
		return "", err
	}
	if n > uint64(len(r.data)-r.pos) {
		r.pos = start
		return "", errTruncated
	}
	s := string(r.data[r.pos : r.pos+int(n)])
	r.pos += int(n)
	return s, nil
}

func (r *nativeReader) skipString() error {
	n, err := r.uvarint()
	if err != nil {
		return err
	}
	return r.skip(1, n)
}

func (r *nativeReader) skipColumn(t *nativeType, rows uint64) error {
	switch t.kind {
	case kindFixed:
		return r.skip(t.width, rows)
	case kindString:
		for range rows {
			if err := r.skipString(); err != nil {
				return err
			}
		}
		return nil
	case kindNullable:
		// One null flag per row, then the values with a default in each hole.
		if err := r.skip(1, rows); err != nil {
			return err
		}
		return r.skipColumn(t.args[0], rows)
	case kindArray:
		return r.skipArray(t, rows)
	case kindTuple:
		for _, arg := range t.args {
			if err := r.skipColumn(arg, rows); err != nil {
				return err
			}
		}
		return nil
	default:
		return r.skipLowCardinality(t, rows)
	}
}

// skipArray passes the end offset of each row and then the values of all rows
// as one column.
func (r *nativeReader) skipArray(t *nativeType, rows uint64) error {
	if rows == 0 {
		return nil
	}
	if err := r.skip(8, rows); err != nil {
		return err
	}
	values := binary.LittleEndian.Uint64(r.data[r.pos-8:])
	// Every value takes at least a byte, save for empty tuples and the like,
	// which no query of ours returns; the limit stops loops over nothing.
	if values > uint64(len(r.data)) {
		return errTruncated
	}
	for _, arg := range t.args {
		if err := r.skipColumn(arg, values); err != nil {
			return err
		}
	}
	return nil
}

// skipLowCardinality passes the dictionary and one index into it per row.
func (r *nativeReader) skipLowCardinality(t *nativeType, rows uint64) error {
	if rows == 0 {
		return nil
	}
	flags, err := r.uint64()
	if err != nil {
		return err
	}
	// The low byte is the logarithm of the index width.
	shift := flags & 0xff
	if shift > 3 {
		return fmt.Errorf("unknown dictionary index width %d", shift)
	}
	keys, err := r.uint64()
	if err != nil {
		return err
	}
	if keys > uint64(len(r.data)) {
		return errTruncated
	}
	if err := r.skipColumn(t.args[0], keys); err != nil {
		return err
	}
	indexes, err := r.uint64()
	if err != nil {
		return err
	}
	if indexes != rows {
		return fmt.Errorf("dictionary column has %d rows, block has %d", indexes, rows)
	}
	return r.skip(1<<shift, rows)
}
