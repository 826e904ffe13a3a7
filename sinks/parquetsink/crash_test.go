package parquetsink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

func config(opts []kgo.Opt, w sinks.Writer) sinks.Config {
	return sinks.Config{
		Opts: opts, Topics: sinks.Topics{Events: topic}, Group: "parquet", Writer: w,
		ChunkRows: 40, ChunkInterval: 20 * time.Millisecond, RetryMin: time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// produce appends n events to each partition, around midnight, and returns ids.
func produce(t testing.TB, c *kafkatest.Cluster, partitions int32, from, n int) []string {
	t.Helper()
	midnight := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	var recs []*kgo.Record
	var ids []string
	for i := from; i < from+n; i++ {
		for p := range partitions {
			ev := schemas.NewEvent()
			ev.ID = fmt.Appendf(nil, "e-%d-%d", p, i)
			ev.Time = midnight.Add(time.Duration(i%20-10) * time.Second).UnixMicro()
			ids = append(ids, string(ev.ID))
			rec := kafkatest.Event(topic, p, ev)
			if i%3 == 0 {
				rec = kafkatest.EventProto(topic, p, ev)
			}
			rec.Timestamp = midnight
			recs = append(recs, rec)
		}
	}
	c.Produce(t, recs...)
	return ids
}

// stored reads the ids of all finished files.
func stored(t testing.TB, dir string) []string {
	t.Helper()
	type row struct {
		ID string `parquet:"id"`
	}
	var ids []string
	for _, name := range files(t, dir) {
		if !strings.HasSuffix(name, ".parquet") {
			continue
		}
		rows, err := parquet.ReadFile[row](filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("reading %s: %v", name, err)
		}
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func checkExactlyOnce(t *testing.T, dir string, want []string) {
	t.Helper()
	got := stored(t, dir)
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("stored %d rows, %d distinct, want %d", len(got), len(slices.Compact(slices.Clone(got))), len(want))
	}
}

var errKilled = errors.New("killed")

// The writer dies after it finished a temporary file, or between the files of
// two days of one chunk. What it left is completed or replaced, never doubled.
func TestADeathInsideAChunkLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"finished", "published"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			c := kafkatest.New(t, 2, topic)
			ids := produce(t, c, 2, 0, 150)
			dir := t.TempDir()
			for life := range 3 {
				w, err := New(dir)
				if err != nil {
					t.Fatal(err)
				}
				var seen atomic.Int64
				dies := int64(1 + life)
				w.crash = func(s string) error {
					if s == step && seen.Add(1) == dies {
						return errKilled
					}
					return nil
				}
				cfg := config(c.Opts, w)
				cfg.ChunkRows = 20 + 7*life
				if err := sinks.Run(t.Context(), cfg); !errors.Is(err, errKilled) {
					t.Fatalf("life %d: %v", life, err)
				}
			}
			if leftovers := unfinished(t, dir); step == "finished" && leftovers == 0 {
				t.Error("no life left an unfinished file")
			}
			w, err := New(dir)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- sinks.Run(ctx, config(c.Opts, w)) }()
			kafkatest.Until(t, "everything is committed", func() bool {
				a, _ := c.Committed(t, "parquet", topic, 0)
				b, _ := c.Committed(t, "parquet", topic, 1)
				return a == 150 && b == 150
			})
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			checkExactlyOnce(t, dir, ids)
			if n := unfinished(t, dir); n != 0 {
				t.Errorf("%d unfinished files are left", n)
			}
		})
	}
}

func unfinished(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	for _, name := range files(t, dir) {
		if strings.HasSuffix(name, tmpSuffix) {
			n++
		}
	}
	return n
}

// Variables that turn the test binary into a sink of its own process.
const (
	childSeeds = "WEIR_PARQUETSINK_TEST_SEEDS"
	childDir   = "WEIR_PARQUETSINK_TEST_DIR"
)

func TestMain(m *testing.M) {
	if seeds := os.Getenv(childSeeds); seeds != "" {
		if err := child(seeds, os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child runs a sink until it is killed and tells of each chunk on stdout.
func child(seeds, dir string) error {
	w, err := New(dir)
	if err != nil {
		return err
	}
	w.crash = func(step string) error {
		_, err := fmt.Fprintln(os.Stdout, step)
		return err
	}
	return sinks.Run(context.Background(), config([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(seeds, ",")...),
		// The broker has to notice each death.
		kgo.SessionTimeout(200 * time.Millisecond), kgo.HeartbeatInterval(50 * time.Millisecond),
	}, w))
}

func TestSIGKILLAtAnyInstantLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const partitions = 3
	c := kafkatest.New(t, partitions, topic)
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	var ids []string
	produced := 0
	for range 4 {
		ids = append(ids, produce(t, c, partitions, produced, 100)...)
		produced += 100
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childSeeds+"="+strings.Join(c.Fake.ListenAddrs(), ","), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It dies while it works: some steps after its first.
		lines := bufio.NewScanner(out)
		for range 1 + rng.IntN(12) {
			if !lines.Scan() {
				t.Fatal("the sink ended by itself")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
	w, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sinks.Run(ctx, config(c.Opts, w)) }()
	kafkatest.Until(t, "everything is committed", func() bool {
		for p := range int32(partitions) {
			if at, _ := c.Committed(t, "parquet", topic, p); at != int64(produced) {
				return false
			}
		}
		return true
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkExactlyOnce(t, dir, ids)
}

// Somebody removes a file that is being written: another process that starts on
// the same directory does. The chunk is written again.
func TestAnUnfinishedFileThatVanishesIsWrittenAgain(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, 1, topic)
	ids := produce(t, c, 1, 0, 30)
	dir := t.TempDir()
	w, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	var once atomic.Bool
	w.crash = func(step string) error {
		if step == "finished" && once.CompareAndSwap(false, true) {
			other, err := New(dir)
			if err != nil {
				return err
			}
			return other.Prepare(context.Background())
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sinks.Run(ctx, config(c.Opts, w)) }()
	kafkatest.Until(t, "everything is committed", func() bool {
		at, _ := c.Committed(t, "parquet", topic, 0)
		return at == 30
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkExactlyOnce(t, dir, ids)
}
