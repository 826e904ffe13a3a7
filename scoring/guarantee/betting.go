package guarantee

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DemoteAt is the e-value from which on a stratum blocks no longer: by Ville's
// inequality a stratum that keeps to its alpha reaches it with probability at
// most 1/20, whenever and however often one looks.
const DemoteAt = 20

// betMultiples are the alternatives that the mixture bets on, as multiples of
// alpha.
var betMultiples = [...]float64{1.5, 2, 3, 5, 10, 30, 100}

// Bet is a betting test of "at most alpha of these are false": an e-process over
// outcomes 0 and 1, the mean over alternatives theta > alpha of the likelihood
// ratio (theta/alpha)^k ((1-theta)/(1-alpha))^(n-k). Each is a non-negative
// supermartingale for every rate up to alpha, because it rises with k; so is
// their mean (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
// variables by betting"; the mixture is that of Robbins 1970). Its state is two
// counters and the highest value so far.
type Bet struct {
	alpha float64
	// rise and fall are ln of the two ratios of each alternative.
	rise, fall [len(betMultiples)]float64
	bets       int
	n, k       uint64
	peak       float64
}

// NewBet makes a test of rates up to alpha, between 0 and 1.
func NewBet(alpha float64) (*Bet, error) {
	if !(alpha > 0) || !(alpha < 1) {
		return nil, fmt.Errorf("%w: a rate of %g", ErrConfig, alpha)
	}
	b := &Bet{alpha: alpha}
	for _, m := range betMultiples {
		theta := m * alpha
		if theta >= 1 {
			if b.bets > 0 {
				break
			}
			theta = (1 + alpha) / 2
		}
		b.rise[b.bets] = math.Log(theta / alpha)
		b.fall[b.bets] = math.Log1p(-theta) - math.Log1p(-alpha)
		b.bets++
	}
	return b, nil
}

// Add counts n outcomes of which k were false, and returns the e-value. Outcomes
// that come together may be added together; the test looks only in between.
func (b *Bet) Add(n, k int) float64 {
	b.n += uint64(max(n, 0))
	b.k += uint64(min(max(k, 0), max(n, 0)))
	l := b.logE()
	b.peak = max(b.peak, l)
	return math.Exp(min(l, 700))
}

func (b *Bet) logE() float64 {
	var logs [len(betMultiples)]float64
	top := math.Inf(-1)
	for i := range b.bets {
		logs[i] = float64(b.k)*b.rise[i] + float64(b.n-b.k)*b.fall[i]
		top = max(top, logs[i])
	}
	var sum float64
	for _, l := range logs[:b.bets] {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum/float64(b.bets))
}

// E is the e-value now; Demoted tells whether it ever reached DemoteAt.
func (b *Bet) E() float64 { return math.Exp(min(b.logE(), 700)) }

// Demoted tells whether the e-value ever reached DemoteAt. It stays so until
// Reset: a test that was lost is not won back by looking longer.
func (b *Bet) Demoted() bool { return b.peak >= math.Log(DemoteAt) }

// Counts are how many outcomes were added, and how many of them were false.
func (b *Bet) Counts() (n, k uint64) { return b.n, b.k }

// Reset begins a new test, after a new calibration.
func (b *Bet) Reset() { b.n, b.k, b.peak = 0, 0, 0 }

const (
	betVersion = 1
	betSize    = 1 + 3*8
)

// AppendSnapshot appends the test's state to dst, always as many bytes.
func (b *Bet) AppendSnapshot(dst []byte) []byte {
	dst = append(dst, betVersion)
	dst = binary.LittleEndian.AppendUint64(dst, b.n)
	dst = binary.LittleEndian.AppendUint64(dst, b.k)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(b.peak))
}

// RestoreSnapshot loads the state that the head of data holds and returns the
// rest. Alpha is the configuration's and not part of it.
func (b *Bet) RestoreSnapshot(data []byte) (rest []byte, err error) {
	if len(data) < betSize || data[0] != betVersion {
		return nil, fmt.Errorf("%w: betting test", ErrSnapshot)
	}
	n, k := binary.LittleEndian.Uint64(data[1:]), binary.LittleEndian.Uint64(data[9:])
	peak := math.Float64frombits(binary.LittleEndian.Uint64(data[17:]))
	if k > n || !(peak >= 0) || math.IsInf(peak, 0) {
		return nil, fmt.Errorf("%w: betting test of %d in %d", ErrSnapshot, k, n)
	}
	b.n, b.k, b.peak = n, k, peak
	return data[betSize:], nil
}
