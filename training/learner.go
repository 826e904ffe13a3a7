package training

import (
	"fmt"
	"maps"
	"math"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// LearnerConfig describes a Learner. Times are microseconds.
type LearnerConfig struct {
	Name string // of the models it makes
	// Golden is the model that is learnt on top of, and that nothing may drift away
	// from. Required.
	Golden *scoring.Model
	// Interval is the event time between two candidates, Warmup what must have been
	// seen before the first.
	Interval, Warmup int64
	// MinStratum is as in Options.
	MinStratum int
	// Clients bounds how many clients an interval is learnt from. Default 200,000.
	Clients int
}

// generation is how long one learner of routes and calls lives: what it remembers
// of who has voted is bounded by that.
const generation = dayMicros

// flagTime is how long a client with a verdict against it teaches nothing.
const flagTime = 7 * dayMicros

// Learner learns continuously, from records in about the order of their time; what
// lies behind when it begins may come in any. It has one owner. It keeps a profile of the interval at hand, a day of routes and
// calls, and the paces of all APIs; the paces are what must outlive it.
type Learner struct {
	cfg   LearnerConfig
	guard *Guard
	paces *Paces

	routes    *features.RouteLearner
	knowledge *features.KnowledgeLearner
	born      int64           // when this generation began
	learnt    features.Learnt // of the last complete generation
	complete  bool

	profile       *Profile
	since, newest int64
	resume        int64 // what began before is in the paces already
	turned        bool
	flagged       map[uint64]int64 // client to when it was flagged
	mixes         *Profile         // of the last interval
	key           []byte
	watch         *Watch
}

// NewLearner returns a Learner that goes on from paces, nil for none.
func NewLearner(cfg LearnerConfig, paces *Paces) (*Learner, error) {
	if cfg.Golden == nil || cfg.Interval <= 0 {
		return nil, fmt.Errorf("%w: a learner needs a model to learn on top of, and an interval", scoring.ErrConfig)
	}
	if cfg.Clients == 0 {
		cfg.Clients = 200_000
	}
	if cfg.MinStratum == 0 {
		cfg.MinStratum = defaultMinStratum
	}
	if paces == nil || paces.APIs == nil {
		paces = NewPaces()
	}
	l := &Learner{cfg: cfg, paces: paces, resume: paces.Until, flagged: map[uint64]int64{}, routes: features.NewRouteLearner(), guard: DefaultGuard(cfg.Golden)}
	l.guard.Flagged = l.Flagged
	l.knowledge = features.NewKnowledgeLearner(cfg.Golden.Learnt.Routes)
	l.begin()
	var err error
	if l.watch, err = NewWatch(cfg.Golden, l.Flagged); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Learner) begin() {
	l.profile = NewProfile()
	l.profile.guard = l.guard
}

// Active tells which model is in use, so that the Watch looks through its eyes.
func (l *Learner) Active(m *scoring.Model) error { return l.watch.Use(m) }

// Event takes in one API call.
func (l *Learner) Event(e *schemas.Event) {
	l.key = features.AppendClientKey(l.key[:0], e)
	if l.Flagged(ClientID(l.key)) {
		return
	}
	l.routes.Observe(e)
	l.knowledge.Observe(e)
}

// Features takes in one window. What the paces know already is passed over.
func (l *Learner) Features(f *schemas.ClientFeatures) {
	if !f.Final || f.WindowStart < l.resume {
		return
	}
	if l.since == 0 || !l.turned && f.WindowStart < l.since {
		l.since, l.born = f.WindowStart, f.WindowStart
	}
	l.newest = max(l.newest, f.WindowEnd)
	l.watch.Features(f)
	if l.profile.Clients() < l.cfg.Clients || l.profile.knows(f) {
		l.profile.Add(f)
	}
}

// Verdict takes note of who is suspected.
func (l *Learner) Verdict(v *schemas.Verdict) {
	if v.Withdrawn || v.Action.Severity() < schemas.ActionChallenge.Severity() {
		return
	}
	l.flagged[ClientID([]byte(v.Entity.String()))] = v.Time.UnixMicro()
}

// Flagged tells whether a client, by ClientID, has had a verdict against it in the
// last seven days.
func (l *Learner) Flagged(client uint64) bool {
	at, ok := l.flagged[client]
	return ok && l.newest-at < flagTime
}

// Due tells whether the interval at hand is over. The first takes the warm-up.
func (l *Learner) Due() bool {
	span := l.cfg.Interval
	if l.paces.Until == 0 {
		span = max(l.cfg.Warmup, 1)
	}
	return l.since > 0 && l.newest-l.since >= span
}

// Turn ends the interval at hand: what it showed goes into the paces.
func (l *Learner) Turn() {
	days := float64(l.newest-l.since) / dayMicros
	strata, apis := l.profile.Behaviours()
	apis[tenantWide] = strata
	l.paces.Update(apis, days, l.newest, l.guard.Breadth)
	status := l.profile.Status()
	l.paces.note(status)
	l.mixes = l.profile
	l.since, l.turned = l.newest, true
	for c, at := range l.flagged {
		if l.newest-at >= flagTime {
			delete(l.flagged, c)
		}
	}
	l.begin()
	if l.newest-l.born >= generation {
		l.learnt, l.complete = l.knowledge.Learnt(), true
		l.knowledge = features.NewKnowledgeLearner(l.routes.Rules())
		l.routes, l.born = features.NewRouteLearner(), l.newest
	}
}

// tenantWide is the API under which paces follow the clients of all APIs.
const tenantWide = ""

// tenantWeight is how many windows the prior weighs beside those of all APIs.
const tenantWeight = 2000

// Candidate is the model of what was learnt: each API's behaviour drawn towards
// that of the tenant's clients as a whole, and theirs towards the golden model's;
// under layers of its own where held, traffic of the last day, is enough for them.
// What the Watch has demoted only observes.
func (l *Learner) Candidate(held Source) (*scoring.Model, error) {
	golden := l.cfg.Golden
	apis := l.paces.Behaviours()
	base := *golden
	base.Strata = maps.Clone(golden.Strata)
	for name, own := range apis[tenantWide] {
		if prior := golden.Strata[name]; prior != nil && own.Windows >= minAPIWindows {
			b := between(prior, own, float64(own.Windows)/(float64(own.Windows)+tenantWeight))
			base.Strata[name] = b
		}
	}
	delete(apis, tenantWide)
	m := &scoring.Model{Name: l.cfg.Name, Strata: base.Strata, Calibration: golden.Calibration, APIs: shrink(apis, &base), Joint: golden.Joint}
	var err error
	if l.mixes != nil {
		if m.Joint, err = l.mixes.Mixes(golden.Joint); err != nil {
			return nil, err
		}
	}
	m.Learnt = l.learnt
	if !l.complete {
		// The first day: what it has shown so far, under the routes known before it.
		m.Learnt = l.knowledge.Learnt()
	}
	m.Learnt.Status = l.paces.status()
	o := Options{Prior: golden, MinStratum: l.cfg.MinStratum, Guard: l.guard}
	if m, err = calibrated(held, m, &o, func() {}); err != nil {
		return nil, err
	}
	layers := make(map[string]*scoring.Calibration, len(m.Calibration))
	for name, c := range m.Calibration {
		layers[name] = c
		// Only the layer that drifted: one made of this very traffic has not.
		if l.watch.Drifts(name) && c == golden.Calibration[name] {
			own := *c
			own.Demoted = true
			layers[name] = &own
		}
	}
	m.Calibration = layers
	return m, m.Seal()
}

// Paces are what must be kept for a Learner that goes on from here.
func (l *Learner) Paces() *Paces { return l.paces }

// Demoted are the strata that drift.
func (l *Learner) Demoted() []string { return l.watch.drifting() }

// Newest is the event time, µs, that it has come to.
func (l *Learner) Newest() int64 { return l.newest }

// note counts what an interval showed of each API.
func (p *Paces) note(status map[string]features.Status) {
	if p.Seen == nil {
		p.Seen = map[string]features.Status{}
	}
	for api, s := range status {
		old, ok := p.Seen[api]
		if !ok {
			p.Seen[api] = s
			continue
		}
		// Clients of different intervals are mostly the same ones.
		p.Seen[api] = features.NewStatus(
			int(min(int64(old.Windows)+int64(s.Windows), math.MaxInt32)), max(old.Clients, s.Clients), max(old.Networks, s.Networks), min(old.Since, s.Since))
	}
}

func (p *Paces) status() map[string]features.Status { return maps.Clone(p.Seen) }
