package ingest

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestRealAccessLogsParse reads the logs of real servers, which are not part of
// the project.
func TestRealAccessLogsParse(t *testing.T) {
	dir := os.Getenv("WEIR_DATASETS")
	if dir == "" {
		t.Skip("did not run: WEIR_DATASETS names no directory with access-logs.tar.xz")
	}
	file, err := os.Open(filepath.Join(dir, "access-logs.tar.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := xz.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for archive := tar.NewReader(plain); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag != tar.TypeReg || strings.HasSuffix(entry.Name, "auth.log") {
			continue
		}
		read++
		t.Run(strings.ReplaceAll(entry.Name, "/", "-"), func(t *testing.T) {
			events := 0
			stats, err := ParseReader(context.Background(), archive, ParseOptions{}, func(b *Batch) error {
				for i := range b.Events {
					ev := &b.Events[i]
					if ev.Time <= 0 || len(ev.ClientIP) == 0 || ev.RespBytes < 0 {
						t.Errorf("incomplete event: %s", ev.AppendJSON(nil))
					}
				}
				events += len(b.Events)
				b.Release()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d lines, %d parsed (%.3f %%), refused %v %v",
				stats.Format, stats.Lines, stats.Parsed, 100*float64(stats.Parsed)/float64(stats.Lines), stats.Refused, stats.First)
			if int64(events) != stats.Parsed || float64(stats.Parsed) < 0.999*float64(stats.Lines) {
				t.Errorf("%d of %d lines parsed, %d delivered", stats.Parsed, stats.Lines, events)
			}
		})
	}
	if read == 0 {
		t.Error("the archive holds no access log")
	}
}
