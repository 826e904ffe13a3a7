// Command weir finds and blocks API abuse in streams of API calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		var quiet quietError
		if !errors.As(err, &quiet) {
			fmt.Fprintln(os.Stderr, "weir:", err)
		}
		os.Exit(1)
	}
}

// quietError makes the exit status 1 after a command has said why itself.
type quietError struct{}

func (quietError) Error() string { return "the command has reported it" }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "weir",
		Short: "Streaming anomaly detection for API traffic, on Kafka",
		Long: `weir learns how each client uses each API, judges every window of traffic
against that, explains what it finds, and writes blocks to a compacted Kafka
topic that gateways follow.

Try it without anything else:    weir demo
On your own access log:          weir detect /var/log/nginx/access.log`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.AddCommand(
		demoCommand(), runCommand(), detectCommand(), trainCommand(), modelsCommand(), evalCommand(), simulateCommand(),
		explainCommand(), blocklistCommand(), allowCommand(), topicsCommand(), lagCommand(),
		configCommand(), versionCommand(),
	)
	return c
}
