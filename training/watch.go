package training

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/guarantee"
)

// Watch follows how clients' days fare under a model without acting on them. While
// clients are like those that a layer was calibrated on, their conformal p-values
// are uniform; where they are not any more, the layer's claims do not hold, and its
// stratum should only be observed.
//
// Clients with a verdict against them are not counted: their days are unlike the
// calibration because they should be, and attackers could else have a stratum
// demoted. Neither is a drift towards calmer days a reason to.
type Watch struct {
	s       *scoring.Scorer
	flagged func(client uint64) bool
	day     int64
	days    map[clientDay]*watched
	strata  map[string]*stratumWatch
}

type watched struct {
	client uint64
	layer  *scoring.Calibration
	name   string
	peak   float64
}

type stratumWatch struct {
	drift *guarantee.Drift
	n     int
	sum   float64 // of p-values
}

// maxWatched bounds the clients watched in a day: a sample of them will do.
const maxWatched = 100_000

// NewWatch watches under a model. flagged tells of clients, by ClientID, that are
// not to be counted.
func NewWatch(m *scoring.Model, flagged func(client uint64) bool) (*Watch, error) {
	s, err := onlookerFor(m, maxWatched)
	if err != nil {
		return nil, err
	}
	w := &Watch{s: s, flagged: flagged, days: map[clientDay]*watched{}, strata: map[string]*stratumWatch{}}
	s.Observer = w.observe
	return w, nil
}

// Use goes over to another model. Strata whose layers it shares are watched on;
// others begin anew.
func (w *Watch) Use(m *scoring.Model) error {
	for name := range w.strata {
		old, next := w.s.Model().Calibration[name], m.Calibration[name]
		if old == nil || next == nil || old.N != next.N || !slices.Equal(old.Top, next.Top) {
			delete(w.strata, name)
		}
	}
	if err := w.s.SetModel(quiet(m)); err != nil {
		return fmt.Errorf("watching under another model: %w", err)
	}
	return nil
}

// Features takes in one window.
func (w *Watch) Features(f *schemas.ClientFeatures) {
	if day := f.WindowStart / dayMicros; day > w.day {
		w.endDay()
		w.day = day
	}
	if f.Final {
		w.s.Features(f, 0, unheard{})
	}
}

func (w *Watch) observe(f *schemas.ClientFeatures, combined float64, _ *scoring.Scores) {
	k := clientDayOf(f)
	d := w.days[k]
	if d == nil {
		if len(w.days) >= maxWatched || k.day != w.day {
			return
		}
		d = &watched{client: ClientID(f.Client)}
		w.days[k] = d
	}
	d.layer, d.name = w.s.Layer(f.Client)
	d.peak = max(d.peak, combined)
}

// endDay bets on the day's p-values, in an order that only a hash decides.
func (w *Watch) endDay() {
	type entry struct {
		k clientDay
		d *watched
	}
	all := make([]entry, 0, len(w.days))
	for k, d := range w.days {
		if w.flagged == nil || !w.flagged(d.client) {
			all = append(all, entry{k, d})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.k.client, b.k.client) })
	for _, e := range all {
		t := w.strata[e.d.name]
		if t == nil {
			drift, err := guarantee.NewDrift(0, 0)
			if err != nil {
				return // only thresholds that cannot be
			}
			t = &stratumWatch{drift: drift}
			w.strata[e.d.name] = t
		}
		p := smoothed(e.d.layer, e.d.peak, uniform(e.k))
		t.n++
		t.sum += p
		t.drift.Add(p)
	}
	w.days = map[clientDay]*watched{}
}

// smoothed is the smoothed conformal p-value of a client-day. A layer keeps only
// its highest values: all below tie.
func smoothed(c *scoring.Calibration, x, u float64) float64 {
	above, _ := slices.BinarySearchFunc(c.Top, x, func(have, want float64) int { return cmp.Compare(want, have) })
	ties := 0
	for above+ties < len(c.Top) && c.Top[above+ties] == x {
		ties++
	}
	if above == len(c.Top) {
		ties = c.N - len(c.Top)
	}
	return guarantee.SmoothedP(above, ties, c.N, u)
}

// uniform is a number in [0, 1) that a client-day determines.
func uniform(k clientDay) float64 {
	h := (k.client ^ uint64(k.day)*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	h = xxhash.Sum64([]byte{
		byte(h), byte(h >> 8), byte(h >> 16), byte(h >> 24), byte(h >> 32), byte(h >> 40), byte(h >> 48), byte(h >> 56),
	})
	return float64(h>>11) / (1 << 53)
}

// Drifts tells whether a stratum drifts towards more evidence.
func (w *Watch) Drifts(stratum string) bool {
	t := w.strata[stratum]
	return t != nil && t.drift.Alarm() && t.sum < 0.5*float64(t.n)
}

func (w *Watch) drifting() []string {
	var names []string
	for name := range w.strata {
		if w.Drifts(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
