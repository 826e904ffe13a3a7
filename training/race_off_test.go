//go:build !race

package training

import "testing"

func slow(*testing.T) {}
