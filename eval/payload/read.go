package payload

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weir-dev/weir/ingest"
)

// MaxLine is the longest line that is read, in bytes; a longer one is refused.
const MaxLine = 1 << 20

// Refusal is a line that could not be read.
type Refusal struct {
	Line int // counted from 1
	Err  error
}

// Error names the line.
func (r *Refusal) Error() string { return fmt.Sprintf("line %d: %v", r.Line, r.Err) }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// Reader reads rows from JSON lines. Blank lines are no rows.
type Reader struct {
	r    *bufio.Reader
	n    int
	line []byte
}

// NewReader returns a Reader of decompressed text.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Line is the number of the line that Next read last, from 1.
func (r *Reader) Line() int { return r.n }

// Next reads the next row. A line that is no row gives a *Refusal, after which
// reading goes on; the end gives io.EOF, anything else is final.
func (r *Reader) Next() (*Request, error) {
	for {
		text, err := r.next()
		if err != nil {
			return nil, err
		}
		text = bytes.TrimSpace(text)
		if r.n == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		row, err := Parse(text)
		if err != nil {
			return nil, &Refusal{r.n, err}
		}
		return row, nil
	}
}

// next is the next line, which holds until the call after.
func (r *Reader) next() ([]byte, error) {
	r.line = r.line[:0]
	tooLong := false
	for {
		part, err := r.r.ReadSlice('\n')
		if len(r.line)+len(part) > MaxLine+1 {
			tooLong = true
		}
		if !tooLong {
			r.line = append(r.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
		case errors.Is(err, io.EOF) && (len(r.line) > 0 || tooLong):
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("reading line %d: %w", r.n+1, err)
		}
		r.n++
		if tooLong {
			return nil, &Refusal{r.n, fmt.Errorf("%w: longer than %d bytes", ErrRefused, MaxLine)}
		}
		return r.line, nil
	}
}

// ReadFile gives every row of a file of JSON lines, plain, gzip, zstd or xz ("-"
// is standard input), to row, and every line that is none to refused, which may
// be nil. Progress, where not nil, is told of bytes as stored; the total is -1
// for a pipe. It ends with the first error of row, of reading or of ctx.
func ReadFile(ctx context.Context, path string, row func(*Request) error, refused func(*Refusal), progress func(read, total int64)) error {
	f, err := ingest.OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := NewReader(f)
	for n := 0; ; n++ {
		if n%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if progress != nil {
				progress(f.Progress())
			}
		}
		req, err := r.Next()
		var bad *Refusal
		switch {
		case errors.Is(err, io.EOF):
			if progress != nil {
				progress(f.Progress())
			}
			return nil
		case errors.As(err, &bad):
			if refused != nil {
				refused(bad)
			}
		case err != nil:
			return fmt.Errorf("reading %s: %w", path, err)
		default:
			if err := row(req); err != nil {
				return err
			}
		}
	}
}
