package training

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// people are clients of one benign law: each with a pace of its own, a share of
// refused calls of its own, and windows spread over a day.
func people(seed uint64, clients int) Source {
	return func(yield func(*schemas.ClientFeatures)) error {
		rng := rand.New(rand.NewPCG(seed, 1))
		for c := range clients {
			pace := distuv.Gamma{Alpha: 2, Beta: 0.5, Src: rng}.Rand()
			refused := rng.Float64() * 0.06
			at := rng.Int64N(2000)
			client := fmt.Sprintf("user:s%d-%d", seed, c)
			for range 4 + rng.IntN(20) {
				at += 1 + rng.Int64N(200)
				yield(window(client, "bank", at, func(f *schemas.ClientFeatures) {
					burst := distuv.Gamma{Alpha: 2, Beta: 2 / pace, Src: rng}.Rand()
					f.Requests = 1 + uint32(distuv.Poisson{Lambda: burst, Src: rng}.Rand())
					for range f.Requests {
						if rng.Float64() < refused {
							f.NotFound++
							f.Status4xx++
						}
					}
					f.Decayed15m = float64(f.Requests) * (1 + rng.Float64())
					f.Bytes15m = f.Decayed15m * math.Exp(7+rng.NormFloat64()*0.5)
					if rng.IntN(2) == 0 {
						f.ObjectAccesses = f.Requests
						f.WindowObjects = 1 + f.Requests/2
						f.ObjectNew = f.WindowObjects
						if f.ObjectNew > 1 && rng.IntN(8) == 0 {
							f.ObjectSequential = 1
						}
					}
				}))
			}
		}
		return nil
	}
}

// acted collects the clients on which a policy acts.
type acted map[string]bool

func (a acted) Verdict(v *schemas.Verdict) {
	if !v.Withdrawn {
		a[v.Entity.String()] = true
	}
}
func (acted) Block(string, *schemas.BlockEntry) {}

// The guarantee, end to end: of fresh clients of the same law, no more are acted
// on than the interval of the claim allows.
func TestTrainedModelRealisesItsRateOnFreshClients(t *testing.T) {
	m, err := Train(people(1, 5000), Options{Name: "test", MinStratum: 1000})
	if err != nil {
		t.Fatal(err)
	}
	layer := m.Calibration["user"]
	if layer == nil || layer.N < 2200 || layer.N > 2800 {
		t.Fatalf("held out %+v of 5000 client-days", layer)
	}
	policy := scoring.DefaultPolicy()
	const alpha = 0.01
	policy.AlphaThrottle = alpha
	s, err := scoring.New(scoring.Config{Model: m, Policy: policy, Clients: 100_000, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	const fresh = 6000
	found := acted{}
	if err := people(2, fresh)(func(f *schemas.ClientFeatures) { s.Features(f, 0, found) }); err != nil {
		t.Fatal(err)
	}
	got := float64(len(found)) / fresh
	// The realised rate exceeds alpha in one of twenty calibrations, and then not
	// by much; what is counted is a binomial draw from it.
	if limit := alpha + 3.3*math.Sqrt(alpha/fresh); got > limit || got < alpha/6 {
		t.Errorf("%d of %d fresh clients acted on: %.4f, claimed at most %g", len(found), fresh, got, alpha)
	}
	t.Logf("realised %.4f at alpha %g from %d held-out client-days", got, alpha, layer.N)
}

func TestOneSourceMakesOneModel(t *testing.T) {
	version := func(seed uint64, o Options) string {
		o.Name = "test"
		m, err := Train(people(seed, 400), o)
		if err != nil {
			t.Fatal(err)
		}
		return m.Version
	}
	a := version(5, Options{})
	for range 3 {
		if b := version(5, Options{}); b != a {
			t.Fatalf("one source made the models %s and %s", a, b)
		}
	}
	if version(6, Options{}) == a {
		t.Error("two sources made one model")
	}
	if version(5, Options{Learnt: features.Learnt{Routes: features.RouteRules{Collapsed: []features.CollapsedRoute{{Parent: "/x"}}}}}) == a {
		t.Error("routes are not part of the model")
	}
}

func TestTrainedModelCanBeWrittenAndRead(t *testing.T) {
	m, err := Train(people(7, 300), Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Strata["user"] == nil || m.Strata[scoring.Pooled] == nil || m.Calibration[scoring.Pooled] == nil || m.APIs != nil {
		t.Errorf("model %+v", m)
	}
	if len(m.Calibration) != 1 {
		t.Errorf("300 clients made %d layers of their own", len(m.Calibration)-1)
	}
	checkReadable(t, m)
}

func TestTrainingIsToldOfPassesAndClientDays(t *testing.T) {
	var passes []int
	halves := map[bool]int{}
	m, err := Train(people(8, 500), Options{
		Name:     "test",
		Progress: func(pass, of int) { passes = append(passes, pass, of) },
		ClientDays: func(stratum string, held bool, peaks scoring.Scores) {
			halves[held]++
			if stratum != "user"+scoring.NewClients || peaks[scoring.ChannelBurst] < 0 {
				t.Errorf("told of %q %v", stratum, peaks)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(passes, []int{1, 3, 2, 3, 3, 3}) {
		t.Errorf("passes %v", passes)
	}
	if halves[true] != m.Calibration[scoring.Pooled].N || halves[true]+halves[false] != 500 || halves[false] < 200 {
		t.Errorf("halves of %v, layer of %d", halves, m.Calibration[scoring.Pooled].N)
	}
}

// The tails and the layer must not share a client, on whatever APIs it calls.
func TestHalvesShareNoClient(t *testing.T) {
	source := func(yield func(*schemas.ClientFeatures)) error {
		for c := range 200 {
			for _, api := range []string{"bank", "shop", "mail"} {
				for d := range int64(2) {
					yield(window(fmt.Sprintf("user:u%d", c), api, d*8640, func(f *schemas.ClientFeatures) { f.Requests = uint32(1 + c) }))
				}
			}
		}
		return nil
	}
	m := &scoring.Model{Strata: map[string]*scoring.Behaviour{scoring.Pooled: summarise(nil)}, Calibration: map[string]*scoring.Calibration{scoring.Pooled: inert()}}
	half := map[float64]bool{}
	if _, err := calibrate(source, m, 10, func(_ string, held bool, peaks scoring.Scores) {
		id := peaks[scoring.ChannelBurst] // grows with the number of the client
		if was, ok := half[id]; ok && was != held {
			t.Errorf("the client of %v is in both halves", id)
		}
		half[id] = held
	}); err != nil {
		t.Fatal(err)
	}
	if len(half) < 150 {
		t.Errorf("only %d clients told apart", len(half))
	}
}

func TestTooLittleTrafficIsRefused(t *testing.T) {
	nothing := func(func(*schemas.ClientFeatures)) error { return nil }
	if _, err := Train(nothing, Options{}); !errors.Is(err, ErrTooLittle) {
		t.Errorf("nothing: error %v", err)
	}
	one := func(yield func(*schemas.ClientFeatures)) error {
		for c := range 50 { // as many as it takes to find one that is not held out
			f := window(fmt.Sprintf("user:u%d", c), "bank", 0, nil)
			held := false
			m := &scoring.Model{Strata: map[string]*scoring.Behaviour{scoring.Pooled: summarise(nil)}, Calibration: map[string]*scoring.Calibration{scoring.Pooled: inert()}}
			if _, err := calibrate(func(y func(*schemas.ClientFeatures)) error { y(f); return nil }, m, 1, func(_ string, h bool, _ scoring.Scores) { held = h }); err != nil {
				return err
			}
			if !held {
				yield(f)
				return nil
			}
		}
		return nil
	}
	if _, err := Train(one, Options{}); !errors.Is(err, ErrTooLittle) {
		t.Errorf("one client: error %v", err)
	}
}

func TestErrorsOfTheSourceAreReported(t *testing.T) {
	broken := errors.New("disk is gone")
	for pass := 1; pass <= 3; pass++ {
		n := 0
		source := func(yield func(*schemas.ClientFeatures)) error {
			if n++; n == pass {
				return broken
			}
			return people(9, 50)(yield)
		}
		if _, err := Train(source, Options{}); !errors.Is(err, broken) {
			t.Errorf("pass %d: error %v", pass, err)
		}
	}
}

func TestLittleTrafficKeepsThePriorsLayers(t *testing.T) {
	prior, err := Train(people(10, 3000), Options{Name: "prior", MinStratum: 1000})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Train(people(11, 200), Options{Name: "own", Prior: prior, MinStratum: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for name, layer := range prior.Calibration {
		if m.Calibration[name] != layer {
			t.Errorf("layer %q is of %d client-days, the prior's of %d", name, m.Calibration[name].N, layer.N)
		}
	}
	if m.APIs["bank"]["user"] == nil || m.Strata["user"] != prior.Strata["user"] {
		t.Error("the API's own behaviour was not learnt, or the prior's strata were replaced")
	}
	own, err := Train(people(11, 3000), Options{Name: "own", Prior: prior, MinStratum: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for name, layer := range own.Calibration {
		if layer == prior.Calibration[name] {
			t.Errorf("layer %q stays the prior's beside 3000 own clients", name)
		}
	}
	checkReadable(t, own)
}

func TestOwnNumbersAreShrunkTowardsThePrior(t *testing.T) {
	base := &scoring.Behaviour{
		Windows: 9000, Clients: 70, Requests: scoring.Counts{Mean: 2, Between: 2, Size: 2}, Objects: scoring.Counts{Mean: 2, Between: 2, Size: 2},
		Volume: scoring.Moments{Mean: 2, Between: 2, Within: 2}, Bytes: scoring.Moments{Mean: 2, Between: 2, Within: 2}, Entropy: scoring.Moments{Mean: 2, Between: 2, Within: 2},
		Load: scoring.Moments{Mean: 2, Between: 2, Within: 2}, Uploads: scoring.Moments{Mean: 2, Between: 2, Within: 2}, Writes: scoring.Counts{Mean: 2, Between: 2, Size: 2},
		EntropyFloor: 2, DayShift: 0.2,
	}
	for i := range base.Bounds {
		base.Bounds[i] = 0.2
	}
	for i := range base.Novelty {
		base.Novelty[i] = 0.02
	}
	base.Hours[3] = 1.5
	other := *base
	other.Requests.Mean = 100
	prior := &scoring.Model{Strata: map[string]*scoring.Behaviour{"user": base, scoring.Pooled: &other}}
	of := func(windows int) *scoring.Behaviour {
		b := &scoring.Behaviour{
			Windows: windows, Clients: 5, Requests: scoring.Counts{Mean: 6, Between: 6, Size: 6}, Objects: scoring.Counts{Mean: 6, Between: 6, Size: 6},
			Volume: scoring.Moments{Mean: 6, Between: 6, Within: 6}, Bytes: scoring.Moments{Mean: 6, Between: 6, Within: 6}, Entropy: scoring.Moments{Mean: 6, Between: 6, Within: 6},
			Load: scoring.Moments{Mean: 6, Between: 6, Within: 6}, Uploads: scoring.Moments{Mean: 6, Between: 6, Within: 6}, Writes: scoring.Counts{Mean: 6, Between: 6, Size: 6},
			EntropyFloor: 6, DayShift: 0.6,
		}
		for i := range b.Bounds {
			b.Bounds[i] = 0.6
		}
		for i := range b.Novelty {
			b.Novelty[i] = 0.06
		}
		return b
	}
	got := shrink(map[string]map[string]*scoring.Behaviour{
		"bank": {"user": of(priorWeight), "device": of(3 * priorWeight), "ip": of(minAPIWindows - 1)},
		"tiny": {"user": of(minAPIWindows - 1)},
	}, prior)
	b := got["bank"]["user"] // as many own windows as the prior weighs: half and half
	for name, pair := range map[string][2]float64{
		"requests": {b.Requests.Mean, 4}, "requests between": {b.Requests.Between, 4}, "requests size": {b.Requests.Size, 4},
		"objects": {b.Objects.Mean, 4}, "volume": {b.Volume.Within, 4}, "bytes": {b.Bytes.Between, 4}, "entropy": {b.Entropy.Mean, 4},
		"load": {b.Load.Mean, 4}, "uploads": {b.Uploads.Between, 4}, "writes": {b.Writes.Size, 4}, "floor": {b.EntropyFloor, 4},
		"logins": {b.Bounds[scoring.ShareLogin], 0.4}, "structure": {b.Bounds[scoring.ShareStructure], 0.4},
		"devices": {b.Novelty[scoring.SeenDevice], 0.04}, "networks": {b.Novelty[scoring.SeenNetwork], 0.04}, "days": {b.DayShift, 0.4},
		"windows": {float64(b.Windows), priorWeight}, "clients": {float64(b.Clients), 5}, "hour": {b.Hours[3], 1.5},
	} {
		if !near(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	// A type that the prior does not know leans on that of all.
	if d := got["bank"]["device"]; !near(d.Requests.Mean, 0.25*100+0.75*6) {
		t.Errorf("an unknown type: %v calls", d.Requests.Mean)
	}
	if got["bank"]["ip"] != nil || got["tiny"] != nil {
		t.Errorf("too few windows have numbers of their own: %v", got)
	}
}

// calls are logged in by three users, one of whom calls in two windows.
func calls(yield func(*schemas.Event)) error {
	e := schemas.NewEvent()
	for i, user := range []string{"a", "b", "a", "c", "a"} {
		e.User, e.API, e.Method, e.Path, e.Status = []byte(user), []byte("bank"), []byte("GET"), []byte("/x"), 200
		e.Time = baseUS + int64(i)*4_000_000
		yield(e)
	}
	return nil
}

func TestExtractYieldsEveryWindowOnEveryCall(t *testing.T) {
	cfg := features.DefaultConfig()
	cfg.Clients, cfg.Entities = 1000, 1000
	source := Extract(calls, cfg)
	for range 2 {
		var closed []string
		if err := Chain(source, source)(func(f *schemas.ClientFeatures) {
			if f.Final {
				at := time.Duration(f.WindowStart-baseUS) * time.Microsecond
				closed = append(closed, fmt.Sprintf("%s %s %d", f.Client, at, f.Requests))
			}
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(closed)
		want := []string{
			"user:a 0s 2", "user:a 0s 2", "user:a 10s 1", "user:a 10s 1",
			"user:b 0s 1", "user:b 0s 1", "user:c 10s 1", "user:c 10s 1",
		}
		if !slices.Equal(closed, want) {
			t.Errorf("windows %q, want %q", closed, want)
		}
	}
	broken := errors.New("no file")
	fails := func(func(*schemas.Event)) error { return broken }
	if err := Chain(source, Extract(fails, cfg))(func(*schemas.ClientFeatures) {}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	cfg.Hop = 0
	if err := Extract(calls, cfg)(func(*schemas.ClientFeatures) {}); !errors.Is(err, features.ErrConfig) {
		t.Errorf("error %v", err)
	}
}

func checkReadable(t *testing.T, m *scoring.Model) {
	t.Helper()
	var b bytes.Buffer
	version := m.Version
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := scoring.ReadModel(&b)
	if err != nil || got.Version != version {
		t.Errorf("written as %s, read as %v: %v", version, got, err)
	}
}
