package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/gateway"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
)

// editing adds the configuration to a command and runs it with an Editor.
func editing(c *cobra.Command, do func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error) *cobra.Command {
	load := settings(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		opts, err := cluster(cfg)
		if err != nil {
			return err
		}
		probe, err := client(c.Context(), cfg)
		if err != nil {
			return err
		}
		probe.Close()
		e, err := gateway.NewEditor(gateway.EditorConfig{
			Opts: opts, Topic: pipeline.TopicsUnder(cfg.Kafka.TopicPrefix).Blocklist, Tenant: cfg.Tenant,
			Logger: logger(cfg, c.ErrOrStderr()),
		})
		if err != nil {
			return err
		}
		defer e.Close()
		return do(c.Context(), e, args, c.OutOrStdout())
	}
	return c
}

func blocklistCommand() *cobra.Command {
	c := &cobra.Command{Use: "blocklist", Short: "List, add, remove and explain blocks"}

	var output string
	var filter gateway.Filter
	list := &cobra.Command{Use: "list", Short: "List the blocks in force", Args: cobra.NoArgs}
	list.Flags().StringVar(&filter.Scope, "scope", "", "only this scope: user, consumer, credential, session, device, ip, network")
	list.Flags().StringVar(&filter.Attack, "attack", "", "only blocks for this attack")
	list.Flags().BoolVar(&filter.Expired, "expired", false, "also entries past their expiry")
	outputFlag(list, &output)
	editing(list, func(ctx context.Context, e *gateway.Editor, _ []string, out io.Writer) error {
		filter.Blocks = true
		items, err := e.List(ctx, filter)
		if err != nil {
			return err
		}
		return printItems(out, items, output)
	})

	var block gateway.Block
	var action string
	add := &cobra.Command{
		Use: "add SCOPE VALUE", Short: "Block an entity for a time", Args: cobra.ExactArgs(2),
		Example: `  weir blocklist add ip 203.0.113.7 --ttl 30m --reason "seen in the incident of Tuesday"`,
	}
	add.Flags().DurationVar(&block.TTL, "ttl", time.Hour, "how long")
	add.Flags().StringVar(&block.Reason, "reason", "added by hand", "why, in one sentence")
	add.Flags().StringVar(&action, "action", string(schemas.ActionBlock), "throttle, challenge or block")
	editing(add, func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error {
		block.Scope, block.Value, block.Action = args[0], args[1], schemas.Action(action)
		item, err := e.Add(ctx, block)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s %s: %s until %s\n", item.Scope, item.Value, item.Entry.Action, item.Entry.ExpiresAt.Format(time.RFC3339))
		return err
	})

	remove := &cobra.Command{Use: "remove SCOPE VALUE", Short: "Lift a block", Args: cobra.ExactArgs(2)}
	editing(remove, func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error {
		items, err := e.Remove(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		return printLifted(out, items)
	})

	explain := &cobra.Command{Use: "explain SCOPE VALUE", Short: "Say why an entity is blocked, or that it is not", Args: cobra.ExactArgs(2)}
	editing(explain, func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error {
		items, err := e.List(ctx, gateway.Filter{Scope: args[0], Value: args[1]})
		if err != nil {
			return err
		}
		if len(items) == 0 {
			_, err := fmt.Fprintf(out, "%s %s is neither blocked nor allowed.\n", args[0], args[1])
			return err
		}
		for _, it := range items {
			kind := string(it.Entry.Action)
			if it.Allow {
				kind = "allowed"
			}
			fmt.Fprintf(out, "%s %s: %s since %s until %s\n  %s\n  verdict %s\n", it.Scope, it.Value, kind,
				it.Entry.Created.Format(time.RFC3339), it.Entry.ExpiresAt.Format(time.RFC3339), it.Entry.Reason, it.Entry.VerdictID)
		}
		return nil
	})

	c.AddCommand(list, add, remove, explain)
	return c
}

func allowCommand() *cobra.Command {
	c := &cobra.Command{Use: "allow", Short: "List, add and remove entities that are never blocked"}

	var output string
	var filter gateway.Filter
	list := &cobra.Command{Use: "list", Short: "List what is allowed", Args: cobra.NoArgs}
	list.Flags().StringVar(&filter.Scope, "scope", "", "only this scope")
	outputFlag(list, &output)
	editing(list, func(ctx context.Context, e *gateway.Editor, _ []string, out io.Writer) error {
		filter.Allows = true
		items, err := e.List(ctx, filter)
		if err != nil {
			return err
		}
		return printItems(out, items, output)
	})

	var ttl time.Duration
	var reason string
	add := &cobra.Command{
		Use: "add SCOPE VALUE", Short: "Allow an entity and lift its blocks", Args: cobra.ExactArgs(2),
		Example: `  weir allow add network 10.0.0.0/8 --reason "our own offices"`,
	}
	add.Flags().DurationVar(&ttl, "ttl", 0, "how long (default: for ever)")
	add.Flags().StringVar(&reason, "reason", "allowed by hand", "why, in one sentence")
	editing(add, func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error {
		item, lifted, err := e.Allow(ctx, args[0], args[1], reason, ttl)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s is allowed\n", item.Scope, item.Value)
		return printLifted(out, lifted)
	})

	remove := &cobra.Command{Use: "remove SCOPE VALUE", Short: "Take an entity from the allow list", Args: cobra.ExactArgs(2)}
	editing(remove, func(ctx context.Context, e *gateway.Editor, args []string, out io.Writer) error {
		items, err := e.Disallow(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		for _, it := range items {
			fmt.Fprintf(out, "%s %s is no longer allowed\n", it.Scope, it.Value)
		}
		return nil
	})

	c.AddCommand(list, add, remove)
	return c
}

func printLifted(out io.Writer, items []gateway.Item) error {
	for _, it := range items {
		if _, err := fmt.Fprintf(out, "lifted: %s %s (%s)\n", it.Scope, it.Value, it.Entry.Reason); err != nil {
			return fmt.Errorf("writing output: %w", err)
		}
	}
	return nil
}

func printItems(out io.Writer, items []gateway.Item, output string) error {
	inJSON, err := asJSON(output, out)
	if err != nil {
		return err
	}
	if inJSON {
		type row struct {
			Scope string `json:"scope"`
			Value string `json:"value"`
			Allow bool   `json:"allow,omitempty"`
			schemas.BlockEntry
		}
		rows := make([]row, 0, len(items))
		for _, it := range items {
			rows = append(rows, row{it.Scope, it.Value, it.Allow, it.Entry})
		}
		return printJSON(out, rows)
	}
	if len(items) == 0 {
		_, err := fmt.Fprintln(out, "The list is empty.")
		return err
	}
	t := newTable(out, "scope", "value", "action", "attack", "until (UTC)", "reason")
	for _, it := range items {
		t.AppendRow([]any{it.Scope, it.Value, it.Entry.Action, it.Entry.Attack, it.Entry.ExpiresAt.UTC().Format(time.DateTime), wrap(it.Entry.Reason, 70)})
	}
	t.Render()
	return nil
}
