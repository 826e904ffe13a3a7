package schemas

import (
	"encoding/json"
	"time"

	"github.com/weir-dev/weir/schemas/weirv1"
)

// Verdicts, block entries and labels are few, so encoding/json is their
// encoding on the topics; these conversions serve those who speak Protobuf.
// Times are cut to microseconds, and the zero time is 0. ToProto shares no
// memory with its receiver, FromProto none with its argument, and FromProto of
// nil gives the zero record.

// MarshalJSON writes an explanation without features as an empty list, not as
// null, so that a reader need not tell the two apart.
func (x Explanation) MarshalJSON() ([]byte, error) {
	if x.Features == nil {
		x.Features = []FeatureExplanation{}
	}
	type plain Explanation // without this method
	return json.Marshal(plain(x))
}

// ToProto is v as a weir.v1.Verdict.
func (v *Verdict) ToProto() *weirv1.Verdict {
	m := &weirv1.Verdict{
		Id:          v.ID,
		TimeUs:      micros(v.Time),
		Tenant:      v.Tenant,
		Entity:      &weirv1.Entity{Type: v.Entity.Type, Value: v.Entity.Value},
		Api:         v.API,
		Attack:      v.Attack,
		Action:      string(v.Action),
		Enforced:    v.Enforced,
		Withdrawn:   v.Withdrawn,
		Held:        v.Held,
		Provisional: v.Provisional,
		Confidence:  v.Confidence,
		PValue:      v.PValue,
		Calibration: &weirv1.Calibration{
			Kind:    v.Calibration.Kind,
			N:       int64(v.Calibration.N),
			Stratum: v.Calibration.Stratum,
			Alpha:   v.Calibration.Alpha,
		},
		Explanation: &weirv1.Explanation{
			Counterfactual: v.Explanation.Counterfactual,
			Text:           v.Explanation.Text,
			Sequence:       v.Explanation.Sequence,
			Payload:        v.Explanation.Payload,
			Cohort:         v.Explanation.Cohort,
		},
		EventIds:      append([]string(nil), v.EventIDs...),
		Model:         v.Model,
		WindowStartUs: micros(v.WindowStart),
		WindowEndUs:   micros(v.WindowEnd),
		ExpiresAtUs:   micros(v.ExpiresAt),
	}
	for _, e := range v.Linked {
		m.Linked = append(m.Linked, &weirv1.Entity{Type: e.Type, Value: e.Value})
	}
	for _, f := range v.Explanation.Features {
		m.Explanation.Features = append(m.Explanation.Features, &weirv1.FeatureExplanation{
			Name:         f.Name,
			Observed:     f.Observed,
			Expected:     f.Expected,
			Low:          f.Low,
			High:         f.High,
			Contribution: f.Contribution,
			Baseline:     f.Baseline,
			N:            int64(f.N),
		})
	}
	return m
}

// FromProto replaces v by what m says.
func (v *Verdict) FromProto(m *weirv1.Verdict) {
	*v = Verdict{
		ID:          m.GetId(),
		Time:        fromMicros(m.GetTimeUs()),
		Tenant:      m.GetTenant(),
		Entity:      Entity{Type: m.GetEntity().GetType(), Value: m.GetEntity().GetValue()},
		API:         m.GetApi(),
		Attack:      m.GetAttack(),
		Action:      Action(m.GetAction()),
		Enforced:    m.GetEnforced(),
		Withdrawn:   m.GetWithdrawn(),
		Held:        m.GetHeld(),
		Provisional: m.GetProvisional(),
		Confidence:  m.GetConfidence(),
		PValue:      m.GetPValue(),
		Calibration: Calibration{
			Kind:    m.GetCalibration().GetKind(),
			N:       int(m.GetCalibration().GetN()),
			Stratum: m.GetCalibration().GetStratum(),
			Alpha:   m.GetCalibration().GetAlpha(),
		},
		Explanation: Explanation{
			Features:       make([]FeatureExplanation, 0, len(m.GetExplanation().GetFeatures())),
			Counterfactual: m.GetExplanation().GetCounterfactual(),
			Text:           m.GetExplanation().GetText(),
			Sequence:       m.GetExplanation().GetSequence(),
			Payload:        m.GetExplanation().GetPayload(),
			Cohort:         m.GetExplanation().GetCohort(),
		},
		EventIDs:    append([]string(nil), m.GetEventIds()...),
		Model:       m.GetModel(),
		WindowStart: fromMicros(m.GetWindowStartUs()),
		WindowEnd:   fromMicros(m.GetWindowEndUs()),
		ExpiresAt:   fromMicros(m.GetExpiresAtUs()),
	}
	for _, e := range m.GetLinked() {
		v.Linked = append(v.Linked, Entity{Type: e.GetType(), Value: e.GetValue()})
	}
	for _, f := range m.GetExplanation().GetFeatures() {
		v.Explanation.Features = append(v.Explanation.Features, FeatureExplanation{
			Name:         f.GetName(),
			Observed:     f.GetObserved(),
			Expected:     f.GetExpected(),
			Low:          f.GetLow(),
			High:         f.GetHigh(),
			Contribution: f.GetContribution(),
			Baseline:     f.GetBaseline(),
			N:            int(f.GetN()),
		})
	}
}

// ToProto is b as a weir.v1.BlockEntry.
func (b *BlockEntry) ToProto() *weirv1.BlockEntry {
	return &weirv1.BlockEntry{
		VerdictId:   b.VerdictID,
		Action:      string(b.Action),
		Attack:      b.Attack,
		Confidence:  b.Confidence,
		Reason:      b.Reason,
		CreatedUs:   micros(b.Created),
		ExpiresAtUs: micros(b.ExpiresAt),
	}
}

// FromProto replaces b by what m says.
func (b *BlockEntry) FromProto(m *weirv1.BlockEntry) {
	*b = BlockEntry{
		VerdictID:  m.GetVerdictId(),
		Action:     Action(m.GetAction()),
		Attack:     m.GetAttack(),
		Confidence: m.GetConfidence(),
		Reason:     m.GetReason(),
		Created:    fromMicros(m.GetCreatedUs()),
		ExpiresAt:  fromMicros(m.GetExpiresAtUs()),
	}
}

// ToProto is l as a weir.v1.Label.
func (l *Label) ToProto() *weirv1.Label {
	return &weirv1.Label{
		EntityType: l.EntityType,
		Entity:     l.Entity,
		Attack:     l.Attack,
		StartUs:    micros(l.Start),
		EndUs:      micros(l.End),
	}
}

// FromProto replaces l by what m says.
func (l *Label) FromProto(m *weirv1.Label) {
	*l = Label{
		EntityType: m.GetEntityType(),
		Entity:     m.GetEntity(),
		Attack:     m.GetAttack(),
		Start:      fromMicros(m.GetStartUs()),
		End:        fromMicros(m.GetEndUs()),
	}
}

// micros is 0 for the zero time: microseconds since 1970 would be a large
// negative number that no reader takes for "none".
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
