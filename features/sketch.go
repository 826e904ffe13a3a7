package features

import (
	"math"
	"math/bits"
)

// estimateLinear is the linear-counting estimate of how many distinct values
// set the bits of a bitmap of m bits of which ones are set (Whang, Vander-Zanden
// and Taylor 1990): m ln(m / zeros). A full bitmap counts as m ln(2m).
func estimateLinear(m, ones int) float64 {
	if ones == 0 {
		return 0
	}
	zeros := float64(m - ones)
	if zeros < 0.5 {
		zeros = 0.5
	}
	return float64(m) * math.Log(float64(m)/zeros)
}

// bitmap256 counts up to about a thousand distinct values in 32 bytes.
type bitmap256 [4]uint64

// add records a hash and tells whether its bit was new.
func (b *bitmap256) add(h uint64) bool {
	h *= 0x9e3779b97f4a7c15 // the low bits of a hash also index other sketches
	word, bit := h>>62, uint64(1)<<(h>>56&63)
	fresh := b[word]&bit == 0
	b[word] |= bit
	return fresh
}

func (b *bitmap256) estimate() float64 {
	ones := 0
	for _, w := range b {
		ones += bits.OnesCount64(w)
	}
	return estimateLinear(256, ones)
}

// bitmap64 counts up to about 200 distinct values in 8 bytes.
type bitmap64 uint64

func (b *bitmap64) add(h uint64) {
	*b |= 1 << (h * 0x9e3779b97f4a7c15 >> 58)
}

func (b bitmap64) estimate() float64 { return estimateLinear(64, bits.OnesCount64(uint64(b))) }

// AddRegister records a 64-bit hash in HyperLogLog registers (Flajolet et al.
// 2007), one byte each; their number is a power of two from 16 up.
func AddRegister(registers []byte, h uint64) {
	p := bits.TrailingZeros(uint(len(registers)))
	i := h >> (64 - p)
	rank := byte(bits.LeadingZeros64(h<<p|1<<(p-1)) + 1)
	if rank > registers[i] {
		registers[i] = rank
	}
}

// MergeRegisters takes the union of two sketches of one size into dst. An empty
// side counts as an empty sketch; the result is dst, or a copy of src where dst
// was empty. Sketches of different sizes do not merge: dst stays as it is.
func MergeRegisters(dst, src []byte) []byte {
	if len(dst) == 0 {
		return append(dst, src...)
	}
	if len(src) != len(dst) {
		return dst
	}
	for i, r := range src {
		dst[i] = max(dst[i], r)
	}
	return dst
}

// EstimateRegisters is the number of distinct hashes recorded: HyperLogLog's
// estimate, by linear counting below 2.5 values a register. The relative
// standard error is about 1.04/√m.
func EstimateRegisters(registers []byte) float64 {
	m := len(registers)
	if m == 0 {
		return 0
	}
	sum, zeros := 0.0, 0
	for _, r := range registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			zeros++
		}
	}
	alpha := 0.7213 / (1 + 1.079/float64(m))
	switch m {
	case 16:
		alpha = 0.673
	case 32:
		alpha = 0.697
	case 64:
		alpha = 0.709
	}
	estimate := alpha * float64(m) * float64(m) / sum
	if estimate <= 2.5*float64(m) && zeros > 0 {
		return float64(m) * math.Log(float64(m)/float64(zeros))
	}
	return estimate
}

// intervalBins is the number of quarter-octaves of the interval histogram: from
// one second to two hours and a quarter; longer intervals share the last bin.
const intervalBins = 52

// intervalBin is the quarter-octave of an interval in microseconds.
func intervalBin(us int64) int {
	quarter := 4 * math.Log2(float64(us)/second)
	return int(min(max(quarter, 0), intervalBins-1))
}

// intervalEntropy is the entropy of an interval histogram over half-octaves, in
// bits, on the better of the two grids that quarter-octaves can be paired to: a
// regular beat must not look irregular because it lies on a bin's edge.
func intervalEntropy(hist *[intervalBins]uint8) float64 {
	best := math.Inf(1)
	for shift := range 2 {
		var pairs [intervalBins/2 + 1]uint16
		for i, n := range hist {
			pairs[(i+shift)/2] += uint16(n)
		}
		best = min(best, entropy(pairs[:]))
	}
	return best
}

// entropy is the Shannon entropy of a histogram in bits.
func entropy(hist []uint16) float64 {
	total := 0
	for _, n := range hist {
		total += int(n)
	}
	if total == 0 {
		return 0
	}
	h := 0.0
	for _, n := range hist {
		if n > 0 {
			p := float64(n) / float64(total)
			h -= p * math.Log2(p)
		}
	}
	return h
}
