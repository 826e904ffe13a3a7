package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// session is one membership in the group, from joining to the first error.
type session struct {
	cfg     *Config
	metrics *metrics
	cluster *cluster
	cl      *kgo.Client
	work    committer
	ctx     context.Context // of the outputs: lives until the session is dropped
	opened  chan struct{}   // closed when cl and work are set: the client calls back before it is returned

	snapshotBuf []byte                       // reused between snapshots
	tooLarge    []*kgo.ErrDecompressTooLarge // batches to be passed over, in the order met
	strays      int                          // commits in a row that had records without a task

	mu        sync.Mutex // covers all below, and task.dirty and task.seen
	tasks     map[int32]*task
	parked    map[int32]*task // clean tasks taken away by an eager rebalance that may give them back
	unsettled bool            // partitions were taken away since the last commit, abort or rewind
	ready     bool
	outErr    error // first refused output; it ends the session
}

// session runs one session. It returns nil only after ctx is cancelled, and
// whether it got as far as committing something.
func (r *runner) session(ctx context.Context) (worked bool, err error) {
	cfg := &r.cfg
	c, err := newCluster(r.options(kgo.ClientID("weir-stream-" + cfg.Group)))
	if err != nil {
		return false, fmt.Errorf("%w: creating client: %w", ErrConfig, err)
	}
	defer c.close()
	if err := checkTopics(ctx, cfg, c); err != nil {
		return false, err
	}
	outCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// A stop lets the outputs in hand go out, but a processor that waits for
	// room in the producer's buffer must not wait for a broker that is gone.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(cfg.CommitTimeout, cancel) })()
	s := &session{
		cfg:     cfg,
		metrics: r.metrics,
		cluster: c,
		ctx:     outCtx,
		opened:  make(chan struct{}),
		tasks:   make(map[int32]*task),
		parked:  make(map[int32]*task),
	}
	if err := s.open(r); err != nil {
		return false, err
	}
	defer r.metrics.lag.reset()
	if cfg.Delivery == ExactlyOnce {
		// The producer id is otherwise asked for with the first output. Asking
		// now aborts what a predecessor with this transactional id left open,
		// which would keep our committed offsets unstable.
		idCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, _, err = s.cl.ProducerID(idCtx)
		cancel()
		if err != nil {
			err = fmt.Errorf("getting producer id: %w", err)
		}
	}
	if err == nil {
		worked, err = s.loop(ctx)
	}
	s.close(err == nil || ctx.Err() != nil)
	return worked, err
}

// checkTopics refuses what could not work before the group is joined.
func checkTopics(ctx context.Context, cfg *Config, c *cluster) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	topics := append([]string{}, cfg.Inputs...)
	topics = append(topics, cfg.Outputs...)
	for _, t := range []string{cfg.StateTopic, cfg.DeadLetterTopic} {
		if t != "" {
			topics = append(topics, t)
		}
	}
	if err := c.load(ctx, topics...); err != nil {
		return err
	}
	want, err := c.partitions(ctx, cfg.Inputs[0])
	if err != nil {
		return err
	}
	same := cfg.Inputs[1:]
	if cfg.StateTopic != "" {
		same = append([]string{cfg.StateTopic}, same...)
	}
	for _, t := range same {
		n, err := c.partitions(ctx, t)
		if err != nil {
			return err
		}
		if n != want {
			return fmt.Errorf("topic %s has %d partitions, %s has %d: %w", t, n, cfg.Inputs[0], want, ErrNotCoPartitioned)
		}
	}
	return nil
}

func (r *runner) options(more ...kgo.Opt) []kgo.Opt {
	opts := append([]kgo.Opt{}, r.cfg.Opts...)
	opts = append(opts, kgo.WithLogger(kgoLogger{r.cfg.Logger}))
	return append(opts, more...)
}

// maxBatch bounds a batch of outputs, bytes. A processor may pass on a record of
// 1 MiB, the most an event may have, with key and headers; the client's default
// is just below that.
const maxBatch = 1<<20 + 256<<10

// open creates the group client. Each option that is not a plain size keeps a
// known failure away; DESIGN.md lists them.
func (s *session) open(r *runner) error {
	cfg := s.cfg
	balancer := kgo.CooperativeStickyBalancer()
	if len(cfg.Inputs) > 1 {
		// Only range gives a member the same partition numbers of all topics.
		balancer = kgo.RangeBalancer()
	}
	opts := r.options(
		kgo.ClientID("weir-stream-"+cfg.Group),
		kgo.ConsumerGroup(cfg.Group),
		kgo.ConsumeTopics(cfg.Inputs...),
		kgo.Balancers(balancer),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(cfg.SessionTimeout),
		kgo.HeartbeatInterval(cfg.HeartbeatInterval),
		kgo.RebalanceTimeout(max(cfg.SessionTimeout, cfg.CommitTimeout+cfg.HeartbeatInterval)),
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.FetchMaxPartitionBytes(cfg.FetchMaxPartitionBytes),
		kgo.MaxDecompressBatchBytes(64<<20),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(s.onRevoked),
		kgo.OnPartitionsLost(s.onRevoked),
	)
	if cfg.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(cfg.InstanceID))
	}
	failed := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.outErr
	}
	if cfg.Delivery == AtLeastOnce {
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			return fmt.Errorf("%w: creating group client: %w", ErrConfig, err)
		}
		s.cl, s.work = cl, newPlain(cl, failed, cfg.CommitTimeout)
		close(s.opened)
		return nil
	}
	opts = append(opts, kgo.TransactionalID(r.transactionalID), kgo.TransactionTimeout(cfg.TransactionTimeout))
	sess, err := kgo.NewGroupTransactSession(opts...)
	if err != nil {
		return fmt.Errorf("%w: creating transaction session: %w", ErrConfig, err)
	}
	s.cl, s.work = sess.Client(), &transactions{sess: sess, failed: failed}
	close(s.opened)
	return nil
}

// close leaves the group and drops the client, without waiting for long: a
// broker that does not answer must not hold up the next session.
func (s *session) close(graceful bool) {
	wait := 2 * time.Second
	if graceful {
		wait = min(5*time.Second, (s.cfg.StopTimeout-s.cfg.CommitTimeout)/2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if graceful && s.cfg.Delivery == AtLeastOnce {
		// Snapshots follow the commit they belong to, so some may be under way.
		if err := s.cl.Flush(ctx); err != nil {
			s.cfg.Logger.Debug("flushing snapshots", "group", s.cfg.Group, "err", err)
		}
	}
	if err := s.cl.LeaveGroupContext(ctx); err != nil {
		s.cfg.Logger.Debug("leaving group", "group", s.cfg.Group, "err", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.cl.Close()
	}()
	select {
	case <-done:
	case <-time.After(wait):
		s.cfg.Logger.Warn("client does not close, leaving it behind", "group", s.cfg.Group)
	}
}

// onAssigned is called before adjust, with the partitions that are new.
func (s *session) onAssigned(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	if len(assigned) > 0 {
		return
	}
	s.mu.Lock()
	clear(s.parked)
	s.mu.Unlock()
	s.setReady(true) // nothing to restore
}

// onRevoked is called with partitions that are taken away or already lost.
// The transaction session does not pass on a second revocation before the
// work is ended, so that tasks may stay here that are not ours; settle and
// keep are written with that in mind.
func (s *session) onRevoked(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
	if len(revoked) == 0 {
		return
	}
	<-s.opened
	s.work.revoking()
	defer s.work.revoked()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsettled = true
	for topic, parts := range revoked {
		for _, p := range parts {
			s.metrics.lag.remove(topicPartition{topic, p})
			t := s.tasks[p]
			if t == nil {
				continue
			}
			delete(s.tasks, p)
			// Work that is not committed will be rolled back: drop it.
			if !t.dirty && len(s.cfg.Inputs) > 1 {
				s.parked[p] = t
			}
		}
	}
}

func (s *session) setReady(ready bool) {
	s.mu.Lock()
	changed := s.ready != ready
	s.ready = ready
	s.mu.Unlock()
	if changed {
		s.cfg.OnReady(ready)
	}
}

// emit implements emitter.
func (s *session) emit(ctx context.Context, rec *kgo.Record) { s.cl.Produce(ctx, rec, s.written) }

// partitions implements emitter.
func (s *session) partitions(ctx context.Context, topic string) (int32, error) {
	return s.cluster.partitions(ctx, topic)
}

// written is the promise of every output.
func (s *session) written(rec *kgo.Record, err error) {
	if err == nil || errors.Is(err, kgo.ErrAborting) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outErr == nil {
		s.outErr = &produceError{topic: rec.Topic, err: err}
	}
}

func (s *session) newOutput() *Output {
	return &Output{emitter: s, ctx: s.ctx, deadLetterTopic: s.cfg.DeadLetterTopic, metrics: s.metrics, logger: s.cfg.Logger}
}

// kgoLogger passes the client's log on. The client reports every transaction
// at its level info; here that is debug.
type kgoLogger struct{ log *slog.Logger }

func (l kgoLogger) Level() kgo.LogLevel {
	switch ctx := context.Background(); {
	case l.log.Enabled(ctx, slog.LevelDebug-4):
		return kgo.LogLevelDebug
	case l.log.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.log.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	default:
		return kgo.LogLevelError
	}
}

func (l kgoLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	var to slog.Level
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelError
	case kgo.LogLevelWarn:
		to = slog.LevelWarn
	case kgo.LogLevelInfo:
		to = slog.LevelDebug
	default:
		to = slog.LevelDebug - 4
	}
	l.log.Log(context.Background(), to, msg, keyvals...)
}

// pollError returns the first error in fetches that ends the session. What
// stems from the deadline of the poll itself is none, and batches that are too
// large are passed over.
func pollError(fetches kgo.Fetches) error {
	var first error
	fetches.EachError(func(topic string, partition int32, err error) {
		if first != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
			errors.As(err, new(*kgo.ErrDecompressTooLarge)) {
			return
		}
		first = fmt.Errorf("polling %s/%d: %w", topic, partition, err)
	})
	return first
}
