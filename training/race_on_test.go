//go:build race

package training

import "testing"

// slow leaves a test out under the race detector: it makes them ten times as
// slow, and in a package without goroutines a few are enough for it.
func slow(t *testing.T) { t.Skip("without the race detector only") }
