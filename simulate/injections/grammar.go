package injections

import (
	_ "embed" // for the grammars
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

//go:embed attacks.grammar
var attackGrammar string

//go:embed benign.grammar
var benignGrammar string

//go:embed words.grammar
var wordGrammar string

// A grammar is text. A line "[name]" begins a rule, each line after it is one of
// its alternatives, all equally likely; an empty line is an empty one, except
// before a comment, which "#! " begins. Within an alternative ~name~ stands for an expansion of that rule, or of a terminal
// below; ~?name~ for that or nothing; \n, \r, \t and \0 for control characters.
// A mark before the name encodes the expansion:
//
//	%  percent-encoding     %% the same twice     "  the inside of a JSON string
//	+  form encoding        ^  base64             !  upper case
//
// ~name*~ repeats one to eight times.

// part is a piece of an alternative: literal text, or a rule with its marks.
type part struct {
	text             string
	rule             string
	encode           string
	optional, repeat bool
}

var rules = sync.OnceValue(func() map[string][][]part {
	g := map[string][][]part{}
	for _, text := range []string{attackGrammar, benignGrammar, wordGrammar} {
		name, blank := "", 0
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				blank++
				continue
			}
			if strings.HasPrefix(line, "#! ") {
				blank = 0
				continue
			}
			for ; blank > 0; blank-- {
				g[name] = append(g[name], nil)
			}
			switch {
			case ruleName(line) != "":
				name = ruleName(line)
			case strings.HasPrefix(name, "words-"):
				// Lists of words have many a line.
				for _, w := range strings.Fields(line) {
					g[name] = append(g[name], []part{{text: strings.ReplaceAll(w, "_", " ")}})
				}
			default:
				g[name] = append(g[name], parse(line))
			}
		}
	}
	return g
})

// ruleName is the name between brackets if line is nothing else.
func ruleName(line string) string {
	if len(line) < 3 || line[0] != '[' || line[len(line)-1] != ']' {
		return ""
	}
	name := line[1 : len(line)-1]
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return ""
		}
	}
	return name
}

var controls = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\0`, "\x00", `\\`, `\`)

func parse(line string) []part {
	var parts []part
	for i, piece := range strings.Split(line, "~") {
		if i%2 == 0 {
			if piece != "" {
				parts = append(parts, part{text: controls.Replace(piece)})
			}
			continue
		}
		if piece == "" { // ~~ is the sign itself
			parts = append(parts, part{text: "~"})
			continue
		}
		p := part{}
		for strings.ContainsAny(piece[:1], `%"+^?!`) {
			if piece[0] == '?' {
				p.optional = true
			} else {
				p.encode += piece[:1]
			}
			piece = piece[1:]
		}
		p.rule, p.repeat = strings.CutSuffix(piece, "*")
		parts = append(parts, p)
	}
	return parts
}

// expander writes expansions to out.
type expander struct {
	r   *rand.Rand
	out []byte
}

const maxExpansion = 3000

func (e *expander) expand(rule string, depth int) {
	if terminal(e, rule) {
		return
	}
	alternatives := rules()[rule]
	if len(alternatives) == 0 || depth > 40 || len(e.out) > maxExpansion {
		return
	}
	for _, p := range alternatives[e.r.IntN(len(alternatives))] {
		if p.rule == "" {
			e.out = append(e.out, p.text...)
			continue
		}
		if p.optional && e.r.IntN(2) == 0 {
			continue
		}
		times := 1
		if p.repeat {
			times += e.r.IntN(8)
		}
		start := len(e.out)
		for range times {
			e.expand(p.rule, depth+1)
		}
		for i := len(p.encode) - 1; i >= 0; i-- {
			coded := encode(p.encode[i], e.out[start:])
			e.out = append(e.out[:start], coded...)
		}
	}
}

func encode(mark byte, b []byte) []byte {
	switch mark {
	case '%':
		return percentEncode(b, false)
	case '+':
		return []byte(strings.ReplaceAll(string(percentEncode(b, false)), "%20", "+"))
	case '^':
		return []byte(base64.StdEncoding.EncodeToString(b))
	case '!':
		return []byte(strings.ToUpper(string(b)))
	case '"':
		q := strconv.Quote(strings.ToValidUTF8(string(b), "?"))
		return []byte(strings.ReplaceAll(q[1:len(q)-1], `\x`, `\u00`))
	}
	return b
}

// percentEncode encodes what encodeURIComponent does, or every byte.
func percentEncode(b []byte, every bool) []byte {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(b)*3)
	for _, c := range b {
		plain := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_.!~*'()", c) >= 0
		if plain && !every {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}
