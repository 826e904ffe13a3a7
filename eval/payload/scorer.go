package payload

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"
)

// Scorer gives a row a score from 0, surely benign, to 1. It is used by one
// goroutine at a time.
type Scorer interface {
	Score(r *Request) float64
}

// learntSuffix tells a subject that has learnt from one that has not.
const learntSuffix = ", learnt"

// Subject is something to measure.
type Subject struct {
	Name string
	// Threshold is the score from which on it acts as shipped; 0 is none.
	Threshold float64
	// Prior is the share of attacks for which scores are meant as probabilities,
	// so that their calibration can be judged; 0 where they are not.
	Prior float64
	// New returns a Scorer for one goroutine.
	New func() (Scorer, error)
	// Learn returns the subject after it has learnt from benign requests, in
	// order, with ", learnt" behind its name; nil for one that does not learn.
	Learn func(benign []*Request) (*Subject, error)
}

// Score gives the scores of rows, in order, and the mean time of one. Rows are
// spread over all processors; scores that are no number count as 1, because
// silence about a row must not look like a pass.
func (s *Subject) Score(ctx context.Context, rows []*Request) (scores []float64, each time.Duration, err error) {
	scores = make([]float64, len(rows))
	workers := min(runtime.GOMAXPROCS(0), max(1, len(rows)/64))
	spent := make([]time.Duration, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			scorer, err := s.New()
			if err != nil {
				errs[w] = err
				return
			}
			start := time.Now()
			for i := w; i < len(rows); i += workers {
				if i%64 == w && ctx.Err() != nil {
					errs[w] = ctx.Err()
					return
				}
				scores[i] = scorer.Score(rows[i])
				if math.IsNaN(scores[i]) {
					scores[i] = 1
				}
			}
			spent[w] = time.Since(start)
		})
	}
	wg.Wait()
	var total time.Duration
	for w := range workers {
		if errs[w] != nil {
			return nil, 0, errs[w]
		}
		total += spent[w]
	}
	if len(rows) > 0 {
		each = total / time.Duration(len(rows))
	}
	return scores, each, nil
}
