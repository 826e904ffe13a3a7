package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committer is the difference between the delivery modes.
type committer interface {
	// begin starts a unit of work; commit or abort ends it.
	begin() error
	// commit writes out everything and commits the polled offsets. It returns
	// false without an error if the work was rolled back and the client goes
	// back to the committed offsets. After an error the client is unusable.
	commit(ctx context.Context) (bool, error)
	// abort drops what was written since begin as far as the mode can, and
	// lets the client go back to the committed offsets.
	abort(ctx context.Context) error
	// revoking is called by the group client before partitions are taken away.
	revoking()
	// revoked is called after them, to pair with revoking.
	revoked()
}

// transactions is exactly-once. A revocation during the work is noticed by the
// session itself, which then aborts instead of committing.
type transactions struct {
	sess   *kgo.GroupTransactSession
	failed func() error // first produce error since begin
}

func (t *transactions) begin() error {
	if err := t.sess.Begin(); err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	return nil
}

func (t *transactions) commit(ctx context.Context) (bool, error) {
	// Flushing first shows whether every output was accepted; End would commit
	// without those that were not.
	if err := t.sess.Client().Flush(ctx); err != nil {
		return false, fmt.Errorf("flushing outputs: %w", err)
	}
	if err := t.failed(); err != nil {
		return false, errors.Join(err, t.abort(ctx))
	}
	ok, err := t.sess.End(ctx, kgo.TryCommit)
	if err != nil {
		return false, fmt.Errorf("ending transaction: %w", err)
	}
	return ok, nil
}

func (t *transactions) abort(ctx context.Context) error {
	if _, err := t.sess.End(ctx, kgo.TryAbort); err != nil {
		return fmt.Errorf("aborting transaction: %w", err)
	}
	return nil
}

func (t *transactions) revoking() {}
func (t *transactions) revoked()  {}

// plain is at-least-once. Here a revocation waits for the work in hand: the
// member still is one until it answers the rebalance, so the offsets are
// committed before anybody else starts from them, and nothing is rolled back.
type plain struct {
	cl     *kgo.Client
	failed func() error
	wait   time.Duration

	// work holds one token from begin to commit or abort. It is a channel and
	// not a mutex because the wait for it has a deadline, and because a channel
	// hands over to who waits: a busy main loop must not starve a revocation.
	work chan struct{}
	held bool // revoking got the token; only used between revoking and revoked
}

func newPlain(cl *kgo.Client, failed func() error, wait time.Duration) *plain {
	return &plain{cl: cl, failed: failed, wait: wait, work: make(chan struct{}, 1)}
}

func (p *plain) begin() error {
	p.work <- struct{}{}
	return nil
}

func (p *plain) commit(ctx context.Context) (bool, error) {
	defer func() { <-p.work }()
	if err := p.cl.Flush(ctx); err != nil {
		return false, fmt.Errorf("flushing outputs: %w", err)
	}
	if err := p.failed(); err != nil {
		return false, err
	}
	offsets := p.cl.UncommittedOffsets()
	if len(offsets) == 0 {
		return true, nil
	}
	commitErr := commitOffsets(ctx, p.cl, offsets)
	switch {
	case commitErr == nil:
		return true, nil
	case errors.Is(commitErr, kerr.IllegalGeneration), errors.Is(commitErr, kerr.UnknownMemberID), errors.Is(commitErr, kerr.RebalanceInProgress):
		// The group moved on without us. Whoever owns the partitions now
		// starts at the last commit; so do we, for those we still have.
		p.rewind()
		return false, nil
	default:
		return false, commitErr
	}
}

// commitOffsets commits as the member that cl is, outside any transaction.
func commitOffsets(ctx context.Context, cl *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) error {
	var first error
	cl.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			first = fmt.Errorf("committing offsets: %w", err)
			return
		}
		for _, t := range resp.Topics {
			for _, part := range t.Partitions {
				if err := kerr.ErrorForCode(part.ErrorCode); err != nil && first == nil {
					first = fmt.Errorf("committing offset of %s/%d: %w", t.Topic, part.Partition, err)
				}
			}
		}
	})
	return first
}

func (p *plain) abort(context.Context) error {
	defer func() { <-p.work }()
	p.rewind()
	return nil
}

func (p *plain) rewind() { p.cl.SetOffsets(p.cl.CommittedOffsets()) }

func (p *plain) revoking() {
	// The wait is bounded: work that is stuck must not keep the whole group
	// from its rebalance. Its commit is then refused, or harmless.
	deadline := time.NewTimer(p.wait)
	defer deadline.Stop()
	select {
	case p.work <- struct{}{}:
		p.held = true
	case <-deadline.C:
	}
}

func (p *plain) revoked() {
	if p.held {
		p.held = false
		<-p.work
	}
}
