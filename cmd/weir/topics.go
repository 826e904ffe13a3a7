package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/stream"
)

func topicsCommand() *cobra.Command {
	c := &cobra.Command{Use: "topics", Short: "Create and check the Kafka topics"}
	create := &cobra.Command{Use: "create", Short: "Create the topics that are missing", Args: cobra.NoArgs}
	load := settings(create)
	create.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		cl, err := client(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer cl.Close()
		specs := pipeline.TopicSpecs(cfg.Kafka)
		if err := stream.EnsureTopics(c.Context(), kadm.NewClient(cl), specs, int16(cfg.Kafka.Replication)); err != nil {
			return err
		}
		for _, s := range specs {
			fmt.Fprintf(c.OutOrStdout(), "%s: %d partitions\n", s.Name, s.Partitions)
		}
		return nil
	}
	check := &cobra.Command{
		Use: "check", Args: cobra.NoArgs,
		Short: "Compare the topics with what they should be; exit 1 on a difference",
	}
	loadCheck := settings(check)
	check.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadCheck()
		if err != nil {
			return err
		}
		cl, err := client(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer cl.Close()
		differences, err := stream.CheckTopics(c.Context(), kadm.NewClient(cl), pipeline.TopicSpecs(cfg.Kafka))
		if err != nil {
			return err
		}
		for _, d := range differences {
			fmt.Fprintln(c.OutOrStdout(), d)
		}
		if len(differences) > 0 {
			return quietError{}
		}
		fmt.Fprintln(c.OutOrStdout(), "The topics are as they should be.")
		return nil
	}
	c.AddCommand(create, check)
	return c
}
