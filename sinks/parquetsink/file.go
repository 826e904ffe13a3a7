package parquetsink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
)

// file is one Parquet file on its way: created, finished, published.
type file struct {
	tmp       *os.File
	path, dir string
	w         *parquet.GenericWriter[any]
	rows      int // in the open row group
	published bool
}

// finish completes the file and makes its content survive a crash; it returns
// the size.
func (f *file) finish() (int64, error) {
	if err := f.w.Close(); err != nil {
		return 0, err
	}
	if err := f.tmp.Sync(); err != nil {
		return 0, err
	}
	info, err := f.tmp.Stat()
	if err != nil {
		return 0, err
	}
	// CreateTemp makes files that only their owner reads; history is for others too.
	if err := f.tmp.Chmod(0o644); err != nil {
		return 0, err
	}
	return info.Size(), f.tmp.Close()
}

// publish gives the file its name and makes the name survive a crash.
func (f *file) publish() error {
	if err := os.Rename(f.tmp.Name(), f.path); err != nil {
		return err
	}
	f.published = true
	return syncDir(f.dir)
}

// discard removes a file that was not published.
func (f *file) discard() {
	if f.published {
		return
	}
	// Closing again is an error that says nothing; a file that stays is removed
	// by the next Prepare.
	_ = f.tmp.Close()
	_ = os.Remove(f.tmp.Name())
}

// makeDir creates a directory and its parents and makes the new names durable:
// a synced file in a directory whose own name is lost is lost too.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%w: %s is not a directory", ErrDir, dir)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
