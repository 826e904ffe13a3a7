// Package training learns models from traffic that carries no labels: how the
// clients of each type behave on each API, and how high the evidence of a
// client's day climbs by chance.
package training

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/joint"
)

// Profile gathers the behaviour of clients from closed windows.
type Profile struct {
	clients map[uint64]*clientProfile
	hours   map[string]*[24]scoring.Baseline // requests by stratum and hour
	mixes   map[string]*joint.Fitter         // by stratum
	mix     [scoring.JointFeatures]float64
	guard   *Guard // nil: everybody counts
}

// clientProfile sums up one client on one API.
type clientProfile struct {
	api, stratum      string
	client            uint64 // ClientID
	network, asn      uint32 // where it was first seen, hashed; 0: not known
	first             int64  // start of its first window, µs
	requests, objects sums
	volume, bytes     sums
	load, uploads     sums
	writes            sums
	taken60s          sums // ln(1 + response bytes) of today's active minutes
	minute            int64
	minuteBytes       float64
	takenDays         []sums
	trials, taken     scoring.Shares
	days              float64
	seen              [scoring.NumSeen]map[uint32]int64 // value to the day of its first sight
	novel             [scoring.NumSeen]float64          // days after the first that brought a new one
	novelToday        [scoring.NumSeen]bool
	tokens            map[uint32]uint32 // credential to device
	moves             float64           // days on which a credential moved
	movedToday        bool
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
	return &Profile{
		clients: map[uint64]*clientProfile{}, hours: map[string]*[24]scoring.Baseline{}, mixes: map[string]*joint.Fitter{},
	}
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
		c = &clientProfile{api: string(f.API), stratum: Stratum(f.Client), client: ClientID(f.Client), first: f.WindowStart}
		seen := scoring.Caller(f)
		c.network, c.asn = seen[scoring.SeenNetwork], seen[scoring.SeenASN]
		p.clients[id] = c
	}
	c.requests.add(float64(f.Requests))
	if f.WindowObjects > 0 {
		c.objects.add(float64(f.WindowObjects))
	}
	c.volume.add(math.Log1p(f.Decayed15m))
	c.bytes.add(math.Log1p(f.Bytes15m))
	c.load.add(math.Log1p(f.Duration15m))
	c.uploads.add(math.Log1p(f.ReqBytes15m))
	if f.ObjectWrites > 0 {
		c.writes.add(float64(f.ObjectWrites))
	}
	trials, taken := scoring.WindowShares(f)
	for i := range trials {
		c.trials[i] += trials[i]
		c.taken[i] += taken[i]
	}
	if day := f.WindowStart / (24 * 3600 * 1_000_000); day != c.day {
		c.endDay()
		c.day = day
		c.days++
	}
	c.meet(f)
	if m := f.WindowStart / 60_000_000; m != c.minute {
		c.endMinute()
		c.minute = m
	}
	c.minuteBytes += float64(f.RespBytes)
	if f.Requests > 0 {
		p.addMix(c.stratum, id, f)
		p.addMix(scoring.Pooled, id, f)
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

func (c *clientProfile) endMinute() {
	if c.minuteBytes > 0 {
		c.taken60s.add(math.Log1p(c.minuteBytes))
	}
	c.minuteBytes = 0
}

func (c *clientProfile) endDay() {
	c.endMinute()
	if c.intervals >= minEntropyIntervals {
		c.entropies = append(c.entropies, c.entropy)
	}
	c.intervals = 0
	if c.taken60s.n >= minDayMinutes {
		c.takenDays = append(c.takenDays, c.taken60s)
	}
	c.taken60s = sums{}
	c.novelToday, c.movedToday = [scoring.NumSeen]bool{}, false
}

// meet notes what the client was seen as; what is new on its first day is no
// novelty.
func (c *clientProfile) meet(f *schemas.ClientFeatures) {
	caller := scoring.Caller(f)
	if token, device := scoring.CredentialOf(f), caller[scoring.SeenDevice]; token != 0 && device != 0 {
		if c.tokens == nil {
			c.tokens = map[uint32]uint32{}
		}
		if owner, ok := c.tokens[token]; !ok {
			c.tokens[token] = device
		} else if owner != device && !c.movedToday {
			c.movedToday = true
			c.moves++
		}
	}
	for kind, v := range caller {
		if v == 0 {
			continue
		}
		if c.seen[kind] == nil {
			c.seen[kind] = map[uint32]int64{}
		}
		if _, ok := c.seen[kind][v]; ok {
			continue
		}
		c.seen[kind][v] = c.day
		if c.days > 1 && !c.novelToday[kind] {
			c.novelToday[kind] = true
			c.novel[kind]++
		}
	}
}

// Sizes of the samples that mixes of features are learnt from.
const (
	mixClients   = 3000
	mixPerClient = 16
)

func (p *Profile) addMix(stratum string, client uint64, f *schemas.ClientFeatures) {
	m := p.mixes[stratum]
	if m == nil {
		var err error
		m, err = joint.NewFitter(joint.Config{
			Features: scoring.JointFeatures, Clients: mixClients, PerClient: mixPerClient, Seed: 1, ProjectionSeed: 1,
		})
		if err != nil {
			return // only a number of features that no model can have
		}
		p.mixes[stratum] = m
	}
	scoring.MixOf(f, &p.mix)
	m.Add(client, p.mix[:])
}

// minMixRows is from how many windows a mix of features is learnt.
const minMixRows = 1000

// Mixes are the joint models of the strata that showed enough; those of a prior
// are what they lean on.
func (p *Profile) Mixes(prior map[string]*joint.Model) (map[string]*joint.Model, error) {
	out := maps.Clone(prior)
	if out == nil {
		out = map[string]*joint.Model{}
	}
	for name, f := range p.mixes {
		if f.Rows() < minMixRows {
			continue
		}
		var m *joint.Model
		var err error
		if base := prior[name]; base != nil {
			m, err = f.FitFrom(base, joint.DefaultKappa)
		} else {
			m, err = f.Fit()
		}
		if err != nil {
			return nil, fmt.Errorf("fitting the mix of features of %s: %w", name, err)
		}
		out[name] = m
	}
	return out, nil
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
		b := p.guard.summarise("", name, cs, false)
		if b == nil {
			continue
		}
		strata[name] = b
		if h := p.hours[name]; h != nil {
			strata[name].Hours = hourProfile(h)
		}
	}
	apis = map[string]map[string]*scoring.Behaviour{}
	for api, types := range byAPI {
		apis[api] = map[string]*scoring.Behaviour{}
		for name, cs := range types {
			if b := p.guard.summarise(api, name, cs, true); b != nil {
				apis[api][name] = b
			}
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
	b.Load = moments(cs, func(c *clientProfile) *sums { return &c.load })
	b.Uploads = moments(cs, func(c *clientProfile) *sums { return &c.uploads })
	b.Writes = counts(cs, func(c *clientProfile) *sums { return &c.writes })
	for i := range b.Bounds {
		r := scoring.ShareBounds[i]
		b.Bounds[i] = shareBound(cs, r.Low, r.High, func(c *clientProfile) (float64, float64) { return c.taken[i], c.trials[i] })
	}
	b.Novelty, b.TokenMoves = novelty(cs)
	b.DayShift = dayShift(cs)
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
	var means, sampling sums
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
			sampling.add(unbiased / s.n)
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
	between := means.variance()
	if sampling.n > 0 {
		// Means of few windows spread by chance as well.
		between -= sampling.mean()
	}
	return scoring.Counts{Mean: max(means.mean(), 0.5), Between: max(between, 0.05), Size: size}
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

// minDayMinutes is from how many active minutes a day has a mean.
const minDayMinutes = 6

// dayShift is the variance of clients' daily means about their own mean, beyond
// what means of so few minutes vary by chance (one-way analysis of variance).
func dayShift(cs []*clientProfile) float64 {
	between, sampling, n := 0.0, 0.0, 0.0
	for _, c := range cs {
		days := c.takenDays
		if len(days) < 2 {
			continue
		}
		var means sums
		for i := range days {
			means.add(days[i].mean())
			sampling += days[i].variance() / (days[i].n - 1)
		}
		k := float64(len(days))
		between += means.variance() * k / (k - 1) * k
		n += k
	}
	if n == 0 {
		return 0.1
	}
	return max((between-sampling)/n, 0.01)
}

// novelty is on which share of its days after the first a client shows each kind
// of thing that it did not show before, with half a day of doubt either way.
func novelty(cs []*clientProfile) (out [scoring.NumSeen]float64, moves float64) {
	days, all, moved := 0.0, 0.0, 0.0
	for _, c := range cs {
		days += max(c.days-1, 0)
		all += c.days
		moved += c.moves
	}
	for kind := range out {
		n := 0.0
		for _, c := range cs {
			n += c.novel[kind]
		}
		out[kind] = (n + 0.5) / (days + 50)
	}
	return out, (moved + 0.5) / (all + 50)
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
