package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/gateway"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
)

// Blocklist measures how soon a follower is ready over n entries, and how long a
// lookup takes then.
func Blocklist(ctx context.Context, r *Results, n int) error {
	d, err := deploy(ctx, cluster{}, config.RoleEnforce)
	if err != nil {
		return err
	}
	defer func() { _ = d.stop() }()
	cl, err := kgo.NewClient(append(slices.Clone(d.opts), pipeline.EventProducerOptions()...)...)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer cl.Close()
	entry, err := json.Marshal(schemas.BlockEntry{
		VerdictID: "0123456789abcdef0123456789abcdef", Action: schemas.ActionBlock, Attack: schemas.AttackCredentialStuffing,
		Confidence: 0.9999, Reason: "ip 203.0.113.7 failed 41 logins. Blocked for 1h.",
		Created: time.Now().UTC(), ExpiresAt: time.Now().UTC().Add(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("encoding an entry: %w", err)
	}
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255) }
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Topic: d.topics.Blocklist, Key: []byte(schemas.BlockKey("", "ip", address(i))), Value: entry}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("loading the blocklist: %w", err)
	}
	list, err := gateway.NewBlocklist(gateway.Config{Opts: d.opts, Topic: d.topics.Blocklist})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- list.Run(ctx) }()
	select {
	case <-list.Ready():
	case err := <-done:
		return err
	}
	ready := time.Since(began)
	addresses := make([][]byte, 1<<16)
	for i := range addresses {
		addresses[i] = []byte(address(i * 31 % (2 * n))) // half of them are listed
	}
	const rounds = 20
	look := best(3, func() {
		for range rounds {
			for _, a := range addresses {
				list.LookupBytes("ip", a)
			}
		}
	})
	scenario := fmt.Sprintf("blocklist, %d entries", n)
	r.Add(scenario, "ready after", ready.Seconds(), "s")
	r.Add(scenario, "CPU per lookup", look.microsPer(rounds*len(addresses))*1e3, "ns")
	r.Add(scenario, "allocations per lookup", look.allocsPer(rounds*len(addresses)), "")
	return nil
}
