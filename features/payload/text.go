package payload

// text is one decoded text: its bytes, their normal form, and the features of
// each position of that form.
//
// The normal form keeps what the syntax of a language needs and drops what
// varies without meaning: letters lose their case, a number becomes one digit,
// an identifier with digits in it one mark, white space one space, a run of one
// byte four of them. A window of it thus spans more of the text, and neither
// counters nor random names make an attack look new.
type text struct {
	raw   [maxText]byte
	n     int
	norm  [maxText + 4]byte
	at    [maxText + 4]uint16 // where in raw each byte of norm begins
	m     int
	feats [(maxText + 4) * maxFeats]uint32
	first [maxText + 5]uint16 // feats of position i are first[i]..first[i+1]
	units [maxText + 5]int32  // running sums of a model's weights
}

const (
	maxFeats = 7 // 4 n-grams and 3 of tokens end at one position
	hashBits = 18

	// Bytes of the normal form that stand for more than themselves. No decoded
	// control character is taken for one of them.
	markStart  = 0x01
	markEnd    = 0x02
	markMixed  = 0x03 // an identifier of letters and digits
	markLong   = 0x04 // the rest of a word longer than any language has
	markHigh   = 0x05 // bytes outside ASCII
	markSpace  = ' '
	markBreak  = '\n'
	markNUL    = 0x00
	markOdd    = 0x06 // any other control character
	maxWord    = 20
	mixedLimit = 9 // an identifier with digits up to this length is spelt out
	repeats    = 4
)

var isWord = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
	}
	return t
}()

// lower is the normal form of a byte that is not part of a run.
var lower = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= '0' && c <= '9':
			c = '0'
		case c == '\n' || c == '\r':
			c = markBreak
		case c == '\t' || c == ' ' || c == 0x0b || c == 0x0c:
			c = markSpace
		case c == 0:
			c = markNUL
		case c < ' ' || c == 0x7f:
			c = markOdd
		case c >= 0x80:
			c = markHigh
		}
		t[i] = c
	}
	return t
}()

func (t *text) decoded() []byte { return t.raw[:t.n] }

// set takes the head and the tail of b and works out its features.
func (t *text) set(b []byte) {
	if len(b) > maxText {
		copy(t.raw[:maxTextHead], b)
		copy(t.raw[maxTextHead:], b[len(b)-(maxText-maxTextHead):])
		t.n = maxText
	} else {
		t.n = copy(t.raw[:], b)
	}
	t.normalise()
	t.featurise()
}

func (t *text) put(c byte, at int) {
	if t.m < maxText+3 {
		t.norm[t.m], t.at[t.m] = c, uint16(at)
		t.m++
	}
}

func (t *text) normalise() {
	t.m = 0
	t.put(markStart, 0)
	raw := t.raw[:t.n]
	for i := 0; i < len(raw); {
		c := raw[i]
		if isWord[c] {
			i = t.word(i)
			continue
		}
		x := lower[c]
		m := t.m
		switch {
		case x == markSpace && t.norm[m-1] == markSpace, x == markHigh && t.norm[m-1] == markHigh:
		case m > repeats && x == t.norm[m-1] && x == t.norm[m-2] && x == t.norm[m-3] && x == t.norm[m-4]:
		default:
			t.put(x, i)
		}
		i++
	}
	t.put(markEnd, t.n)
}

// word normalises the letters, digits and underscores from i on.
func (t *text) word(i int) int {
	raw := t.raw[:t.n]
	start, letters, digits, turns := i, 0, 0, 0
	was := false
	same := true
	for i < len(raw) && isWord[raw[i]] {
		digit := raw[i] >= '0' && raw[i] <= '9'
		if digit {
			digits++
		} else {
			letters++
		}
		if i > start && digit != was {
			turns++
		}
		same = same && raw[i] == raw[start]
		was = digit
		i++
	}
	run := raw[start:i]
	switch {
	case letters == 0:
		t.put('0', start)
	case len(run) > repeats && same:
		for k := range repeats {
			t.put(lower[run[k]], start+k)
		}
		t.put(markLong, start+repeats)
	case len(run) > 2 && run[0] == '0' && run[1]|0x20 == 'x':
		t.put('0', start)
		t.put('x', start+1)
	case digits > 0 && (len(run) > mixedLimit || turns > 2):
		// Letters before the first digit still say something: md5(, utf8_decode(.
		k := 0
		for k < len(run) && k < mixedLimit && (run[k] < '0' || run[k] > '9') {
			t.put(lower[run[k]], start+k)
			k++
		}
		t.put(markMixed, start+k)
	default:
		for k := range run {
			c := lower[run[k]]
			if k >= maxWord {
				t.put(markLong, start+k)
				break
			}
			if c == '0' && k > 0 && lower[run[k-1]] == '0' {
				continue
			}
			t.put(c, start+k)
		}
	}
	return i
}

// hashed maps a key to a slot of the tables.
func hashed(x uint32) uint32 { return x * 0x9e3779b1 >> (32 - hashBits) }

// featurise lists the features of every position of the normal form.
func (t *text) featurise() {
	n := 0
	var last4, tok, prev, prev2 uint32
	prev = markStart
	for i, c := range t.norm[:t.m] {
		t.first[i] = uint16(n)
		last4 = last4<<8 | uint32(c)
		f := t.feats[n : n+maxFeats : n+maxFeats]
		f[0] = hashed(last4&0xff ^ 0x51ed0000)
		f[1] = hashed(last4&0xffff ^ 0x2c1b3c6d)
		f[2] = hashed(last4&0xffffff ^ 0x7a000000)
		f[3] = hashed(last4)
		n += 4
		word := isWord[c] || c == markMixed || c == markLong
		if word {
			tok = (tok ^ uint32(c)) * 0x01000193
			// A word ends where the next byte is none; there is always a next one.
			if d := t.norm[i+1]; isWord[d] || d == markMixed || d == markLong {
				continue
			}
			f[4] = hashed(tok ^ 0xb5297a4d)
			n++
		} else {
			if c == markSpace || c == markStart {
				continue
			}
			tok = uint32(c) * 0x85ebca6b
		}
		two := tok ^ rot(prev, 7)*0xc2b2ae35
		t.feats[n] = hashed(two ^ 0x68e31da4)
		t.feats[n+1] = hashed(two ^ rot(prev2, 13)*0x27d4eb2f ^ 0x1b56c4e9)
		n += 2
		prev2, prev, tok = prev, tok, 0x811c9dc5
	}
	t.first[t.m] = uint16(n)
}

func rot(x uint32, k int) uint32 { return x<<k | x>>(32-k) }
