package guarantee

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

const (
	// DefaultFDR is the share of blocks that may be false.
	DefaultFDR = 0.05
	// DefaultMemory is how much of a test is still remembered at the next one.
	DefaultMemory = 0.99999
	// DefaultBatch is over how many tests a level is spread at least: a window
	// that holds more than any before it must not spend the high levels right
	// after a discovery on all of them.
	DefaultBatch = 1000
	// recentBatches is how many windows with discoveries are remembered. Where
	// there are more, the oldest two become one of the older's age, which earns
	// less.
	recentBatches = 128
	// sequenceLength is for how many tests a discovery earns anything, and for how
	// many a control starts above its floor: beyond, gamma is next to nothing.
	sequenceLength = 1 << 14
)

// FDRConfig sets what an FDR controls. Zero values are the defaults.
type FDRConfig struct {
	// Rate is the false-discovery rate, Memory the decay per test, below 1.
	Rate   float64
	Memory float64
	// Batch is how many tests a window holds at least, as far as is known
	// beforehand. Levels are spread over as many tests.
	Batch int
}

// FDR is decaying-memory LORD (Rebjock, Kurt, Januschowski and Callot 2021,
// "Online false discovery rate control for anomaly detection in time series"):
// at test t, with discoveries at r,
//
//	level = Rate (max(gamma(t), 1-Memory) + sum_r Memory^(t-r) gamma(t-r))
//
// and gamma the sequence of LORD++ (Ramdas, Yang, Wainwright and Jordan 2017).
// What is controlled is the decayed rate, in which old discoveries count less;
// in return the level never falls below Rate (1-Memory), while LORD++ has none
// left after a long calm. The floor counts once and not for every discovery: the
// levels that a discovery earns sum to Rate, those of the floor, decayed, too.
// It assumes p-values that are valid given the past; p-values that share a
// calibration are positively dependent instead, and control is then a matter of
// measurement.
//
// Tests come in windows of event time: all tests of a window have one level,
// which depends only on the discoveries of earlier windows, so that their order
// does not matter. The level is the mean of the levels that the tests of a
// window would have had one by one, for as many tests as the largest recent
// window held. State has a fixed size.
type FDR struct {
	cfg FDRConfig
	// earned[i] is the sum over t = 1..i of Memory^t gamma(t), start that of
	// max(gamma(t), 1-Memory).
	earned, start []float64

	tests    uint64 // of closed windows
	expected float64
	recent   [recentBatches]fdrBatch // oldest first
	batches  int
	level    float64
	// tested and found are the open window's.
	tested, found uint64
}

// fdrBatch is a closed window with discoveries: how many, and how many tests
// there were up to its end.
type fdrBatch struct {
	at    uint64
	found uint64
}

// NewFDR makes a control that has seen nothing.
func NewFDR(cfg FDRConfig) (*FDR, error) {
	if cfg.Rate == 0 {
		cfg.Rate = DefaultFDR
	}
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	if cfg.Batch == 0 {
		cfg.Batch = DefaultBatch
	}
	if !(cfg.Rate > 0 && cfg.Rate < 1) || !(cfg.Memory > 0 && cfg.Memory < 1) || cfg.Batch < 1 {
		return nil, fmt.Errorf("%w: false-discovery rate %g, memory %g, windows of %d", ErrConfig, cfg.Rate, cfg.Memory, cfg.Batch)
	}
	f := &FDR{cfg: cfg, expected: float64(cfg.Batch), earned: make([]float64, sequenceLength+1), start: make([]float64, sequenceLength+1)}
	decay := 1.0
	for t := 1; t <= sequenceLength; t++ {
		g := lordSequence(float64(t))
		decay *= cfg.Memory
		f.earned[t] = f.earned[t-1] + decay*g
		f.start[t] = f.start[t-1] + max(g, 1-cfg.Memory)
	}
	f.level = f.nextLevel()
	return f, nil
}

// lordSequence is gamma(t) of LORD++, which sums to 1 (Javanmard and Montanari
// 2018 with the constant of Ramdas et al. 2017).
func lordSequence(t float64) float64 {
	return 0.07720838 * math.Log(max(t, 2)) / (t * math.Exp(math.Sqrt(math.Log(t))))
}

// Level is the largest p-value that is a discovery in the open window.
func (f *FDR) Level() float64 { return f.level }

// Test counts one test of the open window and tells whether it is a discovery.
func (f *FDR) Test(p float64) bool {
	f.tested++
	if p <= f.level {
		f.found++
		return true
	}
	return false
}

// Advance closes the open window.
func (f *FDR) Advance() {
	if f.tested > 0 {
		f.tests += f.tested
		f.expected = max(float64(f.tested), f.expected/2, float64(f.cfg.Batch))
		gone := 0
		for gone < f.batches && f.tests-f.recent[gone].at >= sequenceLength {
			gone++
		}
		copy(f.recent[:], f.recent[gone:f.batches])
		f.batches -= gone
		if f.found > 0 {
			if f.batches == recentBatches {
				f.recent[1] = fdrBatch{at: f.recent[0].at, found: f.recent[0].found + f.recent[1].found}
				copy(f.recent[:], f.recent[1:])
				f.batches--
			}
			f.recent[f.batches] = fdrBatch{at: f.tests, found: f.found}
			f.batches++
		}
		clear(f.recent[f.batches:])
		f.tested, f.found = 0, 0
	}
	f.level = f.nextLevel()
}

func (f *FDR) nextLevel() float64 {
	n := uint64(math.Ceil(f.expected))
	sum := f.begun(f.tests+n) - f.begun(f.tests)
	for _, b := range f.recent[:f.batches] {
		lag := f.tests - b.at
		sum += float64(b.found) * (f.earned[min(lag+n, sequenceLength)] - f.earned[min(lag, sequenceLength)])
	}
	return min(f.cfg.Rate*sum/float64(n), f.cfg.Rate)
}

// begun is the sum of max(gamma, floor) over tests 1 to t.
func (f *FDR) begun(t uint64) float64 {
	if t <= sequenceLength {
		return f.start[t]
	}
	return f.start[sequenceLength] + float64(t-sequenceLength)*(1-f.cfg.Memory)
}

const (
	fdrVersion = 1
	fdrSize    = 1 + 8*5 + 2 + recentBatches*16
)

// AppendSnapshot appends the control's state to dst, always as many bytes.
func (f *FDR) AppendSnapshot(dst []byte) []byte {
	dst = append(dst, fdrVersion)
	for _, v := range []uint64{
		f.tests, math.Float64bits(f.expected), math.Float64bits(f.level), f.tested, f.found,
	} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(f.batches))
	for _, b := range f.recent {
		dst = binary.LittleEndian.AppendUint64(dst, b.at)
		dst = binary.LittleEndian.AppendUint64(dst, b.found)
	}
	return dst
}

// RestoreSnapshot loads the state that the head of data holds and returns the
// rest. The configuration is not part of it: the open window keeps its level,
// later ones follow the configuration.
func (f *FDR) RestoreSnapshot(data []byte) (rest []byte, err error) {
	if len(data) < fdrSize || data[0] != fdrVersion {
		return nil, fmt.Errorf("%w: false-discovery control", ErrSnapshot)
	}
	at := 1
	word := func() uint64 {
		v := binary.LittleEndian.Uint64(data[at:])
		at += 8
		return v
	}
	g := FDR{cfg: f.cfg, earned: f.earned, start: f.start}
	g.tests, g.expected = word(), math.Float64frombits(word())
	g.level, g.tested, g.found = math.Float64frombits(word()), word(), word()
	g.batches = int(binary.LittleEndian.Uint16(data[at:]))
	at += 2
	if g.batches > recentBatches || g.tests > 1<<62 || !(g.expected >= 1 && g.expected < 1e15) ||
		!(g.level >= 0 && g.level <= 1) || g.found > g.tested {
		return nil, fmt.Errorf("%w: false-discovery control out of bounds", ErrSnapshot)
	}
	for i := range g.recent {
		g.recent[i] = fdrBatch{at: word(), found: word()}
	}
	if !slices.IsSortedFunc(g.recent[:g.batches], func(a, b fdrBatch) int {
		if a.at < b.at {
			return -1
		}
		return 1
	}) || g.batches > 0 && g.recent[g.batches-1].at > g.tests {
		return nil, fmt.Errorf("%w: false-discovery control out of order", ErrSnapshot)
	}
	*f = g
	return data[at:], nil
}
