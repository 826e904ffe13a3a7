package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and show the configuration"}
	var show bool
	check := &cobra.Command{
		Use:   "check",
		Short: "Say whether the configuration is valid, and name the line that is not",
		Args:  cobra.NoArgs,
	}
	load := settings(check)
	check.Flags().BoolVar(&show, "show", false, "print every key with its value and where it came from")
	check.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if show {
			return cfg.Print(c.OutOrStdout(), true)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), "The configuration is valid.")
		return err
	}
	reference := &cobra.Command{
		Use:   "reference",
		Short: "Print a configuration file with every key at its default and what it means",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return config.Reference(c.OutOrStdout())
		},
	}
	c.AddCommand(check, reference)
	return c
}
