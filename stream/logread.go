package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster asks the cluster questions outside any consumer group. It is safe
// for concurrent use.
type cluster struct {
	cl         *kgo.Client
	adm        *kadm.Client
	decompress kgo.Decompressor

	mu     sync.Mutex // covers counts, places
	counts map[string]int32
	places map[topicPartition]place
}

// place is where to fetch a partition from.
type place struct {
	leader int32
	id     [16]byte
}

func newCluster(opts []kgo.Opt) (*cluster, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	return clusterOf(cl), nil
}

// clusterOf wraps a client that somebody else closes.
func clusterOf(cl *kgo.Client) *cluster {
	return &cluster{
		cl:         cl,
		adm:        kadm.NewClient(cl),
		decompress: kgo.DefaultDecompressor(),
		counts:     make(map[string]int32),
		places:     make(map[topicPartition]place),
	}
}

func (c *cluster) close() { c.cl.Close() }

// load asks for topics and remembers them. A topic that does not exist is an
// error wrapping ErrUnknownTopic. It does not use the client's cache, where a
// new topic stays unknown and a moved leader stays where it was for seconds.
func (c *cluster) load(ctx context.Context, topics ...string) error {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &topic
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return fmt.Errorf("describing topics: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range resp.Topics {
		var name string
		if t.Topic != nil {
			name = *t.Topic
		}
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			return fmt.Errorf("describing topic %s: %w", name, ErrUnknownTopic)
		case err != nil:
			return fmt.Errorf("describing topic %s: %w", name, err)
		}
		c.counts[name] = int32(len(t.Partitions))
		for _, p := range t.Partitions {
			c.places[topicPartition{name, p.Partition}] = place{leader: p.Leader, id: t.TopicID}
		}
	}
	for _, topic := range topics {
		if _, ok := c.counts[topic]; !ok {
			return fmt.Errorf("describing topic %s: %w", topic, ErrUnknownTopic)
		}
	}
	return nil
}

// partitions returns the partition count of a topic, as it was at first use.
func (c *cluster) partitions(ctx context.Context, topic string) (int32, error) {
	c.mu.Lock()
	n, ok := c.counts[topic]
	c.mu.Unlock()
	if ok {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.load(ctx, topic); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[topic], nil
}

func (c *cluster) place(ctx context.Context, tp topicPartition) (place, error) {
	c.mu.Lock()
	pl, ok := c.places[tp]
	c.mu.Unlock()
	if ok && pl.leader >= 0 {
		return pl, nil
	}
	if err := c.load(ctx, tp.topic); err != nil {
		return place{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if pl, ok = c.places[tp]; !ok || pl.leader < 0 {
		return place{}, fmt.Errorf("finding leader of %s/%d: %w", tp.topic, tp.partition, kerr.LeaderNotAvailable)
	}
	return pl, nil
}

// offsets lists one kind of offset for all partitions of topics.
func (c *cluster) offsets(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topics ...string) (map[topicPartition]int64, error) {
	listed, err := list(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing offsets: %w", err)
	}
	m := make(map[topicPartition]int64)
	listed.Each(func(o kadm.ListedOffset) { m[topicPartition{o.Topic, o.Partition}] = o.Offset })
	return m, nil
}

// stableRange returns the first retained offset and the last stable offset.
func (c *cluster) stableRange(ctx context.Context, topic string, partition int32) (from, to int64, err error) {
	starts, err := c.offsets(ctx, c.adm.ListStartOffsets, topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := c.offsets(ctx, c.adm.ListCommittedOffsets, topic)
	if err != nil {
		return 0, 0, err
	}
	tp := topicPartition{topic, partition}
	return starts[tp], ends[tp], nil
}

type isolation int8

const (
	readUncommitted isolation = 0
	readCommitted   isolation = 1
)

// fetched is the answer to one fetch.
type fetched struct {
	records []*kgo.Record
	next    int64 // where the next fetch starts: behind control records and aborted ones too
	err     error
}

// read calls fn for the records of a partition in [from, to), in order, and
// returns when the position has reached to. Control records and aborted
// transactions end a log as often as not, so that only the position tells
// that a range is finished; a consumer client does not show it, which is why
// this fetches by itself. One fetch runs ahead of fn.
func (c *cluster) read(ctx context.Context, topic string, partition int32, from, to int64, iso isolation, fn func(*kgo.Record) error) error {
	if from >= to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tp := topicPartition{topic, partition}
	ahead := make(chan fetched, 1)
	go func() { ahead <- c.fetch(ctx, tp, from, iso) }()
	for pos := from; pos < to; {
		f := <-ahead
		if f.err != nil {
			return fmt.Errorf("reading %s/%d from %d: %w", topic, partition, pos, f.err)
		}
		pos = f.next
		if pos < to {
			go func() { ahead <- c.fetch(ctx, tp, pos, iso) }()
		}
		for _, rec := range f.records {
			if rec.Offset >= to {
				break
			}
			if err := fn(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads from one offset on until the position moves. It retries what is
// retriable until ctx ends, or until the position has not moved for
// stuckTimeout: the caller asks for ranges that exist, so that means that the
// log got shorter.
func (c *cluster) fetch(ctx context.Context, tp topicPartition, from int64, iso isolation) fetched {
	const stuckTimeout = 30 * time.Second
	begin := time.Now()
	for {
		f := c.fetchOnce(ctx, tp, from, iso)
		switch {
		case f.err == nil && f.next > from:
			return f
		case ctx.Err() != nil:
			return fetched{err: ctx.Err()}
		case f.err != nil && !kerr.IsRetriable(f.err):
			return f
		case time.Since(begin) > stuckTimeout:
			if f.err == nil {
				f.err = fmt.Errorf("no record at offset %d", from)
			}
			return f
		case f.err == nil:
			continue // the broker waited already
		}
		c.mu.Lock()
		delete(c.places, tp)
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *cluster) fetchOnce(ctx context.Context, tp topicPartition, from int64, iso isolation) fetched {
	pl, err := c.place(ctx, tp)
	if err != nil {
		return fetched{err: err}
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = 500
	req.MinBytes = 1
	req.MaxBytes = 16 << 20
	req.IsolationLevel = int8(iso)
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = tp.topic, pl.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = tp.partition, from, 4<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)

	kresp, err := c.cl.Broker(int(pl.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return fetched{err: err}
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fetched{err: err}
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fetched{next: from}
	}
	opts := kgo.ProcessFetchPartitionOpts{Offset: from, Topic: tp.topic, Partition: tp.partition}
	if iso == readCommitted {
		opts.IsolationLevel = kgo.ReadCommitted()
	}
	fp, next := kgo.ProcessFetchPartition(opts, &resp.Topics[0].Partitions[0], c.decompress, nil)
	if fp.Err != nil && len(fp.Records) == 0 {
		return fetched{err: fp.Err}
	}
	return fetched{records: fp.Records, next: next}
}
