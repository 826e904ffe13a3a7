package training

import (
	"fmt"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/guarantee"
)

// Trial is how a model would have treated clients that are believed benign.
type Trial struct {
	Days    int `json:"client_days"`
	Blocked int `json:"blocked"`
	// Low and High hold the rate of blocks with 95 % confidence (Clopper-Pearson).
	Low, High float64
	Alpha     float64 `json:"alpha"`
}

// Holds tells whether what was seen agrees with a rate of at most alpha.
func (t *Trial) Holds() bool { return t.Low <= t.Alpha }

// Shadow lets a model judge traffic under a policy without any consequence.
// suspected tells of clients, by ClientID, that are not believed benign; nil
// believes everybody.
func Shadow(source Source, m *scoring.Model, policy scoring.Policy, suspected func(client uint64) bool) (*Trial, error) {
	policy.Shadow = true
	policy.HoldOut, policy.FDR, policy.MaxBlocksPerMinute, policy.MaxBlockedShare = 0, 0, 0, 0
	s, err := scoring.New(scoring.Config{Model: m, Policy: policy, Clients: 1 << 20, Shards: 1, Seed: features.DefaultConfig().Seed})
	if err != nil {
		return nil, fmt.Errorf("making a scorer for the trial: %w", err)
	}
	j := jury{days: map[clientDay]bool{}}
	err = source(func(f *schemas.ClientFeatures) {
		if !f.Final || suspected != nil && suspected(ClientID(f.Client)) {
			return
		}
		j.at = clientDayOf(f)
		if _, ok := j.days[j.at]; !ok {
			j.days[j.at] = false
		}
		s.Features(f, 0, j)
	})
	if err != nil {
		return nil, fmt.Errorf("reading traffic for the trial: %w", err)
	}
	t := &Trial{Days: len(j.days), Alpha: policy.AlphaBlock}
	for _, blocked := range j.days {
		if blocked {
			t.Blocked++
		}
	}
	t.Low, t.High = guarantee.ClopperPearson(t.Blocked, t.Days, 0.95)
	return t, nil
}

// jury notes the client-days that are blocked.
type jury struct {
	days map[clientDay]bool
	at   clientDay
}

func (j jury) Verdict(v *schemas.Verdict) {
	if v.Action == schemas.ActionBlock && !v.Withdrawn {
		j.days[j.at] = true
	}
}

func (jury) Block(string, *schemas.BlockEntry) {}
