package stream

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

// Run works until ctx is cancelled, then stops gracefully: it commits what it
// has, leaves the group and returns nil, within Config.StopTimeout.
//
// A session with the cluster that fails for any reason is dropped and built
// anew after a pause, for as long as ctx lives. Run returns an error only for
// a configuration that cannot work, and when the session failed
// Config.MaxFailures times in a row in the same way at the same record, with
// the last of these errors.
func Run(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	m, err := newMetrics(cfg.Registerer, cfg.Group)
	if err != nil {
		return fmt.Errorf("%w: registering metrics: %w", ErrConfig, err)
	}
	defer m.unregister()

	r := &runner{cfg: cfg, metrics: m, transactionalID: transactionalID(cfg)}
	defer cfg.OnReady(false)

	var lastKey string
	var same, failures int
	for {
		worked, err := r.session(ctx)
		if ctx.Err() != nil {
			if err != nil {
				cfg.Logger.Warn("stopping was not clean", "group", cfg.Group, "err", err)
			}
			return nil
		}
		cfg.OnReady(false)
		m.sessionFailures.Inc()
		if worked {
			failures = 0
		}
		failures++

		// A session commits again and again before it comes to the record
		// that fails, so progress must not reset this count: only another
		// failure does.
		key, permanent := failureKey(err)
		if !permanent || key != lastKey {
			same = 0
		}
		same, lastKey = same+1, key
		if permanent && same >= cfg.MaxFailures {
			return fmt.Errorf("giving up after %d failures: %w", same, err)
		}

		pause := min(cfg.RetryBackoff<<min(failures-1, 10), 20*cfg.RetryBackoff)
		cfg.Logger.Error("session failed, building a new one", "group", cfg.Group, "err", err, "failures", failures, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// runner is what outlives the sessions of one Run.
type runner struct {
	cfg             Config
	metrics         *metrics
	transactionalID string
}

// transactionalID is constant for a Run, so that a new session fences what the
// one before it left open.
func transactionalID(cfg Config) string {
	if cfg.InstanceID != "" {
		return cfg.TransactionalID + "-" + cfg.InstanceID
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return cfg.TransactionalID + "-" + host + "-" + rand.Text()
}
