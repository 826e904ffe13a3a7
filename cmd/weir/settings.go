package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/pipeline"
)

// settings adds --config and every configuration key as a flag, and returns what
// loads them.
func settings(c *cobra.Command) func() (*config.Config, error) {
	var path string
	c.Flags().StringVarP(&path, "config", "c", os.Getenv("WEIR_CONFIG"), "configuration file (YAML); also WEIR_CONFIG")
	config.BindFlags(c.Flags())
	return func() (*config.Config, error) {
		for _, name := range config.UnknownEnv(os.Environ(), "WEIR_CONFIG", "WEIR_DATASETS", "WEIR_TEST_KAFKA", "WEIR_TEST_CLICKHOUSE", "WEIR_SERVICES_DIR", "WEIR_SERVICES_CACHE", "WEIR_FULL") {
			fmt.Fprintf(os.Stderr, "weir: warning: environment variable %s sets no configuration key\n", name)
		}
		return config.Load(path, c.Flags(), os.LookupEnv)
	}
}

// logger writes to w as configured.
func logger(cfg *config.Config, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Log.SlogLevel()}
	if cfg.Log.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// cluster are the client options of the configured brokers. Commands that talk
// to a running service reach its embedded broker at listen.kafka.
func cluster(cfg *config.Config) ([]kgo.Opt, error) {
	brokers := cfg.Kafka.Brokers
	if cfg.Kafka.Embedded() {
		brokers = []string{cfg.Listen.Kafka}
	}
	return pipeline.KafkaOptions(cfg.Kafka, brokers)
}

// reachable turns a client error into one that says what to do.
func reachable(ctx context.Context, cfg *config.Config, cl *kgo.Client) error {
	if err := cl.Ping(ctx); err != nil {
		if cfg.Kafka.Embedded() {
			return fmt.Errorf("reaching the broker at %s: %w (is weir run going? for another Kafka give --brokers)", cfg.Listen.Kafka, err)
		}
		return fmt.Errorf("reaching Kafka at %v: %w", cfg.Kafka.Brokers, err)
	}
	return nil
}

// client connects to the configured brokers.
func client(ctx context.Context, cfg *config.Config) (*kgo.Client, error) {
	opts, err := cluster(cfg)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	if err := reachable(ctx, cfg, cl); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}
