package eval

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/guarantee"
)

// Ranking notes how high the evidence of each client-day climbs when nobody
// acts on it. From that follows what any alpha would have blocked, in one run.
type Ranking struct {
	layer   func(client []byte) (*scoring.Calibration, string)
	days    map[clientDay]*rankedDay
	benign  []*rankedDay // in order of their first call
	labels  map[string][]*rankedLabel
	attacks []*rankedLabel
	key     []byte
}

type rankedDay struct {
	peaks
	fisher  float64 // sum of -2 ln p over the closed windows
	bets    float64 // running sum of ln e over the closed windows
	highest float64 // of bets
	windows int
}

type rankedLabel struct {
	label schemas.Label
	peaks
}

// peaks are the highest combined evidence by the layer that judged it: a client
// may leave one layer for another. The first is that of its first window.
type peaks []peak

type peak struct {
	layer    *scoring.Calibration
	stratum  string
	evidence float64
}

func (p *peaks) add(layer *scoring.Calibration, stratum string, evidence float64) {
	for i := range *p {
		if (*p)[i].layer == layer {
			(*p)[i].evidence = max((*p)[i].evidence, evidence)
			return
		}
	}
	*p = append(*p, peak{layer, stratum, evidence})
}

// thresholds are those of one alpha, by layer; looking one up takes a search.
type thresholds struct {
	alpha float64
	at    map[*scoring.Calibration]float64
}

func thresholdsAt(alpha float64) *thresholds {
	return &thresholds{alpha, map[*scoring.Calibration]float64{}}
}

// exceeded tells whether any of the evidence lies above its layer's threshold.
func (t *thresholds) exceeded(by peaks) bool {
	for _, p := range by {
		at, ok := t.at[p.layer]
		if !ok {
			at, _ = p.layer.Threshold(t.alpha)
			t.at[p.layer] = at
		}
		if p.evidence > at {
			return true
		}
	}
	return false
}

// NewRanking ranks the client-days of clients that have none of the labels, and
// the labels.
func NewRanking(labels []schemas.Label) *Ranking {
	r := &Ranking{days: map[clientDay]*rankedDay{}, labels: map[string][]*rankedLabel{}}
	for _, l := range labels {
		in := &rankedLabel{label: l}
		r.attacks = append(r.attacks, in)
		key := l.EntityType + ":" + l.Entity
		r.labels[key] = append(r.labels[key], in)
	}
	return r
}

// call makes a client-day of a benign call.
func (r *Ranking) call(ev *schemas.Event, c Caller) {
	if c.Instance >= 0 || c.Cover {
		return
	}
	r.key = features.AppendClientKey(r.key[:0], ev)
	if _, ok := r.labels[string(r.key)]; ok {
		return
	}
	k := dayOf(r.key, ev.Tenant, apiOf(ev), ev.Time)
	if r.days[k] == nil {
		d := new(rankedDay)
		r.days[k] = d
		r.benign = append(r.benign, d)
	}
}

// observe is the scorer's Observer.
func (r *Ranking) observe(f *schemas.ClientFeatures, combined float64, scores *scoring.Scores) {
	if labels, ok := r.labels[string(f.Client)]; ok {
		at := time.UnixMicro(f.LastEvent)
		for _, l := range labels {
			if !at.Before(l.label.Start) && !at.After(l.label.End.Add(grace)) {
				layer, stratum := r.layer(f.Client)
				l.add(layer, stratum, combined)
			}
		}
		return
	}
	d := r.days[dayOf(f.Client, f.Tenant, f.API, f.WindowStart)]
	if d == nil {
		return
	}
	layer, stratum := r.layer(f.Client)
	d.add(layer, stratum, combined)
	if f.Final {
		// -ln p of the window's calls against what the client's baseline expects.
		nats := scores[scoring.ChannelBurst]
		d.fisher += 2 * nats
		// The calibrator e = p^(-1/2) / 2 turns a p-value into a bet.
		d.bets += nats/2 - math.Ln2
		d.highest = max(d.highest, d.bets)
		d.windows++
	}
}

// RateRow is what one alpha would have done to benign client-days.
type RateRow struct {
	Alpha   float64 `json:"alpha"`
	Days    int     `json:"client_days"`
	Blocked int     `json:"blocked"`
	Rate    float64 `json:"rate"`
	Low     float64 `json:"low"` // 95 % Clopper-Pearson of Rate
	High    float64 `json:"high"`
	// StatedLow to StatedHigh is where the calibration says, with 95 %, that the
	// rate lies, given how many client-days it and the test hold.
	StatedLow  float64 `json:"stated_low"`
	StatedHigh float64 `json:"stated_high"`
	// Kind is what the rarest claim among the layers rests on: conformal,
	// extrapolated beyond their client-days, or none, where a layer takes no
	// action at this rate.
	Kind string `json:"kind"`
	// The naive rates are those had windows been taken for independent: the day's
	// p-values multiplied, combined by Fisher's method, and turned into bets that
	// are multiplied until they reach 1 / alpha.
	NaiveProduct float64 `json:"naive_product"`
	NaiveFisher  float64 `json:"naive_fisher"`
	NaiveBets    float64 `json:"naive_bets"`
}

// Kinds of RateRow.
const (
	kindConformal    = "conformal"
	kindExtrapolated = "extrapolated"
	kindNone         = "none"
)

// newDraw is the law that a layer states for alpha. An extrapolated threshold is
// never below the highest of the layer's client-days.
func newDraw(c *scoring.Calibration, alpha float64) *Draw {
	d := &Draw{N: c.N, J: c.Rank(alpha)}
	if threshold, _ := c.Threshold(alpha); d.J == 0 && !math.IsInf(threshold, 1) {
		d.J, d.AtMost = 1, true
	}
	return d
}

// Inside tells whether the rate lies where the calibration says.
func (r *RateRow) Inside() bool { return r.StatedLow <= r.Rate && r.Rate <= r.StatedHigh }

// Rates evaluates alphas over the benign client-days of rankings that share a
// model.
func Rates(rankings []*Ranking, alphas []float64) []RateRow {
	rows := make([]RateRow, 0, len(alphas))
	for _, alpha := range alphas {
		row := RateRow{Alpha: alpha, Kind: kindConformal}
		days := map[string]*Draw{}
		limits := thresholdsAt(alpha)
		product, fisher, bets := 0, 0, 0
		for _, r := range rankings {
			for _, d := range r.benign {
				if len(d.peaks) == 0 {
					continue
				}
				row.Days++
				draw := days[d.peaks[0].stratum]
				if draw == nil {
					draw = newDraw(d.peaks[0].layer, alpha)
					days[d.peaks[0].stratum] = draw
				}
				draw.Days++
				if limits.exceeded(d.peaks) {
					row.Blocked++
				}
				if d.windows > 0 && (distuv.ChiSquared{K: 2 * float64(d.windows)}).Survival(d.fisher) < alpha {
					fisher++
				}
				if d.fisher/2 > -math.Log(alpha) {
					product++
				}
				if d.highest > -math.Log(alpha) {
					bets++
				}
			}
		}
		draws := make([]Draw, 0, len(days))
		for _, d := range days {
			draws = append(draws, *d)
			switch {
			case d.J == 0:
				row.Kind = kindNone
			case d.AtMost && row.Kind == kindConformal:
				row.Kind = kindExtrapolated
			}
		}
		slices.SortFunc(draws, func(a, b Draw) int { return a.Days - b.Days })
		low, high := StatedInterval(draws, 0.95)
		row.Rate = share(row.Blocked, row.Days)
		row.Low, row.High = guarantee.ClopperPearson(row.Blocked, row.Days, 0.95)
		row.StatedLow, row.StatedHigh = share(low, row.Days), share(high, row.Days)
		row.NaiveProduct = share(product, row.Days)
		row.NaiveFisher, row.NaiveBets = share(fisher, row.Days), share(bets, row.Days)
		rows = append(rows, row)
	}
	return rows
}
