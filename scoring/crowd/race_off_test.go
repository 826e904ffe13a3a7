//go:build !race

package crowd

import "testing"

func slow(*testing.T) {}
