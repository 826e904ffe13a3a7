package stream

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestOutputEqualsOnePassOverTheInput(t *testing.T) {
	t.Parallel()
	f := func(delivery Delivery, snapshotInterval time.Duration) {
		t.Helper()
		b := newBed(t, specs(4, "in", "out", "state", "dead")...)
		cfg := patient(windowsConfig())
		cfg.Delivery, cfg.SnapshotInterval = delivery, snapshotInterval
		w := startWorker(t, b.addrs, cfg)
		for i := range 5 {
			feed(b, "in", 4, i*200, 200)
		}
		eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
		if err := w.stop(t); err != nil {
			t.Fatal(err)
		}
		compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), 4), 4)
		if b.count("state") == 0 {
			t.Error("no snapshots were written")
		}
	}
	f(ExactlyOnce, EveryCommit)
	f(ExactlyOnce, 200*time.Millisecond)
	f(AtLeastOnce, EveryCommit)
}

func TestKilledWorkersLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const partitions = 8
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = 100 * time.Millisecond
	start := func(i int) *worker {
		c := cfg
		c.InstanceID = fmt.Sprintf("w%d", i)
		return startWorker(t, b.addrs, c)
	}
	workers := []*worker{start(0), start(1)}
	fed := 0
	more := func() {
		feed(b, "in", partitions, fed, 250)
		fed += 250
	}
	const kills = 6
	for kill := range kills {
		before := b.written("out")
		more()
		eventually(t, "output after a kill", func() bool { return b.written("out") > before })
		i := kill % 2
		workers[i].kill()
		more() // while one is dead
		workers[i] = start(i)
	}
	eventually(t, "the workers to catch up", func() bool { return b.behind("g", "in") == 0 })
	for _, w := range workers {
		if err := w.stop(t); err != nil {
			t.Error(err)
		}
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}

func TestBrokerRestartLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const partitions = 4
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = 100 * time.Millisecond
	workers := []*worker{startWorker(t, b.addrs, cfg), startWorker(t, b.addrs, cfg)}
	for i := range 3 {
		before := b.written("out")
		feed(b, "in", partitions, i*400, 200)
		eventually(t, "output", func() bool { return b.written("out") > before })
		feed(b, "in", partitions, i*400+200, 200)
		b.restart()
	}
	eventually(t, "the workers to catch up", func() bool { return b.behind("g", "in") == 0 })
	for _, w := range workers {
		if err := w.stop(t); err != nil {
			t.Error(err)
		}
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}

func TestRebalancesRollBackAndRestore(t *testing.T) {
	t.Parallel()
	const partitions = 8
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = 50 * time.Millisecond
	first := startWorker(t, b.addrs, cfg)
	<-first.ready
	fed := 0
	more := func() {
		feed(b, "in", partitions, fed, 15)
		fed += 15
	}
	for range 2 {
		more()
		second := startWorker(t, b.addrs, cfg)
		more()
		eventually(t, "the second worker to have partitions", func() bool {
			more()
			return second.metric(t, "weir_stream_partitions") > 0 && second.metric(t, "weir_stream_records_total") > 0
		})
		more()
		if err := second.stop(t); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := first.stop(t); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}

func TestRestoreReplaysOnlyTheTail(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = 20 * time.Millisecond
	w := startWorker(t, b.addrs, cfg)
	feed(b, "in", 1, 0, 3000)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	// An idle worker completes its snapshots.
	c := clusterOf(b.cl)
	eventually(t, "snapshots at the end of the input", func() bool {
		st, err := c.loadSnapshots(b.ctx(), &cfg, 0, windowShards, map[string]int64{"in": 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		for shard := range windowShards {
			if st.shards[shard].next["in"] != 3000 {
				return false
			}
		}
		return true
	})
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	w = startWorker(t, b.addrs, cfg)
	<-w.ready
	eventually(t, "a restore", func() bool { return w.metric(t, "weir_stream_restores_total") == 1 })
	if n := w.metric(t, "weir_stream_replayed_records_total"); n != 0 {
		t.Errorf("replayed %v records, want none: the snapshots were complete", n)
	}
	feed(b, "in", 1, 3000, 100)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), 1), 1)
}

func TestWithoutStateTopicTheInputIsReplayed(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "dead")...)
	cfg := windowsConfig()
	cfg.StateTopic = ""
	w := startWorker(t, b.addrs, cfg)
	feed(b, "in", 1, 0, 500)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	w = startWorker(t, b.addrs, cfg)
	feed(b, "in", 1, 500, 100)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if n := w.metric(t, "weir_stream_replayed_records_total"); n != 500 {
		t.Errorf("replayed %v records, want 500", n)
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), 1), 1)
}

func TestDeadLetterKeepsTheRecordAndSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(2, "in", "out", "state", "dead")...)
	b.produce(&kgo.Record{Topic: "in", Partition: 1, Key: []byte("k"), Value: []byte("not eight bytes"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}})
	w := startWorker(t, b.addrs, windowsConfig())
	eventually(t, "a dead letter", func() bool { return b.written("dead") > 0 })
	rec := b.readAll("dead")[1][0]
	if string(rec.Key) != "k" || string(rec.Value) != "not eight bytes" {
		t.Errorf("dead letter is %s", line(rec))
	}
	got := make(map[string]string)
	for _, h := range rec.Headers {
		got[h.Key] = string(h.Value)
	}
	for k, v := range map[string]string{"h": "v", HeaderReason: "size", HeaderTopic: "in", HeaderPartition: "1", HeaderOffset: "0"} {
		if got[k] != v {
			t.Errorf("header %s is %q, want %q", k, got[k], v)
		}
	}
	if n := w.metric(t, "weir_stream_dead_letters_total"); n != 1 {
		t.Errorf("counted %v dead letters", n)
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
}

// failing fails at one record, by error or panic, as often as it is told to.
type failing struct {
	Processor
	times *atomic.Int64
	panic bool
}

func (f failing) Process(rec *kgo.Record, out *Output) error {
	if rec.Offset == 120 && f.times.Add(-1) >= 0 {
		if f.panic {
			panic("boom")
		}
		return errors.New("boom")
	}
	return f.Processor.Process(rec, out)
}

func TestProcessErrorsAreRetriedWithoutDoublingOutput(t *testing.T) {
	t.Parallel()
	f := func(delivery Delivery, panics bool) {
		t.Helper()
		b := newBed(t, specs(1, "in", "out", "state", "dead")...)
		feed(b, "in", 1, 0, 300)
		var times atomic.Int64
		times.Store(3)
		cfg := windowsConfig()
		cfg.Delivery = delivery
		cfg.NewProcessor = func(p, n int32) (Processor, error) {
			proc, err := newWindows(p, n)
			return failing{proc, &times, panics}, err
		}
		w := startWorker(t, b.addrs, cfg)
		eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
		if n := w.metric(t, "weir_stream_process_errors_total"); n != 3 {
			t.Errorf("counted %v errors, want 3", n)
		}
		if err := w.stop(t); err != nil {
			t.Fatal(err)
		}
		if delivery == ExactlyOnce {
			compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), 1), 1)
		}
	}
	f(ExactlyOnce, false)
	f(ExactlyOnce, true)
	f(AtLeastOnce, false)
}

func TestAPersistentProcessErrorEndsRun(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	feed(b, "in", 1, 0, 300)
	var times atomic.Int64
	times.Store(1 << 40)
	cfg := windowsConfig()
	cfg.MaxFailures = 3
	cfg.NewProcessor = func(p, n int32) (Processor, error) {
		proc, err := newWindows(p, n)
		return failing{proc, &times, false}, err
	}
	err := startWorker(t, b.addrs, cfg).wait(t)
	var pe *ProcessError
	if !errors.As(err, &pe) || pe.Topic != "in" || pe.Partition != 0 || pe.Offset != 120 || pe.Err.Error() != "boom" {
		t.Fatalf("got %v", err)
	}
	if n := 1<<40 - times.Load(); n != 3 {
		t.Errorf("the record was tried %d times, want 3", n)
	}
}

func TestAnUnknownOutputTopicEndsRun(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "state", "dead")...)
	feed(b, "in", 1, 0, 300)
	cfg := windowsConfig()
	cfg.Outputs = nil
	cfg.MaxFailures = 2
	if err := startWorker(t, b.addrs, cfg).wait(t); !errors.Is(err, ErrUnknownTopic) {
		t.Fatalf("got %v", err)
	}
}

func TestMismatchedPartitionCountsAreRefused(t *testing.T) {
	t.Parallel()
	f := func(cfg Config, specs ...TopicSpec) {
		t.Helper()
		b := newBed(t, specs...)
		cfg.MaxFailures = 2
		if err := startWorker(t, b.addrs, cfg).wait(t); !errors.Is(err, ErrNotCoPartitioned) {
			t.Fatalf("got %v", err)
		}
	}
	cfg := windowsConfig()
	f(cfg, append(specs(4, "in", "out", "dead"), specs(3, "state")...)...)
	cfg.Inputs = []string{"in", "in2"}
	f(cfg, append(specs(4, "in", "out", "dead", "state"), specs(3, "in2")...)...)
}

func TestGracefulStopLeavesTheGroupAndCommits(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(4, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SessionTimeout = time.Minute // leaving, not expiring, must free the group
	cfg.HeartbeatInterval = 200 * time.Millisecond
	w := startWorker(t, b.addrs, cfg)
	feed(b, "in", 4, 0, 200)
	eventually(t, "output", func() bool { return b.written("out") > 0 })
	begin := time.Now()
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	groups, err := b.adm.DescribeGroups(b.ctx(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(groups["g"].Members); n != 0 {
		t.Errorf("%d members are left", n)
	}
	if w.metric(t, "weir_stream_commit_seconds") != 0 {
		t.Error("metrics are still registered")
	}
}

func TestStopWithoutABrokerIsFast(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	w := startWorker(t, b.addrs, windowsConfig())
	feed(b, "in", 1, 0, 100)
	<-w.ready
	w.cut.cut()
	begin := time.Now()
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
