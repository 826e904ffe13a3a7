package main

import (
	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/pipeline"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the service: all roles, or those named by --roles",
		Long: `Runs the long-running roles until it is told to stop:

  ingest   takes events in over HTTP and publishes them
  extract  turns events into features
  score    judges features, writes verdicts and the blocklist
  sink     writes history to Parquet and ClickHouse
  enforce  answers gateways
  learn    makes models of the traffic and puts them to use (learn.enabled)

Without --brokers it brings its own single-node broker, kept in --data-dir.`,
		Example: `  weir run --data-dir /var/lib/weir
  weir run --brokers kafka-1:9092,kafka-2:9092 --roles extract,score`,
		Args: cobra.NoArgs,
	}
	load := settings(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		s, err := pipeline.NewService(cfg, logger(cfg, c.ErrOrStderr()))
		if err != nil {
			return err
		}
		return s.Run(c.Context())
	}
	return c
}
