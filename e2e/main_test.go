// Package e2e tests weir whole: its binary, on an embedded and on a real Kafka,
// through kills, floods, garbage and every way of dividing up the same events.
//
// Every test has a short form; WEIR_FULL=1 selects the long one. Figures are
// printed last, as `go test -v` shows them.
package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/stream"
)

// brokerVariable makes the test binary an embedded broker, to be killed by a
// test: address and data directory with a comma between.
const brokerVariable = "WEIR_E2E_BROKER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(brokerVariable); spec != "" {
		if err := serveBroker(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "weir-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir) // what is left lies in the system's temporary folder
	os.Exit(code)
}

// serveBroker runs a broker until standard input ends, as it does when the test
// that started it is gone.
func serveBroker(spec string) error {
	addr, dir, _ := strings.Cut(spec, ",")
	b, err := stream.StartEmbedded(stream.EmbeddedConfig{Addr: addr, DataDir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

var buildDir string

// build makes the binary once, when the first test needs it.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "weir")
	cmd := exec.Command("go", "build", "-o", path, "../cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building weir: %w\n%s", err, out)
	}
	return path, nil
})

// full tells whether the long form was asked for.
func full() bool { return os.Getenv("WEIR_FULL") == "1" }

// choose is short or long, by the form asked for.
func choose[T any](short, long T) T {
	if full() {
		return long
	}
	return short
}

// eventually polls until ok, and fails the test when that takes too long.
func eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	if !poll(t.Context(), within, ok) {
		t.Fatalf("waited %s in vain for %s", within, what)
	}
}

// poll calls ok until it is true; it gives up after within.
func poll(ctx context.Context, within time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
