// Command bench runs every benchmark scenario and writes the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/weir-dev/weir/benchmarks"
)

func main() {
	out := flag.String("out", "benchmarks/results/latest.json", "file for the figures")
	short := flag.Bool("short", false, "small inputs: whether it works, not how fast")
	only := flag.String("only", "", "run only the scenarios whose name contains this")
	profile := flag.String("cpuprofile", "", "write a processor profile to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: profiling:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(ctx, *out, *only, *short); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only string, short bool) error {
	n, clients, entries, during := 400_000, []int{100_000, 1_000_000}, 1_000_000, 10*time.Second
	if short {
		n, clients, entries, during = 20_000, []int{10_000}, 20_000, 3*time.Second
	}
	fmt.Printf("%s %s/%s, %d processors, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	r := &benchmarks.Results{Out: os.Stdout}
	type scenario struct {
		name string
		run  func() error
	}
	var scenarios []scenario
	// Memory goes first: what the others leave behind would count.
	for _, c := range clients {
		scenarios = append(scenarios, scenario{fmt.Sprintf("memory at %d clients", c), func() error { return benchmarks.Memory(r, c) }})
	}
	scenarios = append(scenarios,
		scenario{"codecs", func() error { return benchmarks.Codecs(r, n) }},
		scenario{"extract and score", func() error { return benchmarks.Core(r, n) }},
		scenario{"throughput", func() error { return benchmarks.Throughput(ctx, r, n) }},
		scenario{"latency on the embedded broker", func() error {
			return benchmarks.Latency(ctx, r, "embedded broker", nil, 20_000, during)
		}},
		scenario{"latency on Kafka", func() error {
			kafka := os.Getenv("WEIR_TEST_KAFKA")
			if kafka == "" {
				fmt.Println("not run: latency on Kafka (WEIR_TEST_KAFKA is not set; scripts/services up)")
				return nil
			}
			return benchmarks.Latency(ctx, r, "Kafka", strings.Split(kafka, ","), 20_000, during)
		}},
		scenario{"blocklist", func() error { return benchmarks.Blocklist(ctx, r, entries) }},
	)
	for _, s := range scenarios {
		if !strings.Contains(s.name, only) {
			continue
		}
		if err := s.run(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("making the results folder: %w", err)
	}
	return r.Write(out)
}
