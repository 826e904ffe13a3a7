package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/training"
)

// PoisonRow is what an attacker gained by being there while a model was trained.
type PoisonRow struct {
	Share   float64 `json:"share"`   // of the calls of the training days
	Clients int     `json:"clients"` // over which the attacker spread them
	// Found is the least rate of calls at which a later attack is found within an
	// hour, calls/s, median over attackers; Clean the same without the poison.
	Found float64 `json:"found"`
	Clean float64 `json:"clean"`
	Gain  float64 `json:"gain"` // Found / Clean
}

// mostGain is how much faster than without poison an attacker may come to call.
const mostGain = 1.5

// runPoisoning measures what an attacker gains who calls all through the days that
// a model is trained on, and whether one is found who becomes a little faster
// every day.
func runPoisoning(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = 401, o.pick(300, 40), time.Duration(o.pick(7, 1))*24*time.Hour
	calls := 0
	if err := eventsOf(ctx, cfg, nil)(func(*schemas.Event) { calls++ }); err != nil {
		return nil, err
	}
	type poison struct {
		share   float64
		clients int
	}
	poisons := []poison{{0, 0}, {.01, 1}, {.05, 1}, {.10, 1}, {.10, 20}}
	if o.Quick {
		poisons = []poison{{0, 0}, {.10, 1}}
	}
	models, err := each(ctx, o, "poisoning: training", len(poisons), func(ctx context.Context, i int) (*scoring.Model, error) {
		p := poisons[i]
		var crowd []*steady
		for k := range p.clients {
			// Of all calls together, the poison is to be its share.
			rate := p.share / (1 - p.share) * float64(calls) / cfg.Duration.Seconds() / float64(p.clients)
			crowd = append(crowd, newSteady(uint64(5000+k), cfg.Start, cfg.Duration, rate))
		}
		return learn(among(eventsOf(ctx, cfg, nil), crowd), o.Prior)
	})
	if err != nil {
		return nil, err
	}
	after := cfg.Start.Add(cfg.Duration)
	found, err := each(ctx, o, "poisoning: attacking", len(models), func(ctx context.Context, i int) (float64, error) {
		rates := make([]float64, o.pick(7, 1))
		for k := range rates {
			var err error
			if rates[k], err = leastFound(models[i], uint64(6000+k), after); err != nil {
				return 0, err
			}
		}
		return quantile(rates, .5), nil
	})
	if err != nil {
		return nil, err
	}
	for i, p := range poisons {
		row := PoisonRow{Share: p.share, Clients: p.clients, Found: found[i], Clean: found[0], Gain: found[i] / found[0]}
		out.Poisons = append(out.Poisons, row)
		if i > 0 {
			// What is found at no rate has no factor.
			known := row.Clean < mostRate && row.Found < mostRate
			f := Figure{
				Name:     fmt.Sprintf("rate gained by %g %% of the training traffic from %d clients", 100*p.share, p.clients),
				Measured: row.Gain, Low: row.Gain, High: row.Gain, N: o.pick(7, 1),
				Target: fmt.Sprintf("<= %g", mostGain), Met: known && row.Gain <= mostGain,
			}
			if !known {
				f.Note = fmt.Sprintf("not found at up to %d calls/s", mostRate)
			}
			out.Figures = append(out.Figures, f)
		}
	}
	if o.Quick {
		return out, nil
	}
	factor, caught, err := boilingFrog(models[0], after)
	if err != nil {
		return nil, err
	}
	out.Figures = append(out.Figures, Figure{
		Name: "factor reached by growing 2 % a day before the block", Measured: factor, Low: factor, High: factor, N: 1,
		Target: "found", Met: caught, Note: fmt.Sprintf("from a call in %g s for two hours a day", 1/frogRate),
	})
	return out, nil
}

// steady is one client of the bank that reads its summary and accounts at a
// steady mean rate: calls are a Poisson process.
type steady struct {
	ev       *schemas.Event
	rng      *rand.Rand
	at, end  int64
	rate     float64 // calls/s
	paths    [][]byte
	calls    int
	id, name []byte
}

func newSteady(user uint64, start time.Time, length time.Duration, rate float64) *steady {
	s := &steady{
		ev: schemas.NewEvent(), rng: rand.New(rand.NewPCG(user, 7)),
		at: start.UnixMicro(), end: start.Add(length).UnixMicro(), rate: rate,
		name: strconv.AppendUint([]byte("u-steady-"), user, 16),
	}
	for _, api := range simulate.DefaultWorld().APIs[:1] {
		for _, r := range api.Routes {
			if r.Role == simulate.RoleSummary || r.Role == simulate.RoleList {
				s.paths = append(s.paths, []byte(r.Path))
			}
		}
	}
	s.wait()
	return s
}

func (s *steady) wait() { s.at += int64(s.rng.ExpFloat64() / s.rate * 1e6) }

// next is the call that is due; nil at the end.
func (s *steady) next() *schemas.Event {
	if s.at >= s.end {
		return nil
	}
	ev := s.ev
	ev.Reset()
	s.calls++
	s.id = strconv.AppendInt(append(append(s.id[:0], s.name...), '-'), int64(s.calls), 10)
	path := s.paths[s.calls%len(s.paths)]
	ev.ID, ev.Time, ev.API, ev.Method, ev.Path, ev.Route = s.id, s.at, []byte("bank"), []byte("GET"), path, path
	ev.Status, ev.RespBytes, ev.DurationUS = 200, 2000+s.rng.Int64N(600), 40_000+s.rng.Int64N(20_000)
	ev.User, ev.ClientIP = s.name, []byte("250.1.2.3")
	s.wait()
	return ev
}

// among puts clients between the events of others, in order of time.
func among(events training.Events, crowd []*steady) training.Events {
	return func(yield func(*schemas.Event)) error {
		fresh := make([]*steady, len(crowd))
		for i, s := range crowd {
			c := *s
			c.ev = schemas.NewEvent()
			c.rng = rand.New(rand.NewPCG(uint64(i)+1, 11))
			fresh[i] = &c
		}
		return events(func(ev *schemas.Event) {
			for {
				i, at := -1, ev.Time
				for k, s := range fresh {
					if s.at <= at && s.at < s.end {
						i, at = k, s.at
					}
				}
				if i < 0 {
					break
				}
				yield(fresh[i].next())
			}
			yield(ev)
		})
	}
}

// mostRate is the highest rate that is tried, calls/s.
const mostRate = 16

// leastFound is the least rate, calls/s, at which a client that nobody has seen
// is blocked within an hour: on a grid of quarter octaves up to mostRate.
func leastFound(model *scoring.Model, user uint64, day time.Time) (float64, error) {
	const steps = 36 // to mostRate
	rate := func(i int) float64 { return mostRate * math.Exp2(float64(i-steps)/4) }
	low, high := 0, steps
	for low < high {
		i := (low + high) / 2
		blocked, err := caughtSteady(model, newSteady(user, day.Add(10*time.Hour), time.Hour, rate(i)))
		if err != nil {
			return 0, err
		}
		if blocked {
			high = i
		} else {
			low = i + 1
		}
	}
	return rate(low), nil
}

// caughtSteady tells whether a client alone is blocked.
func caughtSteady(model *scoring.Model, s *steady) (bool, error) {
	report, e, err := alone(model, s)
	if err != nil {
		return false, err
	}
	for ev := s.next(); ev != nil; ev = s.next() {
		e.Event(ev, Unknown())
		if report.all[0].blocked {
			return true, nil
		}
	}
	e.Close()
	return report.all[0].blocked, nil
}

func alone(model *scoring.Model, s *steady) (*Report, *Engine, error) {
	report := NewReport([]schemas.Label{{
		EntityType: "user", Entity: string(s.name), Attack: schemas.AttackExtremeClient,
		Start: time.UnixMicro(s.at).UTC().AddDate(0, 0, -1), End: time.UnixMicro(s.end).UTC().AddDate(10, 0, 0),
	}}, 0)
	e, err := NewEngine(Setup{Model: model, Policy: policyAt(recallAlpha), Clients: 100}, report, nil)
	return report, e, err
}

const (
	frogRate   = 0.05 // calls/s on the first day
	frogGrowth = 1.02
	frogDays   = 186 // until it calls forty times as fast
)

// boilingFrog is by what factor a client has grown, 2 % a day, when it is first
// blocked; ok is false where half a year passes without.
func boilingFrog(model *scoring.Model, start time.Time) (factor float64, ok bool, err error) {
	s := newSteady(7000, start, 0, frogRate)
	report, e, err := alone(model, s)
	if err != nil {
		return 0, false, err
	}
	for day := range frogDays {
		factor = math.Pow(frogGrowth, float64(day))
		from := start.AddDate(0, 0, day).Add(10 * time.Hour)
		s.at, s.end, s.rate = from.UnixMicro(), from.Add(2*time.Hour).UnixMicro(), frogRate*factor
		s.wait()
		for ev := s.next(); ev != nil; ev = s.next() {
			e.Event(ev, Unknown())
			if report.all[0].blocked {
				return factor, true, nil
			}
		}
	}
	return factor, false, nil
}
