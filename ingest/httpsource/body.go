package httpsource

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Why a body was not read.
var (
	errTooLarge    = errors.New("body is larger than allowed")
	errBomb        = errors.New("body grows more than allowed when decompressed")
	errEncoding    = errors.New("content encoding is none of gzip, zstd, identity")
	errUndecodable = errors.New("body does not decompress")
	errNoMemory    = errors.New("too many large bodies at once")
)

// readBody reads and decompresses a body. Release gives its memory back.
func (s *Source) readBody(r *http.Request) (body []byte, release func(), err error) {
	wire := &wireReader{r: r.Body, left: s.cfg.MaxCompressed}
	var src io.Reader
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	compressed := encoding != "" && encoding != "identity"
	if !compressed {
		wire.left = s.cfg.MaxBody
	}
	if r.ContentLength > wire.left {
		return nil, nil, errTooLarge
	}
	switch encoding {
	case "", "identity":
		src = wire
	case "gzip", "x-gzip":
		gz, err := gzip.NewReader(wire)
		if err != nil {
			return nil, nil, decodeError(wire, err)
		}
		defer func() { _ = gz.Close() }() // it closes nothing but itself
		src = gz
	case "zstd":
		zr, err := zstd.NewReader(wire, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, nil, decodeError(wire, err)
		}
		defer zr.Close()
		src = zr
	default:
		return nil, nil, errEncoding
	}
	return s.readAll(src, wire, compressed, r.ContentLength)
}

// readAll reads src whole: only then is known that nothing in the body forbids to
// take any of it. Memory is taken from the common budget as it grows.
func (s *Source) readAll(src io.Reader, wire *wireReader, compressed bool, length int64) (body []byte, release func(), err error) {
	var held int64
	grow := func(n int64) bool {
		if !s.memory.TryAcquire(n - held) {
			return false
		}
		held = n
		grown := make([]byte, len(body), n)
		copy(grown, body)
		body = grown
		return true
	}
	defer func() {
		if err != nil {
			s.memory.Release(held)
		}
	}()
	first := int64(64 << 10)
	if !compressed && length > 0 && length <= s.cfg.MaxBody {
		first = length + 1 // one more, to meet the end without growing
	}
	if !grow(min(first, s.cfg.Memory)) {
		return nil, nil, errNoMemory
	}
	for {
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		size := int64(len(body))
		if size > s.cfg.MaxBody {
			return nil, nil, errTooLarge
		}
		if compressed && size > 1<<20 && size > s.cfg.MaxRatio*wire.read {
			return nil, nil, errBomb
		}
		if err == io.EOF {
			return body, func() { s.memory.Release(held) }, nil
		}
		if err != nil {
			return nil, nil, decodeError(wire, err)
		}
		if len(body) == cap(body) && !grow(min(2*size, s.cfg.MaxBody+1)) {
			return nil, nil, errNoMemory
		}
	}
}

// decodeError tells the limit of what is read off the wire from a decoder's own
// complaint.
func decodeError(wire *wireReader, err error) error {
	if wire.err != nil {
		return wire.err
	}
	return fmt.Errorf("%w: %w", errUndecodable, err)
}

// wireReader counts and limits what is read off the wire, and keeps the error
// that a decoder may wrap beyond recognition.
type wireReader struct {
	r    io.Reader
	left int64
	read int64
	err  error
}

func (w *wireReader) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.left <= 0 {
		// The limit is met exactly if nothing follows.
		var one [1]byte
		if n, err := w.r.Read(one[:]); n == 0 && err == io.EOF {
			return 0, io.EOF
		} else if n == 0 && err == nil {
			return 0, nil
		}
		w.err = errTooLarge
		return 0, w.err
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	w.read += int64(n)
	if err != nil && err != io.EOF {
		w.err = fmt.Errorf("reading the body: %w", err)
		err = w.err
	}
	return n, err
}
