package parameters

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// compile says how likely values are, given the prior q.
func (p *paramState) compile(out *paramModel, info *paramInfo, q *prior) {
	types := p.compileTypes(out, q)
	p.compileLengths(out, q, &types)
	p.compileChars(out, q, &types)
	p.compileNumbers(out)
	p.compileValues(out, info)
	info.votes, info.present = p.votes, p.present
	info.minLen = -1
	for i := range p.lengths {
		if p.lengths[i].seen.enough() {
			lo, hi := lengthBounds(p.lengths[i].key)
			if info.minLen < 0 {
				info.minLen = lo
			}
			info.maxLen = hi
		}
	}
	total := 0.0
	for i := range p.types {
		b := &p.types[i]
		total += float64(b.count)
		if b.seen.enough() && float64(b.count) > info.share {
			info.share, info.main = float64(b.count), Type(b.key)
		}
	}
	info.share /= max(total, 1)
}

// typeMix is the predictive distribution of types.
type typeMix struct {
	p    [numTypes]float64
	seen [numTypes]bool
}

// compileTypes: p(t) = (n_t + k q_t) / (n + k) with k growing with the number
// of types seen (I. Witten and T. Bell, "The zero-frequency problem", 1991).
func (p *paramState) compileTypes(out *paramModel, q *prior) (mix typeMix) {
	votes, normal, odd := p.types.sums()
	strength := typeStrength*float64(normal) + float64(odd)
	if votes == 0 {
		strength = 1
	}
	for i := range p.types {
		if b := &p.types[i]; b.key == uint8(TypeWord) && b.seen.enough() {
			strength += wordStrength - typeStrength
		}
	}
	for t := range numTypes {
		mix.p[t] = strength * q.types[t] / (votes + strength)
	}
	for i := range p.types {
		if b := &p.types[i]; b.seen.enough() && b.key < uint8(numTypes) {
			mix.p[b.key] += float64(b.count) / (votes + strength)
			mix.seen[b.key] = true
		}
	}
	var rank [numTypes]float64
	for t := range numTypes {
		for w := range numTypes {
			if wider[t]>>w&1 == 1 {
				rank[t] += mix.p[w]
			}
		}
	}
	tails(mix.p[:], rank[:], out.types[:])
	return mix
}

// tails sets out[i] to ln of the mass of all that rank no higher than i, or to 0
// where that is common.
func tails(p, rank []float64, out []float32) {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	mass := 0.0
	for i := 0; i < len(order); {
		k := i
		for ; k < len(order) && rank[order[k]] == rank[order[i]]; k++ {
			mass += p[order[k]]
		}
		// What also counts as something commoner is no rarer than that.
		lp := float32(math.Log(max(mass, rank[order[i]], 1e-30)))
		for ; i < k; i++ {
			if out[order[i]] = lp; lp > costly {
				out[order[i]] = 0
			}
		}
	}
}

// blend is the predictive probability of a feature of the value: under the
// types seen, what their values had, shrunk to the prior; under others, the
// prior.
func (mix *typeMix) blend(votes, strength float64, count float64, prior func(Type) float64) float64 {
	seen, prior0, other := 0.0, 0.0, 0.0
	for t := range numTypes {
		if mix.seen[t] {
			seen += mix.p[t]
			prior0 += mix.p[t] * prior(t)
		} else {
			other += mix.p[t] * prior(t)
		}
	}
	if seen == 0 {
		return other
	}
	return seen*(count+strength*prior0/seen)/(votes+strength) + other
}

func (p *paramState) compileLengths(out *paramModel, q *prior, mix *typeMix) {
	votes, normal, odd := p.lengths.sums()
	strength := lengthStrength*float64(max(normal, 1)) + float64(odd)
	var counts, probs [numLengths]float64
	for i := range p.lengths {
		if b := &p.lengths[i]; b.seen.enough() && b.key < numLengths {
			counts[b.key] = float64(b.count)
		}
	}
	near, share := nearby(counts[:], votes, normal)
	for b := range probs {
		probs[b] = mix.blend(votes, strength, counts[b], func(t Type) float64 {
			return share*near[b] + (1-share)*q.lengths[t][b]
		})
	}
	tails(probs[:], probs[:], out.lengths[:])
}

// nearby is where new lengths are to be expected of a parameter whose values
// vary in length: close to those there were. A parameter of one length has no
// such neighbourhood, so share is 0 there and grows with their number.
func nearby(counts []float64, votes float64, normal int) (near [numLengths]float64, share float64) {
	if normal < 2 || votes == 0 {
		return near, 0
	}
	// The more lengths there were, the further away the next one may be.
	decay := 1 - 1/float64(normal)
	sum := 0.0
	for b := range near {
		for c, n := range counts {
			if n > 0 {
				near[b] += n / max(votes, 1) * math.Pow(decay, math.Abs(float64(b-c)))
			}
		}
		sum += near[b]
	}
	for b := range near {
		near[b] /= sum
	}
	return near, float64(normal-1) / float64(normal+1)
}

func (p *paramState) compileChars(out *paramModel, q *prior, mix *typeMix) {
	_, _, odd := p.chars.sums()
	strength := charStrength + float64(odd)
	// Values of no normal type do not thin out the characters of the others.
	votes, _, strange := p.types.sums()
	votes += float64(strange)
	var counts, probs [numClasses]float64
	for i := range p.chars {
		if b := &p.chars[i]; b.seen.enough() && b.key < numClasses {
			counts[b.key] = min(float64(b.count), votes)
		}
	}
	for c := range probs {
		probs[c] = mix.blend(votes, strength, counts[c], func(t Type) float64 { return q.chars[t][c] })
	}
	// Classes are not exclusive: the sum bounds the probability that a value holds
	// any class at least as rare.
	tails(probs[:], probs[:], out.chars[:])
	for c := range out.chars {
		if out.chars[c] < 0 {
			out.rare |= 1 << c
		}
	}
}

func (p *paramState) compileNumbers(out *paramModel) {
	votes, normal, odd := p.numbers.sums()
	if votes == 0 {
		return
	}
	out.numbers, out.low = true, numNumbers
	for i := range p.numbers {
		if b := &p.numbers[i]; b.seen.enough() {
			out.low, out.high = min(out.low, b.key), max(out.high, b.key)
		}
	}
	strength := numberStrength*float64(normal) + float64(odd)
	out.number = float32(math.Log(strength / (votes + strength)))
}

// compileValues tells whether the parameter is an enumeration, and whether its
// values come in few patterns.
func (p *paramState) compileValues(out *paramModel, info *paramInfo) {
	lp, ok := p.values.newcomer(func(v string) {
		out.members = append(out.members, xxhash.Sum64String(v))
		info.values = append(info.values, v)
	})
	if out.value = lp; !ok {
		out.members, info.values = nil, nil
	}
	lp, ok = p.patterns.newcomer(func(v string) {
		out.patterns = append(out.patterns, binary.LittleEndian.Uint64([]byte(v)))
	})
	if out.pattern = lp; !ok {
		out.patterns = nil
	}
}

// newcomer is ln p of a value that is not among the normal ones, which it lists
// from the commonest on (I. J. Good, "The population frequencies of species",
// 1953); ok is false where new ones are no wonder.
func (s *valueSet) newcomer(normal func(string)) (lp float32, ok bool) {
	values := slices.Clone(s.values)
	slices.SortFunc(values, func(a, b value) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.text, b.text))
	})
	strangers := crowd{}
	strangers.add(&s.spilled.seen)
	odd, votes, members := 0.0, 0.0, 0.0
	for i := range values {
		v := &values[i]
		if !v.seen.enough() {
			strangers.add(&v.seen)
			continue
		}
		votes += float64(v.count)
		members++
		if v.count == 1 {
			odd++
		}
		normal(v.text)
	}
	odd += float64(len(strangers))
	votes += float64(len(strangers))
	strength := valueStrength * members
	lp = float32(math.Log(min((odd+strength)/(votes+strength), 1)))
	return lp, members > 0 && !s.open() && lp < costly
}
