package crowd

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// everything is a flood, a login run, and routes that reveal themselves.
func everything() scene {
	return scenes(people(500, 0.05, 0.5),
		between(120, 150, flood(60, 5, many("65%03d", 60), always("t13bot"))),
		between(110, 200, tries(2, many("66%03d", 700), always("t13try"))),
		between(170, 190, crowd(200)))
}

// record is an aggregate as a source wrote it.
func records(hops, sources int) (bySource [][]*schemas.Aggregate) {
	bySource = make([][]*schemas.Aggregate, sources)
	s := everything()
	for hop := range hops {
		for _, a := range windowOf(hop, sources, s) {
			bySource[a.Source] = append(bySource[a.Source], a)
		}
		if hop%6 == 5 {
			for source := range sources {
				bySource[source] = append(bySource[source], routeShares(hop-5, source, sources)...)
			}
		}
		for source := range sources {
			// A source that has nothing else to say may pass over marks.
			if (hop+source)%3 > 0 || hop >= hops-2 || hop%6 == 5 {
				bySource[source] = append(bySource[source], markOf(hop, source))
			}
		}
	}
	return bySource
}

// routeShares are a source's share of a minute of four routes.
func routeShares(hop, source, sources int) (out []*schemas.Aggregate) {
	for i, name := range []string{"GET /a", "GET /b/{int}", "POST /c", "DELETE /open"} {
		a := &schemas.Aggregate{
			Tenant: []byte("default"), EntityType: []byte(schemas.EntityRoute), Entity: []byte(name), API: []byte("bank"),
			WindowStart: int64(begin + hop*hopUS), WindowEnd: int64(begin + (hop+6)*hopUS), Source: int32(source),
		}
		for n := range 48 {
			if n%sources == source {
				a.Requests++
				if i < 3 {
					a.Identified++
				} else {
					a.Anonymous++
				}
			}
		}
		out = append(out, a)
	}
	return out
}

// interleave merges the sources' records: each keeps its order, and the sources
// overtake each other at will.
func interleave(bySource [][]*schemas.Aggregate, seed uint64) (out []*schemas.Aggregate) {
	r := rand.New(rand.NewPCG(seed, 3))
	at := make([]int, len(bySource))
	left := 0
	for _, s := range bySource {
		left += len(s)
	}
	for left > 0 {
		s := r.IntN(len(bySource))
		// Runs of unlike length, so that sources fall far behind.
		for range 1 + r.IntN(200) {
			if at[s] == len(bySource[s]) {
				break
			}
			out = append(out, bySource[s][at[s]])
			at[s]++
			left--
		}
	}
	return out
}

// outcome is everything decided, in an order of its own.
func (o *played) outcome() string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(o.verdicts)) {
		lines = append(lines, o.verdicts[id])
	}
	return strings.Join(append(lines, o.log...), "\n")
}

func TestResultsDoNotDependOnSourcesOrArrival(t *testing.T) {
	const hops = 240
	var want string
	for _, sources := range []int{1, 4, 16} {
		bySource := records(hops, sources)
		for seed := range uint64(2) {
			c, o := newCrowd(t, Config{Sources: sources, Shards: 1 + int(seed)}), newPlayed()
			for i, a := range interleave(bySource, seed) {
				c.Apply(a, int64(i), o)
			}
			if c.Stats != (Stats{}) {
				t.Errorf("left out: %+v", c.Stats)
			}
			got := o.outcome()
			if want == "" {
				want = got
				attacks := map[string]bool{}
				for _, v := range o.list {
					attacks[v.Attack+" "+string(v.Action)+" "+v.Entity.Type] = true
				}
				for _, a := range []string{
					"distributed-dos block cohort", "credential-stuffing block cohort", "distributed-dos observe api", "misconfiguration observe route",
				} {
					if !attacks[a] {
						t.Errorf("the scene shows no %s: %v", a, attacks)
					}
				}
			}
			if got != want {
				t.Fatalf("%d sources, order %d:\n%s\nwant:\n%s", sources, seed, got, want)
			}
		}
	}
}

func TestAWindowWaitsForTheMarksOfAllSources(t *testing.T) {
	c, o := newCrowd(t, Config{Sources: 3}), newPlayed()
	bySource := records(240, 3)
	for _, source := range []int{0, 2} {
		for _, a := range bySource[source] {
			c.Apply(a, 0, o)
		}
	}
	if len(o.list) > 0 {
		t.Fatal("judged without the marks of a source")
	}
	for _, a := range bySource[1] {
		c.Apply(a, 0, o)
	}
	if len(o.list) == 0 {
		t.Error("nothing judged when all marks had come")
	}
}

func TestLaterRecordOfASourceReplacesTheEarlier(t *testing.T) {
	slow(t)
	run := func(twice bool) string {
		c, o := newCrowd(t, Config{}), newPlayed()
		for i, a := range records(240, 1)[0] {
			if twice && !a.Mark() {
				part := *a
				part.Requests, part.Seq = a.Requests/2, 0
				c.Apply(&part, int64(i), o)
				a.Seq = 1
				c.Apply(a, int64(i), o)
				part.Requests = 1e6 // an older record that comes again
			}
			c.Apply(a, int64(i), o)
		}
		return o.outcome()
	}
	if got, want := run(true), run(false); got != want {
		t.Errorf("with replaced records:\n%s\nwant:\n%s", got, want)
	}
}

func TestWhatIsLateOrForeignIsCountedAndLeftOut(t *testing.T) {
	c, o := newCrowd(t, Config{}), newPlayed()
	c.Apply(markOf(10, 0), 0, o)
	late := windowOf(3, 1, usual())
	for _, a := range late {
		c.Apply(a, 1, o)
	}
	c.Apply(markOf(11, 5), 2, o)
	c.Apply(&schemas.Aggregate{EntityType: []byte(schemas.EntityIP), Entity: []byte("10.0.0.1"), API: []byte("bank"), WindowEnd: begin * 2}, 3, o)
	if want := (Stats{Late: uint64(len(late)), Refused: 1}); c.Stats != want || c.APIs() != 0 {
		t.Errorf("%+v and %d APIs, want %+v and none", c.Stats, c.APIs(), want)
	}
}

func TestRestoreContinuesAsIfNothingHadHappened(t *testing.T) {
	slow(t)
	arriving := interleave(records(240, 4), 5)
	cfg := Config{Sources: 4, Shards: 3}
	whole, o := newCrowd(t, cfg), newPlayed()
	for i, a := range arriving {
		whole.Apply(a, int64(i), o)
	}
	want := o.outcome()

	got := newPlayed()
	c := newCrowd(t, cfg)
	for i, a := range arriving {
		if i%(len(arriving)/4) == 300 {
			// The shards are taken one after another; the records between are
			// replayed, and each shard passes over those that it holds already.
			next := newCrowd(t, cfg)
			replay := i
			muted := newPlayed()
			for shard := range cfg.Shards {
				at := max(i-40*shard, 0)
				old := newCrowd(t, cfg)
				for k, b := range arriving[:at] {
					old.Apply(b, int64(k), muted)
				}
				data := old.AppendSnapshot(nil, shard)
				if err := next.RestoreSnapshot(shard, data, int64(at)); err != nil {
					t.Fatal(err)
				}
				if again := next.AppendSnapshot(nil, shard); string(again) != string(data) {
					t.Fatal("a restored shard writes another snapshot")
				}
				replay = min(replay, at)
			}
			for k := replay; k < i; k++ {
				next.Apply(arriving[k], int64(k), muted)
			}
			c = next
		}
		c.Apply(a, int64(i), got)
	}
	if got.outcome() != want {
		t.Errorf("after restores:\n%s\nwant:\n%s", got.outcome(), want)
	}
}

func TestTornSnapshotsAreRefused(t *testing.T) {
	c := newCrowd(t, Config{})
	for i, a := range records(160, 1)[0] {
		c.Apply(a, int64(i), newPlayed())
	}
	data := c.AppendSnapshot(nil, 0)
	fresh := newCrowd(t, Config{})
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		if err := fresh.RestoreSnapshot(0, data[:r.IntN(len(data))], 0); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("error %v", err)
		}
	}
	if err := fresh.RestoreSnapshot(0, append(slices.Clone(data), 0), 0); !errors.Is(err, ErrSnapshot) {
		t.Errorf("trailing bytes: error %v", err)
	}
	if err := newCrowd(t, Config{Sources: 2}).RestoreSnapshot(0, data, 0); !errors.Is(err, ErrSnapshot) {
		t.Errorf("of other sources: error %v", err)
	}
}

func FuzzRestoreSnapshot(f *testing.F) {
	c := newCrowd(f, Config{})
	for i, a := range records(130, 1)[0] {
		c.Apply(a, int64(i), newPlayed())
	}
	f.Add(c.AppendSnapshot(nil, 0))
	f.Add([]byte{snapshotVersion, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCrowd(t, Config{})
		if err := c.RestoreSnapshot(0, data, 0); err != nil && !errors.Is(err, ErrSnapshot) {
			t.Fatal(err)
		}
	})
}

func TestManyAPIsAreBounded(t *testing.T) {
	c, o := newCrowd(t, Config{APIs: 20}), newPlayed()
	for hop := range 500 {
		for i := range 10 {
			c.Apply(&schemas.Aggregate{
				Tenant: []byte("default"), EntityType: []byte(schemas.EntityAPI), Entity: fmt.Appendf(nil, "api%d.%d", hop/400, i),
				API: fmt.Appendf(nil, "api%d.%d", hop/400, i), WindowStart: int64(begin + hop*hopUS), WindowEnd: int64(begin + (hop+1)*hopUS), Requests: 5,
			}, 0, o)
		}
		c.Apply(markOf(hop, 0), 0, o)
	}
	for i := range 40 {
		c.Apply(&schemas.Aggregate{
			EntityType: []byte(schemas.EntityAPI), Entity: fmt.Appendf(nil, "made-up-%d", i),
			API: fmt.Appendf(nil, "made-up-%d", i), WindowStart: begin + 500*hopUS, WindowEnd: begin + 501*hopUS, Requests: 1,
		}, 0, o)
	}
	if c.APIs() != 20 || c.Stats.Overflow != 40 {
		t.Errorf("%d APIs, %d without room", c.APIs(), c.Stats.Overflow)
	}
	for hop := 500; hop < 900; hop++ {
		c.Apply(markOf(hop, 0), 0, o)
	}
	for i := range 10 {
		name := fmt.Appendf(nil, "later-%d", i)
		c.Apply(&schemas.Aggregate{EntityType: []byte(schemas.EntityAPI), Entity: name, API: name, WindowStart: begin + 900*hopUS, WindowEnd: begin + 901*hopUS}, 0, o)
	}
	if c.APIs() != 20 || c.Stats.Overflow != 40 {
		t.Errorf("%d APIs, %d without room after the others fell silent", c.APIs(), c.Stats.Overflow)
	}
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	for _, cfg := range []Config{{}, {Sources: 1, Hop: -1}, {Sources: 1, TTL: -1}, {Sources: 1, CohortCollateral: 2}} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: error %v", cfg, err)
		}
	}
}
