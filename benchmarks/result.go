// Package benchmarks measures weir against references in the same run: the time
// of a shared machine means little by itself, a ratio to work done beside it
// means something.
package benchmarks

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Result is one measured figure.
type Result struct {
	Scenario  string  `json:"scenario"`
	Metric    string  `json:"metric"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Reference string  `json:"reference,omitempty"` // what was measured beside it
	Ratio     float64 `json:"ratio,omitempty"`     // Value over the reference's
}

// Results collects figures and prints each as it comes.
type Results struct {
	Out  io.Writer
	List []Result
}

// Add records a figure without a reference.
func (r *Results) Add(scenario, metric string, value float64, unit string) {
	r.AddRatio(scenario, metric, value, unit, "", 0)
}

// AddRatio records a figure beside a reference's value of the same unit; 0 is
// no reference.
func (r *Results) AddRatio(scenario, metric string, value float64, unit, reference string, beside float64) {
	res := Result{Scenario: scenario, Metric: metric, Value: value, Unit: unit, Reference: reference}
	line := fmt.Sprintf("%-26s %-34s %12.4g %-8s", scenario, metric, value, unit)
	if beside != 0 {
		res.Ratio = value / beside
		line += fmt.Sprintf(" %.3g x %s", res.Ratio, reference)
	} else if reference != "" {
		line += " " + reference
	}
	r.List = append(r.List, res)
	_, _ = fmt.Fprintln(r.Out, strings.TrimRight(line, " "))
}

// Write stores the figures as a JSON array.
func (r *Results) Write(path string) error {
	body, err := json.MarshalIndent(r.List, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding results: %w", err)
	}
	if err := os.WriteFile(path, append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return os.Chmod(path, 0o644)
}

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cost is processor time and allocations of a piece of work.
type cost struct {
	cpu    time.Duration
	wall   time.Duration
	allocs uint64
	bytes  uint64
}

// measure runs work once.
func measure(work func()) cost {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c0, t0 := cpu(), time.Now()
	work()
	c := cost{cpu: cpu() - c0, wall: time.Since(t0)}
	runtime.ReadMemStats(&after)
	c.allocs, c.bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return c
}

// best runs work n times and keeps the run with the least processor time: on a
// shared machine the others were disturbed.
func best(n int, work func()) cost {
	var b cost
	for i := range n {
		if c := measure(work); i == 0 || c.cpu < b.cpu {
			b = c
		}
	}
	return b
}

func (c cost) microsPer(n int) float64 { return float64(c.cpu.Nanoseconds()) / 1e3 / float64(n) }
func (c cost) allocsPer(n int) float64 { return float64(c.allocs) / float64(n) }

// resident is the memory of this process that is in RAM now, bytes.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, rss int64
	if _, err := fmt.Sscan(string(b), &total, &rss); err != nil {
		return 0
	}
	return rss * int64(os.Getpagesize())
}
