package scoring

import "bytes"

// Layer is the calibration layer that judges a client, with its name. Called by
// the Observer it is that of the window at hand; else that of a known client of
// the type. What is returned is shared and not to be changed.
func (s *Scorer) Layer(client []byte) (c *Calibration, name string) {
	l := s.judging.ladder
	if s.judging.f == nil || !bytes.Equal(s.judging.f.Client, client) {
		l = s.ladder(client[:max(bytes.IndexByte(client, ':'), 0)], false)
	}
	return l.calibration, l.stratum
}

// Rank is the j of Threshold: it is the j-th highest of N client-days. 0: N is
// too small for a conformal threshold, and Threshold extrapolates.
func (c *Calibration) Rank(alpha float64) int { return conformalRank(c.N, alpha) }

// FamilyNames lists the families of evidence, in the order in which they judge.
func FamilyNames() []string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.Name()
	}
	return names
}
