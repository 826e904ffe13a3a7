package stream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// idlePoll bounds a wait for records, so that the loop looks after its tasks.
const idlePoll = 500 * time.Millisecond

// snapshotBudget bounds the snapshot bytes of one commit: a commit that takes
// long delays every output in it.
const snapshotBudget = 2 << 20

// maxStrays is how often in a row polled records may belong to a partition
// that was taken away; a rebalance explains a few.
const maxStrays = 50

// loop polls, processes and commits until ctx is cancelled or something fails.
func (s *session) loop(ctx context.Context) (worked bool, err error) {
	for ctx.Err() == nil {
		if err := s.skipTooLarge(ctx); err != nil {
			return worked, err
		}
		if s.cfg.Delivery == AtLeastOnce {
			// What was taken away before this poll cannot be in it. A
			// transaction session has its own note of it, which only ending a
			// transaction clears.
			s.takeUnsettled()
		}
		fetches, err := s.poll(ctx, s.idleWait())
		if err != nil {
			return worked, err
		}
		s.prune()
		if fetches.NumRecords() == 0 && !s.needsCommit() {
			continue
		}
		committed, err := s.cycle(ctx, fetches)
		worked = worked || committed
		if err != nil {
			return worked, err
		}
	}
	return worked, nil
}

func (s *session) poll(ctx context.Context, wait time.Duration) (kgo.Fetches, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fetches := s.cl.PollRecords(ctx, s.cfg.MaxPollRecords)
	if fetches.IsClientClosed() {
		return nil, errors.New("client was closed")
	}
	fetches.EachError(func(_ string, _ int32, err error) {
		var large *kgo.ErrDecompressTooLarge
		if errors.As(err, &large) {
			s.tooLarge = append(s.tooLarge, large)
		}
	})
	return fetches, pollError(fetches)
}

// reasonTooLarge is the reason of the dead letter that stands for a batch.
const reasonTooLarge = "too_large"

// skipTooLarge passes over batches that decompress to more than a worker takes.
// Nobody has read them, so one dead letter without a value stands for each. The
// client does not fetch such a partition until told where to go on; what came
// before the batch must be committed by then, because the new position counts as
// committed.
func (s *session) skipTooLarge(ctx context.Context) error {
	batches := s.tooLarge
	s.tooLarge = nil
	for _, b := range batches {
		s.mu.Lock()
		t := s.tasks[b.Partition]
		dirty := t != nil && t.dirty
		s.mu.Unlock()
		if t == nil || t.next[b.Topic] > b.Offset {
			continue
		}
		if dirty || t.next[b.Topic] < b.Offset {
			return b // a commit did not stand; the next session meets the batch again
		}
		if err := s.work.begin(); err != nil {
			return err
		}
		t.out.DeadLetter(&kgo.Record{Topic: b.Topic, Partition: b.Partition, Offset: b.Offset}, reasonTooLarge)
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.CommitTimeout)
		ok, err := s.work.commit(c)
		cancel()
		if err != nil || !ok {
			return errors.Join(err, b)
		}
		s.cfg.Logger.Error("batch refused: it decompresses to more than 64 MiB",
			"group", s.cfg.Group, "topic", b.Topic, "partition", b.Partition, "from", b.Offset, "to", b.NextOffset)
		t.next[b.Topic] = b.NextOffset
		s.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{b.Topic: {b.Partition: {Epoch: b.Epoch, Offset: b.NextOffset}}})
	}
	return nil
}

// cycle processes fetches and what else comes within the commit interval, and
// commits it. Without fetches it only writes snapshots.
func (s *session) cycle(ctx context.Context, fetches kgo.Fetches) (committed bool, err error) {
	begin := time.Now()
	if err := s.work.begin(); err != nil {
		return false, err
	}
	// The deadline of the commit does not depend on ctx: a graceful stop
	// commits what is in hand.
	endCtx := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), s.cfg.CommitTimeout)
	}
	if s.takeUnsettled() {
		// Partitions were taken away since the last commit. The fetches may
		// stem from before that, and in a transaction nothing can be committed
		// until it has ended once. Nothing is processed yet, so going back to
		// the committed offsets costs a fetch and no restore.
		c, cancel := endCtx()
		defer cancel()
		return false, s.work.abort(c)
	}

	whole := true // everything polled was processed
	for whole {
		if whole, err = s.process(fetches); err != nil {
			c, cancel := endCtx()
			defer cancel()
			return false, errors.Join(err, s.work.abort(c))
		}
		wait := s.cfg.CommitInterval - time.Since(begin)
		if wait <= 0 || fetches.NumRecords() == 0 || ctx.Err() != nil {
			break
		}
		if fetches, err = s.poll(ctx, wait); err != nil {
			c, cancel := endCtx()
			defer cancel()
			return false, errors.Join(err, s.work.abort(c))
		}
	}
	if whole && s.cfg.Delivery == ExactlyOnce {
		if err := s.snapshots(true); err != nil {
			c, cancel := endCtx()
			defer cancel()
			return false, errors.Join(err, s.work.abort(c))
		}
	}
	if whole {
		s.strays = 0
	} else if s.strays++; s.strays > maxStrays {
		return false, errors.New("records keep coming for partitions without a state")
	}
	c, cancel := endCtx()
	defer cancel()
	commitBegin := time.Now()
	if whole {
		committed, err = s.work.commit(c)
	} else {
		err = s.work.abort(c)
	}
	if err != nil {
		return false, err
	}
	s.metrics.commitSeconds.Observe(time.Since(commitBegin).Seconds())
	if !committed {
		s.metrics.aborts.Inc()
		s.takeUnsettled()
		return false, s.rollBack(ctx)
	}
	s.mu.Lock()
	for _, t := range s.tasks {
		t.dirty = false
	}
	s.mu.Unlock()
	if s.cfg.Delivery == AtLeastOnce {
		// After the commit, and flushed by the next one: a snapshot is then
		// never ahead of the committed offsets, and never stands for outputs
		// that were not written.
		if err := s.snapshots(false); err != nil {
			return true, err
		}
	}
	return true, nil
}

// process applies polled records, each partition in its own goroutine. It
// returns false if records were left out because their partition is not ours
// any more: then nothing of this commit may stand, since committing covers all
// that was polled.
func (s *session) process(fetches kgo.Fetches) (whole bool, err error) {
	type batch struct {
		task   *task
		topics map[string][]*kgo.Record
		ends   map[string]int64
	}
	batches := make(map[int32]*batch)
	whole = true
	s.mu.Lock()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		t := s.tasks[p.Partition]
		if t == nil {
			whole = false
			return
		}
		b := batches[p.Partition]
		if b == nil {
			b = &batch{task: t, topics: make(map[string][]*kgo.Record, len(s.cfg.Inputs)), ends: make(map[string]int64, len(s.cfg.Inputs))}
			batches[p.Partition] = b
			t.dirty = true
		}
		b.topics[p.Topic] = append(b.topics[p.Topic], p.Records...)
		b.ends[p.Topic] = p.HighWatermark
		if next := t.next[p.Topic]; p.LogStartOffset > next && next < p.Records[0].Offset {
			s.metrics.skipped.Add(float64(p.LogStartOffset - next))
			s.cfg.Logger.Error("records were deleted from the log before they were processed",
				"group", s.cfg.Group, "topic", p.Topic, "partition", p.Partition, "from", next, "to", p.LogStartOffset)
		}
	})
	s.mu.Unlock()
	if !whole {
		return false, nil
	}

	var g errgroup.Group
	g.SetLimit(s.cfg.Parallelism)
	run := func(b *batch) error {
		for _, topic := range s.cfg.Inputs { // not the map's order
			recs := b.topics[topic]
			if len(recs) == 0 {
				continue
			}
			if err := b.task.apply(recs); err != nil {
				return err
			}
			s.metrics.records.WithLabelValues(topic).Add(float64(len(recs)))
			s.metrics.lag.update(topicPartition{topic, b.task.partition}, b.task.next[topic], b.ends[topic], b.task.last[topic])
		}
		return nil
	}
	for _, p := range slices.Sorted(maps.Keys(batches)) {
		b := batches[p]
		if len(batches) == 1 {
			err = run(b)
			break
		}
		g.Go(func() error { return run(b) })
	}
	if err = errors.Join(err, g.Wait()); err != nil {
		s.metrics.processErrors.Inc()
		return false, err
	}
	return true, nil
}

// snapshots writes the shards that are due. With dirty, it does so for tasks
// with work in the current commit too.
func (s *session) snapshots(dirty bool) error {
	if s.cfg.StateTopic == "" {
		return nil
	}
	s.mu.Lock()
	tasks := make([]*task, 0, len(s.tasks))
	for _, p := range slices.Sorted(maps.Keys(s.tasks)) {
		if t := s.tasks[p]; dirty || !t.dirty {
			tasks = append(tasks, t)
		}
	}
	s.mu.Unlock()
	now := time.Now()
	budget := snapshotBudget
	for _, t := range tasks {
		if !t.stale() {
			t.dueAt = now
			continue
		}
		n, err := t.snapshots(s.ctx, s.cfg, now, max(budget, 1), &s.snapshotBuf)
		s.metrics.snapshotBytes.Add(float64(n))
		budget -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// rollBack replaces the tasks whose work was not committed by ones that stand
// at the committed offsets again, where the client already is.
func (s *session) rollBack(ctx context.Context) error {
	owned := s.cl.CommittedOffsets()
	committed := make(map[int32]map[string]int64)
	var partitions []int32
	old := make(map[int32]*task)
	s.mu.Lock()
	for _, p := range slices.Sorted(maps.Keys(s.tasks)) {
		t := s.tasks[p]
		if !t.dirty {
			continue
		}
		offsets := make(map[string]int64, len(s.cfg.Inputs))
		for _, topic := range s.cfg.Inputs {
			if o, ok := owned[topic][p]; ok {
				offsets[topic] = o.Offset
			}
		}
		if len(offsets) < len(s.cfg.Inputs) {
			// Being taken away, or given back and not there yet; adjust
			// provides a new task if so.
			delete(s.tasks, p)
			continue
		}
		committed[p], old[p] = offsets, t
		partitions = append(partitions, p)
	}
	s.mu.Unlock()
	if len(partitions) == 0 {
		return nil
	}
	s.cfg.Logger.Info("commit was rolled back, restoring", "group", s.cfg.Group, "partitions", len(partitions))
	tasks, err := s.restore(ctx, partitions, committed)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tasks {
		// A rebalance may have put another task there, or taken it away.
		if s.tasks[t.partition] == old[t.partition] {
			s.tasks[t.partition] = t
		}
	}
	return nil
}

func (s *session) takeUnsettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.unsettled
	s.unsettled = false
	return was
}

// needsCommit reports whether there is work although no record came: to end
// what a revocation left, or to complete the snapshots after a burst.
func (s *session) needsCommit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsettled {
		return true
	}
	if s.cfg.StateTopic == "" {
		return false
	}
	for _, t := range s.tasks {
		if t.stale() {
			return true
		}
	}
	return false
}

// idleWait is how long to wait for records: less while snapshots are due.
func (s *session) idleWait() time.Duration {
	if s.cfg.StateTopic == "" {
		return idlePoll
	}
	wait := idlePoll
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if !t.stale() {
			continue
		}
		per := s.cfg.CommitInterval
		if s.cfg.SnapshotInterval > 0 {
			per = s.cfg.SnapshotInterval / time.Duration(len(t.shards))
		}
		wait = min(wait, max(per, 10*time.Millisecond))
	}
	return wait
}

// prune drops tasks of partitions that the client does not own any more. A new
// task counts only once the client has shown its partition as owned: adjust
// hands it over before.
func (s *session) prune() {
	s.mu.Lock()
	n := len(s.tasks)
	s.mu.Unlock()
	if n == 0 {
		return
	}
	owned := s.cl.CommittedOffsets()[s.cfg.Inputs[0]]
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, t := range s.tasks {
		if _, ok := owned[p]; ok {
			t.seen = true
		} else if t.seen {
			delete(s.tasks, p)
			for _, topic := range s.cfg.Inputs {
				s.metrics.lag.remove(topicPartition{topic, p})
			}
		}
	}
}
