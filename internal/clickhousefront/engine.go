package clickhousefront

import (
	"fmt"
	"regexp"
	"strconv"
)

// Param is one value for a {name:Type} placeholder, in the escaped text form
// the HTTP interface carries it in (a tab is \t, NULL is \N).
type Param struct {
	Name, Value string
}

// Result is what a statement returned. Data is owned by the caller.
type Result struct {
	// Data is the output in the format that was asked for; empty for
	// statements without a result and, in Native, for results without rows.
	Data []byte
	// ReadRows and WrittenRows count table rows, zero when not known.
	ReadRows, WrittenRows uint64
}

// Engine runs SQL in one session: USE and SET last until changed. Calls come
// one at a time; implementations need no locking of their own.
type Engine interface {
	// Query runs one statement and returns its output in format, unless the
	// statement has a FORMAT clause of its own. A refusal by the engine is an
	// *Exception.
	Query(sql, format string, params []Param) (Result, error)
	// Close flushes and releases the engine. Later queries fail.
	Close() error
}

// Exception is an error the engine reported, in ClickHouse's own wording.
type Exception struct {
	// Code is the ClickHouse error code, e.g. 60 for UNKNOWN_TABLE.
	Code int
	// Text is the whole message and starts with "Code: N. DB::Exception: ".
	Text string
}

func (e *Exception) Error() string { return e.Text }

// Codes that the front itself raises, with ClickHouse's numbers.
const (
	codeCannotDecompress = 271
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeUnknownFormat    = 73
	codeUnknownSetting   = 115
	codeUnknownCodec     = 432
	codeStdException     = 1001
)

func newException(code int, name, format string, args ...any) *Exception {
	return &Exception{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

var exceptionPrefix = regexp.MustCompile(`^Code: (\d+)\. `)

// parseException reads the engine's error text. Text without a code becomes
// STD_EXCEPTION, as clients need a code to tell an engine error from a proxy's.
func parseException(text string) *Exception {
	if m := exceptionPrefix.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			return &Exception{Code: code, Text: text}
		}
	}
	return newException(codeStdException, "STD_EXCEPTION", "%s", text)
}
