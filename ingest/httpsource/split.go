package httpsource

import "bytes"

// shape is how a body holds its records.
type shape int

const (
	shapeLines  shape = iota // one per line
	shapeValues              // JSON objects, however they are laid out
	shapeArray               // a JSON array of them
	shapeOne                 // the body is the record
)

// splitter cuts a body into records without decoding them.
type splitter struct {
	rest  []byte
	shape shape
	ended bool // the array was closed
}

// next returns the next record; ok is false at the end. What cannot be cut, such
// as an object that never closes, is one record, for the decoder to refuse.
func (s *splitter) next() (record []byte, ok bool) {
	switch s.shape {
	case shapeOne:
		record, s.rest = s.rest, nil
		return record, len(record) > 0
	case shapeLines:
		for len(s.rest) > 0 {
			record, s.rest, _ = bytes.Cut(s.rest, []byte("\n"))
			if record = bytes.TrimRight(record, "\r"); len(bytes.TrimLeft(record, " \t")) > 0 {
				return record, true
			}
		}
		return nil, false
	}
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
	if s.shape == shapeArray && !s.ended {
		s.rest = bytes.TrimLeft(s.rest, ", \t\r\n")
		if len(s.rest) > 0 && s.rest[0] == ']' {
			s.rest, s.ended = bytes.TrimLeft(s.rest[1:], " \t\r\n"), true
		}
	}
	if len(s.rest) == 0 {
		return nil, false
	}
	if s.ended {
		// Something follows the array.
		record, s.rest = s.rest, nil
		return record, true
	}
	n := valueLen(s.rest, s.shape == shapeArray)
	record, s.rest = s.rest[:n], s.rest[n:]
	return bytes.TrimRight(record, " \t\r\n"), true
}

// valueLen is the length of the JSON value that b begins with. A bare value ends
// at a comma or the array's end, outside an array at the line's end.
func valueLen(b []byte, inArray bool) int {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				if inArray && c == ']' && i > 0 {
					return i
				}
				continue
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 && inArray && i > 0 {
				return i
			}
		case '\n':
			if depth == 0 && !inArray && i > 0 {
				return i
			}
		}
	}
	return len(b)
}
