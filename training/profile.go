// Package training learns models from traffic that carries no labels: how the
// clients of each type behave on each API, and how high the evidence of a
// client's day climbs by chance.
package training

import (
	"bytes"
	"math"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// Profile gathers the behaviour of clients from closed windows.
type Profile struct {
	clients map[uint64]*clientProfile
	hours   map[string]*[24]scoring.Baseline // ln(1 + requests) by stratum and hour
}

// clientProfile sums up one client on one API.
type clientProfile struct {
	api, stratum      string
	requests, objects sums
	volume, bytes     sums
	trials, failures  [scoring.NumOutcomes]float64
	steps, sequential float64
	entropies         []float64
	day               int64
	intervals         uint32
	entropy           float64
}

type sums struct{ n, x, xx float64 }

func (s *sums) add(x float64)     { s.n++; s.x += x; s.xx += x * x }
func (s *sums) mean() float64     { return s.x / s.n }
func (s *sums) variance() float64 { return max(0, s.xx/s.n-s.mean()*s.mean()) }

// NewProfile returns an empty Profile.
func NewProfile() *Profile {
	return &Profile{clients: map[uint64]*clientProfile{}, hours: map[string]*[24]scoring.Baseline{}}
}

// Clients is the number of client and API pairs seen.
func (p *Profile) Clients() int { return len(p.clients) }

// Stratum is the client type of a client key.
func Stratum(client []byte) string {
	return string(client[:max(bytes.IndexByte(client, ':'), 0)])
}

// Add takes in a record; those of open windows are passed over.
func (p *Profile) Add(f *schemas.ClientFeatures) {
	if !f.Final {
		return
	}
	id := xxhash.Sum64(f.Client)*31 + xxhash.Sum64(f.API)*7 + xxhash.Sum64(f.Tenant)
	c := p.clients[id]
	if c == nil {
		c = &clientProfile{api: string(f.API), stratum: Stratum(f.Client)}
		p.clients[id] = c
	}
	c.requests.add(float64(f.Requests))
	if f.WindowObjects > 0 {
		c.objects.add(float64(f.WindowObjects))
	}
	c.volume.add(math.Log1p(f.Decayed15m))
	c.bytes.add(math.Log1p(f.Bytes15m))
	trials, failures := scoring.OutcomeCounts(f)
	for i := range trials {
		c.trials[i] += trials[i]
		c.failures[i] += failures[i]
	}
	c.steps += float64(f.ObjectNew)
	c.sequential += float64(min(f.ObjectSequential, f.ObjectNew))
	if day := f.WindowStart / (24 * 3600 * 1_000_000); day != c.day {
		c.endDay()
		c.day = day
	}
	c.intervals, c.entropy = f.Intervals, f.IntervalEntropy
	h := p.hours[c.stratum]
	if h == nil {
		h = new([24]scoring.Baseline)
		p.hours[c.stratum] = h
	}
	b := &h[f.WindowStart/3_600_000_000%24]
	b.N++
	b.Mean += (float64(f.Requests) - b.Mean) / b.N
}

// minEntropyIntervals is from how many intervals a day's entropy is read.
const minEntropyIntervals = 8

func (c *clientProfile) endDay() {
	if c.intervals >= minEntropyIntervals {
		c.entropies = append(c.entropies, c.entropy)
	}
	c.intervals = 0
}

// Behaviours sums the profile up: by stratum, with scoring.Pooled for all, and
// by API and stratum.
func (p *Profile) Behaviours() (strata map[string]*scoring.Behaviour, apis map[string]map[string]*scoring.Behaviour) {
	byStratum := map[string][]*clientProfile{}
	byAPI := map[string]map[string][]*clientProfile{}
	ids := make([]uint64, 0, len(p.clients))
	for id := range p.clients {
		ids = append(ids, id)
	}
	slices.Sort(ids) // sums of floats depend on their order
	for _, id := range ids {
		c := p.clients[id]
		c.endDay()
		byStratum[c.stratum] = append(byStratum[c.stratum], c)
		byStratum[scoring.Pooled] = append(byStratum[scoring.Pooled], c)
		if byAPI[c.api] == nil {
			byAPI[c.api] = map[string][]*clientProfile{}
		}
		byAPI[c.api][c.stratum] = append(byAPI[c.api][c.stratum], c)
	}
	strata = map[string]*scoring.Behaviour{}
	for name, cs := range byStratum {
		strata[name] = summarise(cs)
		if h := p.hours[name]; h != nil {
			strata[name].Hours = hourProfile(h)
		}
	}
	apis = map[string]map[string]*scoring.Behaviour{}
	for api, types := range byAPI {
		apis[api] = map[string]*scoring.Behaviour{}
		for name, cs := range types {
			apis[api][name] = summarise(cs)
		}
	}
	return strata, apis
}

// hourProfile is each hour's mean over the day's, shrunk towards 1 by a
// thousand windows.
func hourProfile(h *[24]scoring.Baseline) (out [24]float64) {
	total, n := 0.0, 0.0
	for _, b := range h {
		total, n = total+b.Mean*b.N, n+b.N
	}
	const prior = 1000
	for i, b := range h {
		out[i] = 1
		if total > 0 {
			out[i] = (prior + b.N*b.Mean/(total/n)) / (prior + b.N)
		}
	}
	return out
}

// summarise turns clients into a Behaviour. Every client has one vote in what
// concerns clients, however much it called.
func summarise(cs []*clientProfile) *scoring.Behaviour {
	b := &scoring.Behaviour{Clients: len(cs)}
	for _, c := range cs {
		b.Windows += int(c.requests.n)
	}
	b.Requests = counts(cs, func(c *clientProfile) *sums { return &c.requests })
	b.Objects = counts(cs, func(c *clientProfile) *sums { return &c.objects })
	b.Volume = moments(cs, func(c *clientProfile) *sums { return &c.volume })
	b.Bytes = moments(cs, func(c *clientProfile) *sums { return &c.bytes })
	b.LoginFailure = shareBound(cs, 0.25, 0.45, func(c *clientProfile) (float64, float64) { return c.failures[0], c.trials[0] })
	b.Denied = shareBound(cs, 0.2, 0.5, func(c *clientProfile) (float64, float64) { return c.failures[1], c.trials[1] })
	b.Missing = shareBound(cs, 0.25, 0.5, func(c *clientProfile) (float64, float64) { return c.failures[2], c.trials[2] })
	b.Sequential = shareBound(cs, 0.2, 0.7, func(c *clientProfile) (float64, float64) { return c.sequential, c.steps })
	var entropies []float64
	for _, c := range cs {
		if len(c.entropies) > 0 {
			entropies = append(entropies, c.entropies[0])
		}
	}
	b.Entropy, b.EntropyFloor = entropyOf(entropies)
	return b
}

// counts fits means, their spread over clients, and the negative binomial size
// within clients by the method of moments.
func counts(cs []*clientProfile, of func(*clientProfile) *sums) scoring.Counts {
	var means sums
	over, within := 0.0, 0.0 // Σ (variance - mean), Σ mean² of clients with enough windows
	for _, c := range cs {
		s := of(c)
		if s.n == 0 {
			continue
		}
		means.add(s.mean())
		if s.n >= 5 {
			unbiased := s.variance() * s.n / (s.n - 1)
			over += unbiased - s.mean()
			within += s.mean() * s.mean()
		}
	}
	if means.n == 0 {
		return scoring.Counts{Mean: 1, Between: 1, Size: 1}
	}
	size := 50.0
	if over > 0 && within > 0 {
		size = min(max(within/over, 0.2), 50)
	}
	return scoring.Counts{Mean: max(means.mean(), 0.5), Between: max(means.variance(), 0.05), Size: size}
}

func moments(cs []*clientProfile, of func(*clientProfile) *sums) scoring.Moments {
	var means, variances sums
	for _, c := range cs {
		s := of(c)
		if s.n == 0 {
			continue
		}
		means.add(s.mean())
		if s.n >= 5 {
			variances.add(s.variance() * s.n / (s.n - 1))
		}
	}
	if means.n == 0 {
		return scoring.Moments{Mean: 1, Between: 1, Within: 1}
	}
	m := scoring.Moments{Mean: means.mean(), Between: max(means.variance(), 0.01), Within: 0.5}
	if variances.n > 0 {
		m.Within = max(variances.mean(), 0.01)
	}
	return m
}

// minTrials is from how many trials a client's share is read.
const minTrials = 20

// shareBound is the 99.9th percentile over clients of a share, smoothed by half
// a trial either way, within [low, high]. With few clients it is the highest
// seen.
func shareBound(cs []*clientProfile, low, high float64, of func(*clientProfile) (k, n float64)) float64 {
	var shares []float64
	for _, c := range cs {
		if k, n := of(c); n >= minTrials {
			shares = append(shares, (k+0.5)/(n+1))
		}
	}
	if len(shares) == 0 {
		return (low + high) / 2
	}
	sort.Float64s(shares)
	return min(max(shares[int(0.999*float64(len(shares)-1)+0.5)], low), high)
}

// entropyOf is the spread of interval entropies over clients, and their third
// percentile within [1.3, 3] bits.
func entropyOf(entropies []float64) (scoring.Moments, float64) {
	if len(entropies) < 20 {
		return scoring.Moments{Mean: 3, Between: 0.25, Within: 0.1}, 2.2
	}
	var s sums
	for _, e := range entropies {
		s.add(e)
	}
	sort.Float64s(entropies)
	floor := entropies[len(entropies)*3/100]
	return scoring.Moments{Mean: s.mean(), Between: max(s.variance(), 0.01), Within: 0.05}, min(max(floor, 1.3), 3)
}
