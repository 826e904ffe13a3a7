package clickhousefront

import "strings"

// dataInsert is an INSERT whose rows come with the request, cut where the
// engine needs the name of the file that holds them.
type dataInsert struct {
	// before ends at the place of FROM INFILE; settings is the rest up to the
	// FORMAT or VALUES clause (a SETTINGS clause or nothing).
	before, settings string
	// format names the format of the rows.
	format string
	// data is what follows the FORMAT or VALUES clause in the statement
	// itself; more may follow in the request body.
	data string
}

// fromFile is the statement that reads the rows from path.
func (d dataInsert) fromFile(path string) string {
	var b strings.Builder
	b.WriteString(d.before)
	// COMPRESSION is given because the engine otherwise guesses from the name.
	b.WriteString("\nFROM INFILE ")
	b.WriteString(quoteString(path))
	b.WriteString(" COMPRESSION 'none'\n")
	b.WriteString(d.settings)
	b.WriteString("\nFORMAT ")
	b.WriteString(d.format)
	return b.String()
}

// parseDataInsert splits an INSERT that takes its rows from the request. It
// reports false for every other statement, INSERT SELECT and INSERT FROM
// INFILE among them: those go to the engine as they are.
func parseDataInsert(sql string) (dataInsert, bool) {
	s := scanner{sql: sql}
	if !s.next() || !s.is("INSERT") {
		return dataInsert{}, false
	}
	settings := -1
	cut := func(clause int, format string, data string) (dataInsert, bool) {
		if settings < 0 {
			settings = clause
		}
		return dataInsert{before: sql[:settings], settings: sql[settings:clause], format: format, data: data}, true
	}
	for s.next() {
		switch {
		case s.depth == 1 && s.afterOpen && (s.is("SELECT") || s.is("WITH")):
			return dataInsert{}, false
		case s.depth != 0:
		case s.is("SELECT"), s.is("WITH"), s.is("WATCH"), s.is("INFILE"):
			return dataInsert{}, false
		case s.is("SETTINGS") && settings < 0:
			settings = s.start
		case s.is("VALUES"):
			return cut(s.start, "Values", sql[s.pos:])
		case s.is("FORMAT"):
			clause := s.start
			if !s.next() || !s.word {
				return dataInsert{}, false
			}
			return cut(clause, s.text(), afterFormat(sql[s.pos:]))
		}
	}
	return dataInsert{}, false
}

// afterFormat drops the space between a format name and the rows: up to one
// line end, since a second one can already be part of the rows.
func afterFormat(rest string) string {
	rest = strings.TrimLeft(rest, " \t\r;")
	return strings.TrimPrefix(rest, "\n")
}

// outputFormat is the format a statement's result comes in: that of its own
// trailing FORMAT clause, otherwise fallback.
func outputFormat(sql, fallback string) string {
	format := fallback
	s := scanner{sql: sql}
	for s.next() {
		if s.depth == 0 && s.is("FORMAT") && s.next() && s.word {
			format = s.text()
		}
	}
	return format
}

// firstWord is the statement's first keyword in upper case, empty if there is
// none.
func firstWord(sql string) string {
	s := scanner{sql: sql}
	if s.next() && s.word {
		return strings.ToUpper(s.text())
	}
	return ""
}

// scanner walks the tokens of a statement well enough to find keywords outside
// of strings, quoted names, comments and brackets. Malformed SQL gives some
// token sequence and never an error: the engine will explain it better.
type scanner struct {
	sql string
	// start and pos bound the current token.
	start, pos int
	// depth counts brackets open before the current token; afterOpen tells
	// that the token before it was an opening bracket.
	depth     int
	afterOpen bool
	word      bool
	last      byte
}

func (s *scanner) text() string        { return s.sql[s.start:s.pos] }
func (s *scanner) is(word string) bool { return s.word && strings.EqualFold(s.text(), word) }

func (s *scanner) next() bool {
	switch s.last {
	case '(', '[', '{':
		s.depth++
		s.afterOpen = true
	default:
		s.afterOpen = false
	}
	s.skipSpace()
	s.start, s.word, s.last = s.pos, false, 0
	if s.pos >= len(s.sql) {
		return false
	}
	switch c := s.sql[s.pos]; {
	case isWord(c):
		s.word = true
		for s.pos < len(s.sql) && isWord(s.sql[s.pos]) {
			s.pos++
		}
	case c == '\'' || c == '"' || c == '`':
		s.skipQuoted(c)
	default:
		s.pos++
		s.last = c
		if (c == ')' || c == ']' || c == '}') && s.depth > 0 {
			s.depth--
		}
	}
	return true
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.sql) {
		rest := s.sql[s.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			s.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			s.skipPast(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			s.skipPast(rest, "*/")
		default:
			return
		}
	}
}

func (s *scanner) skipPast(rest, end string) {
	if i := strings.Index(rest, end); i >= 0 {
		s.pos += i + len(end)
	} else {
		s.pos = len(s.sql)
	}
}

// skipQuoted passes a quoted token. A doubled quote needs no care: it reads as
// two tokens side by side, with no keyword between.
func (s *scanner) skipQuoted(quote byte) {
	for s.pos++; s.pos < len(s.sql); s.pos++ {
		switch s.sql[s.pos] {
		case '\\':
			s.pos++
		case quote:
			s.pos++
			return
		}
	}
	s.pos = len(s.sql)
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

var stringEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func quoteString(s string) string { return "'" + stringEscaper.Replace(s) + "'" }

func quoteName(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}
