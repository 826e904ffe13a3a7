package eval

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

func smallWorld(clients int) simulate.Config {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = 9, clients, 6*time.Hour
	return cfg
}

func TestPoisonIsMergedInOrderOfTimeAndAlikeEachTime(t *testing.T) {
	cfg := smallWorld(30)
	crowd := []*steady{newSteady(1, cfg.Start, cfg.Duration, 0.02), newSteady(2, cfg.Start, cfg.Duration, 0.05)}
	events := among(eventsOf(t.Context(), cfg, nil), crowd)
	read := func() (sum uint64, counts map[string]int) {
		counts = map[string]int{}
		last := int64(0)
		if err := events(func(ev *schemas.Event) {
			if ev.Time < last {
				t.Fatalf("from %d back to %d", last, ev.Time)
			}
			last = ev.Time
			counts[string(ev.User)]++
			sum = sum*31 + uint64(ev.Time) + uint64(len(ev.ID))
		}); err != nil {
			t.Fatal(err)
		}
		return sum, counts
	}
	a, counts := read()
	b, _ := read()
	if a != b {
		t.Error("two readings differ")
	}
	// Poisson counts of six hours: 432 and 1080, give or take five standard deviations.
	for name, want := range map[string]float64{"u-steady-1": 432, "u-steady-2": 1080} {
		if got := float64(counts[name]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("%s called %v times, want about %v", name, got, want)
		}
	}
}

func TestHistoryIsCutAtItsWindows(t *testing.T) {
	const n = 40
	seen := map[string]map[string]bool{}
	err := firstWindows(eventsOf(t.Context(), smallWorld(60), nil), n)(func(ev *schemas.Event) {
		if seen[string(ev.API)] == nil {
			seen[string(ev.API)] = map[string]bool{}
		}
		key := features.AppendClientKey(nil, ev)
		seen[string(ev.API)][string(key)+time.UnixMicro(ev.Time).UTC().Truncate(10*time.Second).String()] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 {
		t.Fatalf("APIs %v", seen)
	}
	for api, windows := range seen {
		if len(windows) != n {
			t.Errorf("%s has %d windows, want %d", api, len(windows), n)
		}
	}
}

func TestHalvesShareNoClientAndAreAboutAsLarge(t *testing.T) {
	count := map[bool]int{}
	keys := map[string]bool{}
	err := eventsOf(t.Context(), smallWorld(400), nil)(func(ev *schemas.Event) {
		if key := features.AppendClientKey(nil, ev); !keys[string(key)] {
			keys[string(key)] = true
			count[half(key)]++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	n := float64(len(keys))
	if math.Abs(float64(count[true])-n/2) > 4*math.Sqrt(n)/2 {
		t.Errorf("%d of %v clients in the one half", count[true], n)
	}
}

func TestEveryAttackHasItsPlaceOnce(t *testing.T) {
	cfg := smallWorld(10)
	specs, err := everyAttack(cfg, time.Hour, time.Minute, 2, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for i, s := range specs {
		count[s.Name+"/"+s.Variant]++
		if s.Start != time.Hour+time.Duration(i)*time.Minute || s.Intensity != 0.5 {
			t.Errorf("attack %d: %+v", i, s)
		}
	}
	for _, a := range simulate.EveryAttack(0, 0, 1) {
		want := 2
		if a.Name == schemas.AttackMisconfiguration || a.Variant == "boiling-frog" {
			want = 0
		}
		if count[a.Name+"/"+a.Variant] != want {
			t.Errorf("%s/%s %d times, want %d", a.Name, a.Variant, count[a.Name+"/"+a.Variant], want)
		}
	}
}

// ranked feeds one client-day of windows to a ranking under one layer.
func ranked(layer *scoring.Calibration, client string, evidence, nats []float64) *Ranking {
	r := NewRanking([]schemas.Label{label("user", "attacker", "probing", 0, time.Hour)})
	r.layer = func([]byte) (*scoring.Calibration, string) { return layer, "people" }
	r.call(call(client, 0), benign(1))
	for i := range evidence {
		var scores scoring.Scores
		scores[scoring.ChannelBurst] = nats[i]
		r.observe(&schemas.ClientFeatures{
			Client: []byte("user:" + client), API: []byte("bank"), Final: true,
			WindowStart: noon.UnixMicro(), LastEvent: at(time.Minute).UnixMicro(),
		}, evidence[i], &scores)
	}
	return r
}

func layerOf(n int) *scoring.Calibration {
	c := &scoring.Calibration{N: n}
	for i := range 500 {
		c.Top = append(c.Top, float64(500-i))
	}
	return c
}

func TestRankingCountsWhatLiesAboveItsThreshold(t *testing.T) {
	layer := layerOf(30_000)
	threshold, _ := layer.Threshold(1e-2)
	high := ranked(layer, "u", []float64{1, threshold + 1, 2}, []float64{1, 1, 1})
	low := ranked(layer, "u", []float64{threshold}, []float64{0}) // at it is not above it
	rows := Rates([]*Ranking{high, low}, []float64{1e-2})
	if rows[0].Days != 2 || rows[0].Blocked != 1 || rows[0].Rate != 0.5 || rows[0].Kind != kindConformal {
		t.Errorf("%+v", rows[0])
	}
	if attack := ranked(layer, "attacker", []float64{threshold + 1}, []float64{0}); len(attack.benign) != 0 || !thresholdsAt(1e-2).exceeded(attack.attacks[0].peaks) {
		t.Error("a labelled client's evidence is the attack's")
	}
}

func TestNaiveRatesTakeWindowsForIndependent(t *testing.T) {
	layer := layerOf(30_000)
	// Ten windows of p = 1/e each: the product is e^-10, below 1e-4. Fisher's
	// statistic is 20 with 20 degrees of freedom, p = 0.458. Each bet is
	// sqrt(e)/2 < 1.
	var evidence, nats []float64
	for range 10 {
		evidence, nats = append(evidence, 0), append(nats, 1)
	}
	row := Rates([]*Ranking{ranked(layer, "u", evidence, nats)}, []float64{1e-4})[0]
	if row.NaiveProduct != 1 || row.NaiveFisher != 0 || row.NaiveBets != 0 {
		t.Errorf("%+v", row)
	}
	// One window of p = e^-25: all of them.
	row = Rates([]*Ranking{ranked(layer, "u", []float64{0}, []float64{25})}, []float64{1e-4})[0]
	if row.NaiveProduct != 1 || row.NaiveFisher != 1 || row.NaiveBets != 1 {
		t.Errorf("%+v", row)
	}
}

func TestSmallLayersClaimNothing(t *testing.T) {
	row := Rates([]*Ranking{ranked(&scoring.Calibration{N: 10, Top: []float64{3}}, "u", []float64{1e9}, []float64{0})}, []float64{1e-3})[0]
	if row.Kind != kindNone || row.Blocked != 0 || row.StatedHigh != 0 || !row.Inside() {
		t.Errorf("%+v", row)
	}
}

func TestWorkEndsAtItsFirstError(t *testing.T) {
	o := &Options{Workers: 2}
	_, err := each(t.Context(), o, "", 50, func(_ context.Context, i int) (int, error) {
		if i == 3 {
			return 0, ErrNoSuite
		}
		return i, nil
	})
	if err != ErrNoSuite {
		t.Error(err)
	}
	got, err := each(t.Context(), o, "", 50, func(_ context.Context, i int) (int, error) { return i * i, nil })
	if err != nil || got[7] != 49 || len(got) != 50 {
		t.Errorf("%v, %v", got, err)
	}
}
