package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

// TestFloodOfIdentitiesChangesNeitherMemoryNorAnybodysScore: in one simulated
// minute far more client keys appear than a worker may remember.
func TestFloodOfIdentitiesChangesNeitherMemoryNorAnybodysScore(t *testing.T) {
	t.Parallel()
	const (
		partitions = 4
		heapBound  = 32 << 20 // bytes by which the heap may grow once all room is taken
	)
	keys, maxClients := choose(60_000, 1_000_000), choose(5_000, 50_000)

	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Start = 8, cfg.Start.Add(9*hour)
	cfg.Clients, cfg.Duration, cfg.Activity = choose(300, 2_000), 40*minute, 30
	for i, attack := range []string{"credential-stuffing", "object-enumeration", "scraping"} {
		cfg.Attacks = append(cfg.Attacks, simulate.AttackSpec{Name: attack, Start: time.Duration(8*i+2) * minute})
	}
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	hostile := map[string]bool{}
	for _, l := range g.Labels() {
		hostile[l.EntityType+":"+l.Entity] = true
	}
	usual := simulate.Collect(g, -1, features.AppendClientKey)
	flood := simulate.Collect(simulate.Flood(8, keys, cfg.Start.Add(20*minute), minute), -1, features.AppendClientKey)
	floods := map[string]bool{}
	for _, r := range flood {
		floods[string(r.Key)] = true
	}
	if len(floods) != keys {
		t.Fatalf("%d keys, want %d", len(floods), keys)
	}
	mixed := slices.Concat(usual, flood)
	slices.SortStableFunc(mixed, func(a, b simulate.Record) int { return cmp.Compare(a.Time, b.Time) })
	before := slices.IndexFunc(mixed, func(r simulate.Record) bool { return floods[string(r.Key)] })
	// After a quarter all the room that there is has been taken; what follows
	// must find its own by forgetting what came before.
	quarter := slices.IndexFunc(mixed, func(r simulate.Record) bool { return r.Time >= flood[len(flood)/4].Time })
	end := closing(usual)

	broker := embedded(t)
	play := func(prefix string, parts ...[]simulate.Record) (*outcome, []float64) {
		d := deploy(t, broker, prefix, partitions)
		admin := freeAddress(t)
		p := d.worker(config.RoleExtract+","+config.RoleScore, "--listen.admin", admin, "--features.max-clients", fmt.Sprint(maxClients))
		s := service{process: p, d: d, admin: admin}
		var heap []float64
		for i, part := range parts {
			for _, e := range part {
				d.send(e)
			}
			d.flush()
			if i == len(parts)-1 {
				d.tick(end)
			}
			d.drain(3*minute, p)
			heap = append(heap, s.heap(t))
		}
		p.stop(t)
		o := &outcome{}
		d.readVerdicts(o)
		return o, heap
	}
	calm, calmHeap := play("calm.", usual)
	began := time.Now()
	flooded, heap := play("flooded.", mixed[:before], mixed[before:quarter], mixed[quarter:])
	took := time.Since(began)

	if grown := heap[2] - heap[1]; grown > heapBound {
		t.Errorf("the heap grew from %.1f MiB at a quarter of the flood to %.1f MiB after it", heap[1]/(1<<20), heap[2]/(1<<20))
	}
	ofFlood := 0
	for id, text := range flooded.verdicts {
		v := decodeVerdict(t, text)
		switch who := v.Entity.String(); {
		case v.Entity.Type == schemas.EntityAPI || v.Entity.Type == schemas.ScopeCohort:
			// That an API is flooded is said of the API, and of what the flood shares.
			delete(flooded.verdicts, id)
		case floods[who]:
			ofFlood++
			delete(flooded.verdicts, id)
			if v.Action == schemas.ActionBlock {
				t.Errorf("a client of one or two calls was blocked: %s", text)
			}
		case v.Action == schemas.ActionBlock && !hostile[who]:
			t.Errorf("a benign client was blocked: %s", text)
		}
	}
	sameTexts(t, "verdict", flooded.verdicts, calm.verdicts)
	if calm.blocks(t) == 0 {
		t.Error("nothing was blocked that could have changed")
	}
	t.Logf("figures: %d new keys in a minute against room for %d clients, among %d other events; "+
		"heap after collection %.1f MiB before the flood, %.1f MiB at a quarter of it, %.1f MiB after it (bound on growth since the quarter %d MiB; %.1f MiB without a flood); "+
		"%d verdicts (%d blocks) unchanged, %d of the flood's keys judged unusual, none blocked; %.0f s",
		keys, maxClients, len(usual), heap[0]/(1<<20), heap[1]/(1<<20), heap[2]/(1<<20), heapBound>>20, calmHeap[0]/(1<<20),
		len(calm.verdicts), calm.blocks(t), ofFlood, took.Seconds())
}

// heap is what a process keeps after a garbage collection, bytes.
func (s *service) heap(t *testing.T) float64 {
	t.Helper()
	for range 2 { // what finalizers free goes with the second
		if code, body := get("http://"+s.admin+"/debug/pprof/heap?gc=1", nil); code != 200 {
			t.Fatalf("collecting garbage: %d %s", code, strings.TrimSpace(body))
		}
	}
	return s.metric(t, "go_memstats_heap_alloc_bytes", "")
}
