package stream

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (b *bed) commit(group, topic string, partition int32, at int64) {
	b.t.Helper()
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1})
	if err := b.adm.CommitAllOffsets(b.ctx(), group, offsets); err != nil {
		b.t.Fatal(err)
	}
}

func TestSnapshotsBeyondTheCommittedOffsetsAreIgnored(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = EveryCommit
	feed(b, "in", 1, 0, 500)
	w := startWorker(t, b.addrs, cfg)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	b.commit("g", "in", 0, 100) // somebody wants the outputs again
	w = startWorker(t, b.addrs, cfg)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	in := b.readAll("in")
	want := reference(t, in, 1)
	want[0] = append(want[0], referenceFrom(t, in, 1, 100)[0]...)
	compare(t, lines(b.readAll("out")), want, 1)
}

func TestSnapshotsOfAnotherConfigurationAreRebuilt(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	cfg := windowsConfig()
	cfg.SnapshotInterval = EveryCommit
	cfg.ConfigHash = "a"
	feed(b, "in", 1, 0, 300)
	w := startWorker(t, b.addrs, cfg)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	cfg.ConfigHash = "b"
	feed(b, "in", 1, 300, 100)
	w = startWorker(t, b.addrs, cfg)
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if n := w.metric(t, "weir_stream_replayed_records_total"); n != 300 {
		t.Errorf("replayed %v records, want all 300", n)
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), 1), 1)
}

func TestALogThatLostItsTailIsContinuedAtItsEnd(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	feed(b, "in", 1, 0, 200)
	b.commit("g", "in", 0, 1000)
	w := startWorker(t, b.addrs, windowsConfig())
	committed := func(at int64) func() bool {
		return func() bool {
			lags, err := Lag(b.ctx(), b.cl, "g")
			return err == nil && len(lags) == 1 && lags[0].Committed == at
		}
	}
	// Before any new record: a worker that dies now must not skip those.
	eventually(t, "the commit to be corrected", committed(200))
	feed(b, "in", 1, 200, 100)
	eventually(t, "the worker to catch up", committed(300))
	if n := w.metric(t, "weir_stream_incomplete_restores_total"); n != 1 {
		t.Errorf("counted %v incomplete restores, want 1", n)
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(b.readAll("out")), referenceFrom(t, b.readAll("in"), 1, 200), 1)
}

func TestRecordsDeletedBeforeTheyWereProcessedAreCounted(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "in", "out", "state", "dead")...)
	feed(b, "in", 1, 0, 200)
	b.commit("g", "in", 0, 10)
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: "in", Partition: 0, At: 50})
	if _, err := b.adm.DeleteRecords(b.ctx(), offsets); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, b.addrs, windowsConfig())
	eventually(t, "the worker to catch up", func() bool { return b.behind("g", "in") == 0 })
	if n := w.metric(t, "weir_stream_skipped_records_total"); n != 40 {
		t.Errorf("counted %v skipped records, want 40", n)
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
}

// blob is a processor whose only shard is a block of bytes.
type blob struct{ data []byte }

func (blob) Shards() int                        { return 1 }
func (blob) Process(*kgo.Record, *Output) error { return nil }
func (p blob) Snapshot(_ int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	return append(dst, p.data...), map[string]int64{"in": 3}
}
func (blob) Restore(int, []byte, map[string]int64) error { return nil }

func TestLargeSnapshotsAreSplitAndTornOnesIgnored(t *testing.T) {
	t.Parallel()
	b := newBed(t, specs(1, "state")...)
	cfg := &Config{Group: "g", Inputs: []string{"in"}, StateTopic: "state", ConfigHash: "h"}
	c := clusterOf(b.cl)
	proc := &blob{}
	tk := newTask(0, proc, nil, map[string]int64{"in": 7})
	take := func(fill byte, size int, next int64) []*kgo.Record {
		t.Helper()
		proc.data = bytes.Repeat([]byte{fill}, size)
		tk.next["in"] = next
		recs, _, _, err := tk.snapshotRecords(cfg, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return recs
	}
	load := func() *stored {
		t.Helper()
		st, err := c.loadSnapshots(context.Background(), cfg, 0, 1, map[string]int64{"in": 100})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	expect := func(fill byte, size int, next int64, chunks int) {
		t.Helper()
		st := load()
		got := st.shards[0]
		if !bytes.Equal(got.data, bytes.Repeat([]byte{fill}, size)) || got.next["in"] != next || got.resume["in"] != 3 {
			t.Fatalf("loaded %d bytes at %v, resume %v; want %d of %q at %d, resume 3", len(got.data), got.next, got.resume, size, fill, next)
		}
		if n := len(st.chunks[0]); n != chunks {
			t.Errorf("%d chunk keys are left, want %d", n, chunks)
		}
	}

	recs := take('a', 3*maxChunk-1, 10)
	if len(recs) != 3 {
		t.Fatalf("split into %d records, want 3", len(recs))
	}
	b.produce(recs[:2]...)
	if st := load(); len(st.shards) != 0 || !st.torn[0] {
		t.Fatalf("a torn set was used: %v", st.shards)
	}
	b.produce(recs[2])
	expect('a', 3*maxChunk-1, 10, 3)

	// A crash after the first chunk of the next set, then compaction.
	b.produce(take('b', 2*maxChunk, 11)[0])
	b.emb.cluster.Compact()
	expect('a', 3*maxChunk-1, 10, 4)

	b.produce(take('c', 2*maxChunk, 12)...) // slot of a: its third chunk goes
	expect('c', 2*maxChunk, 12, 3)
	b.produce(take('d', 2*maxChunk, 13)...)
	b.emb.cluster.Compact()
	expect('d', 2*maxChunk, 13, 4)
	b.produce(take('e', 10, 14)...) // one record again: all chunks go
	b.emb.cluster.Compact()
	expect('e', 10, 14, 0)
}

func TestUnknownAndCorruptSnapshotsAreErrors(t *testing.T) {
	t.Parallel()
	f := func(value []byte, want error) {
		t.Helper()
		b := newBed(t, specs(1, "in", "out", "state", "dead")...)
		b.produce(&kgo.Record{Topic: "state", Key: snapshotKey{}.appendTo(nil, "g", 0), Value: value})
		cfg := windowsConfig()
		cfg.MaxFailures = 2
		if err := startWorker(t, b.addrs, cfg).wait(t); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	good := (&envelope{count: 1, next: map[string]int64{"in": 0}, resume: map[string]int64{"in": 0}}).appendTo(nil)
	f(append([]byte{snapshotVersion + 1}, good[1:]...), ErrSnapshotVersion)
	good[len(good)-1]++
	f(good, ErrSnapshotCorrupt)
}
