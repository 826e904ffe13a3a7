package services

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Cluster is a Kafka cluster of one test's own, whose brokers it may kill.
type Cluster struct {
	// Addrs are the seed addresses (host:port), broker 1 first. A broker that
	// was killed comes back at its address.
	Addrs []string

	script, dir string
}

// PrivateKafka starts a cluster of one to nine brokers for this test alone and
// removes it when the test ends. It takes some seconds and about 150 MB of
// memory for each broker, so it is for tests that kill brokers. It is skipped
// under the same conditions as Kafka.
func PrivateKafka(t testing.TB, brokers int) *Cluster {
	t.Helper()
	required(t, "Kafka", kafkaVariable)
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{script: script, dir: t.TempDir()}
	t.Cleanup(func() {
		if err := c.run("down"); err != nil {
			t.Error(err)
		}
	})
	if err := c.run("up", "--only", "kafka", "--brokers", strconv.Itoa(brokers)); err != nil {
		t.Fatal(err)
	}
	env, err := c.output("env")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(env) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "export "+kafkaVariable+"="); ok {
			c.Addrs = addresses(list)
		}
	}
	if len(c.Addrs) != brokers {
		t.Fatalf("started %d brokers, want %d", len(c.Addrs), brokers)
	}
	return c
}

// Kill ends broker n (from 1) with SIGKILL and returns when it is gone.
func (c *Cluster) Kill(n int) error { return c.run("kill-broker", strconv.Itoa(n)) }

// Start starts a killed broker on its old data and port and returns when it
// serves clients. A running broker is left as it is.
func (c *Cluster) Start(n int) error { return c.run("start-broker", strconv.Itoa(n)) }

func (c *Cluster) run(args ...string) error {
	_, err := c.output(args...)
	return err
}

func (c *Cluster) output(args ...string) (string, error) {
	cmd := exec.Command(c.script, args...)
	cmd.Env = append(os.Environ(), "WEIR_SERVICES_DIR="+c.dir)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("running scripts/services %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// findScript looks for scripts/services from the working directory upwards:
// tests run in their package's directory.
func findScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		script := filepath.Join(dir, "scripts", "services")
		if info, err := os.Stat(script); err == nil && info.Mode().IsRegular() {
			return script, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the checkout: no scripts/services above the working directory")
		}
		dir = parent
	}
}
