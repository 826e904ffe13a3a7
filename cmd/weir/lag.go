package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/stream"
)

func lagCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "lag [GROUP…]",
		Short: "Show how far each consumer group is behind, in records and in time",
	}
	load := settings(c)
	outputFlag(c, &output)
	c.RunE = func(c *cobra.Command, groups []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		inJSON, err := asJSON(output, c.OutOrStdout())
		if err != nil {
			return err
		}
		cl, err := client(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer cl.Close()
		if len(groups) == 0 {
			for _, role := range []string{config.RoleExtract, config.RoleScore, "sink-parquet", "sink-clickhouse"} {
				groups = append(groups, cfg.Kafka.GroupPrefix+role)
			}
		}
		lags, err := stream.Lag(c.Context(), cl, groups...)
		if err != nil {
			return err
		}
		type row struct {
			Group     string  `json:"group"`
			Topic     string  `json:"topic"`
			Partition int32   `json:"partition"`
			Committed int64   `json:"committed"`
			End       int64   `json:"end"`
			Records   int64   `json:"records"`
			Seconds   float64 `json:"seconds"`
		}
		rows := make([]row, 0, len(lags))
		for _, l := range lags {
			rows = append(rows, row{l.Group, l.Topic, l.Partition, l.Committed, l.End, l.Records, l.Time.Seconds()})
		}
		if inJSON {
			return printJSON(c.OutOrStdout(), rows)
		}
		if len(rows) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "No group has committed anything yet.")
			return nil
		}
		t := newTable(c.OutOrStdout(), "group", "topic", "partition", "committed", "end", "records behind", "time behind")
		for _, l := range lags {
			t.AppendRow([]any{l.Group, l.Topic, l.Partition, l.Committed, l.End, l.Records, l.Time.Round(time.Millisecond)})
		}
		t.Render()
		return nil
	}
	return c
}
