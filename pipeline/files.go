package pipeline

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

// FileOptions of DetectFiles.
type FileOptions struct {
	Parse      ingest.ParseOptions
	Train      []string // files to learn from first
	ModelFile  string   // empty: the shipped prior
	AlphaBlock float64  // 0: the default policy's
	// Disorder is how far out of time order lines may be. Default: one hour.
	// The calls of that long are held in memory, about 150 bytes each.
	Disorder time.Duration
	Verdict  func(*schemas.Verdict) error
}

// Summary says what DetectFiles did.
type Summary struct {
	Lines           int64                     `json:"lines"`
	Parsed          int64                     `json:"parsed"`
	Refused         map[string]int64          `json:"refused"`
	Late            int                       `json:"late"`
	Restarts        int                       `json:"restarts"`
	EventsPerSecond float64                   `json:"events_per_second"`
	PeakRSSBytes    int64                     `json:"peak_rss_bytes"`
	Clients         int                       `json:"clients"`
	Model           string                    `json:"model"`
	Verdicts        map[string]map[string]int `json:"verdicts"` // by action, then attack
}

// LoadModel reads a model file, or the shipped prior for an empty path.
func LoadModel(path string) (*scoring.Model, error) {
	if path == "" {
		return scoring.Prior()
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the model: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	m, err := scoring.ReadModel(f)
	if err != nil {
		return nil, fmt.Errorf("reading the model %s: %w", path, err)
	}
	return m, nil
}

// DetectFiles parses log files and judges them in the order given.
func DetectFiles(ctx context.Context, files []string, o FileOptions) (*Summary, error) {
	model, err := LoadModel(o.ModelFile)
	if err != nil {
		return nil, err
	}
	if len(o.Train) > 0 {
		if model, err = TrainFiles(ctx, o.Train, o.Parse, o.disorder(), model); err != nil {
			return nil, err
		}
	}
	policy := scoring.DefaultPolicy()
	if o.AlphaBlock > 0 {
		policy.AlphaBlock = o.AlphaBlock
		policy.AlphaChallenge = max(policy.AlphaChallenge, o.AlphaBlock)
		policy.AlphaThrottle = max(policy.AlphaThrottle, o.AlphaBlock)
	}
	s := &Summary{Refused: map[string]int64{}, Verdicts: map[string]map[string]int{}, Model: model.Name + "@" + model.Version}
	var failed error
	x, err := fileFeatures(model, o.disorder())
	if err != nil {
		return nil, err
	}
	d, err := NewDetector(x, scoring.Config{Model: model, Policy: policy, Clients: x.Clients, Shards: 1, Seed: x.Seed}, func(v *schemas.Verdict) {
		byAttack := s.Verdicts[string(v.Action)]
		if byAttack == nil {
			byAttack = map[string]int{}
			s.Verdicts[string(v.Action)] = byAttack
		}
		byAttack[v.Attack]++
		if failed == nil && o.Verdict != nil {
			failed = o.Verdict(v)
		}
	})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for _, path := range files {
		stats, err := ingest.ParseFile(ctx, path, o.Parse, func(b *ingest.Batch) error {
			defer b.Release()
			for i := range b.Events {
				if err := d.Event(&b.Events[i]); err != nil {
					return err
				}
			}
			return failed
		})
		s.Lines += stats.Lines
		s.Parsed += stats.Parsed
		for reason, n := range stats.Refused {
			s.Refused[string(reason)] += n
		}
		if err != nil {
			return s, err
		}
	}
	d.Close()
	if failed != nil {
		return s, fmt.Errorf("writing a verdict: %w", failed)
	}
	s.Late, s.Restarts, s.Clients = d.Late, d.Restarts, d.Clients
	s.EventsPerSecond = float64(s.Parsed) / time.Since(began).Seconds()
	s.PeakRSSBytes = peakRSS()
	return s, nil
}

func (o *FileOptions) disorder() time.Duration {
	if o.Disorder <= 0 {
		return time.Hour
	}
	return o.Disorder
}

// fileFeatures sizes one extractor for a whole log.
func fileFeatures(model *scoring.Model, disorder time.Duration) (features.Config, error) {
	x := features.DefaultConfig()
	x.Lateness, x.FinalOnly = disorder.Microseconds(), true
	x.Clients, x.Shards = 200_000, 1
	var err error
	if x.Knowledge, err = features.NewKnowledge(&model.Learnt, nil); err != nil {
		return x, fmt.Errorf("reading the model: %w", err)
	}
	return x, nil
}

// TrainFiles learns from log files: their APIs' behaviour on top of the prior.
func TrainFiles(ctx context.Context, files []string, parse ingest.ParseOptions, disorder time.Duration, prior *scoring.Model) (*scoring.Model, error) {
	m, _, err := LearnFiles(ctx, files, parse, disorder, training.Options{Name: "trained", Prior: prior})
	return m, err
}

// peakRSS is the most memory this process has had resident, bytes.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
					return kb << 10
				}
			}
		}
	}
	// Without procfs, what the Go runtime took from the system stands in.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
