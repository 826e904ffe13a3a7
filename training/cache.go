package training

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/weir-dev/weir/schemas"
)

// Cache keeps the records of a Source in a compressed file, so that reading them
// again costs neither simulation nor parsing nor extraction.
type Cache struct {
	source Source
	file   *os.File
	filled bool
}

// NewCache returns a Cache whose file is in dir, or the system's temporary
// directory if dir is empty. Close removes it.
func NewCache(source Source, dir string) (*Cache, error) {
	f, err := os.CreateTemp(dir, "weir-training-*")
	if err != nil {
		return nil, fmt.Errorf("creating the cache of features: %w", err)
	}
	return &Cache{source: source, file: f}, nil
}

// Close removes the file.
func (c *Cache) Close() error {
	return errors.Join(c.file.Close(), os.Remove(c.file.Name()))
}

// Source is the cached Source: read to its end once, it reads the file from then
// on.
func (c *Cache) Source(yield func(*schemas.ClientFeatures)) error {
	if c.filled {
		return c.read(yield)
	}
	if err := c.file.Truncate(0); err != nil {
		return fmt.Errorf("emptying the cache of features: %w", err)
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewinding the cache of features: %w", err)
	}
	z, err := zstd.NewWriter(c.file, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("compressing the cache of features: %w", err)
	}
	w := bufio.NewWriterSize(z, 1<<20)
	var buf []byte
	err = c.source(func(f *schemas.ClientFeatures) {
		buf = f.AppendProto(append(buf[:0], 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(buf, uint32(len(buf)-4))
		_, _ = w.Write(buf) // the error stays and is returned by Flush
		yield(f)
	})
	if err != nil {
		return errors.Join(err, z.Close())
	}
	if err := errors.Join(w.Flush(), z.Close()); err != nil {
		return fmt.Errorf("writing the cache of features: %w", err)
	}
	c.filled = true
	return nil
}

func (c *Cache) read(yield func(*schemas.ClientFeatures)) error {
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewinding the cache of features: %w", err)
	}
	z, err := zstd.NewReader(c.file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("reading the cache of features: %w", err)
	}
	defer z.Close()
	r := bufio.NewReaderSize(z, 1<<20)
	var f schemas.ClientFeatures
	var size [4]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(r, size[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the cache of features: %w", err)
		}
		n := int(binary.LittleEndian.Uint32(size[:]))
		if cap(buf) < n {
			buf = make([]byte, 2*n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf); err != nil {
			return fmt.Errorf("reading the cache of features: %w", err)
		}
		if err := f.DecodeProto(buf); err != nil {
			return fmt.Errorf("reading the cache of features: %w", err)
		}
		yield(&f)
	}
}
