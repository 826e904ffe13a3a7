package payload

// jsonKind is what jsonScan met.
type jsonKind uint8

const (
	jsonEnd  jsonKind = iota // the text ended, maybe in the middle
	jsonBad                  // it is not JSON
	jsonKey                  // a member's name
	jsonText                 // a string
	jsonAtom                 // a number, true, false, null
)

// jsonScan reads JSON without building anything. It accepts a text that was cut
// off, because samples are, and several values on lines of their own.
type jsonScan struct {
	b       []byte
	i       int
	nest    uint64 // one bit a level, set for an object; the last level is lowest
	depth   int
	want    jsonWant
	values  int
	cut     bool // the text ended before the value did
	escapes bool // the last string has escapes
	line    bool // a line ended since the last value at the top
}

type jsonWant uint8

const (
	wantValue jsonWant = iota
	wantValueOrClose
	wantKey
	wantKeyOrClose
	wantCommaOrClose
)

// looksJSON is a cheap test that spares most values the scan.
func looksJSON(b []byte) bool {
	for i, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '{', '[':
			return len(b)-i >= 2
		}
		return false
	}
	return false
}

// isJSONText scans b once to tell whether all of it is JSON.
func isJSONText(b []byte) bool {
	s := jsonScan{b: b}
	for {
		switch kind, _ := s.next(); kind {
		case jsonBad:
			return false
		case jsonEnd:
			return !s.cut || s.values >= 2
		}
	}
}

// next returns the next name or value; strings are without their quotes and
// with their escapes.
func (s *jsonScan) next() (jsonKind, []byte) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch c {
		case ' ', '\t', '\r', '\n':
			s.line = s.line || c == '\n'
			s.i++
			continue
		case ',':
			if s.want != wantCommaOrClose || s.depth == 0 {
				return jsonBad, nil
			}
			s.i++
			if s.want = wantValue; s.nest&1 == 1 {
				s.want = wantKey
			}
			continue
		case '{', '[':
			if s.want != wantValue && s.want != wantValueOrClose || s.depth == 64 {
				return jsonBad, nil
			}
			if s.depth == 0 && s.values > 0 && !s.line {
				return jsonBad, nil
			}
			s.i++
			s.depth++
			s.nest <<= 1
			if s.want = wantValueOrClose; c == '{' {
				s.nest |= 1
				s.want = wantKeyOrClose
			}
			continue
		case '}', ']':
			object := s.nest&1 == 1
			if s.depth == 0 || object != (c == '}') || s.want != wantCommaOrClose && s.want != wantKeyOrClose && s.want != wantValueOrClose {
				return jsonBad, nil
			}
			s.i++
			s.depth--
			s.nest >>= 1
			s.closed()
			continue
		case '"':
			return s.str()
		}
		return s.atom()
	}
	s.cut = s.depth > 0
	return jsonEnd, nil
}

// closed is after a value: at the top another may follow, nested a comma must.
func (s *jsonScan) closed() {
	s.values++
	if s.want = wantCommaOrClose; s.depth == 0 {
		s.want, s.line = wantValue, false
	}
}

func (s *jsonScan) str() (jsonKind, []byte) {
	start := s.i + 1
	s.escapes = false
	end := start
	for end < len(s.b) && s.b[end] != '"' {
		if s.b[end] == '\\' {
			s.escapes = true
			end++
		}
		end++
	}
	if end >= len(s.b) {
		s.i = len(s.b)
		end = len(s.b)
	} else {
		s.i = end + 1
	}
	body := s.b[min(start, end):end]
	switch s.want {
	case wantKey, wantKeyOrClose:
		for s.i < len(s.b) && s.b[s.i] <= ' ' {
			s.i++
		}
		if s.i < len(s.b) {
			if s.b[s.i] != ':' {
				return jsonBad, nil
			}
			s.i++
		}
		s.want = wantValue
		return jsonKey, body
	case wantValue, wantValueOrClose:
		if s.depth == 0 {
			return jsonBad, nil // a bare string is judged with its quotes
		}
		s.closed()
		return jsonText, body
	}
	return jsonBad, nil
}

func (s *jsonScan) atom() (jsonKind, []byte) {
	if s.want != wantValue && s.want != wantValueOrClose || s.depth == 0 {
		return jsonBad, nil
	}
	start := s.i
	for s.i < len(s.b) {
		c := s.b[s.i]
		if c == ',' || c == '}' || c == ']' || c <= ' ' {
			break
		}
		s.i++
	}
	atom := s.b[start:s.i]
	if s.i < len(s.b) || len(atom) > 5 {
		switch string(atom) {
		case "true", "false", "null":
		default:
			for _, c := range atom {
				if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
					return jsonBad, nil
				}
			}
		}
	}
	s.closed()
	return jsonAtom, atom
}
