package clickhousefront

import (
	"strconv"
	"strings"
)

// typeKind tells how a column of a type is laid out in Native format.
type typeKind uint8

const (
	kindFixed typeKind = iota
	kindString
	kindNullable
	// kindArray is also Map and Nested: offsets, then one column per argument.
	kindArray
	kindTuple
	kindLowCardinality
)

type nativeType struct {
	kind typeKind
	// width is the size of one value in bytes, for kindFixed.
	width int
	args  []*nativeType
}

// prefix is the number of bytes that precede the column's data: eight for
// each dictionary in it, all of them before the first value.
func (t *nativeType) prefix() int {
	n := 0
	if t.kind == kindLowCardinality {
		n = 8
	}
	for _, arg := range t.args {
		n += arg.prefix()
	}
	return n
}

var fixedWidths = map[string]int{
	"Int8": 1, "UInt8": 1, "Bool": 1, "Enum8": 1, "Nothing": 1,
	"Int16": 2, "UInt16": 2, "Date": 2, "Enum16": 2, "BFloat16": 2,
	"Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "IPv4": 4, "Decimal32": 4, "Time": 4,
	"Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Decimal64": 8, "Time64": 8,
	"Int128": 16, "UInt128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16, "Point": 16,
	"Int256": 32, "UInt256": 32, "Decimal256": 32,
}

// aliases are the named geometry types with a fixed structure.
var aliases = map[string]string{
	"Ring":            "Array(Point)",
	"LineString":      "Array(Point)",
	"Polygon":         "Array(Ring)",
	"MultiLineString": "Array(LineString)",
	"MultiPolygon":    "Array(Polygon)",
}

// maxTypeDepth bounds nesting, far above what a table can declare.
const maxTypeDepth = 64

func parseNativeType(s string) (*nativeType, error) { return parseTypeAt(s, 0) }

func parseTypeAt(s string, depth int) (*nativeType, error) {
	unsupported := func() error {
		return newException(codeNotImplemented, "NOT_IMPLEMENTED", "Cannot send a column of type %s to a native client; convert it to String in the query", s)
	}
	if depth > maxTypeDepth {
		return nil, unsupported()
	}
	name, list, hasArgs := strings.Cut(s, "(")
	var args []string
	if hasArgs {
		if !strings.HasSuffix(list, ")") {
			return nil, unsupported()
		}
		args = splitTypeArgs(strings.TrimSuffix(list, ")"))
	}
	if width, ok := fixedWidths[name]; ok {
		return &nativeType{kind: kindFixed, width: width}, nil
	}
	if alias, ok := aliases[name]; ok {
		return parseTypeAt(alias, depth+1)
	}
	if strings.HasPrefix(name, "Interval") {
		return &nativeType{kind: kindFixed, width: 8}, nil
	}

	t := &nativeType{}
	switch {
	case name == "String":
		return &nativeType{kind: kindString}, nil
	case name == "FixedString" && len(args) == 1:
		n, err := strconv.ParseUint(args[0], 10, 31)
		if err != nil || n == 0 {
			return nil, unsupported()
		}
		return &nativeType{kind: kindFixed, width: int(n)}, nil
	case name == "Decimal" && len(args) > 0:
		width, err := decimalWidth(args[0])
		if err != nil {
			return nil, unsupported()
		}
		return &nativeType{kind: kindFixed, width: width}, nil
	case name == "SimpleAggregateFunction" && len(args) >= 2:
		return parseTypeAt(args[len(args)-1], depth+1)
	case name == "Nullable" && len(args) == 1:
		t.kind = kindNullable
	case name == "Array" && len(args) == 1, name == "Map" && len(args) == 2, name == "Nested" && len(args) > 0:
		t.kind = kindArray
	case name == "Tuple" && len(args) > 0:
		t.kind = kindTuple
	case name == "LowCardinality" && len(args) == 1:
		t.kind = kindLowCardinality
		// A dictionary of nullable values keeps NULL as its first key and
		// stores no flags.
		if inner, ok := strings.CutPrefix(args[0], "Nullable("); ok {
			args[0] = strings.TrimSuffix(inner, ")")
		}
	default:
		return nil, unsupported()
	}
	named := name == "Tuple" || name == "Nested"
	for _, arg := range args {
		if named {
			arg = dropElementName(arg)
		}
		parsed, err := parseTypeAt(arg, depth+1)
		if err != nil {
			return nil, err
		}
		t.args = append(t.args, parsed)
	}
	return t, nil
}

func decimalWidth(precision string) (int, error) {
	p, err := strconv.Atoi(precision)
	switch {
	case err != nil:
		return 0, err
	case p <= 9:
		return 4, nil
	case p <= 18:
		return 8, nil
	case p <= 38:
		return 16, nil
	default:
		return 32, nil
	}
}

// splitTypeArgs splits at the commas that are outside of brackets and quotes.
func splitTypeArgs(list string) []string {
	var args []string
	start := 0
	s := scanner{sql: list}
	for s.next() {
		if s.last == ',' && s.depth == 0 {
			args = append(args, strings.TrimSpace(list[start:s.start]))
			start = s.pos
		}
	}
	if last := strings.TrimSpace(list[start:]); last != "" || len(args) > 0 {
		args = append(args, last)
	}
	return args
}

// dropElementName removes the name in front of a tuple element's type: in
// "`a b` UInt8" and "n Array(String)" the first token is followed by another
// word, in "Array(String)" it is not.
func dropElementName(arg string) string {
	s := scanner{sql: arg}
	if !s.next() {
		return arg
	}
	if s.next() && s.word {
		return arg[s.start:]
	}
	return arg
}
