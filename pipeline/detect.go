package pipeline

import (
	"fmt"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/crowd"
)

// restartAfter is how far time must jump back between two events of a log for
// the rest to count as another log, µs: rotated logs are read in any order, and
// files that were put together begin anew. A jump inside the allowed lateness
// never does.
const restartAfter = 6 * 3600 * 1_000_000

// Detector runs extraction and scoring over one sequence of events, without
// Kafka. It is not safe for concurrent use.
type Detector struct {
	extractor features.Config
	scorer    scoring.Config
	verdict   func(*schemas.Verdict)

	x      *features.Extractor
	s      *scoring.Scorer
	crowd  *crowd.Crowd
	newest int64
	offset int64
	seen   map[string]bool

	// Late counts events that came too late for their window; Restarts how often
	// time jumped back so far that state began anew. Clients sums the clients of
	// all of these runs.
	Late, Restarts, Clients int
}

// NewDetector returns a Detector that hands each closed verdict to verdict,
// once per id.
func NewDetector(x features.Config, s scoring.Config, verdict func(*schemas.Verdict)) (*Detector, error) {
	d := &Detector{extractor: x, scorer: s, verdict: verdict, seen: map[string]bool{}}
	return d, d.restart()
}

func (d *Detector) restart() error {
	var err error
	if d.x, err = features.New(d.extractor); err != nil {
		return fmt.Errorf("making the extractor: %w", err)
	}
	if d.s, err = scoring.New(d.scorer); err != nil {
		return fmt.Errorf("making the scorer: %w", err)
	}
	together := CrowdConfig(&d.scorer, d.extractor.Hop)
	together.Sources, together.Seed = 1, d.scorer.Seed
	if d.crowd, err = crowd.New(together); err != nil {
		return fmt.Errorf("making the crowd: %w", err)
	}
	d.newest = 0
	return nil
}

// Event takes the next event of the log. One without a time is given that of
// the event before it.
func (d *Detector) Event(e *schemas.Event) error {
	t := e.Time
	if t == 0 {
		t = d.newest
	}
	if t < d.newest-max(restartAfter, d.extractor.Lateness) {
		d.Close()
		d.Restarts++
		if err := d.restart(); err != nil {
			return err
		}
	}
	d.newest = max(d.newest, t)
	if d.x.Apply(e, t, d.offset, d) == features.Late {
		d.Late++
	}
	d.offset++
	return nil
}

// Close judges what is still open. The Detector may be used on for another log.
func (d *Detector) Close() {
	d.x.Flush(d)
	d.Clients += d.x.Clients()
}

// Features implements features.Emitter.
func (d *Detector) Features(f *schemas.ClientFeatures) { d.s.Features(f, d.offset, d) }

// Aggregate implements features.Emitter.
func (d *Detector) Aggregate(a *schemas.Aggregate) {
	a.Source = 0 // whichever partition the extractor is of, it is the only one
	d.crowd.Apply(a, d.offset, d)
}

// Verdict implements scoring.Emitter. Provisional verdicts are left to their
// window's close: a log has no hurry.
func (d *Detector) Verdict(v *schemas.Verdict) {
	if v.Provisional || v.Withdrawn || d.seen[v.ID] {
		return
	}
	d.seen[v.ID] = true
	d.verdict(v)
}

// Block implements scoring.Emitter.
func (d *Detector) Block(string, *schemas.BlockEntry) {}
