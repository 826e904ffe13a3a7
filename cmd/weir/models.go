package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/pipeline"
)

// openModels reaches the models topic of the configured cluster.
func openModels(ctx context.Context, cfg *config.Config) (*pipeline.Models, func(), error) {
	probe, err := client(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	probe.Close()
	opts, err := cluster(cfg)
	if err != nil {
		return nil, nil, err
	}
	m, err := pipeline.NewModels(opts, pipeline.TopicsUnder(cfg.Kafka.TopicPrefix))
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

// onModels adds the configuration to a command and runs it with the models topic.
func onModels(c *cobra.Command, do func(ctx context.Context, m *pipeline.Models, cfg *config.Config, args []string, out io.Writer) error) *cobra.Command {
	load := settings(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		m, done, err := openModels(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer done()
		return do(c.Context(), m, cfg, args, c.OutOrStdout())
	}
	return c
}

func modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "models", Short: "List, show, activate and roll back models",
		Long: `Models lie in the models topic under name@version; the last eight are kept. To
activate one writes a mark into every partition of the events topic: each worker
goes over to the model where it meets the mark, so that a replay of the log does
so at the same place. Until a first one is activated, the workers use the model of
score.model_file or the one shipped in the program: "configured".`,
	}

	var output string
	list := &cobra.Command{Use: "list", Short: "List the models in the topic", Args: cobra.NoArgs}
	outputFlag(list, &output)
	onModels(list, func(ctx context.Context, m *pipeline.Models, _ *config.Config, _ []string, out io.Writer) error {
		return listModels(ctx, m, output, out)
	})

	show := &cobra.Command{
		Use: "show [VERSION]", Short: "Show what a model knows, by default the active one", Args: cobra.MaximumNArgs(1),
	}
	outputFlag(show, &output)
	onModels(show, func(ctx context.Context, m *pipeline.Models, cfg *config.Config, args []string, out io.Writer) error {
		inJSON, err := asJSON(output, out)
		if err != nil {
			return err
		}
		_, which, err := m.List(ctx)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			which = args[0]
		}
		model, err := pipeline.LoadModel(cfg.Score.ModelFile)
		if which != pipeline.ConfiguredModel {
			model, err = m.Read(ctx, which)
		}
		if err != nil {
			return err
		}
		d := pipeline.Describe(model, cfg.Score.AlphaThrottle, cfg.Score.AlphaChallenge, cfg.Score.AlphaBlock)
		if inJSON {
			return printJSON(out, d)
		}
		printModel(out, &d)
		return nil
	})

	activate := &cobra.Command{
		Use: "activate VERSION", Short: "Put a model to use from here on", Args: cobra.ExactArgs(1),
		Example: `  weir models activate own@3f2a9c11d0e4
  weir models activate 3f2a
  weir models activate configured`,
	}
	onModels(activate, func(ctx context.Context, m *pipeline.Models, _ *config.Config, args []string, out io.Writer) error {
		ref, err := m.Activate(ctx, args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "active: %s\n", ref)
		return err
	})

	rollback := &cobra.Command{Use: "rollback", Short: "Go back to the model that was active before", Args: cobra.NoArgs}
	onModels(rollback, func(ctx context.Context, m *pipeline.Models, _ *config.Config, _ []string, out io.Writer) error {
		ref, err := m.Rollback(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "active: %s\n", ref)
		return err
	})

	c.AddCommand(list, show, activate, rollback)
	return c
}

func listModels(ctx context.Context, m *pipeline.Models, output string, out io.Writer) error {
	inJSON, err := asJSON(output, out)
	if err != nil {
		return err
	}
	versions, active, err := m.List(ctx)
	if err != nil {
		return err
	}
	type row struct {
		pipeline.ModelVersion
		Learnt string `json:"learnt"`
	}
	rows := make([]row, 0, len(versions))
	for _, v := range versions {
		r := row{ModelVersion: v, Learnt: "cannot be read"}
		if model, err := m.Read(ctx, v.Ref); err == nil {
			d := pipeline.Describe(model)
			r.Learnt = learntStatus(&d)
		}
		rows = append(rows, r)
	}
	if inJSON {
		return printJSON(out, struct {
			Active string `json:"active"`
			Models []row  `json:"models"`
		}{active, rows})
	}
	t := newTable(out, "model", "created (UTC)", "size", "learnt", "active")
	for _, r := range rows {
		mark := ""
		if r.Active {
			mark = "active"
		}
		t.AppendRow([]any{r.Ref, r.Created.Format(time.DateTime), fmt.Sprintf("%d KiB", (r.Bytes+1023)>>10), r.Learnt, mark})
	}
	t.Render()
	if active == pipeline.ConfiguredModel {
		_, err = fmt.Fprintln(out, "The workers use the model they are configured with.")
	}
	return err
}
