package stream

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const childEnv = "WEIR_STREAM_TEST_WORKER"

// TestMain lets the test binary be the worker that a test kills.
func TestMain(m *testing.M) {
	addr := os.Getenv(childEnv)
	if addr == "" {
		// The tests wait for time-outs more than they compute, so more of them
		// can run at once than there are processors.
		flag.Parse()
		if err := flag.Set("test.parallel", "5"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if err := Run(context.Background(), fast([]string{addr}, killedConfig())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func killedConfig() Config {
	cfg := windowsConfig()
	cfg.SnapshotInterval = EveryCommit
	return cfg
}

func TestSIGKILLedProcessesLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Skip("no path to the test binary: ", err)
	}
	const partitions = 8
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	start := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+b.addrs[0])
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return cmd
	}
	workers := []*exec.Cmd{start(), start()}
	fed := 0
	more := func() {
		feed(b, "in", partitions, fed, 250)
		fed += 250
	}
	for kill := range 4 {
		before := b.written("out")
		more()
		eventually(t, "output", func() bool { return b.written("out") > before })
		i := kill % 2
		if err := workers[i].Process.Kill(); err != nil {
			t.Fatal(err)
		}
		workers[i].Wait()
		more()
		workers[i] = start()
	}
	eventually(t, "the workers to catch up", func() bool { return b.behind("g", "in") == 0 })
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}
