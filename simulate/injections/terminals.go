package injections

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
)

const (
	lowerLetters = "abcdefghijklmnopqrstuvwxyz"
	mixedLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// letters appends between least and most characters of an alphabet.
func (e *expander) letters(alphabet string, least, most int) {
	for range least + e.r.IntN(most-least+1) {
		e.out = append(e.out, alphabet[e.r.IntN(len(alphabet))])
	}
}

func (e *expander) bytes(least, most int) []byte {
	b := make([]byte, least+e.r.IntN(most-least+1))
	for i := range b {
		b[i] = byte(e.r.Uint32())
	}
	return b
}

// syllables appends a word that no language has and many could.
func (e *expander) syllables() {
	onsets := []string{"b", "br", "c", "ch", "d", "dr", "f", "g", "gl", "h", "j", "k", "l", "m", "n", "p", "pr", "r", "s", "sh", "st", "t", "tr", "v", "w", "z", ""}
	vowels := []string{"a", "e", "i", "o", "u", "ai", "ea", "ou", "io", "y"}
	codas := []string{"", "", "", "n", "r", "s", "l", "t", "m", "nd", "rt", "x", "ck"}
	for range 1 + e.r.IntN(4) {
		e.out = append(e.out, onsets[e.r.IntN(len(onsets))]...)
		e.out = append(e.out, vowels[e.r.IntN(len(vowels))]...)
		e.out = append(e.out, codas[e.r.IntN(len(codas))]...)
	}
}

// noise appends what obfuscated telemetry looks like: a few odd alphabets at
// random, without any syntax.
func (e *expander) noise() {
	alphabet := make([]byte, 6+e.r.IntN(40))
	for i := range alphabet {
		alphabet[i] = byte(33 + e.r.IntN(94))
	}
	e.letters(string(alphabet), 8, 200)
}

// terminal appends what a rule that the grammar need not spell out stands for.
func terminal(e *expander, name string) bool {
	r := e.r
	switch name {
	case "bit":
		e.out = append(e.out, byte('0'+r.IntN(2)))
	case "digit":
		e.out = append(e.out, byte('0'+r.IntN(10)))
	case "int":
		limits := [...]int{10, 100, 1000, 10000, 1000000}
		e.out = strconv.AppendInt(e.out, int64(r.IntN(limits[r.IntN(len(limits))])), 10)
	case "small":
		e.out = strconv.AppendInt(e.out, int64(1+r.IntN(12)), 10)
	case "four":
		e.out = strconv.AppendInt(e.out, int64(1000+r.IntN(9000)), 10)
	case "big":
		e.out = strconv.AppendInt(e.out, r.Int64N(1<<(20+r.IntN(40))), 10)
	case "float":
		e.out = strconv.AppendFloat(e.out, r.Float64()*float64(int(1)<<r.IntN(16)), 'f', 1+r.IntN(14), 64)
	case "millis":
		e.out = strconv.AppendInt(e.out, 1400000000000+r.Int64N(500000000000), 10)
	case "date":
		e.out = fmt.Appendf(e.out, "%04d-%02d-%02d", 1970+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28))
	case "clock":
		e.out = fmt.Appendf(e.out, "%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
	case "ip":
		e.out = fmt.Appendf(e.out, "%d.%d.%d.%d", 1+r.IntN(223), r.IntN(256), r.IntN(256), 1+r.IntN(254))
	case "hex":
		e.out = hex.AppendEncode(e.out, e.bytes(2, 20))
	case "hexbyte":
		e.out = hex.AppendEncode(e.out, e.bytes(1, 1))
	case "md5":
		e.out = hex.AppendEncode(e.out, e.bytes(16, 16))
	case "sha":
		e.out = hex.AppendEncode(e.out, e.bytes(32, 32))
	case "uuid":
		b := e.bytes(16, 16)
		e.out = fmt.Appendf(e.out, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case "b64":
		e.out = base64.StdEncoding.AppendEncode(e.out, e.bytes(6, 120))
	case "b64url":
		e.out = base64.RawURLEncoding.AppendEncode(e.out, e.bytes(6, 400))
	case "id":
		e.letters(mixedLetters, 4, 32)
	case "random":
		e.letters(lowerLetters, 3, 8)
	case "control":
		// Fields of a binary encoding that was taken for text.
		for range 1 + r.IntN(8) {
			e.out = append(e.out, byte(r.IntN(32)))
			e.letters(mixedLetters, 0, 20)
		}
	case "noise":
		e.noise()
	case "letter":
		e.letters(lowerLetters, 1, 1)
	case "syllables":
		e.syllables()
	case "tick":
		e.out = append(e.out, '`')
	case "manyas":
		c := lowerLetters[r.IntN(26)]
		for range 20 + r.IntN(400) {
			e.out = append(e.out, c)
		}
	case "none":
	case "utf8":
		// A word in one of the scripts of the basic plane.
		bases := [...]struct{ from, n rune }{{0x5d0, 27}, {0x430, 32}, {0x3b1, 24}, {0x627, 36}, {0x4e00, 4000}, {0x3042, 80}, {0x905, 50}, {0xac00, 8000}, {0xe01, 46}, {0xe0, 30}}
		b := bases[r.IntN(len(bases))]
		for range 1 + r.IntN(8) {
			e.out = fmt.Appendf(e.out, "%c", b.from+r.Int32N(b.n))
		}
	default:
		return false
	}
	return true
}
