package clickhousefront

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// requestBody is the request body without its HTTP content encoding and, if
// nativeBlocks is set, without ClickHouse's own block compression (the
// decompress=1 parameter).
func requestBody(body io.Reader, contentEncoding string, nativeBlocks bool) (io.Reader, error) {
	r, err := contentReader(body, contentEncoding)
	if err != nil {
		return nil, newException(codeCannotDecompress, "CANNOT_DECOMPRESS", "%s request body: %v", contentEncoding, err)
	}
	if nativeBlocks {
		r = newBlockReader(r)
	}
	return r, nil
}

// blockReader adapts the block decompressor to io.Reader's contract: it reports
// the end of the data as a wrapped error, whether it comes between two blocks
// or inside of one, and after an error it hands out the last block again.
type blockReader struct {
	source *countingReader
	blocks *chcompress.Reader
	err    error
}

func newBlockReader(r io.Reader) *blockReader {
	source := &countingReader{r: r}
	return &blockReader{source: source, blocks: chcompress.NewReader(source)}
}

func (b *blockReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	before := b.source.n
	n, err := b.blocks.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.EOF
		if b.source.n != before {
			err = io.ErrUnexpectedEOF
		}
	}
	b.err = err
	return n, err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func contentReader(body io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(body)
	case "deflate":
		return zlib.NewReader(body)
	case "br":
		return brotli.NewReader(body), nil
	case "lz4":
		return lz4.NewReader(body), nil
	case "zstd":
		d, err := zstd.NewReader(body)
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("unknown encoding %q", encoding)
	}
}

// responseEncoding picks the encoding for an Accept-Encoding header, empty for
// none. Only encodings that clients of ClickHouse ask for are offered.
func responseEncoding(accept string) string {
	offered := make(map[string]bool)
	for part := range strings.SplitSeq(accept, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		offered[strings.ToLower(strings.TrimSpace(name))] = strings.ReplaceAll(quality, " ", "") != "q=0"
	}
	for _, name := range []string{"br", "gzip", "deflate", "zstd", "lz4"} {
		if offered[name] {
			return name
		}
	}
	return ""
}

// encodeResponse compresses data with an encoding responseEncoding returned.
func encodeResponse(w io.Writer, data []byte, encoding string) error {
	var enc io.WriteCloser
	switch encoding {
	case "br":
		enc = brotli.NewWriterLevel(w, brotli.BestSpeed)
	case "gzip":
		enc = gzip.NewWriter(w)
	case "deflate":
		enc = zlib.NewWriter(w)
	case "lz4":
		enc = lz4.NewWriter(w)
	case "zstd":
		z, err := zstd.NewWriter(w)
		if err != nil {
			return err
		}
		enc = z
	default:
		_, err := w.Write(data)
		return err
	}
	if _, err := enc.Write(data); err != nil {
		return err
	}
	return enc.Close()
}

// nativeBlockSize is how much data goes into one compressed block, the
// server's own default.
const nativeBlockSize = 1 << 20

// compressBlocks applies ClickHouse's block compression (compress=1). method
// is the network_compression_method setting; empty means LZ4.
func compressBlocks(data []byte, method string) ([]byte, error) {
	var m chcompress.Method
	switch strings.ToUpper(method) {
	case "", "LZ4":
		m = chcompress.LZ4
	case "ZSTD":
		m = chcompress.ZSTD
	case "NONE":
		m = chcompress.None
	default:
		return nil, newException(codeUnknownCodec, "UNKNOWN_CODEC", "Unknown network compression method %s", method)
	}
	w := chcompress.NewWriter(chcompress.LevelZero, m)
	var out []byte
	for len(data) > 0 {
		n := min(len(data), nativeBlockSize)
		if err := w.Compress(data[:n]); err != nil {
			return nil, fmt.Errorf("compressing a block: %w", err)
		}
		out = append(out, w.Data...)
		data = data[n:]
	}
	return out, nil
}
