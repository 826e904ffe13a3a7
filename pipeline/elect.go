package pipeline

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// elect runs lead while this process holds the one partition of a topic in a
// consumer group, until ctx ends or lead fails. Nothing of the topic is consumed
// by it: the group only decides who leads.
func elect(ctx context.Context, opts []kgo.Opt, group, topic string, waiting func(bool), lead func(context.Context) error) error {
	elected := make(chan context.Context, 1)
	var mu sync.Mutex
	var stop context.CancelFunc
	depose := func(context.Context, *kgo.Client, map[string][]int32) {
		mu.Lock()
		defer mu.Unlock()
		if stop != nil {
			stop()
			stop = nil
		}
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, opts...),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got[topic]) == 0 {
				return
			}
			term, cancel := context.WithCancel(ctx)
			mu.Lock()
			if stop != nil {
				stop()
			}
			stop = cancel
			mu.Unlock()
			select {
			case <-elected: // of a term that nobody took
			default:
			}
			elected <- term
		}),
		kgo.OnPartitionsRevoked(depose), kgo.OnPartitionsLost(depose),
	)...)
	if err != nil {
		return fmt.Errorf("joining group %s: %w", group, err)
	}
	defer cl.Close()
	defer depose(ctx, nil, nil)
	waiting(true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case term := <-elected:
			if err := lead(term); err != nil && term.Err() == nil {
				return err
			}
		}
	}
}
