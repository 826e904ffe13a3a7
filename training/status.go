package training

import (
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// knows tells whether a window's client is part of the profile already.
func (p *Profile) knows(f *schemas.ClientFeatures) bool {
	return p.clients[clientDayOf(f).client] != nil
}

// Status is how far each API is learnt, by the clients that the guard admits.
func (p *Profile) Status() map[string]features.Status {
	byAPI := map[string][]*clientProfile{}
	for _, c := range p.clients {
		byAPI[c.api] = append(byAPI[c.api], c)
	}
	out := make(map[string]features.Status, len(byAPI))
	for api, cs := range byAPI {
		windows, since := 0, cs[0].first
		for _, c := range cs {
			since = min(since, c.first)
			if p.guard != nil && p.guard.Flagged != nil && p.guard.Flagged(c.client) {
				continue
			}
			windows += int(c.requests.n)
		}
		out[api] = features.NewStatus(windows, len(cs), networks(cs), since)
	}
	return out
}
