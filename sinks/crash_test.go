package sinks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

// A process may die between any two steps. Whatever it dies between, the next
// one completes the log without a hole or a double.
func TestACrashBetweenAnyStepsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, step := range []string{stepFormed, stepIntended, stepWritten, stepCommitted} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			c := kafkatest.New(t, 2, eventsTopic)
			ids := produceEvents(t, c, 2, 0, 300)
			store := newMemoryStore()
			rng := rand.New(rand.NewPCG(1, 2))
			for life := range 6 {
				cfg := base(c, store)
				// Another chunk size each life: the intent must win over it.
				cfg.ChunkRows = 10 + rng.IntN(60)
				var seen atomic.Int64
				dies := int64(1 + life%3)
				cfg.crash = func(s string, _ *Chunk) error {
					if s == step && seen.Add(1) >= dies {
						return errKilled
					}
					return nil
				}
				if err := start(t, cfg).wait(); !errors.Is(err, errKilled) && err != nil {
					t.Fatalf("life %d: %v", life, err)
				}
				store.checkRanges(t)
			}
			last := start(t, base(c, store))
			kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() == len(ids) })
			if err := last.stop(); err != nil {
				t.Fatalf("last life: %v", err)
			}
			store.checkExactlyOnce(t, ids)
		})
	}
}

// wait returns when the run ends by itself; a run that has nothing left to crash
// on is stopped.
func (r *running) wait() error {
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		r.cancel()
		<-r.done
	}
	return r.err
}

func (m *memoryStore) checkRanges(t *testing.T) {
	t.Helper()
	chunks := m.snapshot()
	for i, a := range chunks {
		for _, b := range chunks[i+1:] {
			if a.partition == b.partition && a.first < b.end && b.first < a.end {
				t.Fatalf("chunks %d-%d and %d-%d of partition %d overlap", a.first, a.end, b.first, b.end, a.partition)
			}
		}
	}
}

func TestARebalanceInTheMiddleLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const partitions = 6
	c := kafkatest.New(t, partitions, eventsTopic)
	store := newMemoryStore()
	// Some chunks fail after they were stored, so that they are in flight when
	// partitions move.
	var n atomic.Int64
	store.set(nil, func(ctx context.Context, _ *Chunk) error {
		if n.Add(1)%3 == 0 {
			return &RetryError{Code: "network", Err: errors.New("acknowledgement lost")}
		}
		return nil
	})
	var ids []string
	members := []*running{start(t, base(c, store))}
	for round := range 6 {
		ids = append(ids, produceEvents(t, c, partitions, round*60, 60)...)
		if round%2 == 0 {
			members = append(members, start(t, base(c, store)))
			want := len(members)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if _, err := c.Fake.WaitGroupStable(ctx, "sink", want); err != nil {
				t.Fatalf("waiting for %d members: %v", want, err)
			}
			cancel()
			continue
		}
		if err := members[0].stop(); err != nil {
			t.Fatalf("member: %v", err)
		}
		members = members[1:]
	}
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() >= len(ids) })
	for _, m := range members {
		if err := m.stop(); err != nil {
			t.Fatalf("member: %v", err)
		}
	}
	store.checkExactlyOnce(t, ids)
}

// The former owner's write is still under way when its partition is to move.
// The next owner must not start before it has ended: two commits for one
// partition could otherwise arrive in the wrong order.
func TestAPartitionIsHandedOverOnlyWhenItsWriteHasEnded(t *testing.T) {
	t.Parallel()
	const partitions = 2
	c := kafkatest.New(t, partitions, eventsTopic)
	ids := produceEvents(t, c, partitions, 0, 40)
	store := newMemoryStore()
	var overlaps atomic.Int64
	var active [partitions]atomic.Int64
	gate := make(chan struct{})
	enter := func(block bool) func(context.Context, *Chunk) error {
		return func(_ context.Context, c *Chunk) error {
			if active[c.Partition].Add(1) > 1 {
				overlaps.Add(1)
			}
			defer active[c.Partition].Add(-1)
			if block {
				<-gate // deaf to its context
			}
			return nil
		}
	}
	slow := newMemoryStore()
	slow.mu, slow.chunks = store.mu, store.chunks
	slow.set(enter(true), nil)
	store.set(enter(false), nil)
	first := start(t, base(c, slow))
	kafkatest.Until(t, "both partitions are being written", func() bool {
		return active[0].Load() == 1 && active[1].Load() == 1
	})
	second := start(t, base(c, store))
	// The second asks for its share; give a wrong hand-over the time to happen.
	patience := time.NewTimer(400 * time.Millisecond)
	defer patience.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting && overlaps.Load() == 0; {
		select {
		case <-patience.C:
			waiting = false
		case <-tick.C:
		}
	}
	close(gate)
	if n := overlaps.Load(); n > 0 {
		t.Errorf("%d chunks were written while the former owner still wrote the partition", n)
	}
	kafkatest.Until(t, "everything is committed", func() bool {
		a, _ := c.Committed(t, "sink", eventsTopic, 0)
		b, _ := c.Committed(t, "sink", eventsTopic, 1)
		return a == 40 && b == 40
	})
	for _, r := range []*running{first, second} {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	store.checkExactlyOnce(t, ids)
}
