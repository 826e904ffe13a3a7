//go:build unix

package stream

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes an advisory lock that the system frees with the process.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrDataDirInUse
		}
		return nil, err
	}
	return f, nil
}
