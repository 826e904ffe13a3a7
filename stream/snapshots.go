package stream

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shardState is what a task knows about the stored snapshots of one shard.
type shardState struct {
	applied uint64 // task.applied when the last snapshot was taken; noSnapshot before the first
	slot    byte   // slot of the last set of several chunks, 0 if there was none
	chunks  map[snapshotKey]bool
}

const noSnapshot = ^uint64(0)

// snapshot is a complete stored snapshot of one shard.
type snapshot struct {
	next, resume map[string]int64
	data         []byte
	slot         byte
}

// stored is what the state topic holds for one partition.
type stored struct {
	shards  map[int]snapshot
	chunks  map[int]map[snapshotKey]bool // keys of chunk records still in the topic
	foreign int                          // snapshots ignored for their configuration hash
	ahead   int                          // snapshots ignored because they lie beyond the committed offsets
	torn    map[int]bool                 // shards of which there are chunks, but no usable snapshot
}

// loadSnapshots reads the newest usable snapshot of every shard of a
// partition: complete, of this configuration, and not ahead of the committed
// offsets (which it is only after somebody moved the group back).
func (c *cluster) loadSnapshots(ctx context.Context, cfg *Config, partition int32, shards int, committed map[string]int64) (*stored, error) {
	st := &stored{shards: make(map[int]snapshot), chunks: make(map[int]map[snapshotKey]bool), torn: make(map[int]bool)}
	if cfg.StateTopic == "" {
		return st, nil
	}
	from, to, err := c.stableRange(ctx, cfg.StateTopic, partition)
	if err != nil {
		return nil, err
	}
	type setID struct {
		shard int
		set   uint64
	}
	open := make(map[setID][]envelope)
	err = c.read(ctx, cfg.StateTopic, partition, from, to, readCommitted, func(rec *kgo.Record) error {
		key, ok := parseSnapshotKey(string(rec.Key), cfg.Group, partition)
		if !ok || key.shard >= shards {
			return nil
		}
		if key.slot != 0 {
			if st.chunks[key.shard] == nil {
				st.chunks[key.shard] = make(map[snapshotKey]bool)
			}
			if len(rec.Value) == 0 {
				delete(st.chunks[key.shard], key)
			} else {
				st.chunks[key.shard][key] = true
			}
		}
		if len(rec.Value) == 0 {
			return nil
		}
		e, err := decodeEnvelope(rec.Value)
		if err != nil {
			return fmt.Errorf("reading snapshot %s at %s/%d@%d: %w", rec.Key, rec.Topic, rec.Partition, rec.Offset, err)
		}
		if e.configHash != cfg.ConfigHash || len(e.next) != len(cfg.Inputs) {
			st.foreign++
			return nil
		}
		for _, topic := range cfg.Inputs {
			next, ok := e.next[topic]
			if !ok {
				st.foreign++
				return nil
			}
			if next > committed[topic] {
				st.ahead++
				return nil
			}
		}
		if e.count == 1 {
			st.shards[key.shard] = snapshot{next: e.next, resume: e.resume, data: e.data, slot: key.slot}
			return nil
		}
		st.torn[key.shard] = true
		id := setID{key.shard, e.set}
		parts := open[id]
		if e.index != len(parts) {
			// Compaction keeps the order of records, so a set whose chunks do
			// not come in order lacks one.
			return nil
		}
		if parts = append(parts, e); len(parts) < e.count {
			open[id] = parts
			return nil
		}
		delete(open, id)
		var data []byte
		for _, part := range parts {
			data = append(data, part.data...)
		}
		st.shards[key.shard] = snapshot{next: e.next, resume: e.resume, data: data, slot: key.slot}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for shard := range st.shards {
		delete(st.torn, shard)
	}
	return st, nil
}

// snapshotRecords takes the snapshot of one shard and returns its records in
// the order in which they must be written, and their size.
func (t *task) snapshotRecords(cfg *Config, shard int, buf []byte) (recs []*kgo.Record, size int, grown []byte, err error) {
	var data []byte
	var resume map[string]int64
	err = guard(func() error {
		data, resume = t.proc.Snapshot(shard, buf[:0], t.next)
		return nil
	})
	if err != nil {
		return nil, 0, buf, fmt.Errorf("taking snapshot of shard %d of partition %d: %w", shard, t.partition, err)
	}
	e := envelope{
		configHash: cfg.ConfigHash,
		set:        rand.Uint64(),
		count:      max(1, (len(data)+maxChunk-1)/maxChunk),
		next:       t.next,
		resume:     maps.Clone(t.next),
	}
	for topic, offset := range resume {
		next, ok := t.next[topic]
		if !ok || offset > next || offset < 0 {
			return nil, 0, data, fmt.Errorf("taking snapshot of shard %d of partition %d: resume offset %d of topic %q is not between 0 and %d", shard, t.partition, offset, topic, next)
		}
		e.resume[topic] = offset
	}
	s := &t.shards[shard]
	add := func(key snapshotKey, value []byte) {
		k := key.appendTo(nil, cfg.Group, t.partition)
		size += len(k) + len(value)
		recs = append(recs, &kgo.Record{Topic: cfg.StateTopic, Partition: t.partition, Key: k, Value: value})
	}
	written := make(map[snapshotKey]bool)
	if e.count == 1 {
		e.data = data
		add(snapshotKey{shard: shard}, e.appendTo(nil))
	} else {
		if s.slot == 'a' {
			s.slot = 'b'
		} else {
			s.slot = 'a'
		}
		for rest := data; e.index < e.count; e.index++ {
			n := min(maxChunk, len(rest))
			e.data, rest = rest[:n], rest[n:]
			key := snapshotKey{shard: shard, slot: s.slot, index: e.index}
			add(key, e.appendTo(nil))
			written[key] = true
		}
	}
	// Chunks that no complete set needs any more are deleted after the new
	// set: those of its own slot beyond its end, and all when one record
	// replaced them.
	for key := range s.chunks {
		if !written[key] && (e.count == 1 || key.slot == s.slot) {
			add(key, nil)
			delete(s.chunks, key)
		}
	}
	for key := range written {
		if s.chunks == nil {
			s.chunks = make(map[snapshotKey]bool)
		}
		s.chunks[key] = true
	}
	s.applied = t.applied
	return recs, size, data, nil
}
