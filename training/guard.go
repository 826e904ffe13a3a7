package training

import (
	"cmp"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/scoring"
)

// Guard bounds what any few can teach a model. Traffic that carries no labels may
// hold attackers who know that it is learnt from; what they can move is bounded by
// how many they are and from how many places, not by how much they call.
type Guard struct {
	// Clients and Networks are from how many of each an API's clients of one type
	// get numbers of their own. Where no address is known, networks are not asked
	// for.
	Clients, Networks int
	// CohortShare is which share of an API's clients may come from one network (/24,
	// /48) or one ASN; of more, only so many count. Where there are too few of them
	// for that, twice an equal share.
	CohortShare float64
	// Outlier is how many robust standard deviations above the median of clients,
	// in logarithms, a client's rate still counts; a higher one counts as that.
	Outlier float64
	// Breadth is which share of the clients, and of their networks, must exceed the
	// golden bound on a share before the bound rises.
	Breadth float64
	// Windows is how many windows of one client weigh against the prior.
	Windows int
	// Golden is the frozen model that nothing may drift away from: bounds on shares
	// and, of APIs that it knows, rates stay within a factor of GoldenFactor of
	// its; rates of other APIs within GoldenFactor squared of its client type's.
	Golden *scoring.Model
	// Flagged tells of clients (by ClientID) that are not learnt from: those with a
	// verdict against them.
	Flagged func(client uint64) bool
}

// GoldenFactor is how far a learnt number may lie from the golden model's.
const GoldenFactor = 4

// DefaultGuard is three clients of three networks, a tenth of an API's clients
// from one cohort, rates up to three deviations, a breadth of one in twenty, and an
// hour of windows of a client.
func DefaultGuard(golden *scoring.Model) *Guard {
	return &Guard{Clients: 3, Networks: 3, CohortShare: 0.1, Outlier: 3, Breadth: 0.05, Windows: 360, Golden: golden}
}

// ClientID is the hash by which a Guard and a Profile name a client key.
func ClientID(client []byte) uint64 { return xxhash.Sum64(client) }

// summarise is summarise for what the guard admits; nil where that is too little
// and must enough.
func (g *Guard) summarise(api, stratum string, cs []*clientProfile, must bool) *scoring.Behaviour {
	if g == nil {
		return summarise(cs)
	}
	cs = g.admit(cs)
	if len(cs) == 0 || must && !g.enough(cs) {
		return nil
	}
	b := summarise(g.clipped(cs))
	b.Windows = 0
	for _, c := range cs {
		n := int(c.requests.n)
		if g.Windows > 0 {
			n = min(n, g.Windows)
		}
		b.Windows += n
	}
	if golden, own := g.golden(api, stratum); golden != nil {
		g.broaden(b, cs, golden)
		factor := float64(GoldenFactor)
		if !own {
			factor *= GoldenFactor
		}
		Restrain(b, golden, factor)
	}
	return b
}

func (g *Guard) enough(cs []*clientProfile) bool {
	nets := networks(cs)
	return len(cs) >= g.Clients && (nets >= g.Networks || nets == 0)
}

// networks is from how many networks clients call; 0 where none is known.
func networks(cs []*clientProfile) int {
	seen := map[uint32]struct{}{}
	for _, c := range cs {
		if c.network != 0 {
			seen[c.network] = struct{}{}
		}
	}
	return len(seen)
}

// admit leaves out flagged clients and what cohorts have too much of. cs is in
// order of client ids, and so are those left.
func (g *Guard) admit(cs []*clientProfile) []*clientProfile {
	if g.Flagged != nil {
		cs = slices.DeleteFunc(slices.Clone(cs), func(c *clientProfile) bool { return g.Flagged(c.client) })
	}
	if g.CohortShare <= 0 {
		return cs
	}
	cs = g.thin(cs, func(c *clientProfile) uint32 { return c.network })
	return g.thin(cs, func(c *clientProfile) uint32 { return c.asn })
}

// thin keeps the first clients of every cohort, by a hash of their name, up to the
// size that makes no cohort more than its share. Clients of no known cohort are
// each their own.
func (g *Guard) thin(cs []*clientProfile, of func(*clientProfile) uint32) []*clientProfile {
	sizes, alone := map[uint32]int{}, 0
	for _, c := range cs {
		if k := of(c); k != 0 {
			sizes[k]++
		} else {
			alone++
		}
	}
	if len(sizes)+alone < 3 {
		return cs // no share of so few is small
	}
	limit := cohortLimit(sizes, alone, max(g.CohortShare, 2/float64(len(sizes)+alone)))
	order := slices.Clone(cs)
	slices.SortFunc(order, func(a, b *clientProfile) int { return cmp.Compare(a.client, b.client) })
	taken, kept := map[uint32]int{}, map[*clientProfile]bool{}
	for _, c := range order {
		k := of(c)
		if taken[k]++; k == 0 || taken[k] <= limit {
			kept[c] = true
		}
	}
	if len(kept) == len(cs) {
		return cs
	}
	return slices.DeleteFunc(slices.Clone(cs), func(c *clientProfile) bool { return !kept[c] })
}

// cohortLimit is the most that a cohort may have so that none has more than the
// share of what is left: the largest c with c <= share * (alone + sum of
// min(size, c)), and at least 1.
func cohortLimit(sizes map[uint32]int, alone int, share float64) int {
	sorted := make([]int, 0, len(sizes))
	for _, n := range sizes {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	sum := alone
	for i, n := range sorted {
		// All cohorts from here on would be cut to n.
		left := len(sorted) - i
		if float64(n) > share*float64(sum+n*left) {
			// c = share * (sum + c*left)
			if d := 1 - share*float64(left); d > 0 {
				return max(1, int(share*float64(sum)/d))
			}
			return max(1, n)
		}
		sum += n
	}
	return math.MaxInt
}

// clipped are the clients with rates above the limit brought down to it.
func (g *Guard) clipped(cs []*clientProfile) []*clientProfile {
	if g.Outlier <= 0 || len(cs) < 3 {
		return cs
	}
	out := make([]*clientProfile, len(cs))
	for i, c := range cs {
		own := *c
		out[i] = &own
	}
	for _, of := range []func(*clientProfile) *sums{
		func(c *clientProfile) *sums { return &c.requests },
		func(c *clientProfile) *sums { return &c.objects },
		func(c *clientProfile) *sums { return &c.writes },
	} {
		limit := g.limit(out, of, math.Log)
		for _, c := range out {
			if s := of(c); s.n > 0 && s.x > 0 && math.Log(s.mean()) > limit {
				f := math.Exp(limit) / s.mean()
				s.x, s.xx = s.x*f, s.xx*f*f
			}
		}
	}
	for _, of := range []func(*clientProfile) *sums{
		func(c *clientProfile) *sums { return &c.volume },
		func(c *clientProfile) *sums { return &c.bytes },
		func(c *clientProfile) *sums { return &c.load },
		func(c *clientProfile) *sums { return &c.uploads },
	} {
		limit := g.limit(out, of, func(x float64) float64 { return x }) // logarithms already
		for _, c := range out {
			if s := of(c); s.n > 0 && s.mean() > limit {
				m := s.mean()
				s.xx += s.n * (limit*limit - m*m)
				s.x = s.n * limit
			}
		}
	}
	return out
}

// minSpread is the least standard deviation of logarithms that clients are
// believed to have: APIs whose clients are all alike still get new ones.
const minSpread = 0.5

// limit is the median over clients of the logarithm of their mean, and so many
// robust deviations (1.4826 MAD) above it.
func (g *Guard) limit(cs []*clientProfile, of func(*clientProfile) *sums, log func(float64) float64) float64 {
	var xs []float64
	for _, c := range cs {
		if s := of(c); s.n > 0 && s.x > 0 {
			xs = append(xs, log(s.mean()))
		}
	}
	if len(xs) == 0 {
		return math.Inf(1)
	}
	m := median(xs)
	for i := range xs {
		xs[i] = math.Abs(xs[i] - m)
	}
	return m + g.Outlier*max(1.4826*median(xs), minSpread)
}

// median sorts xs and returns the lower of its middles.
func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[(len(xs)-1)/2]
}

// golden is the golden behaviour of an API and client type, and whether it is the
// API's own.
func (g *Guard) golden(api, stratum string) (b *scoring.Behaviour, own bool) {
	if g.Golden == nil {
		return nil, false
	}
	if b := g.Golden.APIs[api][stratum]; b != nil {
		return b, true
	}
	if b := g.Golden.Strata[stratum]; b != nil {
		return b, false
	}
	return g.Golden.Strata[scoring.Pooled], false
}

// broaden lets a bound on a share rise above the golden one only where many exceed
// that: the bound is a high percentile, which a handful would set.
func (g *Guard) broaden(b *scoring.Behaviour, cs []*clientProfile, golden *scoring.Behaviour) {
	for i := range b.Bounds {
		if b.Bounds[i] <= golden.Bounds[i] {
			continue
		}
		over, all := 0, 0
		overNets, allNets := map[uint32]bool{}, map[uint32]bool{}
		for _, c := range cs {
			if c.trials[i] < minTrials {
				continue
			}
			all++
			allNets[c.network] = true
			if (c.taken[i]+0.5)/(c.trials[i]+1) > golden.Bounds[i] {
				over++
				overNets[c.network] = true
			}
		}
		if over < g.Clients || float64(over) < g.Breadth*float64(all) || float64(len(overNets)) < g.Breadth*float64(len(allNets)) ||
			len(overNets) < g.Networks && !allNets[0] {
			b.Bounds[i] = golden.Bounds[i]
		}
	}
}

// Restrain keeps b near a golden behaviour: its bounds on shares, how often
// clients are seen as something new and how their days differ within a factor of
// GoldenFactor; its rates, and their variances, within the given factor; the
// entropy of intervals within a bit. What it does not name stays.
func Restrain(b, golden *scoring.Behaviour, factor float64) {
	clamp := func(x *float64, g, f float64) { *x = min(max(*x, g/f), g*f) }
	for i := range b.Bounds {
		clamp(&b.Bounds[i], golden.Bounds[i], GoldenFactor)
		b.Bounds[i] = min(b.Bounds[i], 0.99)
	}
	for i := range b.Novelty {
		clamp(&b.Novelty[i], golden.Novelty[i], GoldenFactor)
	}
	clamp(&b.DayShift, golden.DayShift, GoldenFactor)
	for _, c := range []struct{ b, g *scoring.Counts }{
		{&b.Requests, &golden.Requests}, {&b.Objects, &golden.Objects}, {&b.Writes, &golden.Writes},
	} {
		clamp(&c.b.Mean, c.g.Mean, factor)
		clamp(&c.b.Between, c.g.Between, factor*factor)
		clamp(&c.b.Size, c.g.Size, factor)
	}
	for _, m := range []struct{ b, g *scoring.Moments }{
		{&b.Volume, &golden.Volume}, {&b.Bytes, &golden.Bytes}, {&b.Load, &golden.Load}, {&b.Uploads, &golden.Uploads},
	} {
		m.b.Mean = min(max(m.b.Mean, m.g.Mean-math.Log(factor)), m.g.Mean+math.Log(factor))
		clamp(&m.b.Between, m.g.Between, GoldenFactor)
		clamp(&m.b.Within, m.g.Within, GoldenFactor)
	}
	b.EntropyFloor = min(max(b.EntropyFloor, golden.EntropyFloor-1), golden.EntropyFloor+1)
	b.Entropy.Mean = min(max(b.Entropy.Mean, golden.Entropy.Mean-1), golden.Entropy.Mean+1)
}

// acceptable tells whether a calibration layer stays near the golden one: no
// threshold further from its own than the logarithm of GoldenFactor. Attackers
// among the client-days of a layer raise its thresholds, and crowds of clients
// that do nothing lower them.
func (g *Guard) acceptable(layer, golden *scoring.Calibration) bool {
	if g == nil || golden == nil {
		return true
	}
	for _, alpha := range []float64{1e-2, 1e-3, 1e-4} {
		own, _ := layer.Threshold(alpha)
		base, _ := golden.Threshold(alpha)
		if math.Abs(own-base) > math.Log(GoldenFactor) {
			return false
		}
	}
	return true
}
