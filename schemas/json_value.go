package schemas

import (
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape gives the characters of a string that str checked. Without escapes
// that is raw itself, else a part of e.scratch.
//
// A full scratch is replaced, not grown: text handed out before stays in the
// buffer that it was written to. The sizes double, so that an Event in use
// soon has one buffer that fits every record.
func (e *Event) unescape(raw []byte, escaped bool) []byte {
	if !escaped {
		return raw
	}
	// An escape is never shorter than its character in UTF-8.
	if cap(e.scratch)-len(e.scratch) < len(raw) {
		e.scratch = make([]byte, 0, max(2*cap(e.scratch), len(raw), 256))
	}
	start := len(e.scratch)
	e.scratch = appendUnescaped(e.scratch, raw)
	return e.scratch[start:len(e.scratch):len(e.scratch)]
}

func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		switch c := raw[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hexValue(raw[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low = hexValue(raw[i+2:])
				}
				// A half without its other half becomes U+FFFD, and what
				// follows it is read on its own.
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default: // quote, backslash, slash
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

// integer reads an integer in 0..limit, pos being at its first byte. 200, 200.0
// and 2e2 are one integer.
func (s *jsonScanner) integer(limit int64) (int64, Reason) {
	text, whole, reason := s.number()
	if reason != "" {
		return 0, reason
	}
	if !whole {
		return wholeNumber(text, limit)
	}
	if text[0] == '-' {
		if text[1] == '0' {
			return 0, ""
		}
		return 0, ReasonOutOfRange
	}
	if len(text) > 19 { // 19 digits always fit an unsigned 64-bit integer
		return 0, ReasonOutOfRange
	}
	var v uint64
	for _, c := range text {
		v = v*10 + uint64(c-'0')
	}
	if v > uint64(limit) {
		return 0, ReasonOutOfRange
	}
	return int64(v), ""
}

// wholeNumber reads a number with a point or an exponent exactly, without
// floating point: ReasonWrongType if it is not an integer.
func wholeNumber(text []byte, limit int64) (int64, Reason) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	// value = digits of the mantissa * 10^exponent
	mantissa, exponent := text, int64(0)
	for i, c := range text {
		if c|0x20 == 'e' {
			mantissa, exponent = text[:i], parseExponent(text[i+1:])
			break
		}
	}
	point := len(mantissa)
	for i, c := range mantissa {
		if c == '.' {
			point = i
			exponent -= int64(len(mantissa) - i - 1)
			break
		}
	}
	first, last := -1, 0 // positions of the outermost digits that are not 0
	for i, c := range mantissa {
		if c != '0' && c != '.' {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return 0, "" // zero, whatever its sign and exponent
	}
	// Trailing zeros move into the exponent.
	trailing := len(mantissa) - 1 - last
	if last < point && point < len(mantissa) {
		trailing-- // the point itself
	}
	if exponent += int64(trailing); exponent < 0 {
		return 0, ReasonWrongType
	}
	if negative || exponent > 18 {
		return 0, ReasonOutOfRange
	}
	var v uint64
	for _, c := range mantissa[first : last+1] {
		if c == '.' {
			continue
		}
		if v > math.MaxInt64/10 {
			return 0, ReasonOutOfRange
		}
		v = v*10 + uint64(c-'0')
	}
	for range exponent {
		if v > math.MaxInt64/10 {
			return 0, ReasonOutOfRange
		}
		v *= 10
	}
	if v > uint64(limit) {
		return 0, ReasonOutOfRange
	}
	return int64(v), ""
}

// parseExponent reads a signed decimal. Beyond a thousand million it stays
// there: no record is long enough for such a number to come back into range.
func parseExponent(text []byte) int64 {
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	var v int64
	for _, c := range text {
		v = min(v*10+int64(c-'0'), 1_000_000_000)
	}
	if negative {
		return -v
	}
	return v
}
