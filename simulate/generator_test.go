package simulate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

func mustNew(t testing.TB, cfg Config) *Generator {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// smallConfig is half a day of a few people with every attack in it.
func smallConfig() Config {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 150, 12*time.Hour
	// The machines that never rest have tests of their own.
	cfg.Mix.Dashboard, cfg.Mix.Indexer, cfg.Mix.Walker = 0, 0, 0
	cfg.Attacks = EveryAttack(30*time.Minute, 10*time.Minute, 1)
	for i := range cfg.Attacks {
		switch cfg.Attacks[i].Name {
		case schemas.AttackDistributedDoS, schemas.AttackExtremeClient:
			// The rest of these is more of the same.
			cfg.Attacks[i].Duration = time.Minute
		}
	}
	return cfg
}

func ndjson(t testing.TB, src Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := WriteNDJSON(&b, src); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// only passes on the events of one kind.
type only struct {
	g    *Generator
	keep func(Origin) bool
}

func (o only) Next(ev *schemas.Event) bool {
	for o.g.Next(ev) {
		if from, ok := o.g.Origin(ev.ID); ok && o.keep(from) {
			return true
		}
	}
	return false
}

func TestSameSeedGivesSameBytes(t *testing.T) {
	cfg := smallConfig()
	cfg.Clients, cfg.Duration = 130, 12*time.Hour
	first := sha256.Sum256(ndjson(t, mustNew(t, cfg)))
	if again := sha256.Sum256(ndjson(t, mustNew(t, cfg))); again != first {
		t.Error("a second run of one config differs")
	}
	cfg.Seed++
	if other := sha256.Sum256(ndjson(t, mustNew(t, cfg))); other == first {
		t.Error("another seed gives the same events")
	}
}

func TestEventsComeInTimeOrderWithUniqueIDs(t *testing.T) {
	cfg := smallConfig()
	g := mustNew(t, cfg)
	start, end := cfg.Start.UnixMicro(), cfg.Start.Add(cfg.Duration).UnixMicro()
	ev := schemas.NewEvent()
	ids := make(map[string]bool)
	last, n := start, 0
	for ; g.Next(ev); n++ {
		if ev.Time < last || ev.Time >= end {
			t.Fatalf("event %s at %d after one at %d, in %d to %d", ev.ID, ev.Time, last, start, end)
		}
		last = ev.Time
		if ids[string(ev.ID)] {
			t.Fatalf("id %s occurs twice", ev.ID)
		}
		ids[string(ev.ID)] = true
		if _, ok := g.Origin(ev.ID); !ok {
			t.Fatalf("no origin of %s", ev.ID)
		}
	}
	if n < 15_000 {
		t.Errorf("only %d events", n)
	}
	if g.Next(ev) {
		t.Error("an event after the end")
	}
}

func TestAttacksLeaveBenignEventsAlone(t *testing.T) {
	cfg := smallConfig()
	benign := func(o Origin) bool { return o.Class != "" }
	for _, name := range Framings() {
		cfg.Attacks = append(cfg.Attacks, AttackSpec{Name: name, Start: time.Hour})
	}
	with := ndjson(t, only{mustNew(t, cfg), benign})
	cfg.Attacks = nil
	without := ndjson(t, mustNew(t, cfg))
	if !bytes.Equal(with, without) {
		t.Error("benign events differ once there are attacks")
	}
}

func TestAttacksDoNotDependOnBenignActivity(t *testing.T) {
	cfg := smallConfig()
	cfg.Clients = 20
	// Who takes over an account needs somebody who has one.
	cfg.Attacks = slices.DeleteFunc(cfg.Attacks, func(a AttackSpec) bool { return a.Name == schemas.AttackAccountTakeover })
	hostile := func(o Origin) bool { return o.Attack != "" && !o.Cover }
	busy := ndjson(t, only{mustNew(t, cfg), hostile})
	cfg.Mix = Mix{Probe: 1}
	quiet := ndjson(t, only{mustNew(t, cfg), hostile})
	if !bytes.Equal(busy, quiet) {
		t.Error("hostile events differ with the mix of the population")
	}
}

func TestMoreClientsLeaveTheFirstAlone(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 120, 14*time.Hour
	few := ndjson(t, mustNew(t, cfg))
	cfg.Clients = 300
	first := func(o Origin) bool { return o.Index < 120 }
	if many := ndjson(t, only{mustNew(t, cfg), first}); !bytes.Equal(few, many) {
		t.Error("events of the first clients differ once there are more")
	}
}

func TestEveryEventDecodes(t *testing.T) {
	cfg := smallConfig()
	cfg.Tenant, cfg.Duration = "acme", 4*time.Hour
	for _, w := range []World{DefaultWorld(), OtherWorld()} {
		cfg.World = w
		g := mustNew(t, cfg)
		ev, back := schemas.NewEvent(), schemas.NewEvent()
		for g.Next(ev) {
			line := ev.AppendJSON(nil)
			if err := back.DecodeJSON(line); err != nil {
				t.Fatalf("decoding %s: %v", line, err)
			}
			if back.Time != ev.Time || !bytes.Equal(back.Path, ev.Path) || back.Status != ev.Status || string(back.Tenant) != "acme" {
				t.Fatalf("decoded otherwise: %s", line)
			}
			if len(ev.Path) == 0 || ev.Path[0] != '/' || len(ev.API) == 0 || len(ev.ClientIP) == 0 {
				t.Fatalf("incomplete: %s", line)
			}
			if bytes.ContainsAny(ev.Path, "{}") {
				t.Fatalf("placeholder left in path: %s", line)
			}
		}
	}
}

// keys maps a client key to the times of the events under it.
func keys(g *Generator, keep func(Origin) bool) map[string][]int64 {
	out := make(map[string][]int64)
	ev := schemas.NewEvent()
	for src := (only{g, keep}); src.Next(ev); {
		k := string(features.AppendClientKey(nil, ev))
		out[k] = append(out[k], ev.Time)
	}
	return out
}

func TestLabelsNameEntitiesThatOccurThen(t *testing.T) {
	for _, w := range []World{DefaultWorld(), OtherWorld()} {
		cfg := smallConfig()
		cfg.World = w
		hostile := keys(mustNew(t, cfg), func(o Origin) bool { return o.Attack != "" })
		// A badly configured API has no client key.
		atFault := func(o Origin) bool { return o.Attack == schemas.AttackMisconfiguration }
		for _, times := range keys(mustNew(t, cfg), atFault) {
			for _, api := range w.APIs {
				key := "api:" + api.Name
				hostile[key] = append(hostile[key], times...)
			}
		}
		labels := mustNew(t, cfg).Labels()
		seen := make(map[string]bool)
		for _, l := range labels {
			seen[l.Attack] = true
			key := schemas.Entity{Type: l.EntityType, Value: l.Entity}.String()
			if l.End.Before(l.Start) {
				t.Errorf("%s of %s ends before it starts", l.Attack, key)
			}
			for _, at := range []time.Time{l.Start, l.End} {
				if !slices.Contains(hostile[key], at.UnixMicro()) {
					t.Errorf("%s: no event of %s at %s", l.Attack, key, at)
				}
			}
		}
		for _, name := range Attacks() {
			if !seen[name] {
				t.Errorf("%s has no label", name)
			}
		}
	}
}

func TestNoBenignClientBearsALabel(t *testing.T) {
	cfg := smallConfig()
	cfg.Clients = 700
	g := mustNew(t, cfg)
	labels := g.Labels()
	benign := keys(g, func(o Origin) bool { return o.Class != "" })
	for _, l := range labels {
		if l.Attack == schemas.AttackAccountTakeover {
			// The calls of a thief come under the key of the account.
			continue
		}
		if key := l.EntityType + ":" + l.Entity; len(benign[key]) > 0 {
			t.Errorf("%s is labelled %s and benign", key, l.Attack)
		}
	}
}

func TestClientsAreKeysOfEvents(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 300, 48*time.Hour
	g := mustNew(t, cfg)
	clients := g.Clients()
	if len(clients) != 300 {
		t.Fatalf("%d clients", len(clients))
	}
	benign := keys(g, func(Origin) bool { return true })
	found, unique := 0, make(map[string]bool)
	for _, c := range clients {
		if len(benign[c.Key]) > 0 {
			found++
		}
		unique[c.Key] = true
	}
	if len(unique) != len(clients) {
		t.Errorf("%d clients under %d keys", len(clients), len(unique))
	}
	// Some people stay away for two days, or browse anonymously.
	if found < len(clients)*3/4 {
		t.Errorf("only %d of %d clients occur", found, len(clients))
	}
}

func TestNewRefuses(t *testing.T) {
	f := func(want error, change func(*Config)) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.Clients = 3
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	f(ErrConfig, func(c *Config) { c.Duration = 0 })
	f(ErrConfig, func(c *Config) { c.Clients = -1 })
	f(ErrConfig, func(c *Config) { c.Clients = MaxClients + 1 })
	f(ErrConfig, func(c *Config) { c.Activity = -2 })
	f(ErrConfig, func(c *Config) { c.APIs = []string{"bonk"} })
	f(ErrConfig, func(c *Config) { c.Mix.Human = -1 })
	f(ErrConfig, func(c *Config) { c.Start = time.Unix(5, 0) })
	f(ErrConfig, func(c *Config) { c.Surges = []Surge{{0, time.Hour, .5}} })
	f(ErrConfig, func(c *Config) { c.Attacks = []AttackSpec{{Name: "scraping", Intensity: 1e9}} })
	f(ErrConfig, func(c *Config) { c.Attacks = []AttackSpec{{Name: "scraping", Start: -1}} })
	f(ErrUnknownAttack, func(c *Config) { c.Attacks = []AttackSpec{{Name: "theft"}} })
	f(ErrUnknownAttack, func(c *Config) { c.Attacks = []AttackSpec{{Name: "scraping", Variant: "slowly"}} })
	f(ErrUnknownAttack, func(c *Config) { c.Attacks = []AttackSpec{{Name: "scraping", API: "bank"}} })
	f(ErrWorld, func(c *Config) { c.World.APIs = []API{{Name: "void"}} })
	f(ErrWorld, func(c *Config) {
		a := bankAPI()
		a.Pages[0].Next = []Link{{"nowhere", 1}}
		c.World.APIs = []API{a}
	})
	f(ErrWorld, func(c *Config) {
		a := bankAPI()
		a.Routes[3].Path = "/v1/{nothing}"
		c.World.APIs = []API{a}
	})
}

func TestOneAPIAloneIsEnough(t *testing.T) {
	for _, name := range []string{"bank", "shop"} {
		cfg := smallConfig()
		cfg.APIs = []string{name}
		cfg.Attacks = nil
		ev := schemas.NewEvent()
		n := 0
		for g := mustNew(t, cfg); g.Next(ev); n++ {
			if string(ev.API) != name {
				t.Fatalf("event of %s", ev.API)
			}
		}
		if n == 0 {
			t.Errorf("%s: no events", name)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	cfg := smallConfig()
	cfg.Clients, cfg.Duration = 5, time.Minute
	g, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"sim-3-1", "sim-a0-9", "sim-", "sim-99999999999999-1", "sim-a", "x", "sim-5-0", "sim-a99999-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		o, ok := g.Origin([]byte(id))
		if ok && (o.Class == "") == (o.Attack == "") {
			t.Errorf("%q is of class %q and attack %q", id, o.Class, o.Attack)
		}
	})
}

func TestNextDoesNotAllocate(t *testing.T) {
	g := mustNew(t, smallConfig())
	ev := schemas.NewEvent()
	if n := testing.AllocsPerRun(20_000, func() { g.Next(ev) }); n > 0 {
		t.Errorf("%g allocations per event", n)
	}
}

func BenchmarkNext(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 20_000, 1000*24*time.Hour
	g := mustNew(b, cfg)
	ev := schemas.NewEvent()
	b.ReportAllocs()
	for b.Loop() {
		if !g.Next(ev) {
			b.Fatal("out of events")
		}
	}
}

func BenchmarkWriteNDJSON(b *testing.B) {
	cfg := DefaultConfig()
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		n, err := WriteNDJSON(io.Discard, mustNew(b, cfg))
		if err != nil {
			b.Fatal(err)
		}
		events += n
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkNew(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Clients = 10_000
	b.ReportAllocs()
	for b.Loop() {
		mustNew(b, cfg)
	}
}
