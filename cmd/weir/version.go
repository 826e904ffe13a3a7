package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/weir-dev/weir/scoring"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of the model it carries",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			model, err := scoring.Prior()
			if err != nil {
				return err
			}
			version, revision := "devel", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				if v := info.Main.Version; v != "" && v != "(devel)" {
					version = v
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value[:min(12, len(s.Value))]
					}
				}
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "weir %s%s %s %s/%s, model %s@%s\n",
				version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, model.Name, model.Version)
			return err
		},
	}
}
