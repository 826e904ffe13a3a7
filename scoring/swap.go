package scoring

import (
	"fmt"
	"math"
)

// SetModel puts another model in place of the Scorer's. Evidence gathered so far
// is kept: a model changes what windows mean from now on, not what was seen. The
// error is ErrConfig, and the old model stays then.
func (s *Scorer) SetModel(m *Model) error {
	if m == nil || m.Calibration[Pooled] == nil || m.Strata[Pooled] == nil {
		return fmt.Errorf("%w: a model without a pooled stratum", ErrConfig)
	}
	s.cfg.Model = m
	s.layers = layersOf(m, &s.cfg.Policy)
	return nil
}

// Model is what the Scorer judges by; it is shared and not to be changed.
func (s *Scorer) Model() *Model { return s.cfg.Model }

// laddersOf are a model's thresholds under a policy, by stratum.
func laddersOf(m *Model, p *Policy) map[string]*ladder {
	ladders := make(map[string]*ladder, len(m.Calibration))
	for name, c := range m.Calibration {
		l := &ladder{calibration: c, stratum: name, alpha: [...]float64{1, p.AlphaThrottle, p.AlphaChallenge, p.AlphaBlock}}
		for r := RankThrottle; r <= RankBlock; r++ {
			l.at[r], l.kind[r] = c.Threshold(l.alpha[r])
			l.at[r] = max(l.at[r], l.at[r-1])
			if c.Demoted {
				l.at[r] = math.Inf(1)
			}
		}
		ladders[name] = l
	}
	return ladders
}
