package simulate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

func TestOutageMakesRetryStorms(t *testing.T) {
	t.Parallel()
	cfg := alone(Mix{Mobile: 4, Job: 2, Dashboard: .2, Partner: 1}, 500, 7*time.Hour)
	cfg.Start = cfg.Start.Add(8 * time.Hour)
	cfg.Outages = []Outage{{API: "bank", Start: 6 * time.Hour, Duration: 8 * time.Minute}}
	from, until := cfg.Start.Add(6*time.Hour).UnixMicro(), cfg.Start.Add(6*time.Hour+8*time.Minute).UnixMicro()
	during, failing := 0, 0
	rate, calm := make(map[int]int), make(map[int]int)
	classes := make(map[int]Class)
	elsewhere := 0
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		inside := ev.Time >= from && ev.Time < until
		switch {
		case inside && string(ev.API) == "bank":
			during++
			if failed(ev.Status) {
				failing++
			}
			rate[o.Index]++
		case inside && failed(ev.Status):
			elsewhere++
		case string(ev.API) == "bank" && ev.Time < from:
			calm[o.Index]++
		}
		classes[o.Index] = o.Class
	})
	within(t, "share of calls that fail in an outage", float64(failing)/float64(during), .93, 1)
	if elsewhere > 60 {
		t.Errorf("%d failures of the other API", elsewhere)
	}
	storms := map[Class]int{}
	for i, n := range rate {
		// 45 spans of eight minutes came before.
		if usual := float64(calm[i]) / 45; n >= 8 && float64(n) > 10*usual {
			storms[classes[i]]++
		}
	}
	if storms[ClassMobile] < 8 || storms[ClassJob] < 1 {
		t.Errorf("at ten times their rate: %v", storms)
	}
}

func TestDeployMovesRoutes(t *testing.T) {
	t.Parallel()
	cfg := alone(Mix{Human: 3, Mobile: 3, Partner: .5}, 500, 24*time.Hour)
	cfg.Deploys = []Deploy{{API: "bank", At: 12 * time.Hour, Adoption: 6 * time.Hour}}
	at := cfg.Start.Add(12 * time.Hour).UnixMicro()
	var before, after, lost, old, stillOld, expanded int
	size := map[bool][]int64{}
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		if string(ev.API) != "bank" {
			return
		}
		moved := strings.HasPrefix(string(ev.Path), "/v2/")
		if string(ev.Route) != "" && bytes.HasPrefix(ev.Route, []byte("/v2/")) != moved {
			t.Fatalf("%s with template %s", ev.Path, ev.Route)
		}
		switch {
		case ev.Time < at:
			if moved {
				t.Fatalf("%s before the deploy", ev.Path)
			}
			before++
		case moved:
			after++
			if bytes.Contains(ev.Query, []byte("expand=all")) {
				expanded++
			}
			if ev.Time >= at+6*hour {
				break
			}
		default:
			old++
			if ev.Status == 404 || ev.Status == 410 {
				lost++
				if ev.Time > at+6*hour {
					stillOld++
				}
			}
		}
		if strings.HasSuffix(string(ev.Route), "/summary") && ev.Status == 200 {
			size[moved] = append(size[moved], ev.RespBytes)
		}
	})
	within(t, "share of moved calls after the deploy", float64(after)/float64(after+old), .15, .8)
	within(t, "share of 404 and 410 on old routes", float64(lost)/float64(old), .02, .3)
	if stillOld > old/50 || expanded < after/3 {
		t.Errorf("%d lost calls after everybody is updated, %d of %d moved ones with the parameter", stillOld, expanded, after)
	}
	mid := func(v []int64) float64 {
		slices.Sort(v)
		return float64(v[len(v)/2])
	}
	if len(size[true]) > 0 {
		within(t, "growth of the summary", mid(size[true])/mid(size[false]), 1.8, 2.2)
	} else {
		t.Error("the summary did not move")
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/v1/accounts/": "/v2/accounts/", "/api/cart": "/api/v2/cart", "/me": "/v2/me", "/v3/find": "/v4/find",
		"/vouchers": "/v2/vouchers", "/api/v2/x": "/api/v3/x", "/v1": "/v2",
	} {
		if got := string(renamed([]byte(in))); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func TestCrowdsBringNewcomersOnly(t *testing.T) {
	t.Parallel()
	cfg := alone(Mix{Human: 1}, 100, 12*time.Hour)
	usual := sha256.Sum256(ndjson(t, mustNew(t, cfg)))
	cfg.Crowds = []Crowd{{Start: 6 * time.Hour, Duration: time.Hour, Newcomers: 400}}
	known := only{mustNew(t, cfg), func(o Origin) bool { return o.Class == ClassHuman }}
	if again := sha256.Sum256(ndjson(t, known)); again != usual {
		t.Error("a crowd changes what others do")
	}
	first := make(map[int]int64)
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		if _, ok := first[o.Index]; !ok && o.Class == ClassNewcomer {
			first[o.Index] = ev.Time - cfg.Start.UnixMicro()
			if string(ev.API) != "shop" {
				t.Errorf("a newcomer at %s", ev.API)
			}
		}
	})
	if len(first) != 400 {
		t.Errorf("%d newcomers came", len(first))
	}
	for i, at := range first {
		if at < 6*hour || at >= 7*hour {
			t.Errorf("newcomer %d comes after %.2f h", i, float64(at)/hour)
		}
	}
}

func TestResetWaves(t *testing.T) {
	t.Parallel()
	count := func(cfg Config) (fails, resets int) {
		each(t, cfg, func(ev *schemas.Event, _ Origin) {
			if len(ev.LoginUser) > 0 && ev.Status == 401 {
				fails++
			}
			if p := string(ev.Path); p == "/v1/password/reset" || p == "/api/password" {
				resets++
			}
		})
		return fails, resets
	}
	cfg := alone(Mix{Human: 1, Mobile: 1}, 400, 24*time.Hour)
	calmFails, calmResets := count(cfg)
	cfg.Resets = []ResetWave{{Start: 6 * time.Hour, Duration: 12 * time.Hour, Share: .5}}
	fails, resets := count(cfg)
	if resets < calmResets+40 || fails < calmFails+40 || resets > 400 {
		t.Errorf("%d failures and %d resets in a wave, %d and %d else", fails, resets, calmFails, calmResets)
	}
}

func TestLaunchesAreQuietUntilTheyAreLive(t *testing.T) {
	t.Parallel()
	cfg := alone(Mix{Human: 1}, 60, 5*24*time.Hour)
	usual := sha256.Sum256(ndjson(t, mustNew(t, cfg)))
	cfg.Launches = []Launch{{API: NewAPI(), At: 48 * time.Hour, Clients: 40}, TinyLaunch()}
	live := cfg.Start.Add(48 * time.Hour).UnixMicro()
	calls := make(map[string]int)
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		api := string(ev.API)
		calls[api]++
		if api == "loyalty" && (ev.Time < live || o.Class != ClassAdopter) {
			t.Errorf("a call by %s at %d", o.Class, ev.Time)
		}
	})
	within(t, "calls of the tiny API in a working week", float64(calls["registry"]), 40, 100)
	if calls["loyalty"] < 500 {
		t.Errorf("%d calls of the new API", calls["loyalty"])
	}
	known := only{mustNew(t, cfg), func(o Origin) bool { return o.Class == ClassHuman }}
	if again := sha256.Sum256(ndjson(t, known)); again != usual {
		t.Error("launches change what others do")
	}
}

func TestClockSkewMovesTimesAndNothingElse(t *testing.T) {
	t.Parallel()
	cfg := alone(DefaultMix(), 200, 2*time.Hour)
	times := make(map[string]int64)
	each(t, cfg, func(ev *schemas.Event, _ Origin) { times[string(ev.ID)] = ev.Time })
	cfg.ClockSkew = 8 * time.Second
	skewed, most := make(map[int]bool), int64(0)
	n := 0
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		off := ev.Time - times[string(ev.ID)]
		if n++; off != 0 {
			skewed[o.Index] = true
			most = max(most, off, -off)
		}
	})
	if n != len(times) || most == 0 || most > 8*second || len(skewed) == 0 || len(skewed) > 12 {
		t.Errorf("%d of %d events, %d skewed clients by up to %d µs", n, len(times), len(skewed), most)
	}
}

func TestEventfulIsDeterministicAndUsable(t *testing.T) {
	t.Parallel()
	cfg := alone(DefaultMix(), 150, 3*24*time.Hour)
	outages, crowds := 0, 0
	for seed := range uint64(12) {
		cfg.Seed = seed
		e := cfg.Eventful()
		if len(e.Outages) == 0 || len(e.Launches) != 2 {
			t.Errorf("seed %d: %d outages and %d launches", seed, len(e.Outages), len(e.Launches))
		}
		for _, o := range e.Outages {
			if o.Duration < 3*time.Minute || o.Duration > 10*time.Minute+time.Second || o.Start >= cfg.Duration {
				t.Errorf("outage %+v", o)
			}
		}
		outages, crowds = outages+len(e.Outages), crowds+len(e.Crowds)
		mustNew(t, e)
	}
	within(t, "outages in twelve times three days", float64(outages), 15, 45)
	within(t, "crowds", float64(crowds), 3, 20)
	cfg.Clients, cfg.Duration = 60, 6*time.Hour
	a, b := ndjson(t, mustNew(t, cfg.Eventful())), ndjson(t, mustNew(t, cfg.Eventful()))
	if !bytes.Equal(a, b) {
		t.Error("a second run differs")
	}
	if len(cfg.Outages)+len(cfg.Launches) != 0 {
		t.Error("the Config itself was changed")
	}
}

func TestEventsRefuse(t *testing.T) {
	t.Parallel()
	for i, change := range []func(*Config){
		func(c *Config) { c.Outages = []Outage{{API: "bonk", Duration: time.Hour}} },
		func(c *Config) { c.Outages = []Outage{{}} },
		func(c *Config) { c.Deploys = []Deploy{{API: "bonk"}} },
		func(c *Config) { c.Deploys = []Deploy{{At: time.Hour}, {At: time.Minute}} },
		func(c *Config) { c.Crowds = []Crowd{{Newcomers: 1}} },
		func(c *Config) { c.Crowds = []Crowd{{Duration: time.Hour, Newcomers: kioskUsers}} },
		func(c *Config) { c.Resets = []ResetWave{{Duration: time.Hour}} },
		func(c *Config) { c.Resets = make([]ResetWave, 17) },
		func(c *Config) { c.Launches = []Launch{{API: bankAPI()}} },
		func(c *Config) { c.Launches = []Launch{{API: NewAPI(), Clients: -1}} },
		func(c *Config) { c.ClockSkew = -1 },
	} {
		cfg := DefaultConfig()
		cfg.Clients = 2
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("change %d: error %v", i, err)
		}
	}
}

func TestClassOfKnowsEveryBenignKey(t *testing.T) {
	t.Parallel()
	cfg := smallConfig()
	cfg.Clients, cfg.Duration = 250, 6*time.Hour
	g := mustNew(t, cfg)
	ev := schemas.NewEvent()
	agree, all := 0, 0
	for g.Next(ev) {
		o, _ := g.Origin(ev.ID)
		class, ok := g.ClassOf(string(features.AppendClientKey(nil, ev)))
		if o.Class == "" {
			continue
		}
		if !ok {
			t.Fatalf("no class of %s's key", ev.ID)
		}
		if all++; class == o.Class {
			agree++
		}
	}
	// Addresses and devices of networks are shared.
	within(t, "share of calls whose key tells the class", float64(agree)/float64(all), .98, 1)
	for _, l := range g.Labels() {
		if l.EntityType == features.ClientUser && l.Attack != schemas.AttackAccountTakeover {
			if c, ok := g.ClassOf(l.EntityType + ":" + l.Entity); ok {
				t.Errorf("attacker %s is %s", l.Entity, c)
			}
		}
	}
	if _, ok := g.ClassOf("user:nobody"); ok {
		t.Error("a class of nobody")
	}
}

func TestAllowedAreRobotsAndProbes(t *testing.T) {
	t.Parallel()
	cfg := alone(DefaultMix(), 600, time.Hour)
	g := mustNew(t, cfg)
	allowed := g.Allowed()
	want := 0
	for _, c := range g.Clients() {
		if slices.Contains([]Class{ClassIndexer, ClassProbe, ClassHeartbeat}, c.Class) {
			if want++; !slices.Contains(allowed, c.Key) {
				t.Errorf("%s %s is not allowed", c.Class, c.Key)
			}
		}
	}
	var b bytes.Buffer
	if err := WriteClasses(&b, g); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if n := strings.Count(b.String(), `"allowed":true`); n != want || len(lines) < 100 || !slices.IsSorted(lines) {
		t.Errorf("%d lines of classes, %d of them allowed", len(lines), n)
	}
	if len(allowed) != want || want < 4 || !slices.IsSorted(allowed) {
		t.Errorf("%d allowed of %d: %v", len(allowed), want, allowed)
	}
}

func TestEveryClassLivesInEveryWorld(t *testing.T) {
	t.Parallel()
	for _, w := range []World{OtherWorld(), {APIs: []API{bankAPI()}}, {APIs: []API{shopAPI()}}, {APIs: []API{NewAPI()}}, {APIs: []API{TinyAPI()}}} {
		var m Mix
		for _, f := range m.fields() {
			*f = 1
		}
		m.Dashboard, m.Indexer, m.Walker = .3, .3, .3
		cfg := alone(m, 70, 18*time.Hour)
		cfg.Start = time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
		cfg.World = w
		cfg.Deploys = []Deploy{{At: 6 * time.Hour}, {At: 12 * time.Hour, Adoption: time.Hour}}
		cfg.Outages = []Outage{{Start: 9 * time.Hour, Duration: 5 * time.Minute}}
		cfg.Resets = []ResetWave{{Start: 9 * time.Hour, Duration: 5 * time.Hour, Share: 1}}
		cfg.Crowds = []Crowd{{Start: 10 * time.Hour, Duration: time.Hour, Newcomers: 20}}
		sparse := TinyAPI()
		sparse.Name = "second"
		cfg.Launches = []Launch{{API: sparse, Clients: 4, CallsPerDay: 400}}
		seen := make(map[Class]bool)
		each(t, cfg, func(ev *schemas.Event, o Origin) {
			seen[o.Class] = true
			if len(ev.Path) == 0 || bytes.ContainsAny(ev.Path, "{}") || bytes.Contains(ev.Query, []byte("{")) {
				t.Fatalf("%s asks for %s?%s", ev.ID, ev.Path, ev.Query)
			}
		})
		if len(seen) < mixClasses+1 {
			t.Errorf("%s: only %d classes called", w.APIs[0].Name, len(seen))
		}
	}
}

func TestNoClassAllocates(t *testing.T) {
	cfg := alone(DefaultMix(), 400, 30*24*time.Hour).Eventful()
	g := mustNew(t, cfg)
	ev := schemas.NewEvent()
	for range 60_000 {
		g.Next(ev)
	}
	if n := testing.AllocsPerRun(60_000, func() { g.Next(ev) }); n > 0 {
		t.Errorf("%g allocations per event", n)
	}
}
