package parquetsink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/weir-dev/weir/sinks"
)

// Chunk limits that suit files: fewer and larger than inserts. A file holds what
// one partition gave in this time, if it gives less than the rows.
const (
	ChunkRows     = 500_000
	ChunkInterval = time.Minute
)

const tmpSuffix = ".tmp"

// ErrDir says that the directory cannot be used.
var ErrDir = errors.New("invalid parquet directory")

// Writer writes chunks as Parquet files under one directory. It implements
// sinks.Writer and sinks.Preparer. Several sinks may share a directory.
type Writer struct {
	dir      string
	events   *table[sinks.EventRow]
	features *table[sinks.FeatureRow]
	verdicts *table[sinks.VerdictRow]

	// crash is called after each step; an error leaves everything as it is, as a
	// killed process would. Tests set it.
	crash func(step string) error
}

var (
	_ sinks.Writer   = (*Writer)(nil)
	_ sinks.Preparer = (*Writer)(nil)
)

// errCrash wraps what Writer.crash returns.
var errCrash = errors.New("crashed")

// New makes a writer for a directory, which Prepare creates.
func New(dir string) (*Writer, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: empty", ErrDir)
	}
	w := &Writer{
		dir:      filepath.Clean(dir),
		events:   newTable(sinks.TableEvents, sinks.EventColumns(), func(r *sinks.EventRow) int32 { return r.Day }),
		features: newTable(sinks.TableFeatures, sinks.FeatureColumns(), func(r *sinks.FeatureRow) int32 { return r.Day }),
		verdicts: newTable(sinks.TableVerdicts, sinks.VerdictColumns(), func(r *sinks.VerdictRow) int32 { return r.Day }),
		crash:    func(string) error { return nil },
	}
	return w, nil
}

// Prepare creates the directory and removes what killed writers left behind. A
// writer of another process whose unfinished file is removed writes it again.
func (w *Writer) Prepare(ctx context.Context) error {
	if err := makeDir(w.dir); err != nil {
		return err
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if name := d.Name(); d.Type().IsRegular() && name[0] == '.' && strings.HasSuffix(name, tmpSuffix) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return classed(fmt.Errorf("removing unfinished files: %w", err))
	}
	return nil
}

// WriteChunk implements sinks.Writer. A full disk is worth a retry; other I/O
// errors are not.
func (w *Writer) WriteChunk(ctx context.Context, c *sinks.Chunk) (sinks.Written, error) {
	var written sinks.Written
	var err error
	switch c.Table {
	case sinks.TableEvents:
		written, err = writeChunk(ctx, w, c, w.events, c.Events)
	case sinks.TableFeatures:
		written, err = writeChunk(ctx, w, c, w.features, c.Features)
	case sinks.TableVerdicts:
		written, err = writeChunk(ctx, w, c, w.verdicts, c.Verdicts)
	default:
		err = fmt.Errorf("unknown table %q", c.Table)
	}
	if err != nil {
		return sinks.Written{}, classed(fmt.Errorf("writing parquet: %w", err))
	}
	return written, nil
}

// classed marks the errors that time heals.
func classed(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &sinks.RetryError{Code: "disk_full", Err: err}
	case errors.Is(err, fs.ErrNotExist):
		// Another process's Prepare, or somebody who moves old days away, removed
		// the file or its directory under our hands.
		return &sinks.RetryError{Code: "vanished", Err: err}
	}
	return err
}

// chunkFiles are the files of one chunk, one per day.
type chunkFiles[R any] struct {
	w      *Writer
	c      *sinks.Chunk
	t      *table[R]
	files  map[int32]*file
	values []parquet.Value
	rows   map[int32][]*R
}

func writeChunk[R any](ctx context.Context, w *Writer, c *sinks.Chunk, t *table[R],
	walk func(func([]R) error) error,
) (written sinks.Written, err error) {
	out := &chunkFiles[R]{w: w, c: c, t: t, files: make(map[int32]*file), rows: make(map[int32][]*R)}
	defer func() {
		if errors.Is(err, errCrash) {
			return
		}
		for _, f := range out.files {
			f.discard()
		}
	}()
	err = walk(func(rows []R) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		written.Rows += int64(len(rows))
		return out.add(rows)
	})
	if err != nil {
		return written, err
	}
	days := make([]int32, 0, len(out.files))
	for day := range out.files {
		days = append(days, day)
	}
	slices.Sort(days)
	for _, day := range days {
		n, err := out.files[day].finish()
		if err != nil {
			return written, err
		}
		written.Bytes += n
		if err := w.step("finished"); err != nil {
			return written, err
		}
	}
	for _, day := range days {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		if err := out.files[day].publish(); err != nil {
			return written, err
		}
		if err := w.step("published"); err != nil {
			return written, err
		}
	}
	return written, nil
}

func (w *Writer) step(name string) error {
	if err := w.crash(name); err != nil {
		return fmt.Errorf("%w: %w", errCrash, err)
	}
	return nil
}

// add writes rows to the files of their days, in order.
func (o *chunkFiles[R]) add(rows []R) error {
	for i := range rows {
		day := o.t.day(&rows[i])
		o.rows[day] = append(o.rows[day], &rows[i])
	}
	for day, group := range o.rows {
		if len(group) == 0 {
			continue
		}
		f := o.files[day]
		if f == nil {
			var err error
			if f, err = o.create(day); err != nil {
				return err
			}
			o.files[day] = f
		}
		if err := o.t.write(f.w, &o.values, group); err != nil {
			return err
		}
		if f.rows += len(group); f.rows >= rowsPerGroup {
			if err := f.w.Flush(); err != nil {
				return err
			}
			f.rows = 0
		}
		o.rows[day] = group[:0]
	}
	return nil
}

func (o *chunkFiles[R]) create(day int32) (*file, error) {
	dir := filepath.Join(o.w.dir, string(o.t.name),
		"dt="+time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly))
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d-%d-%d.parquet", o.c.Topic, o.c.Partition, o.c.First, o.c.End-1)
	// A random part, because the partition's former owner may still be writing
	// the same range: each finishes a file of its own and the last rename wins.
	tmp, err := os.CreateTemp(dir, "."+name+".*"+tmpSuffix)
	if err != nil {
		return nil, err
	}
	return &file{
		tmp: tmp, path: filepath.Join(dir, name), dir: dir,
		// A new one for every file: after Close and Reset the library (v0.32.0)
		// writes column chunks without their paths.
		w: parquet.NewGenericWriter[any](tmp, o.t.options...),
	}, nil
}
