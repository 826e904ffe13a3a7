package scoring

import (
	"math"

	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// Standing is where a client stands after a window: what each family says of it,
// and how far that is from the rungs. It tells why a client was not acted on.
type Standing struct {
	// Combined is the evidence that is compared with the rungs, nats.
	Combined float64 `json:"combined"`
	Stratum  string  `json:"stratum"` // the layer that judges it
	N        int     `json:"n"`       // client-days behind that
	Learnt   bool    `json:"learnt"`  // the API's own model is known
	// Rungs rise; one that cannot be reached has an Evidence of 0.
	Rungs    []Rung           `json:"rungs"`
	Families []FamilyStanding `json:"families"` // in the order of FamilyNames
}

// Rung is what an action takes.
type Rung struct {
	Action   schemas.Action `json:"action"`
	Alpha    float64        `json:"alpha"`
	Evidence float64        `json:"evidence"` // above this many nats
	Kind     string         `json:"kind"`     // conformal | extrapolated
}

// FamilyStanding is the strongest statistic of a family.
type FamilyStanding struct {
	Family string `json:"family"`
	// Feature is the number behind it, and what would be usual; Of is how many
	// chances there were where it counts some of many.
	Feature schemas.FeatureExplanation `json:"feature"`
	Of      float64                    `json:"of,omitempty"`
	// Statistic is in the family's own nats; Evidence, which is compared with the
	// rungs, is what benign client-days make of it, less the price of looking at
	// many statistics. It may be negative.
	Statistic float64 `json:"statistic"`
	Evidence  float64 `json:"evidence"`
	// Next is the nearest rung above Evidence, empty where none is. More is how
	// many more of Feature, one after the other, would have led there; where it
	// counts nothing, Reach is the value that would have. Both are 0 where no
	// value of this feature alone does.
	Next  schemas.Action `json:"next,omitempty"`
	More  float64        `json:"more,omitempty"`
	Reach float64        `json:"reach,omitempty"`
}

// Standing tells of the window at hand. It is for Observers, for closed windows.
func (s *Scorer) Standing() Standing {
	j := &s.judging
	c := j.ladder.calibration
	st := Standing{Combined: j.combined, Stratum: j.ladder.stratum, N: c.N, Learnt: j.context.Learnt}
	for r := RankThrottle; r <= RankBlock; r++ {
		rung := Rung{Action: rankActions[r], Alpha: j.ladder.alpha[r], Kind: j.ladder.kind[r]}
		if at := j.ladder.at[r]; !math.IsInf(at, 1) {
			rung.Evidence = at
		}
		st.Rungs = append(st.Rungs, rung)
	}
	hi, lo := siphash.Hash128(s.cfg.Seed.K0, s.cfg.Seed.K1, s.key)
	ev := s.shards[lo%uint64(len(s.shards))].clients.Peek(slab.Key{Hi: hi, Lo: lo})
	if ev == nil {
		return st
	}
	for _, f := range s.families {
		st.Families = append(st.Families, j.standing(f, ev))
	}
	return st
}

func (j *judgement) standing(f Family, ev *Evidence) FamilyStanding {
	channels := f.Channels()
	at := channels[0]
	weighed := func(channel int) float64 { return j.evidence[channel] + logWeights[channel] }
	for _, c := range channels {
		if weighed(c) > weighed(at) {
			at = c
		}
	}
	r := f.Explain(at, j.f, &j.context, ev)
	st := FamilyStanding{Family: f.Name(), Feature: r.Feature, Of: r.Of, Statistic: j.scores[at], Evidence: weighed(at)}
	tail := &j.ladder.calibration.Tails[at]
	for rank := RankThrottle; rank <= RankBlock; rank++ {
		rung := j.ladder.at[rank]
		if rung < st.Evidence || math.IsInf(rung, 1) {
			continue
		}
		st.Next = rankActions[rank]
		reaches := func(statistic float64) bool { return tail.Evidence(statistic)+logWeights[at] > rung }
		if share := shareOf(r.Feature.Name); share >= 0 {
			p0 := ev.bound(share, &j.context)
			st.More = first(func(k float64) bool {
				return p0 <= maxHabit && reaches(logBernoulliEvidence(r.Of+k, r.Feature.Observed+k, p0))
			})
		} else {
			st.Reach = reach(&r, reaches)
		}
		break
	}
	return st
}

// shareOf is the share that a feature counts, or -1.
func shareOf(name string) int {
	for i, n := range shareNames {
		if n == name {
			return i
		}
	}
	return -1
}

// mostReach bounds the search for what would have been needed.
const mostReach = 1e15

// first is the smallest whole k from 1 on that holds, of what goes on holding
// once it does; 0 where there is none.
func first(holds func(k float64) bool) float64 {
	hi := 1.0
	for !holds(hi) {
		if hi *= 2; hi > 1e6 {
			return 0
		}
	}
	lo := math.Floor(hi / 2)
	for hi-lo > 1 {
		mid := math.Floor((lo + hi) / 2)
		if holds(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// reach is the value of a feature at which its statistic is enough: upwards from
// what is usual, or down to nothing where less is odder.
func reach(r *Reason, reaches func(float64) bool) float64 {
	e := &r.Feature
	if r.At(0) > r.At(e.Expected) {
		if !reaches(r.At(0)) {
			return 0
		}
		return between(e.Expected, 0, func(x float64) bool { return reaches(r.At(x)) })
	}
	hi := max(e.Expected, e.Observed, 1)
	for !reaches(r.At(hi)) {
		if hi *= 2; hi > mostReach {
			return 0
		}
	}
	return between(min(e.Expected, hi), hi, func(x float64) bool { return reaches(r.At(x)) })
}

// between is where holds begins, between a value that does not and one that does.
func between(no, yes float64, holds func(float64) bool) float64 {
	for range 60 {
		mid := (no + yes) / 2
		if holds(mid) {
			yes = mid
		} else {
			no = mid
		}
	}
	return yes
}
