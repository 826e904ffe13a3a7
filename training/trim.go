package training

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// DefaultTrim is which share of client-days, those with the most evidence, is left
// out of the last fit of behaviour.
const DefaultTrim = 0.01

// trimPasses is how many times the fit is made again without what the fit before
// found most suspicious.
const trimPasses = 2

// clientDay names a client's day on an API.
type clientDay struct {
	client uint64
	day    int64
}

const dayMicros = 24 * 3600 * 1_000_000

func clientDayOf(f *schemas.ClientFeatures) clientDay {
	return clientDay{
		xxhash.Sum64(f.Client)*31 + xxhash.Sum64(f.API)*7 + xxhash.Sum64(f.Tenant), f.WindowStart / dayMicros,
	}
}

// suspects are the share of client-days with the most evidence under a model.
// Behaviour is fitted without them, calibration with them: a layer without its
// highest days would claim thresholds that benign clients exceed more often.
func suspects(source Source, m *scoring.Model, share float64) (map[clientDay]bool, error) {
	s, err := onlooker(m)
	if err != nil {
		return nil, err
	}
	peaks := map[clientDay]float64{}
	s.Observer = func(f *schemas.ClientFeatures, combined float64, _ *scoring.Scores) {
		k := clientDayOf(f)
		peaks[k] = max(peaks[k], combined)
	}
	if err := source(func(f *schemas.ClientFeatures) { s.Features(f, 0, unheard{}) }); err != nil {
		return nil, fmt.Errorf("reading traffic for what to leave out: %w", err)
	}
	all := make([]float64, 0, len(peaks))
	for _, x := range peaks {
		all = append(all, x)
	}
	out := map[clientDay]bool{}
	n := int(share * float64(len(all)))
	if n == 0 {
		return out, nil
	}
	slices.Sort(all)
	for k, x := range peaks {
		if x >= all[len(all)-n] && x > 0 {
			out[k] = true
		}
	}
	return out, nil
}

// onlooker is a scorer that sees and decides nothing, but on decoys: what it would
// have blocked it would no longer see.
func onlooker(m *scoring.Model) (*scoring.Scorer, error) { return onlookerFor(m, 4<<20) }

func onlookerFor(m *scoring.Model, clients int) (*scoring.Scorer, error) {
	s, err := scoring.New(scoring.Config{Model: quiet(m), Policy: scoring.DefaultPolicy(), Clients: clients, Shards: 1})
	if err != nil {
		return nil, fmt.Errorf("making a scorer that only looks: %w", err)
	}
	return s, nil
}

// quiet is a model under which nothing is decided.
func quiet(m *scoring.Model) *scoring.Model {
	q := *m
	q.Calibration = make(map[string]*scoring.Calibration, len(m.Calibration))
	for name, c := range m.Calibration {
		own := *c
		own.Demoted = true
		q.Calibration[name] = &own
	}
	return &q
}

// unheard is where the decisions on decoys go.
type unheard struct{}

func (unheard) Verdict(*schemas.Verdict)          {}
func (unheard) Block(string, *schemas.BlockEntry) {}

// fit gathers a profile of the source, without some client-days.
func fit(source Source, o *Options, without map[clientDay]bool) (*Profile, error) {
	p := NewProfile()
	p.guard = o.Guard
	err := source(func(f *schemas.ClientFeatures) {
		if len(without) == 0 || !without[clientDayOf(f)] {
			p.Add(f)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading traffic for behaviour: %w", err)
	}
	if p.Clients() == 0 {
		return nil, ErrTooLittle
	}
	return p, nil
}
