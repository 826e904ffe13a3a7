package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow bounds the memory that a compressed file can ask its decoder for:
// what the highest levels of zstd and xz use.
const maxWindow = 128 << 20

// File is an open log file, decompressed as it is read.
type File struct {
	r      io.Reader
	closes []func() error
	read   atomic.Int64
	total  int64
	stream bool
}

// OpenFile opens a log file, or standard input for "-", and decompresses gzip,
// zstd and xz, which it knows by their first bytes, whatever the name says. The
// caller closes it.
func OpenFile(path string) (*File, error) {
	f := &File{total: -1}
	in := os.Stdin
	if path == "-" {
		f.stream = true
	} else {
		var err error
		if in, err = os.Open(path); err != nil {
			return nil, err
		}
		f.closes = append(f.closes, in.Close)
		st, err := in.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if st.IsDir() {
			return nil, errors.Join(fmt.Errorf("opening %s: is a directory", path), f.Close())
		}
		if st.Mode().IsRegular() {
			f.total = st.Size()
		} else {
			f.stream = true
		}
	}
	if err := f.decompress(in); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), f.Close())
	}
	return f, nil
}

func (f *File) decompress(in io.Reader) error {
	src := bufio.NewReaderSize(&countingReader{r: in, n: &f.read}, 256<<10)
	// A file shorter than a magic number is plain.
	head, err := src.Peek(6)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(src)
		if err != nil {
			return fmt.Errorf("reading gzip: %w", err)
		}
		f.r, f.closes = r, append(f.closes, r.Close)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(src, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("reading zstd: %w", err)
		}
		f.r, f.closes = r, append(f.closes, func() error { r.Close(); return nil })
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		r, err := xz.NewReader(src)
		if err != nil {
			return fmt.Errorf("reading xz: %w", err)
		}
		f.r = r
	default:
		f.r = src
	}
	return nil
}

// Read implements io.Reader on the decompressed text.
func (f *File) Read(p []byte) (int, error) { return f.r.Read(p) }

// Progress tells how many bytes were read of how many, both as stored, that is
// compressed; total is -1 for a pipe. Safe for concurrent use with Read.
func (f *File) Progress() (read, total int64) { return f.read.Load(), f.total }

// Close closes the file; standard input stays open.
func (f *File) Close() error {
	var errs []error
	for i := len(f.closes) - 1; i >= 0; i-- {
		errs = append(errs, f.closes[i]())
	}
	f.closes = nil
	return errors.Join(errs...)
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
