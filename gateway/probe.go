package gateway

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probe asks for what lies between each partition's position and its end, and
// moves the position over offsets that hold no record any more.
//
// Compaction may have removed the newest records (old tombstones, or everything
// of an aborted transaction), and then no record ever arrives to say that the
// end was reached. A consumer does not expose its position between records, so
// the question is put to the broker directly. Needed in that case only.
//
// A client of its own asks, because a broker answers the requests of one
// connection in turn and the consumer's fetch waits there for new records.
func (f *follower) probe(ctx context.Context, parts map[int32]*position) error {
	cl, err := kgo.NewClient(f.opts...)
	if err != nil {
		return fmt.Errorf("configuring the prober: %w", err)
	}
	defer cl.Close()
	for partition, p := range parts {
		if p.next >= p.end {
			continue
		}
		fp, next, err := fetchAt(ctx, cl, f.topic, partition, p.next)
		if err != nil {
			return err
		}
		switch {
		case len(fp.Records) > 0:
			// There are records: the consumer will deliver them. Only what lies
			// before the first is known to be empty.
			if first := fp.Records[0].Offset; first > p.next {
				p.next = min(first, p.end)
			}
		case next > p.next:
			// Empty batches.
			p.next = min(next, p.end)
		case fp.LastStableOffset >= p.end:
			// A successful answer without a byte: nothing is left up to the end.
			p.next = p.end
		}
	}
	return nil
}

// fetchAt reads one answer's worth of a partition from an offset, and the offset
// after the last batch that it held.
func fetchAt(ctx context.Context, cl *kgo.Client, topic string, partition int32, offset int64) (kgo.FetchPartition, int64, error) {
	fail := func(err error) (kgo.FetchPartition, int64, error) {
		return kgo.FetchPartition{}, 0, fmt.Errorf("fetching %s/%d at offset %d: %w", topic, partition, offset, err)
	}
	meta, err := kadm.NewClient(cl).Metadata(ctx, topic)
	if err != nil {
		return fail(err)
	}
	detail := meta.Topics[topic]
	if detail.Err != nil {
		return fail(detail.Err)
	}
	leader := detail.Partitions[partition]
	if leader.Err != nil {
		return fail(leader.Err)
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = 0
	req.MinBytes = 0
	req.MaxBytes = 1 << 20
	req.IsolationLevel = 1
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic, detail.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = partition, offset, 256<<10
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := cl.Broker(int(leader.Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return fail(err)
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fail(err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fail(kerr.UnknownTopicOrPartition)
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		KeepControlRecords: true, Offset: offset, IsolationLevel: kgo.ReadCommitted(),
		Topic: topic, Partition: partition,
	}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		return fail(fp.Err)
	}
	return fp, next, nil
}
