package parameters

import (
	"bytes"
	"slices"

	"github.com/weir-dev/weir/schemas"
)

// Bounds of what one request is read for.
const (
	maxItems     = 256      // parameters of one request
	maxParsed    = 16 << 10 // bytes of a query or body
	maxDepth     = 16       // levels of a JSON document
	maxNameBytes = 64       // longer names are never learnt
)

// item is one parameter of a request.
type item struct {
	loc   Location
	name  []byte
	value []byte
	shape shape
}

// Scratch is the working memory of one caller of Judge or Add. What a call
// returned aliases it until the next.
type Scratch struct {
	items     []item
	buf       []byte // decoded names and values
	path      []byte // the JSON path at the reader
	params    int    // items that are no headers: the first ones
	body      bodyKind
	malformed bool // the body does not parse as what it claims
	complete  bool // the body was read to its end
}

// bodyKind is how a body was read.
type bodyKind uint8

const (
	bodyNone bodyKind = iota
	bodyForm
	bodyJSON
	bodyOther
)

// NewScratch returns working memory that seldom has to grow.
func NewScratch() *Scratch {
	return &Scratch{items: make([]item, 0, 64), buf: make([]byte, 0, 4096), path: make([]byte, 0, 256)}
}

// read takes a request apart.
func (s *Scratch) read(e *schemas.Event, route []byte) {
	s.items, s.buf, s.path = s.items[:0], s.buf[:0], s.path[:0]
	s.malformed, s.complete, s.body = false, false, bodyNone
	s.readPairs(Query, e.Query)
	s.readPath(route, e.Path)
	s.readBody(e)
	s.params = len(s.items)
	if len(e.UserAgent) > 0 {
		s.add(Header, userAgent, e.UserAgent, 0)
	}
	for i := range e.Headers {
		s.add(Header, e.Headers[i].Key, e.Headers[i].Value, 0)
	}
}

var userAgent = []byte("user-agent")

func (s *Scratch) add(loc Location, name, value []byte, marks charset) {
	n := len(s.items)
	if n >= maxItems {
		return
	}
	if n == cap(s.items) {
		s.items = slices.Grow(s.items, 64)
	}
	// In place: an item is long, and this is the inner loop.
	s.items = s.items[:n+1]
	it := &s.items[n]
	it.loc, it.name, it.value = loc, name, value
	it.shape.of(value, marks)
}

func (s *Scratch) readBody(e *schemas.Event) {
	body := e.BodySample
	if len(body) == 0 {
		return
	}
	s.complete = len(body) < maxParsed && (e.ReqBytes < 0 || e.ReqBytes <= int64(len(body)))
	body = body[:min(len(body), maxParsed)]
	switch first := firstByte(body); {
	case hasFold(e.ContentType, "json"), len(e.ContentType) == 0 && (first == '{' || first == '['):
		s.body = bodyJSON
		s.malformed = !s.readJSON(body) && s.complete
	case hasFold(e.ContentType, "x-www-form-urlencoded"), len(e.ContentType) == 0 && bytes.IndexByte(body, '=') > 0:
		s.body = bodyForm
		s.readPairs(Form, body)
	default:
		s.body = bodyOther
	}
}

func firstByte(b []byte) byte {
	for _, c := range b {
		if c > ' ' {
			return c
		}
	}
	return 0
}

// hasFold tells whether s contains a lower-case word in any case.
func hasFold(s []byte, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == word[0] && foldEqual(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// readPairs reads name=value&name=value.
func (s *Scratch) readPairs(loc Location, q []byte) {
	q = q[:min(len(q), maxParsed)]
	for len(q) > 0 {
		pair := q
		if i := bytes.IndexByte(q, '&'); i >= 0 {
			pair, q = q[:i], q[i+1:]
		} else {
			q = nil
		}
		if len(pair) == 0 {
			continue
		}
		name, value := pair, []byte(nil)
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			name, value = pair[:i], pair[i+1:]
		}
		name, _ = s.decode(name)
		value, marks := s.decode(value)
		s.add(loc, s.collapse(name), value, marks)
	}
}

// decode undoes percent encoding and '+'. What needs none is not copied.
func (s *Scratch) decode(v []byte) ([]byte, charset) {
	first := -1
	for i, c := range v {
		if c == '%' || c == '+' {
			first = i
			break
		}
	}
	if first < 0 {
		return v, 0
	}
	marks := charset(0)
	from := len(s.buf)
	s.buf = append(s.buf, v[:first]...)
	for i := first; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '+':
			c = ' '
		case c != '%':
		case i+2 < len(v) && unhex[v[i+1]] < 16 && unhex[v[i+2]] < 16:
			c = unhex[v[i+1]]<<4 | unhex[v[i+2]]
			i += 2
			if c == '%' && i+2 < len(v) && unhex[v[i+1]] < 16 && unhex[v[i+2]] < 16 {
				marks |= 1 << classTwice // %2527: encoded twice
			}
		default:
			marks |= 1 << classBadEscape
		}
		s.buf = append(s.buf, c)
	}
	return s.buf[from:len(s.buf):len(s.buf)], marks
}

var unhex = makeUnhex()

func makeUnhex() (t [256]byte) {
	for i := range t {
		switch c := byte(i); {
		case c >= '0' && c <= '9':
			t[i] = c - '0'
		case c >= 'a' && c <= 'f':
			t[i] = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			t[i] = c - 'A' + 10
		default:
			t[i] = 255
		}
	}
	return t
}

// collapse turns the indexes of a name into "[]": item[3] is item[].
func (s *Scratch) collapse(name []byte) []byte {
	if bytes.IndexByte(name, '[') < 0 {
		return name
	}
	from := len(s.buf)
	for i := 0; i < len(name); i++ {
		s.buf = append(s.buf, name[i])
		if name[i] != '[' {
			continue
		}
		j := i + 1
		for j < len(name) && name[j] >= '0' && name[j] <= '9' {
			j++
		}
		if j < len(name) && name[j] == ']' {
			i = j - 1
		}
	}
	return s.buf[from:len(s.buf):len(s.buf)]
}

// readPath reads the values that fill the places of a route's template.
func (s *Scratch) readPath(route, path []byte) {
	i := bytes.IndexByte(route, ' ')
	if i < 0 {
		return
	}
	route = route[i+1:]
	place := byte('1')
	for len(route) > 0 && len(path) > 0 {
		var r, p []byte
		r, route = segment(route)
		p, path = segment(path)
		if len(r) == 0 || r[0] != '{' && r[0] != ':' && r[0] != '*' || place > '9' {
			continue
		}
		from := len(s.buf)
		s.buf = append(append(s.buf, place), r...)
		name := s.buf[from:len(s.buf):len(s.buf)]
		value, marks := s.decode(p)
		s.add(Path, name, value, marks)
		place++
	}
}

// segment splits a path after its first segment.
func segment(p []byte) (seg, rest []byte) {
	for len(p) > 0 && p[0] == '/' {
		p = p[1:]
	}
	if i := bytes.IndexByte(p, '/'); i >= 0 {
		return p[:i], p[i:]
	}
	return p, nil
}
