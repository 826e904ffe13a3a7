package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TickerConfig describes a ticker.
type TickerConfig struct {
	// Opts reach the cluster, as in Config.
	Opts []kgo.Opt
	// Topic is the topic whose idle partitions get ticks. Required.
	Topic string
	// Interval is how long a partition must have been idle. Default 1 s.
	Interval time.Duration
	// Now is the time that ticks carry. Default time.Now.
	Now func() time.Time
	// Logger receives the log. Default: discarded.
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none.
	Registerer prometheus.Registerer
}

// RunTicker writes a tick (TickRecord) into every partition of a topic whose
// end has not moved for an interval, until ctx is cancelled; then it returns
// nil. Failures of the cluster are logged and retried for ever. Several
// tickers on one topic do no harm: each takes the ticks of the others for
// traffic.
func RunTicker(ctx context.Context, cfg TickerConfig) error {
	if cfg.Topic == "" {
		return fmt.Errorf("%w: ticker without a topic", ErrConfig)
	}
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	written := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "weir", Subsystem: "stream", Name: "ticks_total", Help: "Ticks written into idle partitions.",
		ConstLabels: prometheus.Labels{"topic": cfg.Topic},
	})
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(written); err != nil {
			return fmt.Errorf("%w: registering metrics: %w", ErrConfig, err)
		}
		defer cfg.Registerer.Unregister(written)
	}
	opts := append([]kgo.Opt{}, cfg.Opts...)
	cl, err := kgo.NewClient(append(opts,
		kgo.ClientID("weir-ticker"),
		kgo.WithLogger(kgoLogger{cfg.Logger}),
		kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RecordDeliveryTimeout(max(5*time.Second, cfg.Interval)),
	)...)
	if err != nil {
		return fmt.Errorf("%w: creating client: %w", ErrConfig, err)
	}
	defer cl.Close()

	t := ticker{cfg: cfg, cl: cl, adm: kadm.NewClient(cl), ends: make(map[int32]int64), written: written}
	clock := time.NewTicker(cfg.Interval)
	defer clock.Stop()
	for {
		if err := t.tick(ctx); err != nil && ctx.Err() == nil {
			cfg.Logger.Warn("writing ticks", "topic", cfg.Topic, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
	}
}

type ticker struct {
	cfg     TickerConfig
	cl      *kgo.Client
	adm     *kadm.Client
	ends    map[int32]int64 // end of each partition when last seen, own ticks included
	written prometheus.Counter
}

// tick writes a tick into every partition that has not moved since the call
// before. The first call only looks.
func (t *ticker) tick(ctx context.Context) error {
	ends, err := t.adm.ListEndOffsets(ctx, t.cfg.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("listing end offsets: %w", err)
	}
	now := t.cfg.Now().UnixMicro()
	var ticks []*kgo.Record
	for p, o := range ends[t.cfg.Topic] {
		if seen, ok := t.ends[p]; ok && seen == o.Offset {
			ticks = append(ticks, TickRecord(t.cfg.Topic, p, now))
		}
		t.ends[p] = o.Offset
	}
	if len(ticks) == 0 {
		return nil
	}
	var errs []error
	for _, r := range t.cl.ProduceSync(ctx, ticks...) {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", r.Record.Partition, r.Err))
			continue
		}
		t.written.Inc()
		t.ends[r.Record.Partition] = r.Record.Offset + 1
	}
	return errors.Join(errs...)
}
