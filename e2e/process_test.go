package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running weir.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // of the end, once done is closed
}

// launch starts the weir binary. Its log is shown if the test fails.
func launch(t testing.TB, name string, args ...string) *process {
	t.Helper()
	exe, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, name, exec.Command(exe, args...))
}

func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	log, err := os.CreateTemp(t.ArtifactDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.Env == nil {
		cmd.Env = cleanEnvironment()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = log.Close() // the child has its own
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		if t.Failed() && p.alive() {
			// The Go runtime's answer is what every goroutine is waiting for.
			_ = cmd.Process.Signal(syscall.SIGQUIT) // it may just have ended
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
			}
		}
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, p.excerpt())
		}
	})
	return p
}

// cleanEnvironment leaves out what would configure weir behind a test's back.
func cleanEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WEIR_") {
			env = append(env, v)
		}
	}
	return env
}

// excerpt is the beginning and the end of the log, and where it is whole if
// tests keep their artifacts (go test -artifacts).
func (p *process) excerpt() string {
	const part = 4 << 10
	log, err := os.ReadFile(p.log)
	switch {
	case err != nil:
		return err.Error()
	case len(log) <= 2*part:
		return string(log)
	}
	return fmt.Sprintf("%s\n... (%d bytes; whole in %s)\n%s", log[:part], len(log)-2*part, p.log, log[len(log)-part:])
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the process as a power cut does, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// stop ends the process as an operator does and returns how long it took.
func (p *process) stop(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stopping %s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not stop within 30 s of SIGTERM", p.name)
	}
	if p.err != nil {
		t.Fatalf("%s stopped with %v", p.name, p.err)
	}
	return time.Since(began)
}

// ended fails the test if the process ended by itself.
func (p *process) ended(t testing.TB) bool {
	t.Helper()
	select {
	case <-p.done:
		t.Fatalf("%s ended by itself: %v", p.name, p.err)
		return true
	default:
		return false
	}
}

// run runs a weir command to its end and returns what it printed.
func run(t testing.TB, args ...string) (stdout []byte, err error) {
	t.Helper()
	exe, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = cleanEnvironment()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("weir %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return stdout, err
}

// freeAddress is a loopback address nobody listens on, below the range from
// which systems give ports to clients, so that it stays free while its server
// is killed and started again.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal(errors.New("no free port"))
	return ""
}

// killableBroker is an embedded broker in a process of its own.
type killableBroker struct {
	t    testing.TB
	addr string
	dir  string
	now  *process
}

func newKillableBroker(t testing.TB) *killableBroker {
	b := &killableBroker{t: t, addr: freeAddress(t), dir: filepath.Join(t.TempDir(), "broker")}
	b.Start()
	return b
}

func (b *killableBroker) Start() {
	b.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(cleanEnvironment(), brokerVariable+"="+b.addr+","+b.dir)
	// The read end closes with this process, however that ends.
	if _, err := cmd.StdinPipe(); err != nil {
		b.t.Fatal(err)
	}
	b.now = start(b.t, "broker", cmd)
	eventually(b.t, "the broker to listen", 30*time.Second, func() bool {
		b.now.ended(b.t)
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (b *killableBroker) Kill() { b.now.kill() }
