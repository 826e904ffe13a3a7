package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// span is what to read of a topic, by partition: offsets from, inclusive, to,
// exclusive.
type span struct{ from, to map[int32]int64 }

// wholeTopic is everything that is committed in a topic now.
func wholeTopic(ctx context.Context, opts []kgo.Opt, topic string) (span, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return span{}, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	s := span{map[int32]int64{}, map[int32]int64{}}
	adm := kadm.NewClient(cl)
	for _, side := range []struct {
		into map[int32]int64
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
	}{{s.from, adm.ListStartOffsets}, {s.to, adm.ListCommittedOffsets}} {
		listed, err := side.list(ctx, topic)
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			return span{}, fmt.Errorf("looking up the offsets of topic %s: %w", topic, err)
		}
		for p, o := range listed[topic] {
			side.into[p] = o.Offset
		}
	}
	return s, nil
}

// readSpan hands over the committed records of a span, each partition in order.
// Records are valid during the call only.
func readSpan(ctx context.Context, opts []kgo.Opt, topic string, s span, each func(*kgo.Record) error) error {
	left := 0
	start := map[int32]kgo.Offset{}
	for p, to := range s.to {
		if s.from[p] < to {
			start[p] = kgo.NewOffset().At(s.from[p])
			left++
		}
	}
	if left == 0 {
		return nil
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, opts...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The end marker of a transaction may be the last record of the span.
		kgo.KeepControlRecords(),
		// What retention has taken meanwhile is passed over.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(250*time.Millisecond),
	)...)
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	done := map[int32]bool{}
	for len(done) < left {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
		var failed error
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			to := s.to[f.Partition]
			for _, rec := range f.Records {
				if failed == nil && rec.Offset < to && !rec.Attrs.IsControl() {
					failed = each(rec)
				}
				if rec.Offset+1 >= to {
					done[f.Partition] = true
				}
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}
