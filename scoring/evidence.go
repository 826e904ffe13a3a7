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
	ChannelLoad                // load: -ln p of response time and uploads of a quarter of an hour
	ChannelExcess              // load: e-process of calls far beyond their route's norms
	ChannelOutcome             // outcome: e-process of refused calls
	ChannelGuesses             // outcome: failed logins with a name tried before
	ChannelObjects             // object: CUSUM of distinct objects
	ChannelWalk                // object: e-process of ids in sequence
	ChannelObjectDenied        // object: e-process of refused objects
	ChannelWrites              // writes: CUSUM of state-changing calls on objects
	ChannelTiming              // timing: nats saved on intervals
	ChannelDrift               // drift: CUSUM of bytes against the client's own habit
	ChannelJoint               // joint: CUSUM of unusual mixes of features
	ChannelSteps               // order: CUSUM of steps between routes
	ChannelSkipped             // order: CUSUM of skipped steps
	ChannelIdentity            // identity: -ln p of who calls
	ChannelPayload             // payload: CUSUM of values that look like attacks
	ChannelStructure           // payload: e-process of broken parameters
	NumChannels
)

// Scores are the statistics of one window, by channel, in nats.
type Scores [NumChannels]float64

// Runs kept of a client.
const (
	runRequests = iota
	runObjects
	runWrites
	runSteps
	runSkips
	runPayload
	runMix
	numRuns
)

// Baselines kept of a client.
const (
	baseRequests = iota
	baseObjects
	baseVolume
	baseBytes
	baseLoad
	baseUploads
	baseWrites
	baseTaken // ln(1 + response bytes) of an active minute, on the days before today
	baseSteps // nats a step
	baseSkips // nats a call that others precede
	baseMix   // -ln p of the mix of features
	numBaselines
)

// Evidence is what is remembered of one client on one API: fixed size, no
// pointers, a pure fold of its final windows.
type Evidence struct {
	Day int64 // days since 1970 of the newest window

	// Chances of each kind and how many were taken; halved at midnight, so that an
	// attack of a few attempts a day still adds up.
	Trials, Taken Shares
	// Habits are shares of earlier days, Guesses failed logins of a name tried
	// before, halved at midnight too.
	Habits  Shares
	Guesses float64
	Runs    [numRuns]Run

	// The client's own baselines, over at most selfMemory windows.
	Own [numBaselines]Baseline
	// Regular is the most regularity of an earlier day, nats: what a client has
	// always done by the clock is no attack. RegularToday becomes it.
	Regular, RegularToday float64
	// Today is what Own[baseTaken] is compared with and joins at midnight; Drifts is
	// how far the two were apart.
	Today        Baseline
	Drifts       float64
	Minute       int64 // since 1970, of MinuteBytes
	MinuteBytes  float64
	FirstRefused int64 // first window of today with a call that was refused, µs; 0: none
	Known        Acquaintance
	// Surprise is -ln p of the mix of the window at hand, between Fold and Learn.
	Surprise float64

	// Decisions taken.
	BlockedUntil int64 // event time, µs
	Blocked      Rank  // action in force until then
	BlockWindow  int64 // window of the verdict behind it, µs
	BlockedToken uint64
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

// merge folds another baseline's values in (Chan, Golub and LeVeque 1979).
func (b *Baseline) merge(o *Baseline) {
	if o.N == 0 {
		return
	}
	if keep := selfMemory - min(o.N, selfMemory/2); b.N > keep {
		b.M2 *= keep / b.N
		b.N = keep
	}
	n := b.N + o.N
	d := o.Mean - b.Mean
	b.M2 += o.M2 + d*d*b.N*o.N/n
	b.Mean += d * o.N / n
	b.N = n
}

// variance is the mean squared deviation; 0 without two values.
func (b *Baseline) variance() float64 {
	if b.N <= 1 {
		return 0
	}
	return b.M2 / b.N
}

// newDay starts a client's day. What is halved is halved for every midnight
// since the client was last seen.
func (ev *Evidence) newDay(day int64) {
	if ev.Day != 0 {
		ev.endDay()
		if ev.Blocked < RankChallenge {
			ev.habituate()
		}
		f := math.Exp2(-float64(min(max(day-ev.Day, 0), 60)))
		for i := range ev.Trials {
			ev.Trials[i] *= f
			ev.Taken[i] *= f
		}
		ev.Guesses *= f
		// A habit fades with a month's absence of it.
		ev.Regular = max(ev.Regular*0.95, ev.RegularToday)
		ev.Known.newDay(day)
	}
	ev.Day = day
	ev.RegularToday, ev.FirstRefused = 0, 0
	ev.Runs = [numRuns]Run{}
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
	b = ev.Known.append(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.BlockedUntil))
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.BlockWindow))
	b = binary.LittleEndian.AppendUint64(b, ev.BlockedToken)
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.Minute))
	b = binary.LittleEndian.AppendUint64(b, uint64(ev.FirstRefused))
	for _, p := range ev.Pending {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(p.Window)), byte(p.Rank))
	}
	return append(b, byte(ev.Blocked), ev.Repeats)
}

const numEvidenceFloats = 3*NumShares + 4*numRuns + 5 + 3*(numBaselines+1)

// evidenceBytes is the length of an encoded Evidence.
const evidenceBytes = 8*(8+numEvidenceFloats) + acquaintanceBytes + 4

// floats lists every float of the evidence, counts before baselines.
func (ev *Evidence) floats() (f [numEvidenceFloats]*float64) {
	i := 0
	put := func(p *float64) { f[i] = p; i++ }
	for k := range ev.Trials {
		put(&ev.Trials[k])
		put(&ev.Taken[k])
		put(&ev.Habits[k])
	}
	put(&ev.Regular)
	put(&ev.RegularToday)
	put(&ev.Drifts)
	put(&ev.Guesses)
	put(&ev.MinuteBytes)
	for k := range ev.Runs {
		r := &ev.Runs[k]
		put(&r.S)
		put(&r.Windows)
		put(&r.Observed)
		put(&r.Expected)
	}
	for k := range ev.Own {
		b := &ev.Own[k]
		put(&b.N)
		put(&b.Mean)
		put(&b.M2)
	}
	put(&ev.Today.N)
	put(&ev.Today.Mean)
	put(&ev.Today.M2)
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
		// Baselines may hold logarithms, and an M2 that rounds to less than nothing.
		if math.IsNaN(*f) || math.IsInf(*f, 0) || *f < 0 && i < 3*NumShares+5 {
			return nil, fmt.Errorf("%w: a sum of %v", errEvidence, *f)
		}
	}
	var err error
	if b, err = ev.Known.decode(b); err != nil {
		return nil, err
	}
	ev.BlockedUntil, ev.BlockWindow, ev.BlockedToken, ev.Minute = int64(next()), int64(next()), next(), int64(next())
	ev.FirstRefused = int64(next())
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
