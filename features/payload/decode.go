package payload

// decode undoes one layer of every encoding it knows, from src into dst, which
// must be at least as long as src: no encoding here is shorter than what it
// stands for. It tells how much it wrote and whether that differs from src.
func decode(dst, src []byte, m manner) (int, bool) {
	plus := m == isForm || m == asIs && !spaced(src)
	n, changed := 0, false
	for i := 0; i < len(src); {
		c := src[i]
		if !special[c] {
			dst[n] = c
			n, i = n+1, i+1
			continue
		}
		var used int
		var put rune
		switch c {
		case '+':
			if plus {
				used, put = 1, ' '
			}
		case '%':
			used, put = percent(src[i:])
		case '&':
			used, put = entity(src[i:])
		case '\\':
			used, put = escape(src[i:], m)
		case '/':
			used, put = comment(src[i:])
		default:
			used, put = wide(src[i:])
		}
		if used == 0 {
			dst[n] = c
			n, i = n+1, i+1
			continue
		}
		changed = true
		i += used
		switch {
		case put < 0: // stands for nothing
		case put < 0x80 || used <= 3 && c == '%':
			dst[n] = byte(put)
			n++
		default:
			n += putUTF8(dst[n:], put)
		}
	}
	return n, changed
}

// special bytes may begin an encoded one.
var special = func() (t [256]bool) {
	for _, c := range "+%&\\/" {
		t[c] = true
	}
	for _, c := range []byte{0xc0, 0xc1, 0xca, 0xe0, 0xef, 0xf0, 0xf8, 0xfc} {
		t[c] = true
	}
	return t
}()

func spaced(b []byte) bool {
	for _, c := range b {
		if c <= ' ' {
			return true
		}
	}
	return false
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// hexRun reads between least and most hex digits.
func hexRun(b []byte, least, most int) (digits int, v rune) {
	for digits < most && digits < len(b) {
		x := nibble(b[digits])
		if x < 0 {
			break
		}
		v = v<<4 | rune(x)
		digits++
	}
	if digits < least {
		return 0, 0
	}
	return digits, v
}

// percent reads %XX and the %uXXXX of old Microsoft servers.
func percent(b []byte) (int, rune) {
	if len(b) >= 3 {
		if hi, lo := nibble(b[1]), nibble(b[2]); hi >= 0 && lo >= 0 {
			return 3, rune(hi<<4 | lo)
		}
	}
	if len(b) >= 6 && (b[1] == 'u' || b[1] == 'U') {
		if n, v := hexRun(b[2:], 4, 4); n == 4 {
			return 6, fold(v)
		}
	}
	return 0, 0
}

// entities are the named ones that hide the syntax of some language. Browsers
// read those of the first half without the closing semicolon, too.
var entities = []struct {
	name string
	is   rune
}{
	{"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"amp", '&'},
	{"apos;", '\''}, {"lpar;", '('}, {"rpar;", ')'}, {"colon;", ':'}, {"semi;", ';'}, {"sol;", '/'},
	{"bsol;", '\\'}, {"equals;", '='}, {"Tab;", '\t'}, {"NewLine;", '\n'}, {"grave;", '`'},
	{"lbrace;", '{'}, {"lcub;", '{'}, {"rbrace;", '}'}, {"rcub;", '}'}, {"lbrack;", '['}, {"rbrack;", ']'},
	{"dollar;", '$'}, {"num;", '#'}, {"period;", '.'}, {"comma;", ','}, {"excl;", '!'}, {"quest;", '?'},
	{"percnt;", '%'}, {"plus;", '+'}, {"ast;", '*'}, {"vert;", '|'}, {"nbsp;", ' '}, {"lowbar;", '_'},
}

// entity reads a numeric or named HTML entity. The & between the parameters of
// a query is followed by a name too: without its semicolon an entity counts only
// where no letter, digit or equals sign follows.
func entity(b []byte) (int, rune) {
	if len(b) < 3 {
		return 0, 0
	}
	if b[1] == '#' {
		i, v := 2, rune(0)
		if b[2] == 'x' || b[2] == 'X' {
			n, x := hexRun(b[3:], 1, 7)
			if n == 0 {
				return 0, 0
			}
			i, v = 3+n, x
		} else {
			for i < len(b) && i < 10 && b[i] >= '0' && b[i] <= '9' {
				v = v*10 + rune(b[i]-'0')
				i++
			}
			if i == 2 {
				return 0, 0
			}
		}
		if i < len(b) && b[i] == ';' {
			i++
		}
		return i, fold(v)
	}
	for _, e := range entities {
		n := 1 + len(e.name)
		if len(b) < n || b[1] != e.name[0] || string(b[1:n]) != e.name {
			continue
		}
		if e.name[n-2] == ';' {
			return n, e.is
		}
		if n < len(b) {
			switch c := b[n]; {
			case c == ';':
				n++
			case c == '=' || isWord[c]:
				return 0, 0
			}
		}
		return n, e.is
	}
	return 0, 0
}

// escape reads the backslash escapes of JavaScript and JSON. Only inside a JSON
// string are those of one letter undone: elsewhere they are Windows paths.
func escape(b []byte, m manner) (int, rune) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case 'u':
		if n, v := hexRun(b[2:], 4, 4); n == 4 {
			return 6, fold(v)
		}
		if len(b) > 4 && b[2] == '{' {
			if n, v := hexRun(b[3:], 1, 6); n > 0 && 3+n < len(b) && b[3+n] == '}' {
				return 4 + n, fold(v)
			}
		}
	case 'x':
		if n, v := hexRun(b[2:], 2, 2); n == 2 {
			return 4, v
		}
	case '"', '\'', '/':
		return 2, rune(b[1])
	}
	if m == isJSON {
		switch b[1] {
		case '\\':
			return 2, '\\'
		case 'n':
			return 2, '\n'
		case 'r':
			return 2, '\r'
		case 't':
			return 2, '\t'
		case 'b', 'f':
			return 2, ' '
		}
	}
	return 0, 0
}

// comment reads a closed comment of SQL or script as the space it stands for,
// and opens the executable comments of MySQL: a version and what it guards.
func comment(b []byte) (int, rune) {
	if len(b) < 4 || b[1] != '*' {
		return 0, 0
	}
	if b[2] == '!' {
		i := 3
		for i < len(b) && i < 8 && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i, ' '
	}
	for i := 2; i+1 < len(b); i++ {
		if b[i] == '*' && b[i+1] == '/' {
			return i + 2, ' '
		}
	}
	return 0, 0
}

// wide reads UTF-8 that hides ASCII: forms longer than needed, with or without
// valid continuation bytes, and characters that servers fold to ASCII.
func wide(b []byte) (int, rune) {
	var need int
	var v rune
	switch c := b[0]; {
	case c == 0xc0 || c == 0xc1:
		// Servers that decode these at all do not check the byte that follows.
		if len(b) >= 2 {
			return 2, rune(c&1)<<6 | rune(b[1]&0x3f)
		}
		return 0, 0
	case c == 0xca && len(b) >= 2 && (b[1] == 0xb9 || b[1] == 0xbc):
		return 2, '\''
	case c == 0xe0:
		need = 3
	case c == 0xef:
		need = 3
		v = 0xf
	case c == 0xf0:
		need = 4
	case c == 0xf8:
		need = 5
	case c == 0xfc:
		need = 6
	default:
		return 0, 0
	}
	if len(b) < need {
		return 0, 0
	}
	for _, c := range b[1:need] {
		if c&0xc0 != 0x80 {
			return 0, 0
		}
		v = v<<6 | rune(c&0x3f)
	}
	if f := fold(v); f < 0x80 {
		return need, f
	}
	return 0, 0
}

// fold maps fullwidth forms and the quotes, slashes and dots that common
// best-fit tables take for ASCII. Typographic quotes are left: prose has them.
func fold(v rune) rune {
	switch {
	case v >= 0xff01 && v <= 0xff5e:
		return v - 0xff01 + '!'
	case v == 0x3000:
		return ' '
	case v == 0x2b9 || v == 0x2bc:
		return '\''
	case v == 0x2215 || v == 0x2044:
		return '/'
	case v == 0x2216:
		return '\\'
	case v == 0x2024:
		return '.'
	case v == 0xfeff || v == 0x200b:
		return ' '
	case v > 0x10ffff:
		return 0xfffd
	}
	return v
}

// putUTF8 writes v, at most 4 bytes. It is the ordinary encoding without the
// check for surrogates: what was no character stays as long as it was.
func putUTF8(dst []byte, v rune) int {
	switch {
	case v < 0x800:
		dst[0], dst[1] = 0xc0|byte(v>>6), 0x80|byte(v&0x3f)
		return 2
	case v < 0x10000:
		dst[0], dst[1], dst[2] = 0xe0|byte(v>>12), 0x80|byte(v>>6&0x3f), 0x80|byte(v&0x3f)
		return 3
	}
	dst[0], dst[1], dst[2], dst[3] = 0xf0|byte(v>>18), 0x80|byte(v>>12&0x3f), 0x80|byte(v>>6&0x3f), 0x80|byte(v&0x3f)
	return 4
}
