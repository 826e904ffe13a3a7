package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitTimeout bounds one offset commit. Taking a partition away waits for it.
const commitTimeout = 10 * time.Second

// Steps of a chunk, as Config.crash sees them.
const (
	stepFormed    = "formed"
	stepIntended  = "intended"
	stepWritten   = "written"
	stepCommitted = "committed"
)

// errTaken ends the work on a chunk whose partition was taken away.
var errTaken = errors.New("partition taken away")

// store carries one chunk through intent, write and commit.
func (r *runner) store(p *partition, c *Chunk) {
	err := r.storeSteps(p, c)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.inflight--
	r.bytes -= c.bytes
	// The next chunk has an idle channel of its own.
	defer close(p.idle)
	p.busy = nil
	p.oldest = time.Time{}
	switch {
	case err == nil:
		p.start = c.End
		r.dispatch(p, r.cfg.Clock.Now(), false)
	case p.ctx.Err() != nil:
		// Whoever has the partition next forms the chunk again.
	default:
		r.fail(fmt.Errorf("storing %s: %w", c.Token(), err))
	}
	select {
	case r.progress <- struct{}{}:
	default:
	}
}

func (r *runner) storeSteps(p *partition, c *Chunk) error {
	if err := r.cfg.crash(stepFormed, c); err != nil {
		return err
	}
	if c.Records() > 0 {
		if !c.Recovered {
			if err := r.commit(p, c.First, intent{End: c.End, At: c.Since.Unix()}.String()); err != nil {
				return err
			}
		}
		if err := r.cfg.crash(stepIntended, c); err != nil {
			return err
		}
		if err := r.write(p, c); err != nil {
			return err
		}
	}
	if err := r.cfg.crash(stepWritten, c); err != nil {
		return err
	}
	if err := r.commit(p, c.End, ""); err != nil {
		return err
	}
	return r.cfg.crash(stepCommitted, c)
}

// write gives the chunk to the writer until it is stored.
func (r *runner) write(p *partition, c *Chunk) error {
	var written Written
	var took time.Duration
	err := r.retry(p.ctx, "storing "+c.Token(), func() error {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-p.ctx.Done():
			return errTaken
		}
		begun := r.cfg.Clock.Now()
		var err error
		written, err = r.cfg.Writer.WriteChunk(p.ctx, c)
		took = r.cfg.Clock.Now().Sub(begun)
		return err
	})
	if err != nil {
		return err
	}
	table := string(c.Table)
	r.metrics.rows.WithLabelValues(table).Add(float64(written.Rows))
	r.metrics.bytes.WithLabelValues(table).Add(float64(written.Bytes))
	r.metrics.chunks.WithLabelValues(table).Inc()
	r.metrics.seconds.WithLabelValues(table).Observe(took.Seconds())
	for reason, n := range c.skipped {
		r.metrics.skipped.WithLabelValues(table, reason).Add(float64(n))
	}
	return nil
}

// retry repeats try while it fails with a RetryError and ctx lasts.
func (r *runner) retry(ctx context.Context, what string, try func() error) error {
	pause := r.cfg.RetryMin
	for attempt := uint(1); ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		again, ok := errors.AsType[*RetryError](err)
		if !ok || ctx.Err() != nil {
			return err
		}
		r.metrics.retries.WithLabelValues(again.Code).Inc()
		// A store that is away for hours must not fill the log.
		if bits.OnesCount(attempt) == 1 {
			r.log.Warn("the store does not take the chunk; trying again", "what", what,
				"attempt", attempt, "code", again.Code, "error", err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-r.cfg.Clock.After(pause):
		}
		pause = min(2*pause, r.cfg.RetryMax)
	}
}

// commit stores offset and metadata in the group. Errors of the group's life
// (a rebalance, a coordinator that moves) are retried while the partition is
// held: if it is not ours any more, its context ends soon.
//
// A commit that was sent is always waited for, also when the partition is being
// taken away: one that arrived after the next owner's would move the group back.
func (r *runner) commit(p *partition, offset int64, metadata string) error {
	pause := 20 * time.Millisecond
	for {
		if p.ctx.Err() != nil {
			return errTaken
		}
		err := r.commitOnce(p, offset, metadata)
		if err == nil {
			return nil
		}
		if permanent(err) {
			return fmt.Errorf("committing offset %d: %w", offset, err)
		}
		r.metrics.retries.WithLabelValues("commit").Inc()
		r.log.Debug("committing again", "topic", p.topic, "partition", p.partition, "error", err)
		select {
		case <-p.ctx.Done():
			return errTaken
		case <-r.cfg.Clock.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

func (r *runner) commitOnce(p *partition, offset int64, metadata string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Metadata = &metadata
			}
		}
		return nil
	})
	var failed error
	r.cl.CommitOffsetsSync(ctx,
		map[string]map[int32]kgo.EpochOffset{p.topic: {p.partition: {Epoch: -1, Offset: offset}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err != nil {
				return
			}
			for _, t := range resp.Topics {
				for _, part := range t.Partitions {
					if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
						failed = err
					}
				}
			}
		})
	return failed
}
