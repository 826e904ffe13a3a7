package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// adjust is called by the group client when partitions have been assigned and
// their committed offsets are known and stable, before anything is fetched
// from them. It brings the state of each to its committed offsets.
//
// It runs beside the main loop, which may be in the middle of a commit with
// the partitions owned before; tasks are handed over under mu.
func (s *session) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-s.opened
	assigned := make(map[int32]bool)
	for _, parts := range offsets {
		for p := range parts {
			assigned[p] = true
		}
	}
	if len(assigned) == 0 {
		return offsets, nil
	}
	s.setReady(false)
	partitions := slices.Sorted(maps.Keys(assigned))
	committed := make(map[int32]map[string]int64, len(partitions))
	for _, p := range partitions {
		committed[p] = make(map[string]int64, len(s.cfg.Inputs))
		for _, topic := range s.cfg.Inputs {
			o, ok := offsets[topic][p]
			if !ok {
				return nil, fmt.Errorf("partition %d of topic %s was not assigned with the others: %w", p, topic, ErrNotCoPartitioned)
			}
			committed[p][topic] = o.EpochOffset().Offset
		}
	}
	tasks, err := s.restore(ctx, partitions, committed)
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Logger.Error("restoring partitions failed", "group", s.cfg.Group, "err", err)
		}
		return nil, err
	}
	if err := s.commitClamped(ctx, offsets, committed); err != nil {
		return nil, err
	}
	adjusted := make(map[string]map[int32]kgo.Offset, len(offsets))
	for _, topic := range s.cfg.Inputs {
		adjusted[topic] = make(map[int32]kgo.Offset, len(partitions))
		for _, t := range tasks {
			o := offsets[topic][t.partition]
			if at := t.next[topic]; at != o.EpochOffset().Offset {
				// Also without a commit: the client can take back an abort
				// only to an offset it knows, not to "the start".
				o = kgo.NewOffset().At(at)
			}
			adjusted[topic][t.partition] = o
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.mu.Lock()
	clear(s.parked)
	for _, t := range tasks {
		s.tasks[t.partition] = t
		for topic, next := range t.next {
			s.metrics.lag.update(topicPartition{topic, t.partition}, next, -1, t.last[topic])
		}
	}
	s.mu.Unlock()
	s.setReady(true)
	return adjusted, nil
}

// restore returns tasks that stand at the committed offsets; an offset below
// zero means that nothing was committed.
func (s *session) restore(ctx context.Context, partitions []int32, committed map[int32]map[string]int64) ([]*task, error) {
	starts, err := s.cluster.offsets(ctx, s.cluster.adm.ListStartOffsets, s.cfg.Inputs...)
	if err != nil {
		return nil, err
	}
	if err := s.clamp(ctx, partitions, committed); err != nil {
		return nil, err
	}
	tasks := make([]*task, len(partitions))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.cfg.Parallelism)
	for i, p := range partitions {
		next := make(map[string]int64, len(s.cfg.Inputs))
		had := false
		for _, topic := range s.cfg.Inputs {
			start := starts[topicPartition{topic, p}]
			at := committed[p][topic]
			if at >= 0 {
				had = true
			}
			if at >= 0 && at < start {
				s.metrics.skipped.Add(float64(start - at))
				s.cfg.Logger.Error("records were deleted from the log before they were processed",
					"group", s.cfg.Group, "topic", topic, "partition", p, "from", at, "to", start)
			}
			next[topic] = max(at, start)
		}
		if t := s.keep(p, next); t != nil {
			tasks[i] = t
			continue
		}
		g.Go(func() error {
			t, err := s.rebuild(gctx, p, next, starts, had)
			tasks[i] = t
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return tasks, nil
}

// keep returns the state this session has of a partition if it stands exactly
// at next. State is a function of the log, so it does not matter who owned the
// partition in between.
func (s *session) keep(partition int32, next map[string]int64) *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range []*task{s.tasks[partition], s.parked[partition]} {
		if t != nil && !t.dirty && maps.Equal(t.next, next) {
			s.metrics.reused.Inc()
			t.seen = false
			return t
		}
	}
	return nil
}

// clamp handles committed offsets beyond the end of the log: the log lost its
// tail, as after a power failure of a single broker. The state then has to be
// rebuilt from what is left, and new records continue at the new end. Since a
// leader that is just taking over may report too low an end, the loss must
// show for a while.
func (s *session) clamp(ctx context.Context, partitions []int32, committed map[int32]map[string]int64) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		ends, err := s.cluster.offsets(ctx, s.cluster.adm.ListEndOffsets, s.cfg.Inputs...)
		if err != nil {
			return err
		}
		lost := false
		for _, p := range partitions {
			for _, topic := range s.cfg.Inputs {
				end := ends[topicPartition{topic, p}]
				if committed[p][topic] <= end {
					continue
				}
				lost = true
				if attempt < attempts {
					continue
				}
				s.cfg.Logger.Error("the log ends before the committed offset: records were lost by the broker; continuing at its end",
					"group", s.cfg.Group, "topic", topic, "partition", p, "committed", committed[p][topic], "end", end)
				s.metrics.incomplete.Inc()
				committed[p][topic] = end
			}
		}
		if !lost || attempt == attempts {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.RetryBackoff):
		}
	}
}

// commitClamped commits offsets that clamp lowered, at once. Otherwise a
// session that fails before its first commit would leave the old ones, and the
// next would take the end the log has by then for the place to go on: what
// was written in between would be lost.
func (s *session) commitClamped(ctx context.Context, before map[string]map[int32]kgo.Offset, after map[int32]map[string]int64) error {
	lowered := make(map[string]map[int32]kgo.EpochOffset)
	for p, topics := range after {
		for topic, at := range topics {
			if at >= before[topic][p].EpochOffset().Offset {
				continue
			}
			if lowered[topic] == nil {
				lowered[topic] = make(map[int32]kgo.EpochOffset)
			}
			lowered[topic][p] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	if len(lowered) == 0 {
		return nil
	}
	return commitOffsets(ctx, s.cl, lowered)
}

// rebuild loads the snapshots of a partition and replays the input after them
// up to next, with output muted.
func (s *session) rebuild(ctx context.Context, partition int32, next map[string]int64, starts map[topicPartition]int64, hadCommit bool) (*task, error) {
	begin := time.Now()
	count, err := s.cluster.partitions(ctx, s.cfg.Inputs[0])
	if err != nil {
		return nil, err
	}
	proc, err := s.cfg.NewProcessor(partition, count)
	if err != nil {
		return nil, fmt.Errorf("making processor of partition %d: %w", partition, err)
	}
	shards := proc.Shards()
	if shards < 1 {
		return nil, fmt.Errorf("%w: processor has %d shards", ErrConfig, shards)
	}
	st, err := s.cluster.loadSnapshots(ctx, s.cfg, partition, shards, next)
	if err != nil {
		return nil, err
	}
	t := newTask(partition, proc, s.newOutput(), next)
	log := s.cfg.Logger.With("group", s.cfg.Group, "partition", partition)

	from := maps.Clone(next)
	for shard := range shards {
		t.shards[shard].chunks = st.chunks[shard]
		snap, ok := st.shards[shard]
		if !ok {
			for topic := range from {
				from[topic] = starts[topicPartition{topic, partition}]
			}
			continue
		}
		t.shards[shard].slot = snap.slot
		if maps.Equal(snap.next, next) {
			t.shards[shard].applied = t.applied
		}
		for topic, resume := range snap.resume {
			from[topic] = min(from[topic], resume)
		}
		if err := guard(func() error { return proc.Restore(shard, snap.data, snap.next) }); err != nil {
			return nil, fmt.Errorf("%w: shard %d of partition %d: %w", errRestoreShard, shard, partition, err)
		}
	}
	if st.foreign > 0 {
		log.Warn("ignoring snapshots of another configuration", "snapshots", st.foreign)
	}
	if st.ahead > 0 {
		log.Warn("ignoring snapshots beyond the committed offsets: the group was moved back", "snapshots", st.ahead)
	}
	if len(st.torn) > 0 {
		log.Warn("shards without a complete snapshot, rebuilding them from the log", "shards", len(st.torn))
	}

	replayed := 0
	t.out.muted = true
	for _, topic := range s.cfg.Inputs {
		start := starts[topicPartition{topic, partition}]
		if hadCommit && from[topic] < next[topic] && (from[topic] < start || start > 0 && len(st.shards) < shards) {
			s.metrics.incomplete.Inc()
			log.Warn("records needed to rebuild the state are no longer in the log; retention is too short",
				"topic", topic, "needed", from[topic], "start", start)
		}
		err := s.cluster.read(ctx, topic, partition, max(from[topic], start), next[topic], readCommitted, func(rec *kgo.Record) error {
			replayed++
			return t.process(rec, true)
		})
		if err != nil {
			var pe *ProcessError
			if errors.As(err, &pe) {
				s.metrics.processErrors.Inc()
			}
			return nil, fmt.Errorf("replaying topic %s: %w", topic, err)
		}
	}
	t.out.muted = false
	if replayed == 0 {
		for i := range t.shards {
			if _, ok := st.shards[i]; !ok {
				t.shards[i].applied = t.applied // empty: nothing to snapshot yet
			}
		}
	}
	took := time.Since(begin)
	s.metrics.restores.Inc()
	s.metrics.replayed.Add(float64(replayed))
	s.metrics.restoreSeconds.Observe(took.Seconds())
	log.Info("state restored", "shards", len(st.shards), "of", shards, "replayed", replayed, "took", took)
	return t, nil
}
