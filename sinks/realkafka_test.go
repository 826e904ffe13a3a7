package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

// The intent rests on what brokers do with commit metadata, and on transaction
// markers being offsets without records: both are checked where they are real.
func TestOnKafkaAnIntentOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	seeds := services.Kafka(t)
	name := fmt.Sprintf("sinks-%x", rand.Uint64())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.TransactionalID(name),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 2, 1, nil, name); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for txn := range 10 {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			ev := schemas.NewEvent()
			ev.ID = fmt.Appendf(nil, "e-%d-%d", txn, i)
			cl.Produce(ctx, kafkatest.Event(name, int32(i%2), ev), nil)
			if txn%3 != 2 {
				ids = append(ids, string(ev.ID))
			}
		}
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(txn%3 != 2)); err != nil {
			t.Fatal(err)
		}
	}
	store := newMemoryStore()
	cfg := Config{
		Opts: []kgo.Opt{kgo.SeedBrokers(seeds...)}, Topics: Topics{Events: name}, Group: name, Writer: store,
		ChunkRows: 17, ChunkInterval: 20 * time.Millisecond, Logger: quiet(),
	}
	for life, step := range []string{stepIntended, stepWritten, stepFormed} {
		cfg.ChunkRows = 17 + 10*life
		cfg.crash = func(s string, c *Chunk) error {
			if s == step && c.First > 0 {
				return errKilled
			}
			return nil
		}
		if err := Run(ctx, cfg); !errors.Is(err, errKilled) {
			t.Fatalf("life %d: %v", life, err)
		}
	}
	cfg.crash = nil
	run := start(t, cfg)
	kafkatest.Until(t, "all rows are stored", func() bool { return store.rows() >= len(ids) })
	if err := run.stop(); err != nil {
		t.Fatal(err)
	}
	store.checkExactlyOnce(t, ids)
}
