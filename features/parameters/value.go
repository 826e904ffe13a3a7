package parameters

import (
	"bytes"
	"math/bits"
)

// Character classes. Punctuation stands for itself, because each mark is
// somebody's meta-character; letters and digits are told apart as far as types
// need it, bytes beyond ASCII as far as they can be told without knowing the
// encoding. A set of them fits a word.
const (
	classDigit = iota
	classLowerHex
	classLower
	classUpperHex
	classUpper
	classSpace
	classPunct                        // 32 classes, in the order of ASCII
	classNUL        = classPunct + 32 // 38
	classTab        = classNUL + 1
	classLF         = classNUL + 2
	classCR         = classNUL + 3
	classControl    = classNUL + 4
	classHigh       = classControl + 1 // 0x80 to 0x9f: in no text of one byte a character
	classTail       = classHigh + 1    // 0xa0 to 0xbf
	classLetter     = classHigh + 2    // letters of ISO 8859, or where UTF-8 starts one
	classBadEscape  = classHigh + 3    // '%' without two hex digits
	classTwice      = classBadEscape + 1
	classJSONString = classBadEscape + 2
	classJSONNumber = classBadEscape + 3
	classJSONBool   = classBadEscape + 4
	classJSONNull   = classBadEscape + 5
	numClasses      = classBadEscape + 6
)

// classOf maps a byte to its class.
var classOf = makeClasses()

func makeClasses() (t [256]uint8) {
	punct := uint8(classPunct)
	for i := range t {
		c := byte(i)
		switch {
		case c >= '0' && c <= '9':
			t[i] = classDigit
		case c >= 'a' && c <= 'f':
			t[i] = classLowerHex
		case c >= 'g' && c <= 'z':
			t[i] = classLower
		case c >= 'A' && c <= 'F':
			t[i] = classUpperHex
		case c >= 'G' && c <= 'Z':
			t[i] = classUpper
		case c == ' ':
			t[i] = classSpace
		case c == 0:
			t[i] = classNUL
		case c == '\t':
			t[i] = classTab
		case c == '\n':
			t[i] = classLF
		case c == '\r':
			t[i] = classCR
		case c < ' ' || c == 0x7f:
			t[i] = classControl
		case c >= 0xc0:
			t[i] = classLetter
		case c >= 0xa0:
			t[i] = classTail
		case c >= 0x80:
			t[i] = classHigh
		default:
			t[i] = punct
			punct++
		}
	}
	return t
}

// charset is a set of character classes.
type charset uint64

func setOf(s string) (set charset) {
	for i := range len(s) {
		set |= 1 << classOf[s[i]]
	}
	return set
}

var (
	setDigits = setOf("0")
	setHex    = setOf("0aA")
	setWord   = setOf("agAG_-")
	setToken  = setOf("0agAG_-.:")
	setBase64 = setOf("0agAG+/=_-")
	setJWT    = setOf("0agAG_-.")
	setFloat  = setOf("0-+.eE")
	setDate   = setOf("0-:/.+TZ ")
	// setBytes are the classes that stand for bytes of the value.
	setBytes = charset(1)<<classBadEscape - 1
)

// Length bins: exact to 16 bytes, since many parameters have a fixed length,
// then half octaves.
const (
	exactLength = 16
	numLengths  = 40
)

func lengthBin(n int) uint8 {
	if n <= exactLength {
		return uint8(n)
	}
	l := bits.Len(uint(n)) // >= 5
	half := n >> (l - 2) & 1
	return uint8(min(exactLength+1+2*(l-5)+half, numLengths-1))
}

// lengthBounds are the least and the most bytes of a length bin.
func lengthBounds(bin uint8) (lo, hi int) {
	if bin <= exactLength {
		return int(bin), int(bin)
	}
	k := int(bin) - exactLength - 1
	l := k/2 + 5
	lo = 1<<(l-1) + k%2<<(l-2)
	return max(lo, exactLength+1), lo + 1<<(l-2) - 1
}

// Number bins: octaves of the magnitude, the sign apart.
const (
	binZero    = 31
	numNumbers = 96
)

func numberBin(negative bool, whole uint64) uint8 {
	l := bits.Len64(whole)
	if negative {
		return uint8(binZero - min(l, binZero))
	}
	return uint8(binZero + min(l, numNumbers-1-binZero))
}

// shape is what the model looks at in a value.
type shape struct {
	chars   charset
	pattern uint64 // hash of the runs of letters, digits and marks, in order
	length  uint8  // bin
	number  uint8  // bin; only of TypeInt and TypeFloat
	typ     Type
}

// shapeOf is the shape of a decoded value. marks are classes that its encoding
// adds.
func shapeOf(v []byte, marks charset) (s shape) {
	s.of(v, marks)
	return s
}

// of looks at a value once.
func (s *shape) of(v []byte, marks charset) {
	set, pattern, last := charset(0), uint64(0), uint8(255)
	for _, c := range v {
		class := classOf[c]
		set |= 1 << class
		if run := runOf[class&63]; run != last {
			pattern = (pattern ^ uint64(run+1)) * 0x9e3779b97f4a7c15
			last = run
		}
	}
	s.chars, s.pattern, s.length, s.number = set|marks, pattern, lengthBin(len(v)), 0
	s.typ = typeOf(v, set)
	if s.typ == TypeInt || s.typ == TypeFloat {
		s.number = parseNumber(v)
	}
}

// first is the lowest class of a set that is not empty.
func (set charset) first() uint8 { return uint8(bits.TrailingZeros64(uint64(set))) }

// runOf merges classes to what alternates in the pattern of a value: letters,
// digits, each mark.
var runOf = makeRuns()

func makeRuns() (t [64]uint8) {
	for c := range t {
		switch c {
		case classLowerHex, classLower, classUpperHex, classUpper, classHigh, classTail, classLetter:
			t[c] = classLower
		default:
			t[c] = uint8(c)
		}
	}
	return t
}

func (set charset) within(other charset) bool { return set&^other == 0 }
func (set charset) has(other charset) bool    { return set&other != 0 }

func typeOf(v []byte, set charset) Type {
	n := len(v)
	switch {
	case n == 0:
		return TypeEmpty
	case set == setDigits:
		return TypeInt
	case set.within(setFloat) && set.has(setDigits) && numeric(v):
		if bytes.ContainsAny(v, ".eE") {
			return TypeFloat
		}
		return TypeInt
	case set.within(setWord):
		switch n {
		case 2:
			if foldEqual(v, "on") || foldEqual(v, "no") {
				return TypeBool
			}
		case 3:
			if foldEqual(v, "yes") || foldEqual(v, "off") {
				return TypeBool
			}
		case 4:
			if foldEqual(v, "true") {
				return TypeBool
			}
		case 5:
			if foldEqual(v, "false") {
				return TypeBool
			}
		}
		return TypeWord
	case set.within(setHex) && n >= 8 && n%2 == 0:
		return TypeHex
	case n == 36 && set.within(setHex|setOfDash) && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-':
		return TypeUUID
	case n >= 8 && n <= 40 && set.within(setDate) && isDate(v):
		return TypeDate
	case n > 40 && v[0] == 'e' && v[1] == 'y' && set.within(setJWT) && bytes.Count(v, dot) == 2:
		return TypeJWT
	case set.within(setToken):
		return wideToken(v, set)
	case n >= 16 && set.within(setBase64) && looksBase64(v):
		return TypeBase64
	case set.has(setOfAt) && isEmail(v, set):
		return TypeEmail
	case set.has(setOfSlash) && isURL(v, set):
		return TypeURL
	}
	return TypeText
}

var (
	dot        = []byte(".")
	setOfDash  = setOf("-")
	setOfAt    = setOf("@")
	setOfSlash = setOf("/")
	setDigit64 = setOf("0")
	setLower64 = setOf("ag")
	setUpper64 = setOf("AG")
	setNoURL   = setOf("<>\"' \\`{}|^\t\r\n\x00\x01")
	setNoMail  = setOf("<>\"'()[]\\,;: \t\r\n\x00\x01/&|$`=")
)

// wideToken tells the long random strings among tokens.
func wideToken(v []byte, set charset) Type {
	if len(v) >= 16 && set.within(setBase64) && set.has(setDigit64) && set.has(setLower64) && set.has(setUpper64) {
		return TypeBase64
	}
	return TypeToken
}

// looksBase64 tells whether padding stands only at the end and no byte more
// than a quantum of four allows.
func looksBase64(v []byte) bool {
	body := bytes.TrimRight(v, "=")
	return len(v)-len(body) <= 2 && bytes.IndexByte(body, '=') < 0 && (len(v) == len(body) || len(v)%4 == 0)
}

func isEmail(v []byte, set charset) bool {
	at := bytes.IndexByte(v, '@')
	return at > 0 && !set.has(setNoMail) && bytes.IndexByte(v[at+1:], '@') < 0 && bytes.IndexByte(v[at+1:], '.') > 0
}

func isURL(v []byte, set charset) bool {
	if set.has(setNoURL) {
		return false
	}
	i := bytes.IndexByte(v, ':')
	return i >= 2 && i <= 6 && len(v) > i+3 && v[i+1] == '/' && v[i+2] == '/'
}

// isDate knows 2006-01-02 and 2006/01/02 with any time behind them.
func isDate(v []byte) bool {
	if len(v) < 10 || v[4] != v[7] || (v[4] != '-' && v[4] != '/') {
		return false
	}
	for _, i := range [...]int{0, 1, 2, 3, 5, 6, 8, 9} {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return len(v) == 10 || v[10] == 'T' || v[10] == ' '
}

func foldEqual(v []byte, lower string) bool {
	if len(v) != len(lower) {
		return false
	}
	for i := range v {
		if v[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// numeric tells whether v is [+-]digits[.digits][e[+-]digits].
func numeric(v []byte) bool {
	i, digits := 0, 0
	if v[0] == '-' || v[0] == '+' {
		i++
	}
	for ; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
		digits++
	}
	if i < len(v) && v[i] == '.' {
		for i++; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
			digits++
		}
	}
	if digits == 0 {
		return false
	}
	if i < len(v) && v[i]|0x20 == 'e' {
		i++
		if i < len(v) && (v[i] == '-' || v[i] == '+') {
			i++
		}
		from := i
		for ; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
		}
		if i == from {
			return false
		}
	}
	return i == len(v)
}

// parseNumber is the bin of a numeric value. An exponent counts as a huge
// number: nobody writes small ones that way, and the bins need no more.
func parseNumber(v []byte) uint8 {
	negative := false
	if v[0] == '-' || v[0] == '+' {
		negative = v[0] == '-'
		v = v[1:]
	}
	whole := uint64(0)
	for _, c := range v {
		if c == '.' {
			break
		}
		if c|0x20 == 'e' || whole > 1<<59 {
			whole = 1 << 63
			break
		}
		whole = whole*10 + uint64(c-'0')
	}
	return numberBin(negative, whole)
}
