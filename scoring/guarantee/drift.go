package guarantee

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// DefaultDriftThreshold is the martingale from which on a stratum drifts.
	DefaultDriftThreshold = 100
	// DefaultDriftEpoch is after how many p-values the martingale starts anew.
	DefaultDriftEpoch = 10000
	// jumpRate is how much capital changes its bet at each step.
	jumpRate = 0.01
)

// jumperBets are the slopes of the betting functions 1 + slope (p - 1/2).
var jumperBets = [3]float64{-1, 0, 1}

// Drift is a conformal test martingale over the p-values of a stratum, which are
// uniform while its clients are exchangeable with those of the calibration: the
// Simple Jumper (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman 2021,
// "Retrain or not retrain"). P-values must be those of SmoothedP: one that is 1
// on most days is not uniform, and would raise an alarm by itself.
//
// A martingale that has lost its capital in a long calm takes as long to win it
// back. It therefore starts anew after every epoch of p-values that raised no
// alarm. Each epoch raises a false alarm with probability at most 1/Threshold.
type Drift struct {
	threshold float64 // ln
	epoch     uint64
	// capital is each bet's share, summing to 1; log is ln of the whole.
	capital [3]float64
	log     float64
	n       uint64
	alarm   bool
}

// NewDrift makes a guard that alarms at the given martingale (0 is
// DefaultDriftThreshold) and starts anew after epoch p-values (0 is
// DefaultDriftEpoch).
func NewDrift(threshold float64, epoch int) (*Drift, error) {
	if threshold == 0 {
		threshold = DefaultDriftThreshold
	}
	if epoch == 0 {
		epoch = DefaultDriftEpoch
	}
	if !(threshold > 1) || math.IsInf(threshold, 0) || epoch < 1 {
		return nil, fmt.Errorf("%w: drift at %g in %d p-values", ErrConfig, threshold, epoch)
	}
	d := &Drift{threshold: math.Log(threshold), epoch: uint64(epoch)}
	d.Reset()
	return d, nil
}

// Add bets on one p-value and tells whether the stratum drifts. Once it does, it
// stays so until Reset. A p-value outside [0, 1] is ignored.
func (d *Drift) Add(p float64) bool {
	if d.alarm || !(p >= 0 && p <= 1) {
		return d.alarm
	}
	if d.n == d.epoch {
		d.Reset()
	}
	d.n++
	var sum float64
	for i, slope := range jumperBets {
		c := (1-jumpRate)*d.capital[i] + jumpRate/float64(len(jumperBets))
		d.capital[i] = c * (1 + slope*(p-0.5))
		sum += d.capital[i]
	}
	for i := range d.capital {
		d.capital[i] /= sum
	}
	d.log += math.Log(sum)
	d.alarm = d.log >= d.threshold
	return d.alarm
}

// Alarm tells whether the stratum drifts.
func (d *Drift) Alarm() bool { return d.alarm }

// LogMartingale is ln of the capital won in this epoch.
func (d *Drift) LogMartingale() float64 { return d.log }

// Reset begins anew, as after a new calibration of the stratum.
func (d *Drift) Reset() {
	d.capital = [3]float64{1. / 3, 1. / 3, 1. / 3}
	d.log, d.n, d.alarm = 0, 0, false
}

// SmoothedP is the smoothed conformal p-value of a score that above of n
// calibration scores exceed and ties equal, exactly uniform under
// exchangeability if u is (Vovk, Gammerman and Shafer 2005, 2.20). u comes from
// Uniform, so that it is the same in every replay. Where only the highest scores
// of a calibration are kept, all others tie with a score that reaches none of
// them.
func SmoothedP(above, ties, n int, u float64) float64 {
	return (float64(above) + u*float64(ties+1)) / float64(n+1)
}

const (
	driftVersion = 1
	driftSize    = 1 + 5*8 + 1
)

// AppendSnapshot appends the guard's state to dst, always as many bytes.
func (d *Drift) AppendSnapshot(dst []byte) []byte {
	dst = append(dst, driftVersion)
	for _, c := range d.capital {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(c))
	}
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(d.log))
	dst = binary.LittleEndian.AppendUint64(dst, d.n)
	if d.alarm {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// RestoreSnapshot loads the state that the head of data holds and returns the
// rest. Threshold and epoch are the configuration's and not part of it.
func (d *Drift) RestoreSnapshot(data []byte) (rest []byte, err error) {
	if len(data) < driftSize || data[0] != driftVersion || data[driftSize-1] > 1 {
		return nil, fmt.Errorf("%w: drift guard", ErrSnapshot)
	}
	var fields [4]float64
	for i := range fields {
		fields[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[1+8*i:]))
	}
	sum := fields[0] + fields[1] + fields[2]
	if !(math.Abs(sum-1) < 1e-6) || math.IsNaN(fields[3]) || math.IsInf(fields[3], 0) || min(fields[0], fields[1], fields[2]) < 0 {
		return nil, fmt.Errorf("%w: drift guard with capital %g", ErrSnapshot, sum)
	}
	d.capital = [3]float64(fields[:3])
	d.log, d.n, d.alarm = fields[3], binary.LittleEndian.Uint64(data[33:]), data[driftSize-1] == 1
	return data[driftSize:], nil
}
