package ingest

import (
	"fmt"
	"strings"

	"github.com/weir-dev/weir/schemas"
)

// field is one row of a gateway's field map: where the source has a value and
// what becomes of it.
type field struct {
	path  string // members from the outside in, joined by '>'
	apply rule
	must  bool // every record of the format has it
	bit   uint64
}

// rule puts one value where it belongs.
type rule func(f *filler, kind jsonKind, text []byte) *fault

// fault is why a rule refused a value.
type fault schemas.Reason

func (f *fault) reason() schemas.Reason { return schemas.Reason(*f) }

var (
	faultType   = newFault(schemas.ReasonWrongType)
	faultNumber = newFault(ReasonBadNumber)
	faultStatus = newFault(ReasonBadStatus)
	faultTime   = newFault(schemas.ReasonInvalidTime)
)

func newFault(r schemas.Reason) *fault { f := fault(r); return &f }

// node is one member name of a compiled field map.
type node struct {
	name     string
	field    *field
	children map[string]*node

	// Gateways write their members in one order. Each node remembers which one
	// came after it last time (a parent: which came first), and that is tried
	// before the map.
	after, first *node
}

// find returns the child of a name, nil if there is none. Last is the child found
// before it, or n itself at the begin of the object.
func (n *node) find(name []byte, last *node) *node {
	guess := &last.after
	if last == n {
		guess = &n.first
	}
	if *guess != nil && (*guess).name == string(name) {
		return *guess
	}
	child := n.children[string(name)]
	if child != nil {
		*guess = child
	}
	return child
}

// fieldMap is a parser of JSON records by a declarative map of their fields.
type fieldMap struct {
	root node
	must []*field
	// finish is the gateway's own last word, after all fields. May be nil.
	finish func(f *filler) error
}

// newFieldMap compiles a map. Each path may occur once.
func newFieldMap(fields []field, finish func(f *filler) error) (*fieldMap, error) {
	m := &fieldMap{finish: finish}
	for i := range fields {
		fd := &fields[i]
		at := &m.root
		for name := range strings.SplitSeq(fd.path, ">") {
			next := at.children[name]
			if next == nil {
				next = &node{name: name}
				if at.children == nil {
					at.children = make(map[string]*node)
				}
				at.children[name] = next
			}
			at = next
		}
		if at.field != nil {
			return nil, fmt.Errorf("field %s is mapped twice", fd.path)
		}
		at.field = fd
		if fd.must {
			fd.bit = 1 << len(m.must)
			m.must = append(m.must, fd)
		}
	}
	return m, nil
}

// parse implements parser.
func (m *fieldMap) parse(line []byte, f *filler) error {
	w := jsonWalk{b: line, f: f}
	switch w.peek() {
	case '{':
	case 0:
		return errEmpty
	default:
		return errMalformed
	}
	if err := w.object(&m.root, 1); err != nil {
		return err
	}
	if w.peek() != 0 {
		return errMalformed
	}
	if want := uint64(1)<<len(m.must) - 1; w.seen != want {
		for _, fd := range m.must {
			if w.seen&fd.bit == 0 {
				return refused(ReasonMissingField, fd.path)
			}
		}
	}
	if m.finish != nil {
		return m.finish(f)
	}
	return nil
}

// Rules. A text of "-" and an empty one stand for an absent value, and a number
// may come as text, because gateways that build JSON from templates quote
// everything.

// text puts a string into a field of the event.
func text(dst func(*schemas.Event) *[]byte) rule {
	return textual(func(f *filler, b []byte) { f.setText(dst(f.ev), b) })
}

// fallback is text for a field that a better source may have set already.
func fallback(dst func(*schemas.Event) *[]byte) rule {
	return textual(func(f *filler, b []byte) {
		if to := dst(f.ev); len(*to) == 0 {
			f.setText(to, b)
		}
	})
}

// textual hands a string, or a number as it was written, to a method of filler.
func textual(set func(f *filler, b []byte)) rule {
	return func(f *filler, kind jsonKind, b []byte) *fault {
		if kind != jsonString && kind != jsonNumber {
			return faultType
		}
		set(f, b)
		return nil
	}
}

// attr keeps a string as an attribute.
func attr(name string) rule {
	key := []byte(name)
	return textual(func(f *filler, b []byte) { f.addAttr(key, b) })
}

// number reads a decimal number and scales it by 10^shift into a field. A
// negative one stands for unknown.
func number(dst func(*schemas.Event) *int64, shift int) rule {
	return func(f *filler, kind jsonKind, b []byte) *fault {
		if kind != jsonString && kind != jsonNumber {
			return faultType
		}
		if kind == jsonString && absent(b) {
			return nil
		}
		n, ok := parseScaled(b, shift)
		if !ok {
			return faultNumber
		}
		if n >= 0 {
			*dst(f.ev) = n
		}
		return nil
	}
}

// status reads the response status; 0 says that there was no response.
func status(f *filler, kind jsonKind, b []byte) *fault {
	if kind != jsonString && kind != jsonNumber {
		return faultType
	}
	if kind == jsonString && absent(b) {
		return nil
	}
	n, ok := parseUint(b)
	if !ok && len(b) > 1 && b[0] == '-' { // HAProxy's -1: no response
		n, ok = parseUint(b[1:])
		n = min(n, 0)
	}
	if !ok || n > 999 {
		return faultStatus
	}
	f.ev.Status = n
	return nil
}

// timestamp reads a time stamp: RFC 3339 text, or a count of seconds (shift 6)
// or milliseconds (shift 3) since 1970. AtEnd says that the gateway takes it
// when the response is done.
func timestamp(shift int, atEnd bool) rule {
	return func(f *filler, kind jsonKind, b []byte) *fault {
		if kind != jsonString && kind != jsonNumber {
			return faultType
		}
		t, ok := parseScaled(b, shift)
		if !ok && kind == jsonString {
			t, ok = parseRFC3339(b)
		}
		if !ok {
			return faultTime
		}
		f.ev.Time, f.atEnd = t, atEnd
		return nil
	}
}

// method takes a method, and nothing that only stands in its place, such as
// HAProxy's <BADREQ>.
func method(f *filler, b []byte) {
	if isMethod(b) {
		f.ev.Method = b
	}
}

// apiKey takes an API key, hashed.
func apiKey(f *filler, b []byte) { f.setCredential(textAPIKey, rankAPIKey, b) }

// referer keeps the referer without the secrets in its query.
func referer(f *filler, b []byte) {
	if !absent(b) {
		f.addHeader(nameReferer, f.maskURL(f.urlText(b)))
	}
}

// Destinations of text and number.
func toID(e *schemas.Event) *[]byte          { return &e.ID }
func toAPI(e *schemas.Event) *[]byte         { return &e.API }
func toScheme(e *schemas.Event) *[]byte      { return &e.Scheme }
func toHost(e *schemas.Event) *[]byte        { return &e.Host }
func toContentType(e *schemas.Event) *[]byte { return &e.ContentType }
func toClientIP(e *schemas.Event) *[]byte    { return &e.ClientIP }
func toPeerIP(e *schemas.Event) *[]byte      { return &e.PeerIP }
func toXFF(e *schemas.Event) *[]byte         { return &e.XFF }
func toUserAgent(e *schemas.Event) *[]byte   { return &e.UserAgent }
func toJA4(e *schemas.Event) *[]byte         { return &e.JA4 }
func toTraceID(e *schemas.Event) *[]byte     { return &e.TraceID }
func toReqBytes(e *schemas.Event) *int64     { return &e.ReqBytes }
func toRespBytes(e *schemas.Event) *int64    { return &e.RespBytes }
func toDuration(e *schemas.Event) *int64     { return &e.DurationUS }
func toUpstream(e *schemas.Event) *int64     { return &e.UpstreamUS }
func toClientPort(e *schemas.Event) *int64   { return &e.ClientPort }
