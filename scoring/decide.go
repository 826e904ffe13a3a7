package scoring

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/guarantee"
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
	leader := j.leader()
	// Expectations are those from before the window; totals include it.
	view := *after
	view.Own, view.Regular, view.Known = before.Own, before.Regular, before.Known

	ttl := s.ttl(before.Repeats)
	action := rankActions[j.rank]
	v := &schemas.Verdict{
		ID: s.verdictID(f, f.WindowStart), Time: utc(f.LastEvent),
		Tenant: string(f.Tenant), Entity: s.target(j), API: string(f.API),
		Action: action, Enforced: s.enforced(f), Provisional: provisional,
		Model:       s.cfg.Model.Name + "@" + s.cfg.Model.Version,
		WindowStart: utc(f.WindowStart), WindowEnd: utc(f.WindowEnd), ExpiresAt: utc(f.LastEvent).Add(ttl),
	}
	var kind string
	v.PValue, kind = j.ladder.calibration.PValue(j.combined)
	if j.ladder.kind[j.rank] == Extrapolated {
		kind = Extrapolated
	}
	v.Calibration = schemas.Calibration{
		Kind: kind, N: j.ladder.calibration.N, Stratum: j.ladder.stratum, Alpha: j.ladder.alpha[j.rank],
	}
	v.Confidence = 1 - v.PValue
	if j.decoy {
		v.Attack = schemas.AttackDecoyHit
		v.Confidence, v.Calibration.Kind = decoyConfidence, Rule
		v.Explanation = explainDecoy(j)
	} else {
		v.Attack = nameAttack(leader, &j.evidence, f, &j.context, &view)
		v.Explanation = explain(j, leader, &view)
	}
	if client := schemas.SplitEntity(string(f.Client)); v.Entity != client {
		v.Linked = append(v.Linked, client)
	}
	if v.Entity.Type != "ip" && len(f.ClientIP) > 0 {
		v.Linked = append(v.Linked, schemas.Entity{Type: "ip", Value: string(f.ClientIP)})
	}
	for _, id := range f.EventIDs {
		v.EventIDs = append(v.EventIDs, string(id))
	}
	v.Explanation.Text = sentence(v, j, ttl)
	s.hold(v, j)
	action = v.Action
	out.Verdict(v)
	if v.Enforced {
		out.Block(schemas.BlockKey(v.Tenant, v.Entity.Type, v.Entity.Value), &schemas.BlockEntry{
			VerdictID: v.ID, Action: action, Attack: v.Attack, Confidence: v.Confidence,
			Reason: v.Explanation.Text, Created: v.Time, ExpiresAt: v.ExpiresAt,
		})
	}
}

// hold keeps a decision from being enforced where policy or the guard say so.
func (s *Scorer) hold(v *schemas.Verdict, j *judgement) {
	switch {
	case !v.Enforced:
		v.Held = HeldShadow
		return
	case v.Action != schemas.ActionBlock:
		return
	case guarantee.HeldOut([2]uint64{s.cfg.Seed.K0, s.cfg.Seed.K1}, []byte(v.ID), s.cfg.Policy.HoldOut):
		v.Enforced, v.Held = false, HeldOut
		return
	}
	p := v.PValue
	if j.decoy {
		p = 0 // a rule has no rate of its own
	}
	switch v.Held = s.guard.hold(j.f, p); v.Held {
	case HeldBrake:
		v.Enforced = false
	case HeldFDR:
		v.Action = schemas.ActionChallenge
		v.Explanation.Text += " Challenged instead: too many of such blocks would be false."
	}
}

// Rule is the kind of calibration of a verdict that a rule gave, not evidence.
const Rule = "rule"

// decoyConfidence is that a caller of a decoy looks for what it was not given; a
// link that somebody else laid out is the rest.
const decoyConfidence = 0.99

// target is who a decision is about: the client, or the credential that somebody
// else uses in its name.
func (s *Scorer) target(j *judgement) schemas.Entity {
	if j.takeover() && tokenOf(j.f) != 0 {
		return schemas.Entity{Type: features.ClientCredential, Value: string(j.f.Credential)}
	}
	return schemas.SplitEntity(string(j.f.Client))
}

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
