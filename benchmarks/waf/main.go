// Command waf measures the OWASP Core Rule Set, run by Coraza inside this
// process, and libinjection by itself on the data sets that weir's own payload
// detection is measured on, request by request and with the same code. It is a
// module of its own, so that a firewall is no dependency of weir.
//
//	go run . -data DIR -out FILE.json
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/weir-dev/weir/eval/payload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "waf:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	var o payload.Options
	flags := flag.NewFlagSet("waf", flag.ContinueOnError)
	flags.SetOutput(log)
	dir := flags.String("data", os.Getenv(payload.DatasetsEnv), "folder of the data sets")
	file := flags.String("out", "", "file for the figures, JSON (default: standard output holds the tables alone)")
	flags.IntVar(&o.BrowsingSample, "sample", 20_000, "judge about so many of the browsing requests, evenly spread; 0 judges all")
	flags.IntVar(&o.ListSample, "list-sample", 5_000, "judge about so many rows of each other list; 0 judges all")
	flags.IntVar(&o.Transplants, "transplants", 5_000, "attack strings to put into browsing requests")
	flags.Float64Var(&o.FPR, "fpr", 0.001, "share of HttpParams' benign rows that may be flagged")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return fmt.Errorf("no data sets: give -data or set %s", payload.DatasetsEnv)
	}
	o.Progress = func(what string) { fmt.Fprintln(log, "measuring", what) }
	rules, err := crs()
	if err != nil {
		return err
	}
	figures := &payload.Figures{}
	for _, s := range []*payload.Subject{rules, payload.Libinjection()} {
		m, err := payload.Measure(ctx, *dir, s, o)
		if err != nil {
			return err
		}
		figures.Add(m)
	}
	if err := figures.Print(out); err != nil {
		return err
	}
	if *file == "" {
		return nil
	}
	return figures.WriteFile(*file)
}
