package parquetsink

import (
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/weir-dev/weir/sinks"
)

// Sizes inside a file. Pages are what a reader decompresses at a time, row
// groups what it can skip by statistics.
const (
	pageBytes       = 256 << 10
	rowsPerGroup    = 256 << 10
	dictionaryBytes = 1 << 20 // a larger dictionary is given up for plain values
	bloomBits       = 10      // per value: about 1 % false positives
)

// table is one table's schema and how to fill its leaf columns.
type table[R any] struct {
	name    sinks.Table
	columns []sinks.Column[R]
	leaves  []int // index of each column's first leaf
	schema  *parquet.Schema
	options []parquet.WriterOption
	day     func(*R) int32
	nulls   [][]parquet.Value // a batch of absent values for each leaf
}

// nullRows is as many rows as a chunk hands out at a time.
const nullRows = 512

// orderedGroup is a group whose fields keep the order of the column table; the
// library's own sorts them by name.
type orderedGroup struct {
	parquet.Group
	order []string
}

// Fields implements parquet.Node.
func (g orderedGroup) Fields() []parquet.Field {
	byName := make(map[string]parquet.Field, len(g.order))
	for _, f := range g.Group.Fields() {
		byName[f.Name()] = f
	}
	fields := make([]parquet.Field, len(g.order))
	for i, name := range g.order {
		fields[i] = byName[name]
	}
	return fields
}

func newTable[R any](name sinks.Table, columns []sinks.Column[R], day func(*R) int32) *table[R] {
	group := orderedGroup{Group: make(parquet.Group, len(columns))}
	t := &table[R]{name: name, columns: columns, day: day}
	leaf := 0
	for i := range columns {
		c := &columns[i]
		group.Group[c.Name] = node(c.Kind, c.Optional, c.Few)
		group.order = append(group.order, c.Name)
		t.leaves = append(t.leaves, leaf)
		leaf++
		if c.Kind == sinks.KindMap {
			leaf++ // key and value
		}
	}
	t.nulls = make([][]parquet.Value, leaf)
	for i := range t.nulls {
		t.nulls[i] = slices.Repeat([]parquet.Value{parquet.Value{}.Level(0, 0, i)}, nullRows)
	}
	t.schema = parquet.NewSchema(string(name), group)
	t.options = []parquet.WriterOption{
		t.schema,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(pageBytes),
		parquet.MaxRowsPerRowGroup(rowsPerGroup),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.DataPageStatistics(true),
		parquet.KeyValueMetadata("weir.table", string(name)),
		parquet.CreatedBy("weir", "", ""),
	}
	for i := range columns {
		if columns[i].Name == "client" || columns[i].Name == "entity" {
			t.options = append(t.options, parquet.BloomFilters(parquet.SplitBlockFilter(bloomBits, columns[i].Name)))
		}
	}
	return t
}

func node(kind sinks.Kind, optional, few bool) parquet.Node {
	text := parquet.Encoded(parquet.String(), &parquet.DeltaLengthByteArray)
	repetitive := parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	var n parquet.Node
	switch kind {
	case sinks.KindText:
		if n = text; few {
			n = repetitive
		}
	case sinks.KindInt:
		n = parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)
	case sinks.KindTime:
		n = parquet.Encoded(parquet.Timestamp(parquet.Microsecond), &parquet.DeltaBinaryPacked)
	case sinks.KindFloat:
		n = parquet.Leaf(parquet.DoubleType)
	case sinks.KindBool:
		n = parquet.Leaf(parquet.BooleanType)
	case sinks.KindMap:
		return parquet.Map(repetitive, text)
	case sinks.KindList:
		return parquet.List(text)
	}
	if optional {
		return parquet.Optional(n)
	}
	return n
}

// appendLeaf appends one leaf column's values of rows. For a map, value chooses
// the value leaf instead of the key leaf.
func appendLeaf[R any](dst []parquet.Value, c *sinks.Column[R], leaf int, value bool, rows []*R) []parquet.Value {
	present := 0 // definition level of a value that is there
	if c.Optional {
		present = 1
	}
	null := parquet.Value{}.Level(0, 0, leaf)
	switch c.Kind {
	case sinks.KindText:
		for _, r := range rows {
			if b := c.Text(r); len(b) == 0 && c.Optional {
				dst = append(dst, null)
			} else {
				dst = append(dst, parquet.ByteArrayValue(b).Level(0, present, leaf))
			}
		}
	case sinks.KindInt, sinks.KindTime:
		absent := int64(-1) // this and below
		if c.Kind == sinks.KindTime {
			absent = 0
		}
		for _, r := range rows {
			if n := c.Int(r); n <= absent && c.Optional {
				dst = append(dst, null)
			} else {
				dst = append(dst, parquet.Int64Value(n).Level(0, present, leaf))
			}
		}
	case sinks.KindFloat:
		for _, r := range rows {
			dst = append(dst, parquet.DoubleValue(c.Float(r)).Level(0, 0, leaf))
		}
	case sinks.KindBool:
		for _, r := range rows {
			dst = append(dst, parquet.BooleanValue(c.Bool(r)).Level(0, 0, leaf))
		}
	case sinks.KindMap:
		for _, r := range rows {
			entries := c.Map(r)
			if len(entries) == 0 {
				dst = append(dst, null)
			}
			for i := range entries {
				b := entries[i].Key
				if value {
					b = entries[i].Value
				}
				dst = append(dst, parquet.ByteArrayValue(b).Level(min(i, 1), 1, leaf))
			}
		}
	case sinks.KindList:
		for _, r := range rows {
			entries := c.List(r)
			if len(entries) == 0 {
				dst = append(dst, null)
			}
			for i := range entries {
				dst = append(dst, parquet.ByteArrayValue(entries[i]).Level(min(i, 1), 1, leaf))
			}
		}
	}
	return dst
}

// allAbsent reports whether no row has a value in this column.
func allAbsent[R any](c *sinks.Column[R], rows []*R) bool {
	var present func(*R) bool
	switch {
	case c.Kind == sinks.KindMap:
		present = func(r *R) bool { return len(c.Map(r)) > 0 }
	case c.Kind == sinks.KindList:
		present = func(r *R) bool { return len(c.List(r)) > 0 }
	case !c.Optional:
		return false
	case c.Kind == sinks.KindText:
		present = func(r *R) bool { return len(c.Text(r)) > 0 }
	case c.Kind == sinks.KindTime:
		present = func(r *R) bool { return c.Int(r) > 0 }
	case c.Kind == sinks.KindInt:
		present = func(r *R) bool { return c.Int(r) >= 0 }
	default:
		return false
	}
	return !slices.ContainsFunc(rows, present)
}

// write adds rows to a file, column by column: the library's row path would
// reflect over every value.
func (t *table[R]) write(w *parquet.GenericWriter[any], values *[]parquet.Value, rows []*R) error {
	leaves := w.ColumnWriters()
	put := func(c *sinks.Column[R], leaf int, value bool) error {
		var batch []parquet.Value
		if len(rows) <= nullRows && allAbsent(c, rows) {
			// Most gateways report half of the columns at most.
			batch = t.nulls[leaf][:len(rows)]
		} else {
			*values = appendLeaf((*values)[:0], c, leaf, value, rows)
			batch = *values
		}
		if n, err := leaves[leaf].WriteRowValues(batch); err != nil {
			return fmt.Errorf("writing column %s: %w", c.Name, err)
		} else if n != len(rows) {
			return fmt.Errorf("writing column %s: %d rows of %d", c.Name, n, len(rows))
		}
		return nil
	}
	for i := range t.columns {
		c := &t.columns[i]
		if err := put(c, t.leaves[i], false); err != nil {
			return err
		}
		if c.Kind == sinks.KindMap {
			if err := put(c, t.leaves[i]+1, true); err != nil {
				return err
			}
		}
	}
	return nil
}
