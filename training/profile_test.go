package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

const (
	hopUS  = 10_000_000
	dayUS  = 24 * 3600 * 1_000_000
	baseUS = 1_790_000_000_000_000 / dayUS * dayUS
)

// window is a closed window of a client, at index i since midnight.
func window(client, api string, i int64, change func(*schemas.ClientFeatures)) *schemas.ClientFeatures {
	f := &schemas.ClientFeatures{
		Tenant: []byte("default"), Client: []byte(client), API: []byte(api), Final: true,
		WindowStart: baseUS + i*hopUS, WindowEnd: baseUS + (i+1)*hopUS, LastEvent: baseUS + i*hopUS + 1, FirstSeen: baseUS,
		Requests: 1,
	}
	if change != nil {
		change(f)
	}
	return f
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestMomentsMatchTheirClosedForm(t *testing.T) {
	p := NewProfile()
	// Two clients of six windows: calls 1…6 and 14 each time, and so on.
	for i := range int64(6) {
		p.Add(window("user:a", "bank", i, func(f *schemas.ClientFeatures) {
			f.Requests, f.WindowObjects = uint32(i+1), uint32(i%2*2)
			f.Decayed15m, f.Bytes15m = math.Expm1(float64(i)), math.Expm1(2)
		}))
		p.Add(window("user:b", "bank", i, func(f *schemas.ClientFeatures) {
			f.Requests, f.WindowObjects = 14, 5
			f.Decayed15m, f.Bytes15m = math.Expm1(10), math.Expm1(6)
		}))
	}
	open := window("user:a", "bank", 7, func(f *schemas.ClientFeatures) { f.Requests = 1e6 })
	open.Final = false
	p.Add(open)
	if p.Clients() != 2 {
		t.Fatalf("%d clients", p.Clients())
	}
	strata, apis := p.Behaviours()
	for name, b := range map[string]*scoring.Behaviour{"user": strata["user"], "all": strata[scoring.Pooled], "on the API": apis["bank"]["user"]} {
		if b.Clients != 2 || b.Windows != 12 {
			t.Errorf("%s: %d clients, %d windows", name, b.Clients, b.Windows)
		}
		// Means 3.5 and 14, of which (3.5 + 0) / 6 / 2 by chance; unbiased variances
		// 3.5 and 0.
		if !near(b.Requests.Mean, 8.75) || !near(b.Requests.Between, 27.5625-3.5/12) {
			t.Errorf("%s: calls %+v", name, b.Requests)
		}
		// Objects where any: means 2 and 5.
		if !near(b.Objects.Mean, 3.5) || !near(b.Objects.Between, 2.25) {
			t.Errorf("%s: objects %+v", name, b.Objects)
		}
		// ln(1+x) of 0…5 and 10: means 2.5 and 10, unbiased variances 3.5 and 0.
		if !near(b.Volume.Mean, 6.25) || !near(b.Volume.Between, 14.0625) || !near(b.Volume.Within, 1.75) {
			t.Errorf("%s: volume %+v", name, b.Volume)
		}
		if !near(b.Bytes.Mean, 4) || !near(b.Bytes.Between, 4) || !near(b.Bytes.Within, 0.01) {
			t.Errorf("%s: bytes %+v", name, b.Bytes)
		}
	}
}

// counted is a profile of one client per count sequence.
func counted(sequences [][]float64) []*clientProfile {
	var out []*clientProfile
	for _, xs := range sequences {
		c := &clientProfile{}
		for _, x := range xs {
			c.requests.add(x)
		}
		out = append(out, c)
	}
	return out
}

func TestSizeOfNegativeBinomialCountsIsRecovered(t *testing.T) {
	for _, size := range []float64{0.5, 2, 10} {
		rng := rand.New(rand.NewPCG(1, uint64(10*size)))
		var sequences [][]float64
		sum := 0.0
		for range 400 {
			mean := 2 + 8*rng.Float64()
			sum += mean
			var xs []float64
			for range 100 {
				g := distuv.Gamma{Alpha: size, Beta: size / mean, Src: rng}
				xs = append(xs, distuv.Poisson{Lambda: g.Rand(), Src: rng}.Rand())
			}
			sequences = append(sequences, xs)
		}
		got := counts(counted(sequences), func(c *clientProfile) *sums { return &c.requests })
		if math.Abs(got.Size/size-1) > 0.15 || math.Abs(got.Mean/(sum/400)-1) > 0.05 || got.Between < 64.0/12*0.7 {
			t.Errorf("size %g with means spread by %g: %+v", size, 64.0/12, got)
		}
	}
}

func TestCountsOfOddTrafficStayUsable(t *testing.T) {
	requests := func(c *clientProfile) *sums { return &c.requests }
	constant := counts(counted([][]float64{{3, 3, 3, 3, 3, 3}}), requests)
	if constant != (scoring.Counts{Mean: 3, Between: 0.05, Size: 50}) {
		t.Errorf("always three calls: %+v", constant)
	}
	wild := counts(counted([][]float64{{0, 0, 0, 0, 0, 1000}}), requests)
	if wild.Size != 0.2 {
		t.Errorf("a thousand calls once: %+v", wild)
	}
	if none := counts(nil, requests); none != (scoring.Counts{Mean: 1, Between: 1, Size: 1}) {
		t.Errorf("nothing: %+v", none)
	}
	if none := moments(counted([][]float64{{}}), requests); none != (scoring.Moments{Mean: 1, Between: 1, Within: 1}) {
		t.Errorf("moments of nothing: %+v", none)
	}
	if short := moments(counted([][]float64{{1, 2}}), requests); short.Within != 0.5 {
		t.Errorf("moments of two windows: %+v", short)
	}
}

func TestShareBoundIsAHighQuantileOverClients(t *testing.T) {
	clients := func(n int, share func(i int) (float64, float64)) []*clientProfile {
		var out []*clientProfile
		for i := range n {
			c := &clientProfile{}
			c.taken[1], c.trials[1] = share(i)
			out = append(out, c)
		}
		return out
	}
	of := func(c *clientProfile) (float64, float64) { return c.taken[1], c.trials[1] }
	for _, tc := range []struct {
		name string
		cs   []*clientProfile
		want float64
	}{
		{"nobody tried often enough", clients(50, func(int) (float64, float64) { return 5, minTrials - 1 }), 0.3},
		{"nobody", nil, 0.3},
		{"few clients: the highest", clients(100, func(i int) (float64, float64) { return float64(i), 200 }), 99.5 / 201},
		{"one in two thousand is an outlier", clients(2000, func(i int) (float64, float64) {
			if i == 7 {
				return 100, 100
			}
			return 40, 100
		}), 40.5 / 101},
		{"not below the floor", clients(100, func(int) (float64, float64) { return 0, 1000 }), 0.1},
		{"not above the ceiling", clients(100, func(int) (float64, float64) { return 1000, 1000 }), 0.5},
	} {
		if got := shareBound(tc.cs, 0.1, 0.5, of); !near(got, tc.want) {
			t.Errorf("%s: bound %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRefusalsAreCountedAsScoringCountsThem(t *testing.T) {
	p := NewProfile()
	for c := range 30 {
		for i := range int64(40) {
			p.Add(window(fmt.Sprintf("user:u%d", c), "bank", i, func(f *schemas.ClientFeatures) {
				f.Requests, f.ObjectNew, f.ObjectSequential = 4, 2, 3 // no more in sequence than are new
				f.ObjectAccesses = 4
				f.LoginAttempts, f.LoginNewAttempts, f.Status4xx = 1, 1, 2
				if i%2 == 0 {
					f.LoginFailures, f.LoginNewFailures, f.Unauthorized = 1, 1, 1
				} else {
					f.Forbidden = 1
				}
			}))
		}
	}
	strata, _ := p.Behaviours()
	b := strata["user"]
	for name, pair := range map[string][2]float64{
		"logins": {b.Bounds[scoring.ShareLogin], 0.45}, // 20.5 of 41, capped
		"denied": {b.Bounds[scoring.ShareDenied], 20.5 / 121},
		"bad":    {b.Bounds[scoring.ShareMissing], 40.5 / 121},
		"steps":  {b.Bounds[scoring.ShareWalk], 0.7},
	} {
		if !near(pair[0], pair[1]) {
			t.Errorf("%s: bound %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestEntropyIsOfFirstDaysWithEnoughIntervals(t *testing.T) {
	p := NewProfile()
	for c := range 100 {
		for d := range int64(2) {
			for i := range int64(3) {
				p.Add(window(fmt.Sprintf("user:u%d", c), "bank", d*8640+i, func(f *schemas.ClientFeatures) {
					f.Intervals, f.IntervalEntropy = uint32(minEntropyIntervals+i), 2+float64(c)/100
					if d == 1 {
						f.IntervalEntropy = 0 // later days have no vote
					}
				}))
			}
		}
		p.Add(window(fmt.Sprintf("ip:i%d", c), "bank", 0, func(f *schemas.ClientFeatures) { f.Intervals, f.IntervalEntropy = minEntropyIntervals-1, 0 }))
	}
	strata, _ := p.Behaviours()
	b := strata["user"]
	if !near(b.Entropy.Mean, 2.495) || !near(b.EntropyFloor, 2.03) {
		t.Errorf("entropy %+v, floor %v", b.Entropy, b.EntropyFloor)
	}
	if ip := strata["ip"]; ip.EntropyFloor != 2.2 || ip.Entropy.Mean != 3 {
		t.Errorf("without a reading: %+v, floor %v", ip.Entropy, ip.EntropyFloor)
	}
	for _, tc := range []struct{ h, want float64 }{{0.2, 1.3}, {4.5, 3}} {
		hs := make([]float64, 50)
		for i := range hs {
			hs[i] = tc.h
		}
		if _, floor := entropyOf(hs); floor != tc.want {
			t.Errorf("floor %v of clients at %v bits, want %v", floor, tc.h, tc.want)
		}
	}
}

func TestHoursAreShrunkTowardsTheDay(t *testing.T) {
	p := NewProfile()
	for c := range 500 {
		for hour := range int64(24) {
			for i := range int64(4) {
				p.Add(window(fmt.Sprintf("user:u%d", c), "bank", hour*360+i, func(f *schemas.ClientFeatures) {
					if f.Requests = 2; hour == 9 {
						f.Requests = 4
					}
				}))
			}
		}
	}
	strata, _ := p.Behaviours()
	day := (23*2 + 4) / 24.0
	for hour, want := range map[int]float64{9: (1000 + 2000*4/day) / 3000, 3: (1000 + 2000*2/day) / 3000} {
		if got := strata["user"].Hours[hour]; !near(got, want) {
			t.Errorf("hour %d: %v, want %v", hour, got, want)
		}
	}
	var empty [24]scoring.Baseline
	if got := hourProfile(&empty); got[5] != 1 {
		t.Errorf("an hour of nobody scales by %v", got[5])
	}
}

func TestEveryClientHasOneVoteHoweverMuchItCalls(t *testing.T) {
	p := NewProfile()
	for c := range 9 {
		for i := range int64(10) {
			p.Add(window(fmt.Sprintf("user:u%d", c), "bank", i, func(f *schemas.ClientFeatures) { f.Requests = 2 }))
		}
	}
	for i := range int64(5000) {
		p.Add(window("user:loud", "bank", i, func(f *schemas.ClientFeatures) { f.Requests = 102 }))
	}
	strata, _ := p.Behaviours()
	if got := strata["user"].Requests.Mean; !near(got, 12) {
		t.Errorf("mean %v: one client of ten outvotes the others", got)
	}
}

func TestStratumIsTheClientType(t *testing.T) {
	for client, want := range map[string]string{"user:u:1": "user", "ip:::1": "ip", "nothing": "", "": ""} {
		if got := Stratum([]byte(client)); got != want {
			t.Errorf("%q is of type %q, want %q", client, got, want)
		}
	}
}
