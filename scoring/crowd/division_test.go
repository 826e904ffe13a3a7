package crowd

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

// cluster is extractors and crowds of as many partitions, connected as topics
// would connect them: an API's aggregates go to one crowd, marks to all.
type cluster struct {
	extractors []*features.Extractor
	crowds     []*Crowd
	out        *played
	offset     int64
}

func newCluster(t *testing.T, partitions int) *cluster {
	t.Helper()
	c := &cluster{out: newPlayed()}
	for i := range partitions {
		cfg := features.DefaultConfig()
		cfg.Source, cfg.Shards, cfg.Clients, cfg.Entities, cfg.FinalOnly = int32(i), 4, 20_000, 20_000, true
		x, err := features.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.extractors = append(c.extractors, x)
		c.crowds = append(c.crowds, newCrowd(t, Config{Sources: partitions, Shards: 4, Seed: cfg.Seed}))
	}
	return c
}

func (c *cluster) Features(*schemas.ClientFeatures) {}

func (c *cluster) Aggregate(a *schemas.Aggregate) {
	c.offset++
	if a.Mark() {
		for _, crowd := range c.crowds {
			crowd.Apply(a, c.offset, c.out)
		}
		return
	}
	c.crowds[xxhash.Sum64(a.API)%uint64(len(c.crowds))].Apply(a, c.offset, c.out)
}

// TestVerdictsAreThoseOfAnyDivision takes events through extraction: over any
// number of partitions, and in any order within the lateness, the same is decided.
func TestVerdictsAreThoseOfAnyDivision(t *testing.T) {
	cfg := simulate.DefaultConfig()
	cfg.Clients, cfg.Activity, cfg.Duration, cfg.Bodies = 150, 25, 35*time.Minute, false
	cfg.Start = cfg.Start.Add(9 * time.Hour)
	cfg.Attacks = []simulate.AttackSpec{
		{Name: schemas.AttackDistributedDoS, Variant: "one-provider", Start: 30 * time.Minute, Intensity: 0.5},
	}
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var events []*schemas.Event
	for {
		// Text aliases the generator's buffer: each event gets its own.
		own, ev := schemas.NewEvent(), schemas.NewEvent()
		if !g.Next(ev) {
			break
		}
		if err := own.Decode(schemas.ContentTypeProtobuf, ev.AppendProto(nil)); err != nil {
			t.Fatal(err)
		}
		events = append(events, own)
	}
	var want string
	for seed, partitions := range []int{1, 4, 16} {
		c := newCluster(t, partitions)
		arriving := slices.Clone(events)
		if seed > 0 {
			r := rand.New(rand.NewPCG(uint64(seed), 9))
			at := make(map[*schemas.Event]int64, len(events))
			for _, ev := range arriving {
				at[ev] = ev.Time + r.Int64N(1_900_000)
			}
			slices.SortStableFunc(arriving, func(a, b *schemas.Event) int { return int(max(min(at[a]-at[b], 1), -1)) })
		}
		for _, ev := range arriving {
			p := xxhash.Sum64(features.AppendClientKey(nil, ev)) % uint64(partitions)
			if got := c.extractors[p].Apply(ev, ev.Time, c.offset, c); got != features.Applied {
				t.Fatalf("outcome %d", got)
			}
		}
		end := events[len(events)-1].Time + 120_000_000
		for _, x := range c.extractors {
			x.Advance(end, c)
		}
		if want == "" {
			want = c.out.outcome()
			if len(c.out.everBlocked()) == 0 {
				t.Fatal("nothing was acted on")
			}
			t.Logf("%d events, acted on %q", len(events), c.out.everBlocked())
			continue
		}
		if got := c.out.outcome(); got != want {
			t.Fatalf("%d partitions:\n%s\nwant:\n%s", partitions, got, want)
		}
	}
}
