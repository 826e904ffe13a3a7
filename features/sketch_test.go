package features

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// relativeError draws trials sketches of n distinct hashes and gives the root
// mean square and the mean of the relative error.
func relativeError(n, trials int, seed uint64, estimate func(hashes []uint64) float64) (rmse, bias float64) {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	hashes := make([]uint64, n)
	for range trials {
		for i := range hashes {
			hashes[i] = rng.Uint64()
		}
		e := estimate(hashes)/float64(n) - 1
		rmse += e * e / float64(trials)
		bias += e / float64(trials)
	}
	return math.Sqrt(rmse), bias
}

// The standard error of linear counting is √(m (e^t - t - 1)) / (t m) at load
// t = n/m (Whang, Vander-Zanden and Taylor 1990, theorem 3.3).
func linearCountingError(m, n int) float64 {
	t := float64(n) / float64(m)
	return math.Sqrt(float64(m)*(math.Exp(t)-t-1)) / (t * float64(m))
}

func TestLinearCountingKeepsItsPublishedError(t *testing.T) {
	for _, tc := range []struct {
		bits     int
		estimate func([]uint64) float64
	}{
		{64, func(hs []uint64) float64 {
			var b bitmap64
			for _, h := range hs {
				b.add(h)
			}
			return b.estimate()
		}},
		{256, func(hs []uint64) float64 {
			var b bitmap256
			for _, h := range hs {
				b.add(h)
			}
			return b.estimate()
		}},
	} {
		for _, load := range []float64{0.03, 0.25, 0.5, 1, 1.5, 2} {
			n := max(int(load*float64(tc.bits)), 1)
			rmse, bias := relativeError(n, min(2000, 200_000/n), 11, tc.estimate)
			want := linearCountingError(tc.bits, n)
			if rmse > 1.15*want+0.01 || math.Abs(bias) > 0.03 {
				t.Errorf("%d bits, %d values: error %.3f with bias %+.3f, published %.3f", tc.bits, n, rmse, bias, want)
			}
		}
	}
}

func TestFullBitmapCountsAsHalfAZero(t *testing.T) {
	if got, want := estimateLinear(64, 64), 64*math.Log(128); math.Abs(got-want) > 1e-9 {
		t.Errorf("a full bitmap estimates %.3f, want m ln 2m = %.3f", got, want)
	}
	if got := estimateLinear(64, 0); got != 0 {
		t.Errorf("an empty bitmap estimates %g", got)
	}
}

func TestBitmapTellsNewBits(t *testing.T) {
	var b bitmap256
	if !b.add(7) || b.add(7) {
		t.Error("the first add of a hash is new, the second is not")
	}
}

func TestHyperLogLogKeepsItsPublishedError(t *testing.T) {
	for _, m := range []int{16, 32, 64, 256} {
		for _, perRegister := range []float64{0.05, 0.5, 2, 2.6, 4, 20, 100} {
			n := max(int(perRegister*float64(m)), 1)
			rmse, bias := relativeError(n, min(1000, 60+120_000/n), 12, func(hs []uint64) float64 {
				r := make([]byte, m)
				for _, h := range hs {
					AddRegister(r, h)
				}
				return EstimateRegisters(r)
			})
			// The raw estimate is biased by a few percent between 2 and 5 values a
			// register, where HyperLogLog changes formulas.
			limit := 1.15 * 1.04 / math.Sqrt(float64(m))
			if perRegister >= 2 && perRegister < 5 {
				limit *= 1.2
			}
			if rmse > limit || math.Abs(bias) > max(0.03, limit/3) {
				t.Errorf("%d registers, %d values: error %.3f with bias %+.3f, want at most %.3f", m, n, rmse, bias, limit)
			}
		}
	}
	if got := EstimateRegisters(nil); got != 0 {
		t.Errorf("no registers estimate %g, want 0", got)
	}
}

func TestRegistersHoldTheHighestRank(t *testing.T) {
	r := make([]byte, 64)
	AddRegister(r, 0) // all 58 remaining bits are zero
	if r[0] != 59 {
		t.Errorf("rank of an all-zero hash is %d, want 59", r[0])
	}
	AddRegister(r, 1<<57)
	if r[0] != 59 {
		t.Errorf("a lower rank replaced a higher one: %d", r[0])
	}
	AddRegister(r, ^uint64(0))
	if r[63] != 1 {
		t.Errorf("rank of an all-one hash is %d, want 1", r[63])
	}
}

func TestMergedRegistersAreThoseOfTheUnionInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	const parts = 5
	sketches := make([][]byte, parts)
	whole := make([]byte, 64)
	for i := range sketches {
		sketches[i] = make([]byte, 64)
		for range 200 {
			h := rng.Uint64N(1<<20) * 0x9e3779b97f4a7c15 // parts overlap
			AddRegister(sketches[i], h)
			AddRegister(whole, h)
		}
	}
	for range 10 {
		rng.Shuffle(parts, func(i, j int) { sketches[i], sketches[j] = sketches[j], sketches[i] })
		var merged []byte
		for _, s := range sketches {
			merged = MergeRegisters(merged, s)
		}
		if !bytes.Equal(merged, whole) {
			t.Fatal("merging depends on the order, or is not the union")
		}
	}
}

func TestMergeRegistersOfOddSizes(t *testing.T) {
	small, large := []byte{1, 2}, []byte{3, 0, 5, 9}
	if got := MergeRegisters(slices.Clone(large), small); !bytes.Equal(got, large) {
		t.Errorf("sketches of different sizes merged to %v", got)
	}
	if got := MergeRegisters(slices.Clone(large), nil); !bytes.Equal(got, large) {
		t.Errorf("an empty sketch changed %v to %v", large, got)
	}
	got := MergeRegisters(nil, large)
	if got[0] = 200; large[0] == 200 {
		t.Error("merging into an empty sketch kept the other's memory")
	}
}

func TestEntropyOfKnownHistograms(t *testing.T) {
	for _, tc := range []struct {
		hist []uint16
		want float64
	}{
		{nil, 0},
		{[]uint16{0, 0}, 0},
		{[]uint16{0, 40, 0}, 0},
		{[]uint16{5, 5}, 1},
		{[]uint16{3, 3, 3, 3, 3, 3, 3, 3}, 3},
		{[]uint16{1, 3}, 2 - 0.75*math.Log2(3)},
	} {
		if got := entropy(tc.hist); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("entropy(%v) = %v, want %v", tc.hist, got, tc.want)
		}
	}
}

func TestIntervalBinsAreQuarterOctaves(t *testing.T) {
	for i := range intervalBins - 1 {
		low := int64(math.Ceil(second * math.Exp2(float64(i)/4)))
		high := int64(math.Ceil(second*math.Exp2(float64(i+1)/4))) - 1
		if a, b := intervalBin(low), intervalBin(high); a != i || b != i {
			t.Errorf("bin %d: its ends %d and %d µs fall in bins %d and %d", i, low, high, a, b)
		}
	}
	for us, want := range map[int64]int{1: 0, second - 1: 0, 3 * 3600 * second: intervalBins - 1, day: intervalBins - 1} {
		if got := intervalBin(us); got != want {
			t.Errorf("an interval of %d µs is in bin %d, want %d", us, got, want)
		}
	}
}

// A beat that happens to lie on the edge of a half-octave spreads over two
// quarter-octaves and must still read as one value.
func TestRegularBeatOnABinEdgeHasNoEntropy(t *testing.T) {
	for edge := 1; edge < intervalBins; edge++ {
		t.Run(fmt.Sprint(edge), func(t *testing.T) {
			var hist [intervalBins]uint8
			hist[edge-1], hist[edge] = 10, 10
			if h := intervalEntropy(&hist); h != 0 {
				t.Errorf("entropy %g of a beat on the edge of bins %d and %d", h, edge-1, edge)
			}
		})
	}
	var spread [intervalBins]uint8
	for i := range spread[:16] {
		spread[i] = 4
	}
	if h := intervalEntropy(&spread); math.Abs(h-3) > 1e-9 {
		t.Errorf("entropy over eight half-octaves is %g, want 3", h)
	}
}
