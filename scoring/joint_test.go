package scoring

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/joint"
)

// spreadMix is a window whose features go together as those of one kind of
// client do: who calls more takes more, from more routes and objects.
func spreadMix(f *schemas.ClientFeatures, pace, noise float64, odd bool) {
	n := max(1, math.Round(3*math.Exp(0.6*pace)))
	f.Requests, f.Status2xx = uint32(n), uint32(n)
	f.Mutations = uint32(n / 4)
	f.Decayed1m, f.Decayed15m, f.Decayed6h = 1.5*n, 5*n, 12*n
	f.WindowRoutes, f.WindowObjects = uint32(1+n/2), uint32(n/2)
	f.ObjectAccesses, f.ObjectNew = uint32(n), uint32(n/2)
	f.RespBytes, f.ReqBytes = uint64(n*2000*math.Exp(0.3*noise)), uint64(n*300*math.Exp(0.2*noise))
	f.DayRoutes, f.DayObjects = 4+n/2, 6+n
	f.DayDevices, f.DayNetworks, f.HoursActive = 1, 1, 0b1111
	f.NormedCalls, f.DurationRatio = uint32(n), 0.1*noise
	f.Intervals, f.IntervalEntropy = 9, 2.5+0.2*noise
	if odd {
		// Few calls that take as much as many do, of as many routes.
		f.RespBytes, f.ReqBytes, f.WindowRoutes, f.Decayed15m, f.WindowObjects = f.RespBytes*40, 20, 8, 1, 0
	}
}

func ordinaryMix(f *schemas.ClientFeatures) {
	i := f.WindowStart / hopUS
	spreadMix(f, float64(i%5)/2-1, float64(i%7)/3-1, false)
	f.RespBytes, f.Bytes15m = min(f.RespBytes, 1<<20), 2000
	f.Decayed15m = min(f.Decayed15m, 20)
}

func oddMix(f *schemas.ClientFeatures) { spreadMix(f, -0.5, 0, true) }

// testJoint is a joint model of windows as spreadMix makes them.
var testJoint = sync.OnceValue(func() *joint.Model {
	fit, err := joint.NewFitter(joint.Config{Features: JointFeatures, Clients: 400, PerClient: 8, Seed: 1, ProjectionSeed: 1})
	if err != nil {
		return nil
	}
	rng := rand.New(rand.NewPCG(71, 1))
	var row [JointFeatures]float64
	for c := range uint64(400) {
		for range 8 {
			f := record(0, true, nil)
			spreadMix(f, rng.NormFloat64(), rng.NormFloat64(), false)
			MixOf(f, &row)
			fit.Add(c, row[:])
		}
	}
	m, err := fit.Fit()
	if err != nil {
		return nil
	}
	return m
})

func TestMixHasANameForEveryValue(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range mixFeatures {
		if name == "" || seen[name] || strings.ToLower(name) != name {
			t.Errorf("feature %q", name)
		}
		seen[name] = true
	}
	f := record(0, true, func(f *schemas.ClientFeatures) {
		*f = schemas.ClientFeatures{
			Requests: 8, Mutations: 2, Status2xx: 4, Status4xx: 3, Status5xx: 1, LoginAttempts: 4, LoginFailures: 1,
			ObjectAccesses: 5, ObjectNew: 3, ObjectSequential: 2, WindowRoutes: 6, WindowObjects: 7, ReqBytes: 80, RespBytes: 160,
			DurationRatio: 0.5, NormedCalls: 3, Decayed1m: 9, Decayed15m: 19, Decayed6h: 29,
			DayRoutes: 11, DayObjects: 12, DayDevices: 2, DayNetworks: 3, HoursActive: 0b1011, Intervals: minIntervals, IntervalEntropy: 1.25,
		}
	})
	want := map[string]float64{
		"requests": math.Log(9), "state_changing_share": 0.25, "requests_1m": math.Log(10), "requests_15m": math.Log(20), "requests_6h": math.Log(30),
		"burst_ratio": math.Log(10.0 / 20), "routes": 6, "objects": math.Log(8), "new_object_share": 0.6, "sequential_share": 0.4,
		"success_share": 0.5, "client_error_share": 3.0 / 8, "server_error_share": 1.0 / 8, "login_failure_share": 0.25,
		"response_bytes": math.Log(161), "response_bytes_per_call": math.Log(21), "request_bytes_per_call": math.Log(11), "duration_ratio": 0.5,
		"routes_today": math.Log(12), "objects_today": math.Log(13), "devices_today": 2, "networks_today": 3, "hours_today": 3, "interval_entropy": 1.25,
	}
	var got [JointFeatures]float64
	MixOf(f, &got)
	if len(want) != JointFeatures {
		t.Fatalf("%d features are expected, there are %d", len(want), JointFeatures)
	}
	for i, name := range mixFeatures {
		if w, ok := want[name]; !ok || math.Abs(got[i]-w) > 1e-12 {
			t.Errorf("%s is %v, want %v", name, got[i], w)
		}
	}
}

func TestMixDoesNotTellWhatIsNotKnown(t *testing.T) {
	var got [JointFeatures]float64
	MixOf(&schemas.ClientFeatures{}, &got)
	unknown := map[string]bool{"new_object_share": true, "sequential_share": true, "login_failure_share": true, "duration_ratio": true, "interval_entropy": true}
	for i, name := range mixFeatures {
		if math.IsNaN(got[i]) != unknown[name] {
			t.Errorf("%s of a window of nothing is %v", name, got[i])
		}
	}
	MixOf(&schemas.ClientFeatures{Intervals: minIntervals - 1, IntervalEntropy: 1, NormedCalls: 1}, &got)
	if !math.IsNaN(got[JointFeatures-1]) || got[17] != 0 {
		t.Errorf("entropy of few intervals is %v, the ratio of a normed call %v", got[JointFeatures-1], got[17])
	}
}

func TestOnlyClosedWindowsAreJudgedByTheirMix(t *testing.T) {
	c := &Context{Behaviour: testBehaviour(), Joint: testJoint(), mix: new(mixScratch)}
	ev := new(Evidence)
	var scores Scores
	mix{}.Fold(record(0, false, oddMix), c, ev, &scores)
	if ev.Runs[runMix] != (Run{}) || ev.Surprise != 0 || scores[ChannelJoint] != 0 {
		t.Errorf("an open window left %+v, surprise %v", ev.Runs[runMix], ev.Surprise)
	}
	mix{}.Fold(record(0, true, oddMix), c, ev, &scores)
	if ev.Surprise <= 0 || scores[ChannelJoint] <= 0 || ev.Runs[runMix].S != scores[ChannelJoint] {
		t.Errorf("a closed window left %+v, surprise %v", ev.Runs[runMix], ev.Surprise)
	}
	surprise := ev.Surprise
	mix{}.Learn(nil, ev, 1)
	if ev.Surprise != 0 || ev.Own[baseMix].N != 1 || ev.Own[baseMix].Mean != surprise {
		t.Errorf("learnt %+v of a surprise of %v", ev.Own[baseMix], surprise)
	}
	// A window without calls, and a type without a model, say nothing.
	run := ev.Runs[runMix]
	mix{}.Fold(record(0, true, func(f *schemas.ClientFeatures) { f.Requests = 0 }), c, ev, &scores)
	mix{}.Fold(record(0, true, oddMix), &Context{Behaviour: testBehaviour()}, ev, &scores)
	if ev.Runs[runMix] != run || ev.Surprise != 0 {
		t.Errorf("left %+v, surprise %v", ev.Runs[runMix], ev.Surprise)
	}
}

// One window adds no more than mixMost, and a client whose windows are always
// odd does not climb for ever by going on.
func TestMixIsJudgedAgainstTheClientsOwn(t *testing.T) {
	run := func(own Baseline) float64 {
		ev := &Evidence{Own: [numBaselines]Baseline{baseMix: own}}
		var scores Scores
		mix{}.Fold(record(0, true, oddMix), &Context{Behaviour: testBehaviour(), Joint: testJoint(), mix: new(mixScratch)}, ev, &scores)
		return scores[ChannelJoint]
	}
	stranger := run(Baseline{})
	if stranger > mixMost || stranger < 1 {
		t.Errorf("a newcomer's odd window is %v nats", stranger)
	}
	if odd := run(Baseline{N: 100, Mean: 30}); odd >= stranger {
		t.Errorf("one more odd window of an odd client is %v nats, of a newcomer %v", odd, stranger)
	}
}
