package training

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/joint"
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
	// 8,000: enough to claim one in 1,000 without extrapolation (see
	// scoring.Calibration.Threshold).
	MinStratum int
	// Learnt is what extraction knew of the APIs when it made the Source.
	Learnt features.Learnt
	// ClientDays, where set, is told of every client-day of the last calibration
	// pass: for plots of the layer.
	ClientDays func(stratum string, held bool, peaks scoring.Scores)
	// Guard bounds what few clients can teach; nil learns from all alike.
	Guard *Guard
	// Trim is which share of client-days, those with the most evidence, behaviour
	// is not learnt from; 0 leaves out none. It takes four more passes over the
	// Source.
	Trim float64
	// Progress, where set, is told of each of the passes over the Source.
	Progress func(pass, passes int)
}

// defaultMinStratum is what a claim of one in 1,000 takes.
const defaultMinStratum = 8_000

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
		o.MinStratum = defaultMinStratum
	}
	rounds := 0
	if o.Trim > 0 {
		rounds = trimPasses
	}
	passes, passed := 3+2*rounds, 0
	pass := func() {
		if passed++; o.Progress != nil {
			o.Progress(passed, passes)
		}
	}
	var m *scoring.Model
	var without map[clientDay]bool
	for round := 0; ; round++ {
		pass()
		profile, err := fit(source, &o, without)
		if err != nil {
			return nil, err
		}
		if m, err = behave(profile, &o); err != nil {
			return nil, err
		}
		if round == rounds {
			break
		}
		pass()
		if without, err = suspects(source, m, o.Trim); err != nil {
			return nil, err
		}
	}
	return calibrated(source, m, &o, pass)
}

// calibrated is the model with layers of its own, or the prior's where there is
// too little traffic for them. It reads the source twice, because how far a
// client's own baseline is trusted depends on the layer being made.
func calibrated(source Source, m *scoring.Model, o *Options, pass func()) (*scoring.Model, error) {
	for i := range 2 {
		pass()
		var tell func(string, bool, scoring.Scores)
		if i == 1 {
			tell = o.ClientDays
		}
		layers, err := calibrate(source, m, o.MinStratum, tell)
		if err != nil {
			return nil, err
		}
		if o.Prior != nil {
			for name, own := range layers {
				if o.Prior.Calibration[name] == nil && !o.Guard.acceptable(own, widest(o.Prior, name)) {
					delete(layers, name)
				}
			}
			// Where the traffic at hand is too little, the prior's layer stays.
			for name, c := range o.Prior.Calibration {
				if own, ok := layers[name]; !ok || own.N < o.MinStratum || !o.Guard.acceptable(own, c) {
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

// behave is the model of a profile, under the prior's layers or none.
func behave(profile *Profile, o *Options) (*scoring.Model, error) {
	m := &scoring.Model{Name: o.Name, Learnt: o.Learnt, Calibration: map[string]*scoring.Calibration{}}
	strata, apis := profile.Behaviours()
	var priorMixes map[string]*joint.Model
	if o.Prior != nil {
		priorMixes = o.Prior.Joint
	}
	var err error
	if m.Joint, err = profile.Mixes(priorMixes); err != nil {
		return nil, err
	}
	if o.Prior == nil {
		if m.Strata = strata; strata[scoring.Pooled] == nil {
			return nil, ErrTooLittle
		}
		m.Calibration[scoring.Pooled] = inert()
		return m, nil
	}
	m.Strata, m.Calibration = o.Prior.Strata, o.Prior.Calibration
	m.APIs = shrink(apis, o.Prior)
	m.Learnt.Status = profile.Status()
	return m, nil
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
	return between(prior, own, float64(own.Windows)/(float64(own.Windows)+priorWeight))
}

// between is the behaviour that lies the share w of the way from prior to own. The
// counts behind it are own's, the hours the prior's.
func between(prior, own *scoring.Behaviour, w float64) *scoring.Behaviour {
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
		Load: moments(prior.Load, own.Load), Uploads: moments(prior.Uploads, own.Uploads), Writes: counts(prior.Writes, own.Writes),
		EntropyFloor: mix(prior.EntropyFloor, own.EntropyFloor),
	}
	for i := range b.Bounds {
		b.Bounds[i] = mix(prior.Bounds[i], own.Bounds[i])
	}
	b.DayShift = mix(prior.DayShift, own.DayShift)
	b.TokenMoves = mix(prior.TokenMoves, own.TokenMoves)
	for i := range b.Novelty {
		b.Novelty[i] = mix(prior.Novelty[i], own.Novelty[i])
	}
	for i := range b.Hours {
		b.Hours[i] = prior.Hours[i]
	}
	return b
}

// enough is how many held-out client-days a layer takes. A first day is rare and
// odd: its layers take as many as the default does.
func enough(name string, minStratum int) int {
	if strings.HasSuffix(name, scoring.NewClients) {
		return max(minStratum, min(defaultMinStratum, 8*minStratum))
	}
	return minStratum
}

// poolPeople pools the types of people that have no layer of their own: with those
// that do, the layer would promise to some what others keep.
func poolPeople(fitting, held map[string][]scoring.Scores, minStratum int) {
	for _, suffix := range []string{"", scoring.NewClients} {
		var fit, hold []scoring.Scores
		for _, name := range slices.Sorted(maps.Keys(held)) {
			t := strings.TrimSuffix(name, scoring.NewClients)
			if name != t+suffix || t == scoring.Pooled || t == features.ClientConsumer || len(held[name]) >= enough(name, minStratum) {
				continue
			}
			fit, hold = append(fit, fitting[name]...), append(hold, held[name]...)
		}
		if len(hold) > 0 {
			fitting[scoring.PooledPeople+suffix], held[scoring.PooledPeople+suffix] = fit, hold
		}
	}
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
		isNew   bool // the client's first day on the API
		held    bool // one client's days are all held out or all not, on whatever API
		max     scoring.Scores
	}
	days := map[clientDay]*peaks{}
	firsts := map[uint64]int64{} // day of a client's first call
	var order []clientDay
	s, err := onlooker(m)
	if err != nil {
		return nil, err
	}
	s.Observer = func(f *schemas.ClientFeatures, _ float64, scores *scoring.Scores) {
		k := clientDay{xxhash.Sum64(f.Client)*31 + xxhash.Sum64(f.API)*7 + xxhash.Sum64(f.Tenant), f.WindowStart / (24 * 3600 * 1_000_000)}
		p := days[k]
		if p == nil {
			first, ok := firsts[k.client]
			if !ok {
				first = k.day
				firsts[k.client] = first
			}
			p = &peaks{stratum: Stratum(f.Client), isNew: k.day == first, held: (xxhash.Sum64(f.Client)+xxhash.Sum64(f.Tenant)*7)>>17&1 != 0}
			days[k] = p
			order = append(order, k)
		}
		for i, x := range scores {
			p.max[i] = max(p.max[i], x)
		}
	}
	if err := source(func(f *schemas.ClientFeatures) { s.Features(f, 0, unheard{}) }); err != nil {
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
			name := p.stratum
			if p.isNew {
				name += scoring.NewClients
			}
			tell(name, p.held, p.max)
		}
		for _, pool := range []string{p.stratum, scoring.Pooled} {
			if p.isNew {
				pool += scoring.NewClients
			}
			into[pool] = append(into[pool], p.max)
		}
	}
	poolPeople(fitting, held, minStratum)
	if len(held[scoring.Pooled]) == 0 && m.Calibration[scoring.Pooled+scoring.NewClients] == nil {
		// Traffic of a single day knows no client: its layers are of everybody.
		fitting, held = unsplit(fitting), unsplit(held)
	}
	layers := map[string]*scoring.Calibration{}
	for name, h := range held {
		if len(h) >= enough(name, minStratum) || name == scoring.Pooled || name == scoring.Pooled+scoring.NewClients {
			layers[name] = scoring.NewCalibration(fitting[name], h)
		}
	}
	return layers, nil
}

// widest is a model's layer of all clients that are as new as those of a stratum.
func widest(m *scoring.Model, stratum string) *scoring.Calibration {
	if strings.HasSuffix(stratum, scoring.NewClients) && m.Calibration[scoring.Pooled+scoring.NewClients] != nil {
		return m.Calibration[scoring.Pooled+scoring.NewClients]
	}
	return m.Calibration[scoring.Pooled]
}

// unsplit names the pools of new clients as those of all.
func unsplit(pools map[string][]scoring.Scores) map[string][]scoring.Scores {
	out := make(map[string][]scoring.Scores, len(pools))
	for name, days := range pools {
		out[strings.TrimSuffix(name, scoring.NewClients)] = days
	}
	return out
}
