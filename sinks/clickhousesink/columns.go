package clickhousesink

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
)

// filler appends one column's values of a batch of rows to an insert.
type filler[R any] struct {
	column *sinks.Column[R]
	into   driver.BatchColumn
	kind   string // the column's type in the table, without Nullable
	null   bool

	texts  []string
	intern map[string]string // nil: not a dictionary
}

func newFiller[R any](c *sinks.Column[R], into driver.BatchColumn, kind string) (*filler[R], error) {
	f := &filler[R]{column: c, into: into, kind: kind}
	if inner, ok := strings.CutPrefix(kind, "Nullable("); ok {
		f.kind, f.null = strings.TrimSuffix(inner, ")"), true
	}
	if strings.HasPrefix(kind, "LowCardinality(") {
		f.intern = make(map[string]string)
	}
	fits := map[sinks.Kind]string{
		sinks.KindText: "String LowCardinality(String)", sinks.KindInt: "UInt8 UInt16 UInt32 UInt64 Int32 Int64",
		sinks.KindFloat: "Float64", sinks.KindBool: "Bool", sinks.KindTime: "DateTime64(6,'UTC')",
		sinks.KindMap:  "Map(LowCardinality(String),String) Map(String,String)",
		sinks.KindList: "Array(String)",
	}
	for t := range strings.FieldsSeq(fits[c.Kind]) {
		if t == strings.ReplaceAll(f.kind, " ", "") {
			return f, nil
		}
	}
	return nil, fmt.Errorf("column %s has type %s, want one of %s", c.Name, kind, fits[c.Kind])
}

// fill appends the values of rows. The driver copies them, so rows may be reused.
func (f *filler[R]) fill(rows []R) error {
	switch f.column.Kind {
	case sinks.KindText:
		f.texts = f.texts[:0]
		for i := range rows {
			f.texts = append(f.texts, f.text(f.column.Text(&rows[i])))
		}
		return f.into.Append(f.texts)
	case sinks.KindInt:
		return f.fillInts(rows)
	case sinks.KindFloat:
		values := make([]float64, len(rows))
		for i := range rows {
			values[i] = f.column.Float(&rows[i])
		}
		return f.into.Append(values)
	case sinks.KindBool:
		values := make([]bool, len(rows))
		for i := range rows {
			values[i] = f.column.Bool(&rows[i])
		}
		return f.into.Append(values)
	case sinks.KindTime:
		return f.fillTimes(rows)
	case sinks.KindMap:
		values := make([]entries, len(rows))
		for i := range rows {
			values[i] = entries(f.column.Map(&rows[i]))
		}
		return f.into.Append(values)
	default: // KindList
		values := make([][]string, len(rows))
		for i := range rows {
			for _, b := range f.column.List(&rows[i]) {
				values[i] = append(values[i], view(b))
			}
		}
		return f.into.Append(values)
	}
}

// text is a string of b that lives until the driver has copied it. The driver
// keeps the values of a dictionary until the insert is sent, so those are made
// once each.
func (f *filler[R]) text(b []byte) string {
	if f.intern == nil {
		return view(b)
	}
	s, ok := f.intern[string(b)]
	if !ok {
		s = string(b)
		f.intern[s] = s
	}
	return s
}

// view is b as a string without a copy, for callees that copy at once.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (f *filler[R]) fillTimes(rows []R) error {
	values := make([]time.Time, len(rows))
	for i := range rows {
		values[i] = time.UnixMicro(f.column.Int(&rows[i]))
	}
	if !f.null {
		return f.into.Append(values)
	}
	pointers := make([]*time.Time, len(rows))
	for i := range rows {
		if f.column.Int(&rows[i]) > 0 {
			pointers[i] = &values[i]
		}
	}
	return f.into.Append(pointers)
}

func (f *filler[R]) fillInts(rows []R) error {
	switch f.kind {
	case "UInt8":
		return appendInts[uint8](f, rows, math.MaxUint8)
	case "UInt16":
		return appendInts[uint16](f, rows, math.MaxUint16)
	case "UInt32":
		return appendInts[uint32](f, rows, math.MaxUint32)
	case "UInt64":
		return appendInts[uint64](f, rows, math.MaxInt64)
	case "Int32":
		return appendInts[int32](f, rows, math.MaxInt32)
	default:
		return appendInts[int64](f, rows, math.MaxInt64)
	}
}

// appendInts appends integers of the column's width; what does not fit is held
// at the limit rather than wrapped into a plausible lie.
func appendInts[N uint8 | uint16 | uint32 | uint64 | int32 | int64, R any](f *filler[R], rows []R, limit int64) error {
	values := make([]N, len(rows))
	var pointers []*N
	if f.null {
		pointers = make([]*N, len(rows))
	}
	for i := range rows {
		n := f.column.Int(&rows[i])
		if f.null && n >= 0 {
			pointers[i] = &values[i]
		}
		values[i] = N(min(max(n, 0), limit))
	}
	if f.null {
		return f.into.Append(pointers)
	}
	return f.into.Append(values)
}

// entries lets the driver read a map column in the order received.
type entries []schemas.KV

var _ column.IterableOrderedMap = entries(nil)

// Put implements column.IterableOrderedMap; it is for reading, which we do not.
func (entries) Put(any, any) {}

// Iterator implements column.IterableOrderedMap.
func (e entries) Iterator() column.MapIterator { return &entriesIterator{left: e} }

type entriesIterator struct {
	left    entries
	current schemas.KV
}

func (it *entriesIterator) Next() bool {
	if len(it.left) == 0 {
		return false
	}
	it.current, it.left = it.left[0], it.left[1:]
	return true
}

// Key is a copy, because keys may be a dictionary.
func (it *entriesIterator) Key() any   { return string(it.current.Key) }
func (it *entriesIterator) Value() any { return view(it.current.Value) }
