package features

import (
	"math"

	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/schemas"
)

const (
	second = 1_000_000 // µs
	day    = 24 * 3600 * second

	// concurrencyWindow is how soon a return to an earlier device counts as two
	// devices in use at once.
	concurrencyWindow = 60 * second
)

// Time constants of the decayed counts, µs.
var decayConstants = [3]float64{60 * second, 900 * second, 21600 * second}

// slot is everything remembered of one client on one API: fixed size, no
// pointers. It is a pure fold of the client's observations in order.
type slot struct {
	first, last int64 // event times, µs
	day         int64 // days since 1970

	hop window // counts of the hop that last falls in

	// decayed[i] and bytes[i] hold exponentially decayed sums as of last, with
	// decayConstants[i] (bytes: the last two of them).
	decayed [3]float32
	bytes   [2]float32
	// Seconds of response time and request bytes, with decayConstants[1].
	duration, uploads float32

	// Since 00:00 UTC.
	requests, objectAccesses, logins, loginFailures uint32
	hours                                           uint32
	routes                                          bitmap256
	objects                                         [64]byte // HyperLogLog registers
	loginUsers                                      bitmap256
	loginSuccesses                                  bitmap64
	devices, networks                               bitmap64
	usedObjects                                     [4]uint64 // Bloom filter of object ids, 2 hashes
	deviceChanges, networkChanges, alternations     uint16
	decoyHits                                       uint16

	// The session's last two routes and those that it called at all, 0 after the
	// last.
	before, lastRoute sequence.Route
	recent            [sequence.Recent]uint32

	lastDevice, earlierDevice uint64
	earlierDeviceSeen         int64
	lastNetwork               uint64
	lastObject, stride        int64

	// Intervals between mutations today, by route: the routes called last.
	tracks [2]track
}

// track follows the intervals between a client's calls to one route.
type track struct {
	route     uint64
	last      int64 // µs
	intervals uint32
	sumLog    float32
	sumLogSq  float32
	histogram [intervalBins]uint8
}

// window holds the counts of one hop.
type window struct {
	start                                              int64 // µs; a hop without events has no window
	requests, mutations                                uint32
	status                                             [6]uint32 // by class; 0: no response or unknown
	unauthorized, forbidden, notFound                  uint32
	logins, loginFailures                              uint32
	objectAccesses, objectDenied, objectNew, objectSeq uint32
	durations                                          uint32
	deletes, objectWrites, decoys                      uint32
	newLogins, newLoginFailures                        uint32
	normed, slow, largeRequests, largeResponses        uint32
	inspected, payloadHits, structured, violations     uint32
	steps, prerequisites, skipped                      uint32
	routes                                             bitmap64
	objects                                            bitmap256
	reqBytes, respBytes                                uint64
	durationRatio                                      float64 // sum of ln ratios
	surprise, skipSurprise                             float64
	rare                                               rareStep // the least likely step
	missed                                             missedStep
}

// rareStep is a step between routes, and its probability.
type rareStep struct {
	from, to sequence.Route
	p        float64
}

// missedStep is a call without what precedes it in share of the sessions.
type missedStep struct {
	then, first sequence.Route
	share       float64
}

// apply folds one observation in; hop is the window length in µs, steps the
// model of the API's sequences or nil. Observations must come in the order of
// observation.compare.
func (s *slot) apply(o *observation, hop int64, steps *sequence.Model) {
	if s.first == 0 {
		s.first = o.time
	}
	if start := o.time - o.time%hop; start != s.hop.start {
		s.hop = window{start: start}
	}
	if d := o.time / day; d != s.day {
		s.newDay(d)
	}
	s.decay(o.time)
	if o.flags&isStatic != 0 {
		s.last = o.time
		return
	}
	s.count(o)
	s.identity(o)
	if o.object != 0 {
		s.object(o)
	}
	if o.flags&isMutation != 0 && o.flags&(isLogin|isRenewal) == 0 {
		s.interval(o)
		if o.object != 0 {
			s.hop.objectWrites++
		}
	}
	s.compare(o)
	if o.flags&isMissing == 0 {
		s.step(o, steps)
	}
	s.last = o.time
}

// newDay forgets what is counted per day.
func (s *slot) newDay(d int64) {
	s.day = d
	s.requests, s.objectAccesses, s.logins, s.loginFailures, s.hours = 0, 0, 0, 0, 0
	s.routes, s.objects, s.loginUsers = bitmap256{}, [64]byte{}, bitmap256{}
	s.loginSuccesses, s.devices, s.networks = 0, 0, 0
	s.usedObjects = [4]uint64{}
	s.deviceChanges, s.networkChanges, s.alternations, s.decoyHits = 0, 0, 0, 0
	s.tracks = [2]track{}
}

// decay brings the decayed sums from s.last to time t.
func (s *slot) decay(t int64) {
	if elapsed := float64(t - s.last); s.last != 0 && elapsed > 0 {
		for i, tau := range decayConstants {
			f := float32(math.Exp(-elapsed / tau))
			s.decayed[i] *= f
			if i > 0 {
				s.bytes[i-1] *= f
			}
			if i == 1 {
				s.duration *= f
				s.uploads *= f
			}
		}
	}
}

func (s *slot) count(o *observation) {
	w := &s.hop
	w.requests++
	s.requests++
	for i := range s.decayed {
		s.decayed[i]++
	}
	s.hours |= 1 << (o.time % day / (3600 * second))
	class := 0
	// A call that was throttled (429) did not reach the API: counting it as refused
	// would let our own throttle turn into a block.
	if o.status >= 100 && o.status < 600 && o.status != 429 {
		class = int(o.status / 100)
	}
	w.status[class]++
	switch o.status {
	case 401:
		w.unauthorized++
	case 403:
		w.forbidden++
	case 404, 410:
		w.notFound++
	}
	if o.flags&isMutation != 0 {
		w.mutations++
	}
	if o.flags&isDelete != 0 {
		w.deletes++
	}
	if o.flags&isLogin != 0 {
		w.logins++
		s.logins++
		if o.flags&isLoginFailure != 0 {
			w.loginFailures++
			s.loginFailures++
		} else if o.loginUser != 0 && class == 2 {
			s.loginSuccesses.add(o.loginUser)
		}
		// Without a name every login may be of another one.
		if o.loginUser == 0 || s.loginUsers.add(o.loginUser) {
			w.newLogins++
			w.newLoginFailures += bit(o.flags, isLoginFailure)
		}
	}
	w.routes.add(o.route)
	s.routes.add(o.route)
	if o.reqBytes > 0 {
		w.reqBytes += uint64(o.reqBytes)
		s.uploads += float32(o.reqBytes)
	}
	if o.respBytes > 0 {
		w.respBytes += uint64(o.respBytes)
		s.bytes[0] += float32(o.respBytes)
		s.bytes[1] += float32(o.respBytes)
	}
	if o.duration > 0 {
		s.duration += float32(o.duration) / second
	}
	if r, ok := o.durationRatio(); ok {
		w.durations++
		w.durationRatio += r
	}
}

func (s *slot) identity(o *observation) {
	if o.network != 0 {
		s.networks.add(o.network)
		if s.lastNetwork != 0 && s.lastNetwork != o.network {
			s.networkChanges = saturate(s.networkChanges)
		}
		s.lastNetwork = o.network
	}
	if o.device == 0 {
		return
	}
	s.devices.add(o.device)
	if s.lastDevice != 0 && s.lastDevice != o.device {
		s.deviceChanges = saturate(s.deviceChanges)
		if s.earlierDevice == o.device && o.time-s.earlierDeviceSeen < concurrencyWindow {
			s.alternations = saturate(s.alternations)
		}
		s.earlierDevice, s.earlierDeviceSeen = s.lastDevice, s.last
	}
	s.lastDevice = o.device
}

func (s *slot) object(o *observation) {
	w := &s.hop
	w.objectAccesses++
	s.objectAccesses++
	w.objects.add(o.object)
	AddRegister(s.objects[:], o.object)
	if o.flags&(isDenied|isMissing) != 0 {
		w.objectDenied++
	}
	a, b := o.object>>56, o.object>>48&255
	used := s.usedObjects[a/64]>>(a%64)&1 == 1 && s.usedObjects[b/64]>>(b%64)&1 == 1
	if !used {
		w.objectNew++
		s.usedObjects[a/64] |= 1 << (a % 64)
		s.usedObjects[b/64] |= 1 << (b % 64)
	}
	if o.flags&hasObjectNum != 0 {
		step := o.objectNum - s.lastObject
		if s.lastObject != 0 && step != 0 && (step >= -2 && step <= 2 || step == s.stride) {
			w.objectSeq++
		}
		if step != 0 {
			s.stride = step
		}
		s.lastObject = o.objectNum
	}
}

// minInterval is the shortest interval that counts, µs: closer calls are one
// burst, which the rates show.
const minInterval = second

// interval records the time since the last call to the same route, on the route
// least recently called if it is none of those followed.
func (s *slot) interval(o *observation) {
	t := &s.tracks[0]
	for i := range s.tracks {
		if s.tracks[i].route == o.route {
			t = &s.tracks[i]
			break
		}
		if s.tracks[i].last < t.last {
			t = &s.tracks[i]
		}
	}
	if t.route != o.route {
		*t = track{route: o.route}
	}
	if dt := o.time - t.last; t.last != 0 && dt >= minInterval {
		ln := float32(math.Log(float64(dt) / second))
		t.intervals++
		t.sumLog += ln
		t.sumLogSq += ln * ln
		bin := &t.histogram[intervalBin(dt)]
		if *bin == math.MaxUint8 {
			for i := range t.histogram {
				t.histogram[i] /= 2
			}
		}
		*bin++
	}
	t.last = o.time
}

// regularest is the track whose intervals stand out most: the highest
// regularity, the bits that its entropy saves over regularityBits an interval.
func (s *slot) regularest() (*track, float64) {
	const regularityBits = 3
	best, bits, gain := &s.tracks[0], 0.0, math.Inf(-1)
	for i := range s.tracks {
		t := &s.tracks[i]
		if t.intervals == 0 {
			continue // nothing is not more regular than an irregular route
		}
		h := intervalEntropy(&t.histogram)
		if g := float64(t.intervals) * (regularityBits - h); g > gain {
			best, bits, gain = t, h, g
		}
	}
	return best, bits
}

func saturate(n uint16) uint16 {
	if n == math.MaxUint16 {
		return n
	}
	return n + 1
}

// fill writes the slot's numbers into a record.
func (s *slot) fill(f *schemas.ClientFeatures) {
	w := &s.hop
	f.LastEvent, f.FirstSeen = s.last, s.first
	f.Requests, f.Mutations = w.requests, w.mutations
	f.NoResponse = w.status[0]
	f.Status2xx, f.Status3xx, f.Status4xx, f.Status5xx = w.status[2], w.status[3], w.status[4], w.status[5]
	f.Unauthorized, f.Forbidden, f.NotFound = w.unauthorized, w.forbidden, w.notFound
	f.LoginAttempts, f.LoginFailures = w.logins, w.loginFailures
	f.LoginNewAttempts, f.LoginNewFailures = w.newLogins, w.newLoginFailures
	f.ObjectAccesses, f.ObjectDenied, f.ObjectNew, f.ObjectSequential = w.objectAccesses, w.objectDenied, w.objectNew, w.objectSeq
	f.WindowRoutes, f.WindowObjects = uint32(math.Round(w.routes.estimate())), uint32(math.Round(w.objects.estimate()))
	f.ReqBytes, f.RespBytes = w.reqBytes, w.respBytes
	f.DurationRatio = 0
	if w.durations > 0 {
		f.DurationRatio = w.durationRatio / float64(w.durations)
	}
	f.Decayed1m, f.Decayed15m, f.Decayed6h = float64(s.decayed[0]), float64(s.decayed[1]), float64(s.decayed[2])
	f.Bytes15m, f.Bytes6h = float64(s.bytes[0]), float64(s.bytes[1])
	f.DayRequests, f.DayObjectAccesses = s.requests, s.objectAccesses
	f.DayLoginAttempts, f.DayLoginFailures = s.logins, s.loginFailures
	f.DayRoutes, f.DayObjects = s.routes.estimate(), EstimateRegisters(s.objects[:])
	f.DayLoginUsers, f.DayLoginSuccessUsers = s.loginUsers.estimate(), s.loginSuccesses.estimate()
	f.DayDevices, f.DayNetworks = s.devices.estimate(), s.networks.estimate()
	f.DeviceChanges, f.NetworkChanges, f.Alternations = uint32(s.deviceChanges), uint32(s.networkChanges), uint32(s.alternations)
	f.HoursActive = s.hours
	t, bits := s.regularest()
	f.Intervals, f.IntervalEntropy, f.IntervalLogSD, f.IntervalMean = t.intervals, 0, 0, 0
	if n := float64(t.intervals); n > 0 {
		mean := float64(t.sumLog) / n
		f.IntervalEntropy = bits
		f.IntervalLogSD = math.Sqrt(max(float64(t.sumLogSq)/n-mean*mean, 0))
		f.IntervalMean = math.Exp(mean)
	}
}
