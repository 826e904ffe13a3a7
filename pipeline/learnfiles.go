package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

// Lesson says what was learnt from.
type Lesson struct {
	Lines   int64            `json:"lines"`
	Parsed  int64            `json:"parsed"`
	Refused map[string]int64 `json:"refused"`
	Passes  int              `json:"passes"` // over the files
}

// LearnFiles learns a model from log files, as training.Learn does from events.
func LearnFiles(ctx context.Context, files []string, parse ingest.ParseOptions, disorder time.Duration, o training.Options) (*scoring.Model, *Lesson, error) {
	lesson := &Lesson{}
	each := func(yield func(*schemas.Event)) error {
		lesson.Passes++
		lesson.Lines, lesson.Parsed, lesson.Refused = 0, 0, map[string]int64{}
		for _, path := range files {
			stats, err := ingest.ParseFile(ctx, path, parse, func(b *ingest.Batch) error {
				defer b.Release()
				for i := range b.Events {
					yield(&b.Events[i])
				}
				return nil
			})
			if err != nil {
				return err
			}
			lesson.Lines += stats.Lines
			lesson.Parsed += stats.Parsed
			for reason, n := range stats.Refused {
				lesson.Refused[string(reason)] += n
			}
		}
		return nil
	}
	x, err := fileFeatures(&scoring.Model{}, disorder)
	if err != nil {
		return nil, nil, err
	}
	m, err := training.Learn(each, x, o)
	if err != nil {
		return nil, nil, fmt.Errorf("training: %w", err)
	}
	return m, lesson, nil
}
