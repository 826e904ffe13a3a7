package scoring

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// verdictID names the verdict of an entity's window under a model.
func (s *Scorer) verdictID(f *schemas.ClientFeatures, window int64) string {
	h := sha256.New()
	for _, part := range [][]byte{f.Tenant, f.Client, f.API, []byte(s.cfg.Model.Version)} {
		h.Write(part)
		h.Write([]byte{0})
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(window)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func utc(us int64) time.Time { return time.UnixMicro(us).UTC() }

func (s *Scorer) enforced(f *schemas.ClientFeatures) bool {
	return !s.cfg.Policy.Shadow && !s.cfg.Policy.ShadowAPIs[string(f.API)]
}

// decide emits the verdict of a ranked window. before is the evidence without
// the window, whose baselines are what was expected; after is with it.
func (s *Scorer) decide(j *judgement, before, after *Evidence, provisional bool, out Emitter) {
	f := j.f
	leader := 0
	for i := range j.evidence {
		if j.evidence[i]+logWeights[i] > j.evidence[leader]+logWeights[leader] {
			leader = i
		}
	}
	// Expectations are those from before the window; totals include it.
	view := *after
	view.Requests, view.Objects, view.Volume, view.Bytes = before.Requests, before.Objects, before.Volume, before.Bytes

	ttl := s.ttl(before.Repeats)
	action := rankActions[j.rank]
	v := &schemas.Verdict{
		ID: s.verdictID(f, f.WindowStart), Time: utc(f.LastEvent),
		Tenant: string(f.Tenant), Entity: schemas.SplitEntity(string(f.Client)), API: string(f.API),
		Attack: nameAttack(leader, f, &j.context, &view), Action: action,
		Enforced: s.enforced(f), Provisional: provisional,
		PValue: j.ladder.calibration.pValue(j.combined),
		Calibration: schemas.Calibration{
			Kind: "conformal", N: j.ladder.calibration.N, Stratum: j.ladder.stratum, Alpha: j.ladder.alpha[j.rank],
		},
		Model:       s.cfg.Model.Name + "@" + s.cfg.Model.Version,
		WindowStart: utc(f.WindowStart), WindowEnd: utc(f.WindowEnd), ExpiresAt: utc(f.LastEvent).Add(ttl),
	}
	v.Confidence = 1 - v.PValue
	if v.Entity.Type != "ip" && len(f.ClientIP) > 0 {
		v.Linked = append(v.Linked, schemas.Entity{Type: "ip", Value: string(f.ClientIP)})
	}
	for _, id := range f.EventIDs {
		v.EventIDs = append(v.EventIDs, string(id))
	}
	v.Explanation.Features = explain(j, leader, &view)
	v.Explanation.Text = sentence(v, j, ttl)
	out.Verdict(v)
	if v.Enforced {
		out.Block(schemas.BlockKey(v.Tenant, v.Entity.Type, v.Entity.Value), &schemas.BlockEntry{
			VerdictID: v.ID, Action: action, Attack: v.Attack, Confidence: v.Confidence,
			Reason: v.Explanation.Text, Created: v.Time, ExpiresAt: v.ExpiresAt,
		})
	}
}

// explain lists the numbers behind a verdict, those of the leading channel's
// family first. A family's share of the evidence is that of its strongest
// channel, split over the features it names by the nats behind each.
func explain(j *judgement, leader int, view *Evidence) []schemas.FeatureExplanation {
	type share struct {
		family   Family
		evidence float64
	}
	var shares []share
	total := 0.0
	for _, family := range families {
		s := share{family: family}
		leads := false
		for _, c := range family.Channels() {
			s.evidence = max(s.evidence, j.evidence[c])
			leads = leads || c == leader
		}
		if !leads && !counts(s.evidence, j.evidence[leader]) {
			continue
		}
		total += s.evidence
		if leads {
			shares = append([]share{s}, shares...)
		} else {
			shares = append(shares, s)
		}
	}
	var out []schemas.FeatureExplanation
	for _, s := range shares {
		features := s.family.Explain(j.f, &j.context, view, nil)
		nats := 0.0
		for _, e := range features {
			nats += e.Contribution
		}
		for k := range features {
			share := 1 / float64(len(features))
			if nats > 0 {
				share = features[k].Contribution / nats
			}
			features[k].Contribution = s.evidence / total * share
		}
		out = append(out, features...)
	}
	return out
}

// counts tells whether a family's evidence is worth naming beside the leader's.
func counts(evidence, leader float64) bool { return evidence > 3 && evidence > leader/4 }

// withdraw takes back what was said of a window before it closed: the calls
// that arrived later, or in another order, did not bear it out.
func (s *Scorer) withdraw(j *judgement, ev *Evidence, out Emitter) {
	f := j.f
	v := &schemas.Verdict{
		ID: s.verdictID(f, f.WindowStart), Time: utc(f.LastEvent),
		Tenant: string(f.Tenant), Entity: schemas.SplitEntity(string(f.Client)), API: string(f.API),
		Action: schemas.ActionObserve, Withdrawn: true, PValue: 1,
		Calibration: schemas.Calibration{
			Kind: "conformal", N: j.ladder.calibration.N, Stratum: j.ladder.stratum, Alpha: 1,
		},
		Model:       s.cfg.Model.Name + "@" + s.cfg.Model.Version,
		WindowStart: utc(f.WindowStart), WindowEnd: utc(f.WindowEnd),
	}
	v.Explanation.Text = "Withdrawn: the complete window does not bear out the provisional verdict."
	out.Verdict(v)
	if !s.enforced(f) {
		return
	}
	key := schemas.BlockKey(v.Tenant, v.Entity.Type, v.Entity.Value)
	if ev.Blocked == RankObserve {
		out.Block(key, nil)
		return
	}
	// A decision from before still holds: it is what the entry says again.
	out.Block(key, &schemas.BlockEntry{
		VerdictID: s.verdictID(f, ev.BlockWindow), Action: rankActions[ev.Blocked],
		Reason: "An earlier verdict still holds.", Created: utc(ev.BlockWindow), ExpiresAt: utc(ev.BlockedUntil),
	})
}
