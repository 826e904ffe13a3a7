//go:build !unix

package stream

import "os"

// lockFile does not lock where the system has no advisory locks that it frees
// with the process.
func lockFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
}
