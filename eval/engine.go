package eval

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/crowd"
)

// Setup says how an Engine judges.
type Setup struct {
	Model  *scoring.Model
	Policy scoring.Policy
	// Clients is how many clients are remembered. Default: 200,000.
	Clients int
	// Disorder is how far out of time order events may come. Default: 2 s.
	Disorder time.Duration
	// From is where what counts begins. What comes before is history: it teaches
	// the clients' habits, and is neither reported nor ranked.
	From time.Time
	// Decoys are routes that nobody is told of.
	Decoys []features.Decoy
	// Alone leaves out what many clients show together.
	Alone bool
	// Verdict, where set, is told of every verdict of the scorer that acts.
	Verdict func(*schemas.Verdict)
	// Configure, where set, changes the scorers' configuration: an ablation.
	Configure func(*scoring.Config)
}

// Engine runs extraction and scoring over one sequence of events, as the service
// does, with provisional verdicts: they stop calls too. It is not safe for
// concurrent use.
type Engine struct {
	x       *features.Extractor
	s       *scoring.Scorer
	watch   *scoring.Scorer
	crowd   *crowd.Crowd
	report  *Report
	ranking *Ranking
	verdict func(*schemas.Verdict)
	from    int64 // µs
	offset  int64
}

// NewEngine returns an Engine. report, where given, is told every call and
// verdict; ranking every window's evidence, judged by a second scorer that never
// acts, as calibration judges. Either may be nil.
func NewEngine(setup Setup, report *Report, ranking *Ranking) (*Engine, error) {
	if setup.Clients <= 0 {
		setup.Clients = 200_000
	}
	e := &Engine{report: report, ranking: ranking, verdict: setup.Verdict}
	if !setup.From.IsZero() {
		e.from = setup.From.UnixMicro()
	}
	x, err := extraction(setup)
	if err != nil {
		return nil, err
	}
	if e.x, err = features.New(x); err != nil {
		return nil, fmt.Errorf("making the extractor: %w", err)
	}
	cfg := scoring.Config{Model: setup.Model, Policy: setup.Policy, Clients: setup.Clients, Shards: 1, Seed: x.Seed}
	if setup.Configure != nil {
		setup.Configure(&cfg)
	}
	if report != nil {
		if e.s, err = scoring.New(cfg); err != nil {
			return nil, fmt.Errorf("making the scorer: %w", err)
		}
		if !setup.Alone {
			if e.crowd, err = crowd.New(crowd.Config{Sources: 1, Hop: x.Hop, Seed: x.Seed}); err != nil {
				return nil, fmt.Errorf("making the crowd: %w", err)
			}
		}
	}
	if ranking != nil {
		// Alphas this small reach no threshold, extrapolated ones included: nothing
		// is ever decided.
		p := &cfg.Policy
		p.AlphaThrottle, p.AlphaChallenge, p.AlphaBlock = 1e-300, 1e-300, 1e-300
		if e.watch, err = scoring.New(cfg); err != nil {
			return nil, fmt.Errorf("making the watching scorer: %w", err)
		}
		ranking.layer = e.watch.Layer
		e.watch.Observer = ranking.observe
	}
	return e, nil
}

// extraction configures the extractor for a model.
func extraction(setup Setup) (features.Config, error) {
	x := features.DefaultConfig()
	x.Clients, x.Shards = setup.Clients, 1
	if setup.Disorder > 0 {
		x.Lateness = setup.Disorder.Microseconds()
	}
	var err error
	if x.Knowledge, err = features.NewKnowledge(&setup.Model.Learnt, setup.Decoys); err != nil {
		return x, fmt.Errorf("reading the model: %w", err)
	}
	return x, nil
}

// Event takes the next event, which must not lie further back in time than
// extraction allows.
func (e *Engine) Event(ev *schemas.Event, c Caller) {
	if ev.Time >= e.from {
		if e.report != nil {
			e.report.Call(ev, c)
		}
		if e.ranking != nil {
			e.ranking.call(ev, c)
		}
	}
	e.x.Apply(ev, ev.Time, e.offset, e)
	e.offset++
}

// Close judges what is still open.
func (e *Engine) Close() { e.x.Flush(e) }

// Features implements features.Emitter.
func (e *Engine) Features(f *schemas.ClientFeatures) {
	if e.s != nil {
		e.s.Features(f, e.offset, e)
	}
	if e.watch != nil {
		e.watch.Features(f, e.offset, ignored{})
	}
}

// Aggregate implements features.Emitter.
func (e *Engine) Aggregate(a *schemas.Aggregate) {
	if e.crowd != nil {
		e.crowd.Apply(a, e.offset, e)
	}
}

// Verdict implements scoring.Emitter.
func (e *Engine) Verdict(v *schemas.Verdict) {
	if v.Time.UnixMicro() < e.from {
		return
	}
	e.report.Verdict(v)
	if e.verdict != nil {
		e.verdict(v)
	}
}

// Block implements scoring.Emitter.
func (e *Engine) Block(key string, entry *schemas.BlockEntry) { e.report.Block(key, entry) }

type ignored struct{}

func (ignored) Verdict(*schemas.Verdict)          {}
func (ignored) Block(string, *schemas.BlockEntry) {}
