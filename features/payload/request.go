package payload

import (
	"bytes"

	"github.com/weir-dev/weir/schemas"
)

// Location tells where in a call a value stood.
type Location uint8

// The locations. The name that Request returns with one is a parameter's, a
// field's or a header's; it is empty for paths and for bodies without fields.
const (
	InPath Location = iota
	InQuery
	InBody
	InHeader
	InCookie
)

// String is the lower-case name of the location.
func (l Location) String() string {
	switch l {
	case InPath:
		return "path"
	case InQuery:
		return "query"
	case InBody:
		return "body"
	case InHeader:
		return "header"
	case InCookie:
		return "cookie"
	}
	return "unknown"
}

// visit is one call being judged.
type visit struct {
	d     *Detector
	s     *Scratch
	where Location
	name  []byte
}

// Request judges every value of a call and returns the worst with its place:
// the path, names and values of the query, the fields of a body sample in any
// common form, the user agent, the referer, cookies and x- headers. ok is false
// if the call holds nothing that could carry code; the finding is then zero.
// name aliases the event.
func (d *Detector) Request(s *Scratch, e *schemas.Event) (found Finding, where Location, name []byte, ok bool) {
	s.start(requestBudget)
	v := visit{d: d, s: s}
	v.path(e.Path)
	v.query(e.Query, InQuery)
	v.body(e)
	v.value(e.UserAgent, InHeader, userAgent, asIs)
	for i := range e.Headers {
		v.header(&e.Headers[i])
	}
	d.name(s)
	return s.found, v.where, v.name, s.judged > 0
}

var (
	userAgent = []byte("user-agent")
	referer   = []byte("referer")
	cookie    = []byte("cookie")
	extension = []byte("x-")
)

// note remembers where the worst text stood, if it has changed since before.
func (v *visit) note(before float64, where Location, name []byte) {
	if v.s.found.Confidence > before || v.s.judged > 0 && v.name == nil && before == 0 {
		v.where, v.name = where, name
	}
}

func (v *visit) value(value []byte, where Location, name []byte, m manner) {
	if len(value) == 0 || v.s.budget <= 0 {
		return
	}
	before := v.s.found.Confidence
	v.d.judge(v.s, value, 0, m)
	v.note(before, where, name)
}

// path judges the whole path, where a step up crosses segments, and by itself
// each segment that may hide something in an encoding.
func (v *visit) path(path []byte) {
	before := v.s.found.Confidence
	if !pathHarmless(path) {
		v.d.judgeDecoded(v.s, path, 0)
	}
	for rest := path; len(rest) > 0 && v.s.budget > 0; {
		var part []byte
		part, rest = cutByte(rest, '/')
		if bytes.IndexByte(part, '%') >= 0 || len(part) >= minBase64 {
			v.d.judge(v.s, part, 0, isText)
		}
	}
	v.note(before, InPath, nil)
}

// pathHarmless is harmless with slashes, none of them doubled.
func pathHarmless(path []byte) bool {
	for len(path) > 0 {
		part, rest := cutByte(path, '/')
		if !harmless(part) || len(rest) > 0 && rest[0] == '/' {
			return false
		}
		path = rest
	}
	return true
}

func cutByte(b []byte, sep byte) (part, rest []byte) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// query judges form-encoded parameters. A parameter's name is judged like a
// value: frameworks evaluate some.
func (v *visit) query(query []byte, where Location) {
	for len(query) > 0 && v.s.budget > 0 {
		var part []byte
		part, query = cutByte(query, '&')
		name, value := part, []byte(nil)
		if i := bytes.IndexByte(part, '='); i >= 0 {
			name, value = part[:i], part[i+1:]
		}
		v.fieldName(name, where)
		v.value(value, where, name, isForm)
	}
}

func (v *visit) fieldName(name []byte, where Location) {
	if !plainName(name) {
		v.value(name, where, name, isForm)
	}
}

// plainName tells whether a name is of the kinds that forms and frameworks have.
func plainName(name []byte) bool {
	for _, c := range name {
		if !isWord[c] && c != '-' && c != '.' && c != '[' && c != ']' && c != ':' && c < 0x80 {
			return false
		}
	}
	return !bytes.Contains(name, dots)
}

var dots = []byte("..")

// header judges the headers that applications read.
func (v *visit) header(h *schemas.KV) {
	switch {
	case bytes.EqualFold(h.Key, cookie):
		for rest := h.Value; len(rest) > 0 && v.s.budget > 0; {
			var part []byte
			part, rest = cutByte(rest, ';')
			part = bytes.TrimLeft(part, " ")
			name, value := part, part
			if i := bytes.IndexByte(part, '='); i >= 0 {
				name, value = part[:i], part[i+1:]
			}
			v.value(value, InCookie, name, asIs)
		}
	case bytes.EqualFold(h.Key, userAgent), bytes.EqualFold(h.Key, referer),
		len(h.Key) > 2 && bytes.EqualFold(h.Key[:2], extension):
		v.value(h.Value, InHeader, h.Key, asIs)
	}
}
