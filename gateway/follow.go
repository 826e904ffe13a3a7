package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// HeaderNotAfter is the record header of a conditional record: a decimal offset
// N. The record replaces only what stands at offset N or before; a reader that
// already holds something newer for the key ignores it.
const HeaderNotAfter = "weir-not-after"

// notAfter reads HeaderNotAfter.
func notAfter(r *kgo.Record) (offset int64, conditional bool) {
	for i := range r.Headers {
		if r.Headers[i].Key == HeaderNotAfter {
			n, err := strconv.ParseInt(string(r.Headers[i].Value), 10, 64)
			// An unreadable condition holds for nothing: the record is not
			// applied over anything.
			if err != nil {
				n = -1
			}
			return n, true
		}
	}
	return 0, false
}

// sink receives the log. Its methods are called from one goroutine.
type sink interface {
	// begin says that the log follows from its first record.
	begin()
	// apply receives records in the order of their partition, without control
	// records. They may be overwritten once apply returns: what is kept must
	// be copied.
	apply(rs []*kgo.Record)
	// caughtUp says that everything in the log when begin was called has been
	// applied. An error ends the follower and is returned from it.
	caughtUp(position int64) error
	// tick is called about once a second after caughtUp.
	tick(ctx context.Context)
}

// follower reads a topic from its start, for ever.
type follower struct {
	opts   []kgo.Opt
	topic  string
	logger *slog.Logger
	now    func() time.Time
	maxGap time.Duration
}

// errRebuild wraps what makes the position in the log meaningless, so that the
// follower has to start again from the first record.
var errRebuild = errors.New("blocklist log has to be read again")

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// run follows until ctx ends and then returns nil. Outages and a missing topic
// are waited out; only unusable options and the sink's own error end it earlier.
func (f *follower) run(ctx context.Context, s sink) error {
	backoff := minBackoff
	for {
		started := time.Now()
		err := f.once(ctx, s)
		var fatal *fatalError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // being told to stop is how a follower ends
		case errors.As(err, &fatal):
			return fatal.err
		}
		if time.Since(started) > maxBackoff {
			backoff = minBackoff
		}
		f.logger.Warn("reading the blocklist from its start again",
			"topic", f.topic, "in", backoff, "reason", err)
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// fatalError ends run.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// position is where a partition stands while the log is first read.
type position struct{ next, end int64 }

// once reads the log from its start until something makes it start again.
func (f *follower) once(ctx context.Context, s sink) error {
	gap := &gapHook{now: f.now, limit: f.maxGap}
	opts := append(append([]kgo.Opt{}, f.opts...),
		kgo.WithHooks(gap),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// A transaction's end marker may be the last offset of the log; without
		// it the position would never reach the end.
		kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// A position that is out of range means that the log is not the one
		// that was read: an error here, never a silent jump.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// One producer batch or so: larger answers took the embedded broker more
		// time to put together than they saved in requests.
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.MaxDecompressBatchBytes(64<<20),
		kgo.WithPools(new(recordPool)),
	)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return &fatalError{fmt.Errorf("configuring the blocklist reader: %w", err)}
	}
	defer cl.Close()
	parts, err := f.bounds(ctx, cl)
	if err != nil {
		return err
	}
	s.begin()
	cl.AddConsumeTopics(f.topic)

	const bootWait, followWait = 25 * time.Millisecond, time.Second
	caughtUp := false
	nextTick := time.Now().Add(followWait)
	for {
		if !caughtUp {
			if end, done := reached(parts); done {
				caughtUp = true
				if err := s.caughtUp(end); err != nil {
					return &fatalError{err}
				}
			}
		}
		wait := bootWait
		if caughtUp {
			wait = max(time.Until(nextTick), time.Millisecond)
		}
		pollCtx, cancel := context.WithTimeout(ctx, wait)
		fetches := cl.PollFetches(pollCtx)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if gap.tooLong.Load() {
			return fmt.Errorf("%w: no answer from the brokers for more than %s", errRebuild, f.maxGap)
		}
		got, err := f.deliver(fetches, parts, s)
		if err != nil {
			return err
		}
		if caughtUp && !time.Now().Before(nextTick) {
			s.tick(ctx)
			nextTick = time.Now().Add(followWait)
		}
		if !caughtUp && !got {
			if err := f.probe(ctx, parts); err != nil {
				f.logger.Debug("probing the end of the blocklist", "topic", f.topic, "err", err)
			}
		}
	}
}

// bounds finds, for every partition, the first offset and the read-committed
// end. A topic that is missing is an error.
func (f *follower) bounds(ctx context.Context, cl *kgo.Client) (map[int32]*position, error) {
	adm := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	starts, err := adm.ListStartOffsets(ctx, f.topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the start of %s: %w", f.topic, err)
	}
	ends, err := adm.ListCommittedOffsets(ctx, f.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the end of %s: %w", f.topic, err)
	}
	parts := make(map[int32]*position)
	for p, end := range ends[f.topic] {
		start, ok := starts.Lookup(f.topic, p)
		if !ok {
			return nil, fmt.Errorf("finding the start of %s: partition %d is new", f.topic, p)
		}
		parts[p] = &position{next: start.Offset, end: end.Offset}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("finding the end of %s: %w", f.topic, kerr.UnknownTopicOrPartition)
	}
	return parts, nil
}

// reached tells whether every partition stands at its end, and sums the ends.
func reached(parts map[int32]*position) (end int64, done bool) {
	for _, p := range parts {
		if p.next < p.end {
			return 0, false
		}
		end += p.end
	}
	return end, true
}

// deliver hands fetched records to the sink. got is false when nothing came.
func (f *follower) deliver(fetches kgo.Fetches, parts map[int32]*position, s sink) (got bool, err error) {
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if fp.Err != nil {
			switch {
			case errors.Is(fp.Err, context.DeadlineExceeded), errors.Is(fp.Err, context.Canceled):
			case rebuilds(fp.Err):
				err = fmt.Errorf("%w: %w", errRebuild, fp.Err)
			default:
				f.logger.Warn("reading the blocklist", "topic", f.topic,
					"partition", fp.Partition, "err", fp.Err)
			}
		}
		if len(fp.Records) == 0 {
			return
		}
		got = true
		if p := parts[fp.Partition]; p != nil {
			p.next = max(p.next, fp.Records[len(fp.Records)-1].Offset+1)
		}
		s.apply(withoutControl(fp.Records))
		for _, r := range fp.Records {
			r.Recycle()
		}
	})
	return got, err
}

// withoutControl is rs without transaction markers, which are rare.
func withoutControl(rs []*kgo.Record) []*kgo.Record {
	for i, r := range rs {
		if !r.Attrs.IsControl() {
			continue
		}
		kept := slices.Clone(rs[:i])
		for _, r := range rs[i:] {
			if !r.Attrs.IsControl() {
				kept = append(kept, r)
			}
		}
		return kept
	}
	return rs
}

// rebuilds tells errors after which the position means nothing: the log was
// truncated, or the topic was deleted and perhaps created again.
func rebuilds(err error) bool {
	var loss *kgo.ErrDataLoss
	return errors.As(err, &loss) ||
		errors.Is(err, kerr.OffsetOutOfRange) ||
		errors.Is(err, kerr.UnknownTopicID) ||
		errors.Is(err, kerr.InconsistentTopicID) ||
		errors.Is(err, kerr.UnknownTopicOrPartition) ||
		errors.Is(err, kgo.ErrClientClosed)
}

// gapHook watches for a time without any answered fetch. An idle topic answers
// too, with nothing, so silence means that the brokers could not be reached (or
// that this process was suspended).
type gapHook struct {
	now     func() time.Time
	limit   time.Duration
	last    atomic.Int64 // µs since 1970, 0 before the first answer
	tooLong atomic.Bool
}

const fetchKey = 1

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (g *gapHook) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key != fetchKey || e2e.Err() != nil {
		return
	}
	now := g.now().UnixMicro()
	if last := g.last.Swap(now); last != 0 && g.limit > 0 && now-last > g.limit.Microseconds() {
		g.tooLong.Store(true)
	}
}
