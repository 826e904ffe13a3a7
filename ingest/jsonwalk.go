package ingest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/weir-dev/weir/schemas"
)

// jsonKind is the type of a JSON value.
type jsonKind byte

const (
	jsonString jsonKind = iota
	jsonNumber
	jsonBool
	jsonNull
	jsonObject // present, but without text
)

// jsonWalk reads one JSON object and hands the values of mapped fields to them.
// It is lenient where gateways are: control characters inside strings and
// duplicate names pass.
type jsonWalk struct {
	b    []byte
	pos  int
	f    *filler
	seen uint64 // bits of the required fields met
}

// object walks the members of an object; pos is at its brace.
func (w *jsonWalk) object(n *node, depth int) error {
	if depth > schemas.MaxDepth {
		return errTooDeep
	}
	w.pos++
	if w.peek() == '}' {
		w.pos++
		return nil
	}
	last := n
	for {
		if w.peek() != '"' {
			return errMalformed
		}
		name, err := w.str(false)
		if err != nil {
			return err
		}
		if w.peek() != ':' {
			return errMalformed
		}
		w.pos++
		var child *node
		if n != nil {
			if child = n.find(name, last); child != nil {
				last = child
			}
		}
		if err := w.member(child, depth+1); err != nil {
			return err
		}
		switch w.peek() {
		case ',':
			w.pos++
		case '}':
			w.pos++
			return nil
		default:
			return errMalformed
		}
	}
}

// member reads one value for a node of the map, nil if it is not mapped. Of an
// array the first element counts: header values come as arrays.
func (w *jsonWalk) member(n *node, depth int) error {
	switch c := w.peek(); {
	case c == '"':
		text, err := w.str(n != nil && n.field != nil)
		if err != nil {
			return err
		}
		return w.apply(n, jsonString, text)
	case c == '{':
		if err := w.apply(n, jsonObject, nil); err != nil {
			return err
		}
		return w.object(n, depth)
	case c == '[':
		return w.array(n, depth)
	case c == '-' || c >= '0' && c <= '9':
		start := w.pos
		for w.pos < len(w.b) && isNumberByte(w.b[w.pos]) {
			w.pos++
		}
		return w.apply(n, jsonNumber, w.b[start:w.pos])
	case c == 't':
		return w.word("true", n, jsonBool)
	case c == 'f':
		return w.word("false", n, jsonBool)
	case c == 'n':
		return w.word("null", n, jsonNull)
	}
	return errMalformed
}

func (w *jsonWalk) array(n *node, depth int) error {
	if depth > schemas.MaxDepth {
		return errTooDeep
	}
	w.pos++
	if w.peek() == ']' {
		w.pos++
		return nil
	}
	for {
		if err := w.member(n, depth+1); err != nil {
			return err
		}
		n = nil
		switch w.peek() {
		case ',':
			w.pos++
		case ']':
			w.pos++
			return nil
		default:
			return errMalformed
		}
	}
}

func (w *jsonWalk) word(word string, n *node, kind jsonKind) error {
	if !bytes.HasPrefix(w.b[w.pos:], []byte(word)) {
		return errMalformed
	}
	w.pos += len(word)
	return w.apply(n, kind, []byte(nil))
}

func (w *jsonWalk) apply(n *node, kind jsonKind, text []byte) error {
	if n == nil || n.field == nil || kind == jsonNull {
		return nil
	}
	w.seen |= n.field.bit
	if err := n.field.apply(w.f, kind, text); err != nil {
		return refused(err.reason(), n.field.path)
	}
	return nil
}

// peek is the next byte after white space, 0 at the end.
func (w *jsonWalk) peek() byte {
	for w.pos < len(w.b) {
		if c := w.b[w.pos]; c > ' ' {
			return c
		}
		w.pos++
	}
	return 0
}

// str reads a string at pos. Where the text is wanted its escapes are undone,
// into scratch if there are any; else what stands between the quotes is good
// enough to skip it or to compare a name.
func (w *jsonWalk) str(wanted bool) ([]byte, error) {
	w.pos++
	start, escapes := w.pos, false
	for i := start; ; {
		i += untilQuote(w.b[i:])
		switch {
		case i >= len(w.b):
			return nil, errMalformed
		case w.b[i] == '\\':
			escapes = true
			i += 2
			if i > len(w.b) {
				return nil, errMalformed
			}
		default:
			w.pos = i + 1
			text := w.b[start:i:i]
			if escapes && wanted {
				return w.f.unescapeJSON(text)
			}
			return text, nil
		}
	}
}

// untilQuote counts the bytes before the first quote or backslash, eight at a
// time: in w ^ pattern a byte is zero where it matches, and the subtraction
// raises the high bit of the lowest zero byte.
func untilQuote(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		quote, slash := word^('"'*ones), word^('\\'*ones)
		if found := ((quote-ones)&^quote | (slash-ones)&^slash) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b) && b[i] != '"' && b[i] != '\\'; i++ {
	}
	return i
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// unescapeJSON undoes the escapes of a JSON string in scratch. A lone surrogate
// becomes U+FFFD.
func (f *filler) unescapeJSON(b []byte) ([]byte, error) {
	from := len(f.scratch)
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '\\' {
			f.scratch = append(f.scratch, c)
			continue
		}
		if i++; i == len(b) {
			return nil, errMalformed
		}
		switch b[i] {
		case '"', '\\', '/':
			f.scratch = append(f.scratch, b[i])
		case 'n':
			f.scratch = append(f.scratch, '\n')
		case 'r':
			f.scratch = append(f.scratch, '\r')
		case 't':
			f.scratch = append(f.scratch, '\t')
		case 'b':
			f.scratch = append(f.scratch, '\b')
		case 'f':
			f.scratch = append(f.scratch, '\f')
		case 'u':
			r, ok := hex4(b[i+1:])
			if !ok {
				return nil, errMalformed
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
					low, ok = hex4(b[i+3:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			f.scratch = utf8.AppendRune(f.scratch, r)
		default:
			return nil, errMalformed
		}
	}
	return f.since(from), nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	hi, ok1 := unhex(b[0], b[1])
	lo, ok2 := unhex(b[2], b[3])
	return rune(hi)<<8 | rune(lo), ok1 && ok2
}
