package parameters

import "unicode/utf8"

// readJSON reads the leaves of a JSON document. It is lenient in what it need
// not judge (numbers are any run of their characters) and false where the text
// ends early or is no JSON; what came before is kept.
func (s *Scratch) readJSON(b []byte) bool {
	r := jsonReader{s: s, b: b}
	r.space()
	if !r.value(0) {
		return false
	}
	r.space()
	return r.i == len(b)
}

type jsonReader struct {
	s *Scratch
	b []byte
	i int
}

func (r *jsonReader) space() {
	for r.i < len(r.b) && (r.b[r.i] == ' ' || r.b[r.i] == '\n' || r.b[r.i] == '\t' || r.b[r.i] == '\r') {
		r.i++
	}
}

func (r *jsonReader) take(c byte) bool {
	if r.i < len(r.b) && r.b[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) bool {
	if r.i >= len(r.b) || depth > maxDepth {
		return false
	}
	switch c := r.b[r.i]; {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		v, ok := r.text()
		r.leaf(v, 1<<classJSONString)
		return ok
	case c == 't':
		return r.word("true", 1<<classJSONBool)
	case c == 'f':
		return r.word("false", 1<<classJSONBool)
	case c == 'n':
		return r.word("null", 1<<classJSONNull)
	case c == '-' || c >= '0' && c <= '9':
		from := r.i
		for r.i < len(r.b) && setFloat.has(1<<classOf[r.b[r.i]]) {
			r.i++
		}
		r.leaf(r.b[from:r.i], 1<<classJSONNumber)
		return numeric(r.b[from:r.i])
	}
	return false
}

func (r *jsonReader) word(w string, mark charset) bool {
	if len(r.b)-r.i < len(w) || string(r.b[r.i:r.i+len(w)]) != w {
		return false
	}
	v := r.b[r.i : r.i+len(w)]
	r.i += len(w)
	if mark == 1<<classJSONNull {
		v = nil
	}
	r.leaf(v, mark)
	return true
}

// leaf adds a value under the path at the reader.
func (r *jsonReader) leaf(v []byte, mark charset) {
	s := r.s
	from := len(s.buf)
	s.buf = append(s.buf, s.path...)
	s.add(JSON, s.buf[from:len(s.buf):len(s.buf)], v, mark)
}

func (r *jsonReader) object(depth int) bool {
	r.i++
	r.space()
	if r.take('}') {
		return true
	}
	at := len(r.s.path)
	for {
		if r.i >= len(r.b) || r.b[r.i] != '"' {
			return false
		}
		key, ok := r.text()
		if !ok {
			return false
		}
		if at > 0 {
			r.s.path = append(r.s.path, '.')
		}
		// Past any name that is learnt, more of it changes nothing.
		r.s.path = append(r.s.path, jsonKey(key[:min(len(key), maxNameBytes+1)])...)
		r.space()
		if !r.take(':') {
			return false
		}
		r.space()
		ok = r.value(depth + 1)
		r.s.path = r.s.path[:at]
		if !ok {
			return false
		}
		r.space()
		if r.take('}') {
			return true
		}
		if !r.take(',') {
			return false
		}
		r.space()
	}
}

// jsonKey stands for keys that are data: ids that index a map.
func jsonKey(key []byte) []byte {
	if len(key) == 0 || key[0] > 'f' {
		return key // most names, quickly
	}
	switch shapeOf(key, 0).typ {
	case TypeInt, TypeFloat, TypeUUID, TypeHex, TypeDate:
		return anyKey
	}
	return key
}

var anyKey = []byte("{}")

func (r *jsonReader) array(depth int) bool {
	r.i++
	r.space()
	if r.take(']') {
		return true
	}
	at := len(r.s.path)
	r.s.path = append(r.s.path, '[', ']')
	for {
		if !r.value(depth + 1) {
			r.s.path = r.s.path[:at]
			return false
		}
		r.space()
		if r.take(']') {
			r.s.path = r.s.path[:at]
			return true
		}
		if !r.take(',') {
			r.s.path = r.s.path[:at]
			return false
		}
		r.space()
	}
}

// text reads a string; ok is false where it does not end.
func (r *jsonReader) text() (v []byte, ok bool) {
	r.i++
	from := r.i
	for r.i < len(r.b) {
		switch r.b[r.i] {
		case '"':
			v = r.b[from:r.i]
			r.i++
			return v, true
		case '\\':
			return r.escaped(from)
		}
		r.i++
	}
	return r.b[from:], false
}

// escaped goes on reading a string whose first escape stands at the reader.
func (r *jsonReader) escaped(from int) (v []byte, ok bool) {
	s := r.s
	at := len(s.buf)
	s.buf = append(s.buf, r.b[from:r.i]...)
	for r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		if c == '"' {
			return s.buf[at:len(s.buf):len(s.buf)], true
		}
		if c != '\\' {
			s.buf = append(s.buf, c)
			continue
		}
		if r.i >= len(r.b) {
			break
		}
		c = r.b[r.i]
		r.i++
		switch c {
		case 'n':
			c = '\n'
		case 't':
			c = '\t'
		case 'r':
			c = '\r'
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'u':
			u, ok := r.unit()
			if !ok {
				return s.buf[at:len(s.buf):len(s.buf)], false
			}
			s.buf = utf8.AppendRune(s.buf, u)
			continue
		}
		s.buf = append(s.buf, c)
	}
	return s.buf[at:len(s.buf):len(s.buf)], false
}

// unit reads the four digits of \uXXXX. Halves of a surrogate pair become the
// replacement character: which character it was is no matter here.
func (r *jsonReader) unit() (rune, bool) {
	if len(r.b)-r.i < 4 {
		return 0, false
	}
	var u rune
	for _, c := range r.b[r.i : r.i+4] {
		if unhex[c] > 15 {
			return 0, false
		}
		u = u<<4 | rune(unhex[c])
	}
	r.i += 4
	return u, true
}
