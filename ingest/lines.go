package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// chunkSize is how much is read before lines are handed on: enough to make the
// hand-over cheap, little enough to stay in the cache of the core that parses.
const chunkSize = 128 << 10

// chunker cuts a stream into chunks of whole lines. A line that is longer than
// maxLine is skipped without being held, and counted.
type chunker struct {
	r       io.Reader
	maxLine int
	// eager hands on what one read gave, for pipes that trickle.
	eager bool

	carry  []byte // begin of a line whose end is not read yet
	offset int64  // of carry in the stream
	skip   bool   // inside a line that is too long
	end    error  // why nothing more can be read; io.EOF at the end
}

// next fills buf, which it may grow, with whole lines, the last of a stream
// perhaps without its line break. Offset is where they begin in the stream,
// tooLarge how many lines were skipped. The end is io.EOF, together with no chunk.
func (c *chunker) next(buf []byte) (chunk []byte, offset int64, tooLarge int64, err error) {
	buf = append(buf[:0], c.carry...)
	c.carry = c.carry[:0]
	offset = c.offset
	searched := 0 // no line break before this
	for {
		if c.end != nil {
			if c.skip {
				buf, c.skip = buf[:0], false
			}
			if !errors.Is(c.end, io.EOF) {
				// What was read before the fault still counts, but for the line
				// that it cut.
				buf = buf[:bytes.LastIndexByte(buf, '\n')+1]
			}
			c.offset = offset + int64(len(buf))
			if len(buf) == 0 && tooLarge == 0 {
				return nil, offset, 0, c.end
			}
			return buf, offset, tooLarge, nil
		}
		if cap(buf)-len(buf) < 4<<10 {
			grown := make([]byte, len(buf), max(2*cap(buf), chunkSize))
			copy(grown, buf)
			buf = grown
		}
		n, err := c.r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			c.end = io.EOF
			continue
		}
		if err != nil {
			c.end = fmt.Errorf("reading lines: %w", err)
			continue
		}
		if c.skip {
			i := bytes.IndexByte(buf, '\n')
			if i < 0 {
				offset += int64(len(buf))
				buf = buf[:0]
				continue
			}
			offset += int64(i) + 1
			buf = buf[:copy(buf, buf[i+1:])]
			c.skip, searched = false, 0
		}
		if !c.eager && len(buf) < chunkSize-(4<<10) {
			continue
		}
		i := bytes.LastIndexByte(buf[searched:], '\n')
		if i >= 0 {
			cut := searched + i + 1
			c.carry = append(c.carry, buf[cut:]...)
			c.offset = offset + int64(cut)
			return buf[:cut], offset, tooLarge, nil
		}
		searched = len(buf)
		if len(buf) > c.maxLine {
			tooLarge++
			offset += int64(len(buf))
			buf, c.skip, searched = buf[:0], true, 0
		}
	}
}

// cutLine takes the first line off a chunk, without its line break (LF or CRLF);
// n is what it took.
func cutLine(chunk []byte) (line []byte, n int) {
	n = len(chunk)
	line = chunk
	if i := bytes.IndexByte(chunk, '\n'); i >= 0 {
		line, n = chunk[:i], i+1
	}
	if len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line, n
}

// ReadLines calls fn for every non-empty line of r, without its line break, and
// with its offset in bytes. The line is valid until fn returns. A line over
// DefaultMaxLine is given to tooLarge, if that is not nil, as the offset near
// which it stands, and the reading goes on. It ends with the first error of fn,
// of reading or of ctx; nil at the end of r.
func ReadLines(ctx context.Context, r io.Reader, fn func(line []byte, offset int64) error, tooLarge func(offset int64)) error {
	c := chunker{r: r, maxLine: DefaultMaxLine, eager: true}
	buf := make([]byte, 0, chunkSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, offset, skipped, err := c.next(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		buf = chunk
		for ; skipped > 0; skipped-- {
			if tooLarge != nil {
				tooLarge(offset)
			}
		}
		for rest := chunk; len(rest) > 0; {
			line, n := cutLine(rest)
			switch {
			case len(line) > DefaultMaxLine:
				if tooLarge != nil {
					tooLarge(offset)
				}
			case len(line) > 0:
				if err := fn(line, offset); err != nil {
					return err
				}
			}
			rest = rest[n:]
			offset += int64(n)
		}
	}
}
