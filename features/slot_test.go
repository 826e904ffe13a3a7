package features

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

const testHop = 10 * second

// record folds observations into a slot and gives the record it fills.
func record(s *slot, obs ...observation) schemas.ClientFeatures {
	for i := range obs {
		s.apply(&obs[i], testHop, nil)
	}
	var f schemas.ClientFeatures
	s.fill(&f)
	return f
}

func TestDecayedCountsFollowTheirClosedForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	var s slot
	at := int64(start)
	var times, bytes []float64
	var f schemas.ClientFeatures
	for range 3000 {
		at += int64(rng.ExpFloat64() * 20 * second)
		size := rng.Int64N(5000) + 1
		times, bytes = append(times, float64(at)), append(bytes, float64(size))
		f = record(&s, observation{time: at, respBytes: size})
	}
	want := func(tau float64, weight []float64) (sum float64) {
		for i, t := range times {
			w := 1.0
			if weight != nil {
				w = weight[i]
			}
			sum += w * math.Exp(-(float64(at)-t)/(tau*second))
		}
		return sum
	}
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"1m", f.Decayed1m, want(60, nil)},
		{"15m", f.Decayed15m, want(900, nil)},
		{"6h", f.Decayed6h, want(21600, nil)},
		{"bytes 15m", f.Bytes15m, want(900, bytes)},
		{"bytes 6h", f.Bytes6h, want(21600, bytes)},
	} {
		if math.Abs(tc.got/tc.want-1) > 1e-3 { // sums are kept in 32 bits
			t.Errorf("%s: %v, closed form %v", tc.name, tc.got, tc.want)
		}
	}
}

// A page's pictures count for nothing, but time passes while they load.
func TestStaticCallsCountForNothingButTime(t *testing.T) {
	var s slot
	record(&s, observation{time: start, respBytes: 1000, status: 200})
	var f schemas.ClientFeatures
	for i := range 90 {
		f = record(&s, observation{time: start + int64(i+1)*10*second, respBytes: 9000, status: 404, flags: isStatic})
	}
	if want := math.Exp(-1); math.Abs(f.Decayed15m/want-1) > 1e-4 || math.Abs(f.Bytes15m/(1000*want)-1) > 1e-4 {
		t.Errorf("after 15 minutes of pictures %v calls and %v bytes are left, want %v and %v", f.Decayed15m, f.Bytes15m, want, 1000*want)
	}
	if f.Requests != 0 || f.NotFound != 0 || f.DayRequests != 1 || f.LastEvent != start+900*second {
		t.Errorf("static calls were counted: %+v", f)
	}
}

func TestDayCountsRestartAtMidnightUTC(t *testing.T) {
	midnight := int64(start - start%day + day)
	busy := func(at int64) observation {
		return observation{
			time: at, route: 1, object: 5, loginUser: 9, device: 3, network: 4, status: 401,
			flags: isMutation | isLogin | isLoginFailure,
		}
	}
	var s slot
	f := record(&s, busy(midnight-3*second), busy(midnight-2*second), busy(midnight-1))
	if f.DayRequests != 3 || f.DayLoginFailures != 3 || f.HoursActive != 1<<23 || f.DayObjectAccesses != 3 {
		t.Fatalf("before midnight: %+v", f)
	}
	f = record(&s, busy(midnight))
	if f.DayRequests != 1 || f.DayLoginFailures != 1 || f.DayLoginAttempts != 1 || f.HoursActive != 1 || f.DayObjectAccesses != 1 ||
		math.Round(f.DayObjects) != 1 || math.Round(f.DayDevices) != 1 || f.Intervals != 0 {
		t.Errorf("after midnight the day before is still counted: %+v", f)
	}
	if f.FirstSeen != midnight-3*second || f.Decayed6h < 3.9 {
		t.Errorf("midnight forgot more than the day: first seen %d, decayed %v", f.FirstSeen, f.Decayed6h)
	}
	if f.Requests != 1 {
		t.Errorf("window of %d calls, want 1", f.Requests)
	}
}

func TestWindowCountsEachKindOfCall(t *testing.T) {
	var s slot
	at, a, b := int64(start), uint64(0xdeadbeefcafef00d), uint64(0x123456789abcdef1)
	f := record(&s,
		observation{time: at, status: 200, reqBytes: 5, respBytes: 7, route: 1, duration: 100, norm: math.Log(50)},
		observation{time: at + 1, status: 302, reqBytes: schemas.Unknown, respBytes: schemas.Unknown, route: 1},
		observation{time: at + 2, status: 401, route: 2, flags: isDenied},
		observation{time: at + 3, status: 403, route: 2, flags: isDenied, object: a},
		observation{time: at + 4, status: 404, route: 2, flags: isMissing | isMutation, object: a},
		observation{time: at + 5, status: 410, route: 2, flags: isMissing, object: b},
		observation{time: at + 6, status: 503, route: 3, duration: 100, norm: math.Log(200)},
		observation{time: at + 7, status: 0},
		observation{time: at + 8, status: schemas.Unknown},
		observation{time: at + 9, status: 999},
		observation{time: at + 10, status: 200, loginUser: 77, flags: isLogin | isMutation},
		observation{time: at + 11, status: 401, loginUser: 78, flags: isLogin | isMutation | isLoginFailure},
	)
	want := schemas.ClientFeatures{
		Requests: 12, Mutations: 3, Status2xx: 2, Status3xx: 1, Status4xx: 5, Status5xx: 1, NoResponse: 3,
		Unauthorized: 2, Forbidden: 1, NotFound: 2, LoginAttempts: 2, LoginFailures: 1,
		ObjectAccesses: 3, ObjectDenied: 3, ObjectNew: 2, ReqBytes: 5, RespBytes: 7,
	}
	got := schemas.ClientFeatures{
		Requests: f.Requests, Mutations: f.Mutations, Status2xx: f.Status2xx, Status3xx: f.Status3xx, Status4xx: f.Status4xx,
		Status5xx: f.Status5xx, NoResponse: f.NoResponse, Unauthorized: f.Unauthorized, Forbidden: f.Forbidden, NotFound: f.NotFound,
		LoginAttempts: f.LoginAttempts, LoginFailures: f.LoginFailures, ObjectAccesses: f.ObjectAccesses, ObjectDenied: f.ObjectDenied,
		ObjectNew: f.ObjectNew, ReqBytes: f.ReqBytes, RespBytes: f.RespBytes,
	}
	if string(got.AppendProto(nil)) != string(want.AppendProto(nil)) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if f.WindowRoutes != 4 || f.WindowObjects != 2 {
		t.Errorf("%d routes and %d objects in the window, want 4 and 2", f.WindowRoutes, f.WindowObjects)
	}
	if math.Abs(f.DurationRatio) > 1e-12 {
		t.Errorf("mean duration ratio %v of one twice and one half as long, want 0", f.DurationRatio)
	}
	if math.Round(f.DayLoginUsers) != 2 || math.Round(f.DayLoginSuccessUsers) != 1 {
		t.Errorf("%v login names, %v with success; want 2 and 1", f.DayLoginUsers, f.DayLoginSuccessUsers)
	}
}

func TestSequentialIDs(t *testing.T) {
	for _, tc := range []struct {
		name string
		ids  []int64
		want uint32
	}{
		{"up by one", []int64{10, 11, 12, 13}, 3},
		{"down by two", []int64{20, 18, 16}, 2},
		{"by a constant stride", []int64{100, 150, 200, 250}, 2}, // the first step only sets it
		{"negative stride", []int64{900, 800, 700}, 1},
		{"the same id", []int64{5, 5, 5}, 0},
		{"at random", []int64{40, 7, 93, 12, 66}, 0},
		{"a stride broken", []int64{100, 150, 260, 310}, 0},
		{"far apart", []int64{-999_999_999_999_999_999, 999_999_999_999_999_999, -999_999_999_999_999_999}, 0},
	} {
		var s slot
		var f schemas.ClientFeatures
		for i, id := range tc.ids {
			f = record(&s, observation{time: start + int64(i), object: uint64(id)*0x9e3779b97f4a7c15 | 1, objectNum: id, flags: hasObjectNum})
		}
		if f.ObjectSequential != tc.want {
			t.Errorf("%s: %d in sequence, want %d", tc.name, f.ObjectSequential, tc.want)
		}
	}
}

func TestObjectsAreNewOncePerDay(t *testing.T) {
	rng := rand.New(rand.NewPCG(32, 1))
	ids := make([]uint64, 40)
	for i := range ids {
		ids[i] = rng.Uint64()
	}
	var s slot
	fresh := func(at int64) (n uint32) {
		for i, id := range ids {
			n = record(&s, observation{time: at + int64(i), object: id}).ObjectNew
		}
		return n
	}
	// A Bloom filter of 256 bits with 2 hashes mistakes few of 40 ids for known.
	if n := fresh(start); n < 36 {
		t.Errorf("%d of 40 first uses are new", n)
	}
	if n := fresh(start + testHop); n != 0 {
		t.Errorf("%d of 40 second uses are new", n)
	}
	if n := fresh(start + day); n < 36 {
		t.Errorf("%d of 40 are new on the next day", n)
	}
}

func TestChangesOfDeviceAndNetwork(t *testing.T) {
	var s slot
	at := int64(start)
	call := func(after int64, device, network uint64) schemas.ClientFeatures {
		at += after
		return record(&s, observation{time: at, device: device, network: network})
	}
	call(0, 1, 1)
	call(second, 1, 1)
	if f := call(second, 0, 0); f.DeviceChanges != 0 || f.NetworkChanges != 0 {
		t.Errorf("a call that names neither counts as a change: %+v", f)
	}
	if f := call(second, 2, 1); f.DeviceChanges != 1 || f.Alternations != 0 {
		t.Errorf("second device: %d changes, %d alternations", f.DeviceChanges, f.Alternations)
	}
	if f := call(second, 1, 2); f.DeviceChanges != 2 || f.Alternations != 1 || f.NetworkChanges != 1 {
		t.Errorf("back within a minute: %d changes, %d alternations, %d networks", f.DeviceChanges, f.Alternations, f.NetworkChanges)
	}
	if f := call(61*second, 2, 2); f.DeviceChanges != 3 || f.Alternations != 1 {
		t.Errorf("back after a minute: %d changes, %d alternations", f.DeviceChanges, f.Alternations)
	}
	if f := call(second, 3, 2); math.Round(f.DayDevices) != 3 || math.Round(f.DayNetworks) != 2 {
		t.Errorf("%v devices on %v networks, want 3 on 2", f.DayDevices, f.DayNetworks)
	}
}

// mutations are state-changing calls to one route at the given intervals.
func mutations(s *slot, route uint64, from int64, intervals ...float64) (f schemas.ClientFeatures, last int64) {
	f = record(s, observation{time: from, route: route, flags: isMutation})
	for _, dt := range intervals {
		from += int64(dt * second)
		f = record(s, observation{time: from, route: route, flags: isMutation})
	}
	return f, from
}

func TestIntervalsOfARegularClient(t *testing.T) {
	var s slot
	beat := make([]float64, 30)
	for i := range beat {
		beat[i] = 60
	}
	f, at := mutations(&s, 1, start, beat...)
	if f.Intervals != 30 || f.IntervalEntropy != 0 || f.IntervalLogSD > 1e-2 || math.Abs(f.IntervalMean-60) > 0.01 {
		t.Errorf("30 intervals of a minute: %d, entropy %v, sd %v, mean %v", f.Intervals, f.IntervalEntropy, f.IntervalLogSD, f.IntervalMean)
	}
	// What is closer than a second is one burst; reads and logins count nowhere.
	f = record(&s,
		observation{time: at + second/2, route: 1, flags: isMutation},
		observation{time: at + 5*second, route: 1},
		observation{time: at + 9*second, route: 1, flags: isMutation | isLogin},
	)
	if f.Intervals != 30 {
		t.Errorf("%d intervals after a burst, a read and a login; want 30", f.Intervals)
	}
}

func TestIntervalMomentsMatchTheirDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 1))
	var intervals []float64
	sum, sumSq := 0.0, 0.0
	for range 200 {
		dt := math.Exp(1 + rng.Float64()*5)
		dt = float64(int64(dt*second)) / second
		intervals = append(intervals, dt)
		sum += math.Log(dt)
		sumSq += math.Log(dt) * math.Log(dt)
	}
	var s slot
	f, _ := mutations(&s, 1, start-start%day, intervals...)
	mean := sum / 200
	if f.Intervals != 200 || math.Abs(f.IntervalMean/math.Exp(mean)-1) > 1e-3 || math.Abs(f.IntervalLogSD-math.Sqrt(sumSq/200-mean*mean)) > 1e-2 {
		t.Errorf("%d intervals with mean %v and sd %v, want 200, %v and %v", f.Intervals, f.IntervalMean, f.IntervalLogSD, math.Exp(mean), math.Sqrt(sumSq/200-mean*mean))
	}
	if f.IntervalEntropy < 2.5 {
		t.Errorf("entropy %v of intervals over seven octaves", f.IntervalEntropy)
	}
}

// An attacker who calls other routes in between is still seen on the one it
// calls by the clock.
func TestTheMostRegularRouteIsReported(t *testing.T) {
	rng := rand.New(rand.NewPCG(34, 1))
	var s slot
	at := int64(start)
	var f schemas.ClientFeatures
	for range 20 {
		noise := at + rng.Int64N(50*second) + 2*second
		record(&s, observation{time: at, route: 1, flags: isMutation})
		f = record(&s, observation{time: noise, route: 2, flags: isMutation})
		at += 60 * second
	}
	if f.Intervals != 19 || f.IntervalEntropy != 0 || math.Abs(f.IntervalMean-60) > 0.01 {
		t.Errorf("reported %d intervals of entropy %v and mean %v, want the 19 regular ones", f.Intervals, f.IntervalEntropy, f.IntervalMean)
	}
}

func TestTrackOfTheRouteLeastRecentlyCalledGivesWay(t *testing.T) {
	var s slot
	at := int64(start)
	for _, route := range []uint64{1, 2, 1, 2, 3} {
		at += 10 * second
		record(&s, observation{time: at, route: route, flags: isMutation})
	}
	followed := map[uint64]uint32{}
	for _, tr := range s.tracks {
		followed[tr.route] = tr.intervals
	}
	if n, ok := followed[2]; !ok || n != 1 || len(followed) != 2 {
		t.Errorf("route 2 lost its track: %v", followed)
	}
	if _, ok := followed[3]; !ok {
		t.Errorf("route 3 is not followed: %v", followed)
	}
}

func TestFullHistogramHalvesInsteadOfOverflowing(t *testing.T) {
	var s slot
	beat := make([]float64, 700)
	for i := range beat {
		beat[i] = 5
	}
	f, _ := mutations(&s, 1, start-start%day, beat...)
	if f.Intervals != 700 || f.IntervalEntropy != 0 {
		t.Errorf("%d intervals of entropy %v, want 700 of 0", f.Intervals, f.IntervalEntropy)
	}
}

func TestSaturatingCountersStay(t *testing.T) {
	if got := saturate(math.MaxUint16); got != math.MaxUint16 {
		t.Errorf("a full counter went to %d", got)
	}
	if got := saturate(3); got != 4 {
		t.Errorf("3 went to %d", got)
	}
}
