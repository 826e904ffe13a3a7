package training

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// Source yields the same records on every call: windows of clients in log
// order, open and closed ones. Records are valid during the call only.
type Source func(yield func(*schemas.ClientFeatures)) error

// ErrTooLittle says that a Source held too few client-days to learn from.
var ErrTooLittle = errors.New("too little traffic to learn from")

// Options of Train.
type Options struct {
	Name string
	// Prior is what a model leans on where its own traffic is thin; nil learns a
	// prior from scratch.
	Prior *scoring.Model
	// MinStratum is from how many held-out client-days a client type gets a
	// conformal layer of its own; those with fewer share the pooled one. Default
	// 30,000: enough to claim one in 10,000 (see scoring.Calibration.Threshold).
	MinStratum int
	Routes     features.RouteRules
	// ClientDays, where set, is told of every client-day of the last calibration
	// pass: for plots of the layer.
	ClientDays func(stratum string, held bool, peaks scoring.Scores)
	// Progress, where set, is told of each of the passes over the Source.
	Progress func(pass, passes int)
}

// priorWeight is how many windows the prior weighs beside an API's own.
const priorWeight = 200

// minAPIWindows is from how many windows an API and client type get numbers of
// their own.
const minAPIWindows = 30

// Train learns a model from a Source that it reads three times: for behaviour,
// and twice for calibration, because how far a client's own baseline is trusted
// depends on the layer being made.
func Train(source Source, o Options) (*scoring.Model, error) {
	if o.MinStratum == 0 {
		o.MinStratum = 30_000
	}
	pass := func(n int) {
		if o.Progress != nil {
			o.Progress(n, 3)
		}
	}
	m := &scoring.Model{Name: o.Name, Routes: o.Routes, Calibration: map[string]*scoring.Calibration{}}
	profile := NewProfile()
	pass(1)
	if err := source(profile.Add); err != nil {
		return nil, fmt.Errorf("reading traffic for behaviour: %w", err)
	}
	if profile.Clients() == 0 {
		return nil, ErrTooLittle
	}
	strata, apis := profile.Behaviours()
	if o.Prior == nil {
		m.Strata = strata
		m.Calibration[scoring.Pooled] = inert()
	} else {
		m.Strata, m.Calibration = o.Prior.Strata, o.Prior.Calibration
		m.APIs = shrink(apis, o.Prior)
	}
	for i := range 2 {
		pass(2 + i)
		var tell func(string, bool, scoring.Scores)
		if i == 1 {
			tell = o.ClientDays
		}
		layers, err := calibrate(source, m, o.MinStratum, tell)
		if err != nil {
			return nil, err
		}
		if o.Prior != nil {
			// Where the traffic at hand is too little, the prior's layer stays.
			for name, c := range o.Prior.Calibration {
				if own, ok := layers[name]; !ok || own.N < o.MinStratum {
					layers[name] = c
				}
			}
		}
		if layers[scoring.Pooled] == nil {
			return nil, ErrTooLittle
		}
		next := *m
		next.Calibration = layers
		m = &next
	}
	return m, m.Seal()
}

// inert is a layer that takes no action.
func inert() *scoring.Calibration {
	return scoring.NewCalibration(nil, []scoring.Scores{{1e9}})
}

// shrink is each API's behaviour, drawn towards the prior of its client type by
// priorWeight windows.
func shrink(apis map[string]map[string]*scoring.Behaviour, prior *scoring.Model) map[string]map[string]*scoring.Behaviour {
	out := map[string]map[string]*scoring.Behaviour{}
	for api, types := range apis {
		for name, own := range types {
			if own.Windows < minAPIWindows {
				continue
			}
			base := prior.Strata[name]
			if base == nil {
				base = prior.Strata[scoring.Pooled]
			}
			if out[api] == nil {
				out[api] = map[string]*scoring.Behaviour{}
			}
			out[api][name] = blend(base, own)
		}
	}
	return out
}

func blend(prior, own *scoring.Behaviour) *scoring.Behaviour {
	w := float64(own.Windows) / (float64(own.Windows) + priorWeight)
	mix := func(p, o float64) float64 { return (1-w)*p + w*o }
	counts := func(p, o scoring.Counts) scoring.Counts {
		return scoring.Counts{Mean: mix(p.Mean, o.Mean), Between: mix(p.Between, o.Between), Size: mix(p.Size, o.Size)}
	}
	moments := func(p, o scoring.Moments) scoring.Moments {
		return scoring.Moments{Mean: mix(p.Mean, o.Mean), Between: mix(p.Between, o.Between), Within: mix(p.Within, o.Within)}
	}
	b := &scoring.Behaviour{
		Windows: own.Windows, Clients: own.Clients,
		Requests: counts(prior.Requests, own.Requests), Objects: counts(prior.Objects, own.Objects),
		Volume: moments(prior.Volume, own.Volume), Bytes: moments(prior.Bytes, own.Bytes), Entropy: moments(prior.Entropy, own.Entropy),
		LoginFailure: mix(prior.LoginFailure, own.LoginFailure), Denied: mix(prior.Denied, own.Denied),
		Missing: mix(prior.Missing, own.Missing), Sequential: mix(prior.Sequential, own.Sequential),
		EntropyFloor: mix(prior.EntropyFloor, own.EntropyFloor),
	}
	for i := range b.Hours {
		b.Hours[i] = prior.Hours[i]
	}
	return b
}

// calibrate scores the source without acting and makes conformal layers from
// the daily maxima of its clients: half of the clients fit the tails, the other
// half are held out.
func calibrate(source Source, m *scoring.Model, minStratum int, tell func(string, bool, scoring.Scores)) (map[string]*scoring.Calibration, error) {
	type clientDay struct {
		client uint64
		day    int64
	}
	type peaks struct {
		stratum string
		held    bool // one client's days are all held out or all not, on whatever API
		max     scoring.Scores
	}
	days := map[clientDay]*peaks{}
	var order []clientDay
	policy := scoring.DefaultPolicy()
	// Alphas this small reach no threshold: nothing is ever decided.
	policy.AlphaThrottle, policy.AlphaChallenge, policy.AlphaBlock = 1e-12, 1e-12, 1e-12
	s, err := scoring.New(scoring.Config{Model: m, Policy: policy, Clients: 4 << 20, Shards: 1})
	if err != nil {
		return nil, err
	}
	s.Observer = func(f *schemas.ClientFeatures, _ float64, scores *scoring.Scores) {
		k := clientDay{xxhash.Sum64(f.Client)*31 + xxhash.Sum64(f.API)*7 + xxhash.Sum64(f.Tenant), f.WindowStart / (24 * 3600 * 1_000_000)}
		p := days[k]
		if p == nil {
			p = &peaks{stratum: Stratum(f.Client), held: (xxhash.Sum64(f.Client)+xxhash.Sum64(f.Tenant)*7)>>17&1 != 0}
			days[k] = p
			order = append(order, k)
		}
		for i, x := range scores {
			p.max[i] = max(p.max[i], x)
		}
	}
	if err := source(func(f *schemas.ClientFeatures) { s.Features(f, 0, nil) }); err != nil {
		return nil, fmt.Errorf("reading traffic for calibration: %w", err)
	}
	fitting, held := map[string][]scoring.Scores{}, map[string][]scoring.Scores{}
	for _, k := range order {
		p := days[k]
		into := held
		if !p.held {
			into = fitting
		}
		if tell != nil {
			tell(p.stratum, p.held, p.max)
		}
		pools := []string{p.stratum, scoring.Pooled}
		if p.stratum != features.ClientConsumer {
			pools = append(pools, scoring.PooledPeople)
		}
		for _, pool := range pools {
			into[pool] = append(into[pool], p.max)
		}
	}
	layers := map[string]*scoring.Calibration{}
	for name, h := range held {
		if len(h) >= minStratum || name == scoring.Pooled {
			layers[name] = scoring.NewCalibration(fitting[name], h)
		}
	}
	return layers, nil
}
