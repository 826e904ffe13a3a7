package injections

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// disguise obfuscates an attack in ways that fit its class, then encodes it;
// most are left nearly as they are.
func disguise(b []byte, class string, r *rand.Rand) []byte {
	chance := func(p float64) bool { return r.Float64() < p }
	spaces := class == "sqli"
	// White space inside a path, a header or a document type has a meaning.
	if spaces && chance(.25) {
		b = respace(b, r, sqlBlanks)
	}
	if class == "command" && chance(.12) {
		b = respace(b, r, shellBlanks)
	}
	switch class {
	case "sqli", "xss", "command", "template", "xxe":
		if chance(.25) {
			b = recase(b, r)
		}
	}
	switch {
	case class == "sqli" && chance(.04):
		b = fullwidth(b, r)
	case class == "xss" && chance(.05):
		b = entityEncode(b, r)
	case (class == "xss" || class == "code" || class == "template") && chance(.04):
		b = unicodeEscape(b, r)
	case class == "traversal" && chance(.35):
		b = overlong(b, r)
	}
	switch x := r.Float64(); {
	case x < .60:
	case x < .78:
		b = percentEncode(b, false)
	case x < .83:
		b = percentEncode(b, true)
	case x < .88:
		b = someEncoded(b, r)
	case x < .93:
		b = percentEncode(percentEncode(b, false), false)
	case x < .95:
		b = []byte(strings.ReplaceAll(string(b), " ", "+"))
	case x < .965 && len(b) >= 12:
		b = []byte(base64.StdEncoding.EncodeToString(b))
	}
	return b
}

// What databases and shells read as white space.
var (
	sqlBlanks   = []string{"/**/", "\t", "\n", "  ", "%0a", "%09", "%0b", "%a0", "/*!*/", "+", "/*x*/", "\r\n", "   "}
	shellBlanks = []string{"\t", "%09", "+", ",", ";", `\xa0`, `\x0c`, "%a0", "%0c", "%0d", `\x09`, `\x0b`, "${IFS}", "$IFS$9", "<", "  ", "%0b"}
)

// respace replaces spaces by one of blanks, or each by another.
func respace(b []byte, r *rand.Rand, blanks []string) []byte {
	if r.IntN(3) > 0 {
		return bytes.ReplaceAll(b, []byte(" "), []byte(blanks[r.IntN(len(blanks))]))
	}
	var out []byte
	for _, c := range b {
		if c == ' ' {
			out = append(out, blanks[r.IntN(len(blanks))]...)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// recase changes the case of letters: all of them, or at random.
func recase(b []byte, r *rand.Rand) []byte {
	if r.IntN(3) == 0 {
		return bytes.ToUpper(b)
	}
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'a' && c <= 'z' && r.IntN(2) == 0 {
			out[i] = c - 32
		}
	}
	return out
}

func fullwidth(b []byte, r *rand.Rand) []byte {
	var out []byte
	for _, c := range b {
		if strings.IndexByte("'\"=<>();", c) >= 0 && r.IntN(4) > 0 {
			out = fmt.Appendf(out, "%c", rune(c)+0xfee0)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// entityEncode writes some characters as HTML entities, as attributes may.
func entityEncode(b []byte, r *rand.Rand) []byte {
	var out []byte
	for _, c := range b {
		switch {
		case r.IntN(3) > 0 || c == '<' || c == '>':
			out = append(out, c)
		case r.IntN(2) == 0:
			out = fmt.Appendf(out, "&#%d;", c)
		default:
			out = fmt.Appendf(out, "&#x%x;", c)
		}
	}
	return out
}

func unicodeEscape(b []byte, r *rand.Rand) []byte {
	var out []byte
	for _, c := range b {
		switch r.IntN(6) {
		case 0:
			out = fmt.Appendf(out, `\u%04x`, c)
		case 1:
			out = fmt.Appendf(out, `\x%02x`, c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// overlong writes dots and slashes in the forms that careless decoders accept.
func overlong(b []byte, r *rand.Rand) []byte {
	dots := []string{
		".", ".", ".", "%2e", "%252e", "%c0%ae", "%c0%2e", "%c0%5e", "%c0%6e", "%e0%80%ae", "%f0%80%80%ae",
		"%f8%80%80%80%ae", "%uff0e", "%u002e", "%%32%65", "%%32%%65", "0x2e", `\u002e`, "&#46;",
	}
	slashes := []string{
		"/", "/", `\`, "%2f", "%5c", "%252f", "%255c", "%c0%af", "%c0%2f", "%c1%9c", "%c1%1c", "%c1%8s", "%c1%pc",
		"%c0%9v", "%c0%qf", "%bg%qf", "%e0%80%af", "%f0%80%80%af", "%u2215", "%u2216", "%uf025", "%uefc8", "%%32%66",
		"%%35%63", "%%35c", "%%32%%66", "0x2f", "0x5c", "//", `\\`, `\/`, `/\`, "%00/", "%01/", "/%00", `%5c\`, ";/", "&#47;",
	}
	dot, slash := dots[r.IntN(len(dots))], slashes[r.IntN(len(slashes))]
	var out []byte
	for i, c := range b {
		switch {
		case c == '/' || c == '\\':
			out = append(out, slash...)
		case c == '.' && (i+1 < len(b) && b[i+1] == '.' || i > 0 && b[i-1] == '.'):
			out = append(out, dot...)
		default:
			out = append(out, c)
		}
	}
	return out
}

// someEncoded percent-encodes characters at random.
func someEncoded(b []byte, r *rand.Rand) []byte {
	var out []byte
	for i := range b {
		out = append(out, percentEncode(b[i:i+1], r.IntN(3) == 0)...)
	}
	return out
}
