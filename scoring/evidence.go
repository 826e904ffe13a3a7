package scoring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Channels are the statistics that calibration looks at one by one. A family
// has one or more: what accumulates and what peaks have different tails.
const (
	ChannelBurst        = iota // rate: -ln p of a window's calls
	ChannelSustained           // rate: CUSUM over windows
	ChannelVolume              // rate: -ln p of calls and bytes of a quarter of an hour
	ChannelOutcome             // outcome: e-process of refused calls
	ChannelObjects             // object: CUSUM of distinct objects
	ChannelSequence            // object: e-process of ids in sequence
	ChannelObjectDenied        // object: e-process of refused objects
	ChannelTiming              // timing: nats saved on intervals
	NumChannels
)

// Scores are the statistics of one window, by channel, in nats.
type Scores [NumChannels]float64

// Kinds of outcomes that the outcome family counts apart; NumOutcomes is how many.
const (
	outcomeLogin = iota
	outcomeDenied
	outcomeMissing
	NumOutcomes
)

// Evidence is what is remembered of one client on one API: fixed size, no
// pointers, a pure fold of its final windows.
type Evidence struct {
	Day int64 // days since 1970 of the newest window

	// Trials and failures per outcome; halved at midnight, so that an attack of
	// a few attempts a day still adds up.
	Trials, Failures [NumOutcomes]float64
	// Object accesses in sequence and those of all, likewise.
	Steps, Sequential float64
	ObjectTrials      float64
	ObjectDenied      float64
	CUSUM             [2]float64 // rate, object

	// The client's own baselines, over at most selfMemory windows.
	Requests, Objects, Volume, Bytes Baseline

	// Decisions taken.
	BlockedUntil int64 // event time, µs
	Blocked      Rank  // action in force until then
	BlockWindow  int64 // window of the verdict behind it, µs
	Repeats      uint8 // blocks so far

	// Provisional verdicts of windows that have not closed yet: at most two hops
	// of a client are open at a time.
	Pending [2]Pending
}

// Pending is a provisional verdict that the close of its window will confirm or
// withdraw.
type Pending struct {
	Window int64 // µs
	Rank   Rank  // RankObserve: none
}

// Baseline is a running mean and variance with a memory of selfMemory values.
type Baseline struct{ N, Mean, M2 float64 }

// selfMemory is how many windows a client's own baseline remembers.
const selfMemory = 360

// add folds a value in with weight w in [0, 1].
func (b *Baseline) add(x, w float64) {
	if w <= 0 {
		return
	}
	if b.N+w > selfMemory {
		f := (selfMemory - w) / b.N
		b.N, b.M2 = b.N*f, b.M2*f
	}
	b.N += w
	d := x - b.Mean
	b.Mean += d * w / b.N
	b.M2 += w * d * (x - b.Mean)
}

// variance is the mean squared deviation; 0 without two values.
func (b *Baseline) variance() float64 {
	if b.N <= 1 {
		return 0
	}
	return b.M2 / b.N
}

// newDay starts a client's day.
func (ev *Evidence) newDay(day int64) {
	if ev.Day != 0 {
		for i := range ev.Trials {
			ev.Trials[i] /= 2
			ev.Failures[i] /= 2
		}
		ev.Steps, ev.Sequential = ev.Steps/2, ev.Sequential/2
		ev.ObjectTrials, ev.ObjectDenied = ev.ObjectTrials/2, ev.ObjectDenied/2
	}
	ev.Day = day
	ev.CUSUM = [2]float64{}
}

// Rank is an action's severity: 0 observe, 1 throttle, 2 challenge, 3 block.
type Rank uint8

var errEvidence = errors.New("evidence snapshot is torn")

// append encodes the evidence, fixed length.
func (ev *Evidence) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.Day))
	for _, f := range ev.floats() {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(*f))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.BlockedUntil))
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.BlockWindow))
	for _, p := range ev.Pending {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(p.Window)), byte(p.Rank))
	}
	return append(b, byte(ev.Blocked), ev.Repeats)
}

const numEvidenceFloats = 2*NumOutcomes + 4 + 2 + 4*3

// evidenceBytes is the length of an encoded Evidence.
const evidenceBytes = 8*(5+numEvidenceFloats) + 4

func (ev *Evidence) floats() (f [numEvidenceFloats]*float64) {
	i := 0
	put := func(p *float64) { f[i] = p; i++ }
	for k := range ev.Trials {
		put(&ev.Trials[k])
		put(&ev.Failures[k])
	}
	for _, p := range []*float64{&ev.Steps, &ev.Sequential, &ev.ObjectTrials, &ev.ObjectDenied, &ev.CUSUM[0], &ev.CUSUM[1]} {
		put(p)
	}
	for _, b := range []*Baseline{&ev.Requests, &ev.Objects, &ev.Volume, &ev.Bytes} {
		put(&b.N)
		put(&b.Mean)
		put(&b.M2)
	}
	return f
}

// decode reads what append wrote and returns the rest.
func (ev *Evidence) decode(b []byte) ([]byte, error) {
	if len(b) < evidenceBytes {
		return nil, fmt.Errorf("%w: %d bytes", errEvidence, len(b))
	}
	next := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	ev.Day = int64(next())
	for i, f := range ev.floats() {
		*f = math.Float64frombits(next())
		// Counts come before baselines, whose M2 may round to less than nothing.
		if math.IsNaN(*f) || math.IsInf(*f, 0) || *f < 0 && i < numEvidenceFloats-4*3 {
			return nil, fmt.Errorf("%w: a sum of %v", errEvidence, *f)
		}
	}
	ev.BlockedUntil, ev.BlockWindow = int64(next()), int64(next())
	for i := range ev.Pending {
		ev.Pending[i].Window = int64(next())
		ev.Pending[i].Rank = Rank(b[0])
		b = b[1:]
	}
	ev.Blocked, ev.Repeats = Rank(b[0]), b[1]
	if max(ev.Blocked, ev.Pending[0].Rank, ev.Pending[1].Rank) > RankBlock {
		return nil, fmt.Errorf("%w: an unknown rank", errEvidence)
	}
	return b[2:], nil
}
