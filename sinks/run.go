package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// pollRecords is how many records one poll hands over at most.
const pollRecords = 20_000

// runner is one Run. Locking: mu guards parts, all partition fields, bytes,
// inflight and stopping, and is never held across I/O or a wait.
type runner struct {
	cfg     Config
	tables  map[string]Table
	limits  limits
	log     *slog.Logger
	metrics *metrics
	cl      *kgo.Client
	slots   chan struct{} // one per chunk that may be written at a time

	// ctx ends when nothing may be written any more; fail ends it with a cause.
	ctx  context.Context
	fail context.CancelCauseFunc

	mu       sync.Mutex
	parts    map[topicPartition]*partition
	bytes    int64 // of all buffers and chunks in flight
	inflight int
	stopping bool

	progress chan struct{} // a chunk ended; one pending signal is enough
	workers  sync.WaitGroup
}

// Run consumes the topics and stores them until ctx ends, which is not an error:
// it then writes what is buffered, for at most Config.StopTimeout, and leaves the
// group. Any error it returns needs an operator: the store refused rows for a
// reason that time does not heal, the brokers refuse the group, or offsets went
// back (ErrOffsetsWentBack). Nothing is lost then: the committed offsets stand at
// the last chunk that is stored.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	r := &runner{
		cfg: cfg, tables: cfg.Topics.tables(), log: cfg.Logger,
		limits:   limits{rows: cfg.ChunkRows, bytes: cfg.ChunkBytes, interval: cfg.ChunkInterval},
		metrics:  newMetrics(cfg.Registerer, cfg.Name),
		slots:    make(chan struct{}, cfg.Parallel),
		parts:    make(map[topicPartition]*partition),
		progress: make(chan struct{}, 1),
	}
	unregister, err := r.metrics.register(newLagCollector(r))
	if err != nil {
		return fmt.Errorf("registering metrics of sink %s: %w", cfg.Name, err)
	}
	defer unregister()

	r.ctx, r.fail = context.WithCancelCause(context.WithoutCancel(ctx))
	defer r.fail(nil)
	if err := r.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := r.connect(); err != nil {
		return fmt.Errorf("connecting sink %s: %w", cfg.Name, err)
	}
	// Closing leaves the group, which calls revoked for what is still held.
	defer r.cl.Close()

	r.consume(ctx)
	r.drain()
	if cause := context.Cause(r.ctx); cause != nil {
		return fmt.Errorf("running sink %s: %w", cfg.Name, cause)
	}
	return nil
}

// prepare gets the store ready. A store that is not up yet is waited for.
func (r *runner) prepare(ctx context.Context) error {
	p, ok := r.cfg.Writer.(Preparer)
	if !ok {
		return nil
	}
	err := r.retry(ctx, "preparing the store", func() error { return p.Prepare(ctx) })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("preparing the store of sink %s: %w", r.cfg.Name, err)
	}
	return nil
}

func (r *runner) connect() error {
	topics := make([]string, 0, len(r.tables))
	for topic := range r.tables {
		topics = append(topics, topic)
	}
	// Limits of memory first, so that the caller may change them; what
	// correctness needs last.
	opts := []kgo.Opt{
		kgo.FetchMaxBytes(16 << 20),
		kgo.FetchMaxPartitionBytes(4 << 20),
		kgo.MaxDecompressBatchBytes(64 << 20),
		kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(time.Second),
	}
	opts = append(opts, r.cfg.Opts...)
	opts = append(opts,
		kgo.ConsumerGroup(r.cfg.Group),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DisableAutoCommit(),
		// Between a poll and AllowRebalance the records belong to partitions that
		// are assigned now. Without this a poll could return just before a
		// partition goes away and comes back, and its records would be taken for
		// the continuation of the committed offset, leaving a hole.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnOffsetsFetched(r.offsetsFetched),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.revoked),
	)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	r.cl = cl
	return nil
}

// consume polls until ctx or r.ctx ends.
func (r *runner) consume(ctx context.Context) {
	polling, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(r.ctx, stop)()

	var aged sync.WaitGroup
	defer aged.Wait()
	aged.Go(func() { r.closeAged(polling) })
	defer stop()

	for r.waitForRoom(polling) {
		fetches := r.cl.PollRecords(polling, pollRecords)
		if err := r.ingest(fetches); err != nil {
			r.fail(err)
		}
		r.cl.AllowRebalance()
		r.skipTooLarge(fetches)
	}
}

// skipTooLarge passes over batches that decompress to more than is taken; the
// client fetches nothing more of such a partition until told where to go on.
func (r *runner) skipTooLarge(fetches kgo.Fetches) {
	fetches.EachError(func(_ string, _ int32, err error) {
		var b *kgo.ErrDecompressTooLarge
		if errors.As(err, &b) {
			r.log.Error("batch left out: it decompresses to more than 64 MiB",
				"topic", b.Topic, "partition", b.Partition, "from", b.Offset, "to", b.NextOffset)
			r.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{b.Topic: {b.Partition: {Epoch: b.Epoch, Offset: b.NextOffset}}})
		}
	})
}

// closeAged closes chunks by age while polls wait for records.
func (r *runner) closeAged(ctx context.Context) {
	every := min(max(r.cfg.ChunkInterval/8, time.Millisecond), time.Second)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.cfg.Clock.After(every):
		}
		r.mu.Lock()
		now := r.cfg.Clock.Now()
		for _, p := range r.parts {
			r.dispatch(p, now, false)
		}
		r.mu.Unlock()
	}
}

// waitForRoom blocks while the buffers are full and a chunk is in flight whose
// end will make room. It reports false when ctx is over.
//
// With no chunk in flight it never blocks, full or not: partitions may be
// waiting for the rest of an intended range, and only polling brings it.
func (r *runner) waitForRoom(ctx context.Context) bool {
	for ctx.Err() == nil {
		r.mu.Lock()
		full := r.bytes >= r.cfg.BufferBytes
		if full {
			r.dispatchLargest()
		}
		wait := full && r.inflight > 0
		r.mu.Unlock()
		if !wait {
			return true
		}
		select {
		case <-ctx.Done():
		case <-r.progress:
		}
	}
	return false
}

// dispatchLargest closes a chunk before its time, the one that frees most. The
// caller holds mu.
func (r *runner) dispatchLargest() {
	var largest *partition
	for _, p := range r.parts {
		if p.busy == nil && p.intended.End == 0 && (largest == nil || p.bufBytes > largest.bufBytes) {
			largest = p
		}
	}
	if largest != nil && largest.bufBytes > 0 {
		r.dispatch(largest, r.cfg.Clock.Now(), true)
	}
}

// ingest takes over what a poll returned. Its error stops the sink.
func (r *runner) ingest(fetches kgo.Fetches) error {
	var fatal error
	fetches.EachError(func(topic string, part int32, err error) {
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		case permanent(err):
			fatal = fmt.Errorf("consuming %s/%d: %w", topic, part, err)
		default:
			r.log.Warn("fetching", "topic", topic, "partition", part, "error", err)
		}
	})
	if fatal != nil {
		return fatal
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock.Now()
	fetches.EachPartition(func(ft kgo.FetchTopicPartition) {
		p := r.parts[topicPartition{ft.Topic, ft.Partition}]
		if p == nil || fatal != nil {
			return
		}
		p.hwm = max(p.hwm, ft.HighWatermark)
		if p.next != unknownOffset && ft.LogStartOffset > p.next {
			lost := ft.LogStartOffset - p.next
			r.metrics.lost.WithLabelValues(string(p.table)).Add(float64(lost))
			r.log.Error("records were removed by retention before they were stored",
				"topic", p.topic, "partition", p.partition, "offsets", lost)
			p.next = ft.LogStartOffset
		}
		for _, rec := range ft.Records {
			if rec.Offset < p.next {
				fatal = fmt.Errorf("%w: %s/%d gave offset %d after %d", ErrOffsetsWentBack,
					p.topic, p.partition, rec.Offset, p.next-1)
				return
			}
			r.bytes += p.add(rec, now)
		}
		r.dispatch(p, now, false)
	})
	return fatal
}

// permanent tells fetch errors that the client cannot outlive by itself.
func permanent(err error) bool {
	for _, fatal := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnknownTopicID, kerr.UnsupportedVersion,
		kerr.OffsetMetadataTooLarge,
	} {
		if errors.Is(err, fatal) {
			return true
		}
	}
	return false
}

// dispatch starts a worker for the partition's next chunk if one is due. The
// caller holds mu.
func (r *runner) dispatch(p *partition, now time.Time, force bool) {
	if r.parts[p.topicPartition] != p || p.ctx.Err() != nil {
		return
	}
	c := p.cut(r.limits, now, force || r.stopping)
	if c == nil {
		return
	}
	c.skip = r.cfg.Skip
	r.inflight++
	r.workers.Go(func() { r.store(p, c) })
}

// drain ends the run: it writes what is buffered, within StopTimeout, unless the
// sink has failed.
func (r *runner) drain() {
	r.mu.Lock()
	r.stopping = true
	for _, p := range r.parts {
		r.dispatch(p, r.cfg.Clock.Now(), true)
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		// A worker that ends starts the next chunk of its partition before it
		// counts as done.
		r.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-r.ctx.Done():
	case <-r.cfg.Clock.After(r.cfg.StopTimeout):
		r.log.Warn("stopping with records that are not stored; they are read again at the next start")
		r.mu.Lock()
		for _, p := range r.parts {
			p.cancel()
		}
		r.mu.Unlock()
	}
	<-done
}
