package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// jsonScanner walks JSON text in one pass, without a stack of its own: nesting
// is recursion, and MaxDepth bounds it. Methods give an empty Reason on
// success; otherwise pos is where the fault is.
type jsonScanner struct {
	data []byte
	pos  int
}

func (s *jsonScanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte after white space, 0 at the end.
func (s *jsonScanner) peek() byte {
	// Machines write JSON without white space, so look before the loop.
	if s.pos < len(s.data) && s.data[s.pos] > ' ' {
		return s.data[s.pos]
	}
	s.space()
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// take passes over one expected byte.
func (s *jsonScanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// str passes over a string, pos being at its opening quote, and gives what is
// between the quotes, still escaped. Escapes and UTF-8 are checked.
func (s *jsonScanner) str() (raw []byte, escaped bool, reason Reason) {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	start := s.pos + 1
	i := start
	ascii := true
	for {
		// Eight bytes at a time while nothing needs a look: the lowest byte
		// with its high bit set in stop is a quote, a backslash, a control
		// character or not ASCII. Borrows can only disturb bytes above it.
		for i+8 <= len(s.data) {
			w := binary.LittleEndian.Uint64(s.data[i:])
			quote, slash := w^('"'*ones), w^('\\'*ones)
			stop := ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w | w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(s.data) {
			s.pos = len(s.data)
			return nil, false, ReasonMalformedJSON
		}
		switch c := s.data[i]; {
		case c == '"':
			raw = s.data[start:i:i]
			if !ascii && !utf8.Valid(raw) {
				return nil, false, ReasonInvalidUTF8
			}
			s.pos = i + 1
			return raw, escaped, ""
		case c == '\\':
			escaped = true
			n := escapeLen(s.data[i:])
			if n == 0 {
				s.pos = i
				return nil, false, ReasonMalformedJSON
			}
			i += n
		case c < ' ':
			s.pos = i
			return nil, false, ReasonMalformedJSON
		case c >= utf8.RuneSelf:
			ascii = false
			i++
			for i < len(s.data) && s.data[i] >= utf8.RuneSelf {
				i++
			}
		default:
			i++
		}
	}
}

// escapeLen is the length of the escape that b begins with, 0 if it is not one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hexValue(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

// hexValue reads four hex digits, -1 if they are not.
func hexValue(b []byte) rune {
	var v rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | rune(c)
	}
	return v
}

// literal passes over true, false or null.
func (s *jsonScanner) literal(word string) Reason {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return ReasonMalformedJSON
	}
	s.pos += len(word)
	return ""
}

// number passes over a number; whole says that it has neither point nor
// exponent.
func (s *jsonScanner) number() (text []byte, whole bool, reason Reason) {
	start := s.pos
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	leading := s.pos
	n := s.digits()
	if n == 0 || n > 1 && s.data[leading] == '0' {
		return nil, false, ReasonMalformedJSON
	}
	whole = true
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		whole = false
		s.pos++
		if s.digits() == 0 {
			return nil, false, ReasonMalformedJSON
		}
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		whole = false
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return nil, false, ReasonMalformedJSON
		}
	}
	return s.data[start:s.pos], whole, ""
}

func (s *jsonScanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos - start
}

// skip passes over any value. Depth is the nesting that a container here would
// have.
func (s *jsonScanner) skip(depth int) Reason {
	switch s.peek() {
	case '"':
		_, _, reason := s.str()
		return reason
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case '{':
		return s.skipContainer('}', depth)
	case '[':
		return s.skipContainer(']', depth)
	}
	_, _, reason := s.number()
	return reason
}

func (s *jsonScanner) skipContainer(closing byte, depth int) Reason {
	if depth > MaxDepth {
		return ReasonTooDeep
	}
	s.pos++
	if s.take(closing) {
		return ""
	}
	for {
		if closing == '}' {
			if s.peek() != '"' {
				return ReasonMalformedJSON
			}
			if _, _, reason := s.str(); reason != "" {
				return reason
			}
			if !s.take(':') {
				return ReasonMalformedJSON
			}
		}
		if reason := s.skip(depth + 1); reason != "" {
			return reason
		}
		if s.take(closing) {
			return ""
		}
		if !s.take(',') {
			return ReasonMalformedJSON
		}
	}
}
