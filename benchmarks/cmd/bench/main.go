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
	"strings"
	"time"

	"github.com/weir-dev/weir/benchmarks"
)

func main() {
	out := flag.String("out", "benchmarks/results/latest.json", "file for the figures")
	short := flag.Bool("short", false, "small inputs: whether it works, not how fast")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *short); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, short bool) error {
	n, clients, entries, during := 400_000, []int{100_000, 1_000_000}, 1_000_000, 10*time.Second
	if short {
		n, clients, entries, during = 20_000, []int{10_000}, 20_000, 3*time.Second
	}
	fmt.Printf("%s %s/%s, %d processors, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	r := &benchmarks.Results{Out: os.Stdout}
	// Memory goes first: what the others leave behind would count.
	for _, c := range clients {
		if err := benchmarks.Memory(r, c); err != nil {
			return fmt.Errorf("memory at %d clients: %w", c, err)
		}
	}
	if err := benchmarks.Codecs(r, n); err != nil {
		return fmt.Errorf("codecs: %w", err)
	}
	if err := benchmarks.Core(r, n); err != nil {
		return fmt.Errorf("extract and score: %w", err)
	}
	if err := benchmarks.Throughput(ctx, r, n); err != nil {
		return fmt.Errorf("throughput: %w", err)
	}
	if err := benchmarks.Latency(ctx, r, "embedded broker", nil, 20_000, during); err != nil {
		return fmt.Errorf("latency on the embedded broker: %w", err)
	}
	if kafka := os.Getenv("WEIR_TEST_KAFKA"); kafka != "" {
		if err := benchmarks.Latency(ctx, r, "Kafka", strings.Split(kafka, ","), 20_000, during); err != nil {
			return fmt.Errorf("latency on Kafka: %w", err)
		}
	} else {
		fmt.Println("not run: latency on Kafka (WEIR_TEST_KAFKA is not set; scripts/services up)")
	}
	if err := benchmarks.Blocklist(ctx, r, entries); err != nil {
		return fmt.Errorf("blocklist: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("making the results folder: %w", err)
	}
	return r.Write(out)
}
