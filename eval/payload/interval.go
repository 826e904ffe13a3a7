package payload

import (
	"encoding/json"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// ClopperPearson is the exact two-sided interval at level 1-alpha for the
// probability behind k successes in n trials (Clopper and Pearson, Biometrika
// 26, 1934): the beta quantiles B(alpha/2; k, n-k+1) and B(1-alpha/2; k+1,
// n-k). Without trials it is [0, 1].
func ClopperPearson(k, n int, alpha float64) (low, high float64) {
	low, high = 0, 1
	if k > 0 {
		low = mathext.InvRegIncBeta(float64(k), float64(n-k+1), alpha/2)
	}
	if k < n {
		high = mathext.InvRegIncBeta(float64(k+1), float64(n-k), 1-alpha/2)
	}
	return low, high
}

// Share is a count of rows with its exact 95 % interval.
type Share struct {
	N       int `json:"n"`
	Flagged int `json:"flagged"`
}

// ShareOf counts scores at or above threshold.
func ShareOf(scores []float64, threshold float64) Share {
	return Share{N: len(scores), Flagged: Flagged(scores, threshold)}
}

// Rate is the share itself; NaN of nothing.
func (s Share) Rate() float64 { return ratio(s.Flagged, s.N) }

// Interval is the Clopper-Pearson interval at 95 %.
func (s Share) Interval() (low, high float64) { return ClopperPearson(s.Flagged, s.N, 0.05) }

// MarshalJSON adds the rate and its interval to the counts.
func (s Share) MarshalJSON() ([]byte, error) {
	low, high := s.Interval()
	out := struct {
		N       int      `json:"n"`
		Flagged int      `json:"flagged"`
		Rate    *float64 `json:"rate,omitempty"`
		Low     float64  `json:"low"`
		High    float64  `json:"high"`
	}{s.N, s.Flagged, nil, low, high}
	if r := s.Rate(); !math.IsNaN(r) {
		out.Rate = &r
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encoding a share: %w", err)
	}
	return b, nil
}

// UnmarshalJSON reads the counts; the rest follows from them.
func (s *Share) UnmarshalJSON(text []byte) error {
	var counts struct {
		N       int `json:"n"`
		Flagged int `json:"flagged"`
	}
	if err := json.Unmarshal(text, &counts); err != nil {
		return fmt.Errorf("decoding a share: %w", err)
	}
	if counts.N < 0 || counts.Flagged < 0 || counts.Flagged > counts.N {
		return fmt.Errorf("decoding a share: %d of %d", counts.Flagged, counts.N)
	}
	s.N, s.Flagged = counts.N, counts.Flagged
	return nil
}
