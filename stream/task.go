package stream

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// task is one partition at work: the processor and its position. Its fields
// belong to the goroutine of the session's main loop (which lends a task to
// one batch goroutine at a time), except those under session.mu.
type task struct {
	partition int32
	proc      Processor
	out       *Output
	next      map[string]int64     // per input topic, the next record to process
	last      map[string]time.Time // per input topic, timestamp of the last processed record
	applied   uint64               // records processed, to tell which snapshots are stale

	shards []shardState
	cursor int       // next shard to snapshot
	due    float64   // shards owed
	dueAt  time.Time // when due was brought up to date

	// Under session.mu:
	dirty bool // processed records that are not committed
	seen  bool // the group client knows the partition as assigned
}

func newTask(partition int32, proc Processor, out *Output, next map[string]int64) *task {
	t := &task{
		partition: partition,
		proc:      proc,
		out:       out,
		next:      maps.Clone(next),
		last:      make(map[string]time.Time, len(next)),
		shards:    make([]shardState, proc.Shards()),
		dueAt:     time.Now(),
		// Partitions assigned together start at different points of their
		// first shard, so that they do not all write in the same commit.
		due: float64(partition%8) / 8,
	}
	for i := range t.shards {
		t.shards[i].applied = noSnapshot
	}
	return t
}

// apply processes a batch of one topic, in order.
func (t *task) apply(recs []*kgo.Record) error {
	for _, rec := range recs {
		if rec.Offset < t.next[rec.Topic] {
			continue // after a seek the client may hand out the rest of a batch
		}
		if !rec.Attrs.IsControl() {
			if err := t.process(rec, false); err != nil {
				return err
			}
			t.applied++
		}
		t.next[rec.Topic] = rec.Offset + 1
	}
	if n := len(recs); n > 0 {
		t.last[recs[n-1].Topic] = recs[n-1].Timestamp
	}
	return nil
}

func (t *task) process(rec *kgo.Record, restoring bool) error {
	t.out.err = nil
	err := guard(func() error { return t.proc.Process(rec, t.out) })
	if err == nil {
		err = t.out.err
	}
	if err != nil {
		return &ProcessError{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Restoring: restoring, Err: err}
	}
	return nil
}

// guard turns a panic of the processor into an error: one bad record must not
// take the other roles of the process down.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// stale reports whether some shard's snapshot is older than the state.
func (t *task) stale() bool {
	for i := range t.shards {
		if t.shards[i].applied != t.applied {
			return true
		}
	}
	return false
}

// snapshots writes the shards that are due and returns the bytes written.
// budget bounds them; what remains due is written with the next commit.
func (t *task) snapshots(ctx context.Context, cfg *Config, now time.Time, budget int, buf *[]byte) (int, error) {
	n := len(t.shards)
	if cfg.SnapshotInterval < 0 {
		t.due = 1
	} else {
		t.due += float64(n) * float64(now.Sub(t.dueAt)) / float64(cfg.SnapshotInterval)
		t.due = min(t.due, float64(n))
	}
	t.dueAt = now
	size := 0
	for tried := 0; tried < n && t.due >= 1 && size < budget; tried++ {
		shard := t.cursor
		t.cursor = (t.cursor + 1) % n
		if t.shards[shard].applied == t.applied {
			continue
		}
		recs, written, grown, err := t.snapshotRecords(cfg, shard, *buf)
		if err != nil {
			return size, err
		}
		*buf = grown
		for _, rec := range recs {
			t.out.emitter.emit(ctx, rec)
		}
		size += written
		t.due--
	}
	return size, nil
}
