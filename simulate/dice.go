package simulate

import (
	"math"
	"math/rand/v2"
)

// Time inside the package is microseconds since 1970, as in schemas.Event.
const (
	millisecond = 1e3
	second      = 1e6
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
)

// mix is a bijective scrambler of 64 bits: every input bit reaches every
// output bit.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Domains keep the streams that come from one seed apart.
const (
	domainBenign uint64 = iota + 1
	domainAttack
	domainCover
	domainUser
	domainCredential
	domainSession
	domainConsumer
	domainIncident
	domainOffice
	domainFlood
	domainShuffle
	domainVictim
)

// derive makes a value from the seed that depends on nothing but its arguments.
func derive(seed, domain, n uint64) uint64 { return mix(mix(seed+domain<<56) ^ mix(n)) }

// dice draws from whichever agent's stream is in use. Each agent owns a PCG
// and nothing else draws from it, so what one agent does never moves another.
type dice struct {
	pcg *rand.PCG
	r   *rand.Rand
}

func newDice() *dice {
	d := new(dice)
	d.r = rand.New(d)
	return d
}

// Uint64 makes dice the source of its own rand.Rand.
func (d *dice) Uint64() uint64 { return d.pcg.Uint64() }

func seedPCG(p *rand.PCG, seed, domain, n uint64) {
	p.Seed(derive(seed, domain, n), derive(seed, domain, ^n))
}

func (d *dice) float() float64               { return d.r.Float64() }
func (d *dice) chance(p float64) bool        { return d.r.Float64() < p }
func (d *dice) n(n int) int                  { return d.r.IntN(n) }
func (d *dice) between(a, b float64) float64 { return a + (b-a)*d.r.Float64() }
func (d *dice) exp(mean float64) float64     { return mean * d.r.ExpFloat64() }

// spread is a lognormal factor around 1.
func (d *dice) spread(sigma float64) float64 { return math.Exp(sigma * d.r.NormFloat64()) }

func (d *dice) lognormal(median, sigma float64) float64 { return median * d.spread(sigma) }

func (d *dice) draw(l lognormal) float64 {
	if math.IsInf(l.mu, -1) {
		return 0
	}
	return math.Exp(l.mu + l.sigma*d.r.NormFloat64())
}

// wait is a lognormal duration in microseconds from seconds.
func (d *dice) wait(seconds, sigma float64) int64 {
	return int64(second * d.lognormal(seconds, sigma))
}

// zipf is a number below n by popularity, P(k) about 1/(k+1).
func (d *dice) zipf(n uint64) uint64 {
	k := uint64(math.Pow(float64(n)+1, d.r.Float64())) - 1
	return min(k, n-1)
}

// weighted picks an index by running sums of weights.
func (d *dice) weighted(sums []float64) int {
	x := d.r.Float64() * sums[len(sums)-1]
	for i, s := range sums {
		if x < s {
			return i
		}
	}
	return len(sums) - 1
}
