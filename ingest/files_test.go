package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/weir-dev/weir/schemas"
)

// logLine is line i of a test log: distinct, and i in its path.
func logLine(i int) string {
	return fmt.Sprintf(`198.51.100.%d - user-%d [02/Mar/2026:09:15:01 +0000] "GET /n/%d?x=\x22&token=t HTTP/1.1" 200 5 "-" "quo\"te"`, i%250, i%7, i)
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// compressions of a text, by how they are called.
func compressions(t *testing.T, text []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"plain": text}
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zstd": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"xz":   func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := open(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	return all
}

func TestFilesAreDecompressedByContentNotByName(t *testing.T) {
	text := []byte(strings.Repeat(logLine(1)+"\n", 500))
	for name, data := range compressions(t, text) {
		// A misleading name must not matter.
		f, err := OpenFile(writeFile(t, "access.log.gz", data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(text), err)
		}
		if read, total := f.Progress(); read != int64(len(data)) || total != read {
			t.Errorf("%s: progress %d of %d, want %d", name, read, total, len(data))
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: closing: %v", name, err)
		}
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := OpenFile(t.TempDir()); err == nil {
		t.Error("opened a directory")
	}
	if _, err := OpenFile(writeFile(t, "x", []byte{0x1f, 0x8b, 1, 2, 3})); err == nil {
		t.Error("opened garbage with a gzip header")
	}
	f, err := OpenFile(writeFile(t, "empty", nil))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("empty file: %d, %v", n, err)
	}
}

func TestReadLinesGivesEveryLineOnceWithItsOffset(t *testing.T) {
	long := strings.Repeat("y", DefaultMaxLine+1)
	text := "one\r\n\ntwo\n" + long + "\nthree\n" + long[1:] + "\n" + strings.Repeat("z", 3*DefaultMaxLine) + "\nlast"
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(text), "one byte": iotest.OneByteReader(strings.NewReader(text)), "half": iotest.HalfReader(strings.NewReader(text)),
	} {
		var got []string
		tooLarge := 0
		err := ReadLines(context.Background(), r, func(line []byte, offset int64) error {
			if !strings.HasPrefix(text[offset:], string(line)) {
				t.Errorf("%s: line of %d bytes is not at offset %d", name, len(line), offset)
			}
			if len(line) == DefaultMaxLine {
				line = line[:1]
			}
			got = append(got, string(line))
			return nil
		}, func(int64) { tooLarge++ })
		if err != nil || fmt.Sprint(got) != "[one two three y last]" || tooLarge != 2 {
			t.Errorf("%s: %q, %d too large, %v", name, got, tooLarge, err)
		}
	}
	stop := errors.New("enough")
	if err := ReadLines(context.Background(), strings.NewReader("a\nb"), func([]byte, int64) error { return stop }, nil); err != stop {
		t.Errorf("error of the callback: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ReadLines(ctx, strings.NewReader("a\nb"), func([]byte, int64) error { return nil }, nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	seen := 0
	broken := io.MultiReader(strings.NewReader("a\nb\ncut"), iotest.ErrReader(stop))
	if err := ReadLines(context.Background(), broken, func([]byte, int64) error { seen++; return nil }, nil); !errors.Is(err, stop) || seen != 2 {
		t.Errorf("reader that breaks: %d lines, %v", seen, err)
	}
}

// parseAll runs ParseFile and returns the events' canonical JSON in the order delivered.
func parseAll(t *testing.T, path string, opts ParseOptions) ([]string, Stats, error) {
	t.Helper()
	var events []string
	var batches []*Batch
	opts.Key = testKey(t)
	stats, err := ParseFile(context.Background(), path, opts, func(b *Batch) error {
		// Some batches are held for a while: their memory must stay theirs.
		if batches = append(batches, b); len(batches) < 4 {
			return nil
		}
		for _, b := range batches {
			for i := range b.Events {
				events = append(events, canonicalJSON(&b.Events[i]))
			}
			b.Release()
		}
		batches = nil
		return nil
	})
	for _, b := range batches {
		for i := range b.Events {
			events = append(events, canonicalJSON(&b.Events[i]))
		}
	}
	return events, stats, err
}

func TestParallelParsingKeepsFileOrderAndCountsEveryLine(t *testing.T) {
	const n = 8_000
	var text strings.Builder
	var want []string
	a := testAdapter(t, FormatCombined, Options{})
	refused := 0
	for i := range n {
		if i%997 == 3 {
			text.WriteString("not a log line\n")
			refused++
			continue
		}
		text.WriteString(logLine(i) + "\n")
		want = append(want, canonicalJSON(mustParse(t, a, logLine(i))))
		if i == n/2 {
			text.WriteString(strings.Repeat("x", DefaultMaxLine+10) + "\n\n")
		}
	}
	for name, data := range compressions(t, []byte(text.String())) {
		var last, total int64
		got, stats, err := parseAll(t, writeFile(t, "access.log", data), ParseOptions{
			Format: FormatAuto, Workers: 4, Progress: func(r, tot int64) { last, total = r, tot },
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d events, want %d", name, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: event %d is %s, want %s", name, i, got[i], want[i])
			}
		}
		if stats.Format != FormatCombined || stats.Lines != n+1 || stats.Parsed != int64(len(want)) || stats.RefusedTotal() != int64(refused)+1 {
			t.Errorf("%s: stats %+v", name, stats)
		}
		if stats.Refused[ReasonNoMatch] != int64(refused) || stats.Refused[schemas.ReasonTooLarge] != 1 || len(stats.First) != maxRefusals {
			t.Errorf("%s: refused %v, first %v", name, stats.Refused, stats.First)
		}
		for _, r := range stats.First[:3] {
			if !strings.HasPrefix(text.String()[r.Offset:], "not a log line\n") {
				t.Errorf("%s: no refused line at offset %d", name, r.Offset)
			}
		}
		if last != int64(len(data)) || total != last {
			t.Errorf("%s: progress ended at %d of %d, want %d", name, last, total, len(data))
		}
	}
}

func TestParseFileEndsWithTheFirstError(t *testing.T) {
	text := []byte(strings.Repeat(logLine(1)+"\n", 6_000))
	path := writeFile(t, "a", text)
	stop := errors.New("enough")
	if _, err := ParseFile(context.Background(), path, ParseOptions{}, func(*Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of the sink: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := ParseFile(ctx, path, ParseOptions{}, func(*Batch) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	none := func(*Batch) error { return nil }
	if _, err := ParseFile(context.Background(), path, ParseOptions{Format: "nope"}, none); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("unknown format: %v", err)
	}
	if _, err := ParseFile(context.Background(), writeFile(t, "b", []byte("what\nis\nthis\n")), ParseOptions{}, none); !errors.Is(err, ErrNotDetected) {
		t.Errorf("unknown log: %v", err)
	}
	if stats, err := ParseFile(context.Background(), writeFile(t, "c", nil), ParseOptions{}, none); err != nil || stats.Lines != 0 {
		t.Errorf("empty file: %+v, %v", stats, err)
	}
	// What a cut file still holds is delivered before the error.
	gz := compressions(t, text)["gzip"]
	stats, err := ParseFile(context.Background(), writeFile(t, "d", gz[:len(gz)-100]), ParseOptions{}, none)
	if !errors.Is(err, io.ErrUnexpectedEOF) || stats.Parsed == 0 {
		t.Errorf("cut file: %d parsed, %v", stats.Parsed, err)
	}
}
