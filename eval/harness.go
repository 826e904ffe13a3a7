package eval

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/weir-dev/weir/eval/payload"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/training"
)

// Options of the suites.
type Options struct {
	// Quick runs each suite small: enough to see that everything works, too
	// little for its figures to mean much.
	Quick bool
	// Workers is how many worlds run at a time. Default: GOMAXPROCS.
	Workers int
	// Prior is the model that every other one leans on. Default: the shipped one.
	Prior *scoring.Model
	// Alphas are the nominal rates of the guarantee. Default: 1e-2, 1e-3, 1e-4.
	Alphas []float64
	// Without turns a family of evidence off: for ablations.
	Without func(cfg *scoring.Config, family string)
	// Progress, where set, is told after each piece of work; calls do not overlap.
	Progress func(what string, done, total int)
	// Datasets is the folder with labelled payloads; empty: not measured.
	Datasets string
	// Beside is a file of payload figures of other detectors; empty: none.
	Beside string
}

func (o Options) resolve() (Options, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if len(o.Alphas) == 0 {
		o.Alphas = []float64{1e-2, 1e-3, 1e-4}
	}
	if o.Prior == nil {
		var err error
		if o.Prior, err = scoring.Prior(); err != nil {
			return o, err
		}
	}
	return o, nil
}

// pick is full, or quick where the run is to be quick.
func (o *Options) pick(full, quick int) int {
	if o.Quick {
		return quick
	}
	return full
}

// Figure is one measured number beside its target.
type Figure struct {
	Name     string  `json:"name"`
	Measured float64 `json:"measured"`
	// Low to High is the interval that Measured, or what it counts, has by chance.
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	N      int     `json:"n"` // trials behind it
	Target string  `json:"target"`
	Met    bool    `json:"met"`
	Note   string  `json:"note,omitempty"`
}

// SuiteResult is what one suite measured.
type SuiteResult struct {
	Suite       string          `json:"suite"`
	Seconds     float64         `json:"seconds"`
	Figures     []Figure        `json:"figures"`
	Rates       []NamedRates    `json:"rates,omitempty"`
	Attacks     []AttackRow     `json:"attacks,omitempty"`
	Classes     []ClassRow      `json:"false_blocks,omitempty"`
	Collateral  *Collateral     `json:"collateral,omitempty"`
	Intensities []IntensityRow  `json:"intensities,omitempty"`
	Tradeoff    []TradeoffPoint `json:"tradeoff,omitempty"`
	Starts      []StartRow      `json:"cold_start,omitempty"`
	Poisons     []PoisonRow     `json:"poisoning,omitempty"`
	Ablation    []AblationRow   `json:"ablation,omitempty"`
	Framings    []FramingRow    `json:"framing,omitempty"`
	Payload     *payload.Report `json:"payload,omitempty"`
	Note        string          `json:"note,omitempty"` // why there is less than usual
}

// NamedRates are the rates of one way to calibrate.
type NamedRates struct {
	Name string    `json:"name"`
	Rows []RateRow `json:"rows"`
}

// ErrNoSuite says that there is no suite of a name.
var ErrNoSuite = errors.New("no such suite")

// Suites lists the names of the suites, in the order in which they run.
func Suites() []string {
	var names []string
	for _, s := range suites() {
		names = append(names, s.name)
	}
	return names
}

type suite struct {
	name string
	run  func(ctx context.Context, o *Options) (*SuiteResult, error)
}

func suites() []suite {
	return []suite{
		{"guarantee", runGuarantee},
		{"recall", runRecall},
		{"coldstart", runColdStart},
		{"poisoning", runPoisoning},
		{"framing", runFraming},
		{"payload", runPayload},
	}
}

// RunSuite runs the named suite. The same options give the same result, but for
// its Seconds.
func RunSuite(ctx context.Context, name string, o Options) (*SuiteResult, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	for _, s := range suites() {
		if s.name != name {
			continue
		}
		began := time.Now()
		r, err := s.run(ctx, &o)
		if err != nil {
			return nil, fmt.Errorf("running the suite %s: %w", name, err)
		}
		r.Suite, r.Seconds = name, time.Since(began).Seconds()
		return r, nil
	}
	return nil, fmt.Errorf("%w: %q, want one of %v", ErrNoSuite, name, Suites())
}

// each runs n pieces of work, several at a time, and returns their results in
// order.
func each[T any](ctx context.Context, o *Options, what string, n int, work func(ctx context.Context, i int) (T, error)) ([]T, error) {
	out := make([]T, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Workers)
	var mu sync.Mutex
	done := 0
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if out[i], err = work(ctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			if o.Progress != nil {
				o.Progress(what, done, n)
			}
			return nil
		})
	}
	return out, g.Wait()
}

// policyAt blocks at alpha; what is short of a block never hides one.
func policyAt(alpha float64) scoring.Policy {
	p := scoring.DefaultPolicy()
	p.AlphaBlock, p.AlphaChallenge = alpha, alpha
	p.AlphaThrottle = max(p.AlphaThrottle, alpha)
	return p
}

// world is a simulated world to judge.
type world struct {
	cfg   simulate.Config
	setup Setup
	// keep, where set, leaves out the calls of other clients.
	keep   func(client []byte) bool
	ranked bool
	// unreported leaves out the acting scorer: rankings alone are wanted.
	unreported bool
}

// judge runs a world through an Engine. Report or Ranking is nil where it was
// not asked for.
func (w *world) judge(ctx context.Context) (*Report, *Ranking, error) {
	g, err := simulate.New(w.cfg)
	if err != nil {
		return nil, nil, err
	}
	labels := g.Labels()
	var report *Report
	var ranking *Ranking
	if !w.unreported {
		report = NewReport(labels, instanceGap)
		names := make([]string, len(w.cfg.Attacks))
		for i, a := range w.cfg.Attacks {
			names[i] = a.Variant
		}
		report.NameInstances(names)
		report.Allow(g.Allowed())
	}
	if w.ranked {
		ranking = NewRanking(labels)
	}
	w.setup.Decoys = decoys(w.cfg.World)
	e, err := NewEngine(w.setup, report, ranking)
	if err != nil {
		return nil, nil, err
	}
	ev := schemas.NewEvent()
	var key []byte
	for n := 0; g.Next(ev); n++ {
		if n%(1<<16) == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if w.keep != nil {
			if key = features.AppendClientKey(key[:0], ev); !w.keep(key) {
				continue
			}
		}
		e.Event(ev, CallerOf(g, ev))
	}
	e.Close()
	return report, ranking, nil
}

// decoys are the routes of a world that nobody is told of.
func decoys(of simulate.World) []features.Decoy {
	var out []features.Decoy
	for _, api := range of.APIs {
		for _, path := range api.Decoys {
			out = append(out, features.Decoy{API: api.Name, Route: path})
		}
	}
	return out
}

// CallerOf is the Caller of a simulated event.
func CallerOf(g *simulate.Generator, ev *schemas.Event) Caller {
	o, ok := g.Origin(ev.ID)
	switch {
	case !ok:
		return Unknown()
	case o.Attack != "":
		return Caller{Person: -1, Instance: o.Index, Cover: o.Cover}
	}
	return Caller{Class: string(o.Class), Person: o.Index, Instance: -1}
}

// half tells one half of the clients from the other.
func half(client []byte) bool { return xxhash.Sum64(client)>>41&1 == 0 }

// eventsOf are a world's events for training, under a tenant of their own where
// several worlds are learnt from together.
func eventsOf(ctx context.Context, cfg simulate.Config, keep func(client []byte) bool) training.Events {
	return func(yield func(*schemas.Event)) error {
		g, err := simulate.New(cfg)
		if err != nil {
			return err
		}
		ev := schemas.NewEvent()
		var key []byte
		for n := 0; g.Next(ev); n++ {
			if n%(1<<16) == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if keep != nil {
				if key = features.AppendClientKey(key[:0], ev); !keep(key) {
					continue
				}
			}
			yield(ev)
		}
		return nil
	}
}

// learn trains a model on events that its test will not hold.
func learn(events training.Events, prior *scoring.Model) (*scoring.Model, error) {
	x := features.DefaultConfig()
	x.Shards, x.FinalOnly = 1, false
	m, err := training.Learn(events, x, training.Options{Name: "trained", Prior: prior})
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	return m, nil
}

// everyAttack is count of each attack and variant that the world can suffer,
// beginning apart from each other, in an order that turns with the seed.
func everyAttack(cfg simulate.Config, first, apart time.Duration, count int, intensity float64) ([]simulate.AttackSpec, error) {
	var possible []simulate.AttackSpec
	for _, a := range simulate.EveryAttack(0, 0, intensity) {
		if a.Name == schemas.AttackMisconfiguration {
			continue // a finding about the API: it blocks nobody
		}
		if a.Variant == "boiling-frog" {
			continue // takes months; the poisoning suite has it
		}
		probe := cfg
		probe.Clients, probe.Duration, probe.Surges = 1, time.Minute, nil
		probe.Attacks = []simulate.AttackSpec{a}
		if _, err := simulate.New(probe); errors.Is(err, simulate.ErrUnknownAttack) {
			continue
		} else if err != nil {
			return nil, err
		}
		possible = append(possible, a)
	}
	specs := make([]simulate.AttackSpec, 0, count*len(possible))
	for range count {
		specs = append(specs, possible...)
	}
	if n := len(specs); n > 0 {
		turn := int(cfg.Seed) * 7 % n
		specs = slices.Concat(specs[turn:], specs[:turn])
	}
	for i := range specs {
		specs[i].Start = first + time.Duration(i)*apart
	}
	return specs, nil
}
