package sinks

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// assigned makes room for new partitions. Their offsets are told next.
func (r *runner) assigned(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, parts := range topics {
		for _, number := range parts {
			key := topicPartition{topic, number}
			p := &partition{
				topicPartition: key, table: r.tables[topic],
				start: unknownOffset, next: unknownOffset, hwm: unknownOffset,
				idle: make(chan struct{}),
			}
			close(p.idle)
			p.ctx, p.cancel = context.WithCancel(r.ctx)
			r.parts[key] = p
		}
	}
}

// offsetsFetched learns where each new partition stands and which chunk its
// last owner had decided, before any record of it is fetched.
func (r *runner) offsetsFetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, group := range resp.Groups {
		for _, t := range group.Topics {
			if t.Topic == "" {
				// Going on would wait for these partitions for ever.
				return fmt.Errorf("committed offsets of a topic without a name, id %x", t.TopicID)
			}
			for _, rp := range t.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					continue // the client asks again or reports it
				}
				p := r.parts[topicPartition{t.Topic, rp.Partition}]
				if p == nil {
					continue
				}
				p.fetched = true
				if rp.Offset < 0 {
					continue
				}
				p.start, p.next = rp.Offset, rp.Offset
				if i, ok := parseIntent(rp.Offset, rp.Metadata); ok {
					p.intended = i
					r.log.Info("resuming a decided chunk", "topic", p.topic, "partition", p.partition,
						"first", rp.Offset, "end", i.End)
				}
			}
		}
	}
	return nil
}

// revoked drops partitions that go away, buffers and all. It returns when no
// worker can touch them any more, so that the next owner is alone.
func (r *runner) revoked(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	var idle []chan struct{}
	r.mu.Lock()
	for topic, parts := range topics {
		for _, number := range parts {
			key := topicPartition{topic, number}
			p := r.parts[key]
			if p == nil {
				continue
			}
			delete(r.parts, key)
			p.cancel()
			r.bytes -= p.bufBytes
			p.buf, p.bufBytes = nil, 0
			idle = append(idle, p.idle)
		}
	}
	r.mu.Unlock()
	for _, ch := range idle {
		<-ch
	}
	// The room of what was dropped may be what a poll waits for.
	select {
	case r.progress <- struct{}{}:
	default:
	}
}

// tableLag is how far history is behind one topic.
type tableLag struct {
	records int64
	seconds float64
}

type lag struct {
	tables     map[Table]tableLag
	bytes      int64
	partitions int
}

func (r *runner) lag() lag {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := lag{tables: make(map[Table]tableLag), bytes: r.bytes, partitions: len(r.parts)}
	for _, table := range r.tables {
		l.tables[table] = tableLag{}
	}
	now := r.cfg.Clock.Now()
	for _, p := range r.parts {
		t := l.tables[p.table]
		if p.hwm >= 0 && p.start >= 0 {
			t.records += max(p.hwm-p.start, 0)
		}
		oldest := p.oldest
		if oldest.IsZero() && len(p.buf) > 0 {
			oldest = p.buf[0].Timestamp
		}
		if !oldest.IsZero() {
			t.seconds = max(t.seconds, now.Sub(oldest).Round(time.Millisecond).Seconds())
		}
		l.tables[p.table] = t
	}
	return l
}
