package pipeline

import (
	"errors"
	"testing"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/crowd"
	"github.com/weir-dev/weir/stream"
)

func newScore(t *testing.T) *score {
	t.Helper()
	model, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewScore(ScoreConfig{
		Topics: TopicsUnder("weir."),
		Scoring: scoring.Config{
			Model: model, Policy: scoring.DefaultPolicy(), Clients: 100, Shards: 4, Seed: features.DefaultConfig().Seed,
		},
	}, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*score)
}

func TestScoreSnapshotHoldsScorerAndCrowd(t *testing.T) {
	var _ stream.Processor = (*score)(nil)
	topics := TopicsUnder("weir.")
	p := newScore(t)
	f := schemas.ClientFeatures{
		Client: []byte("user:eve"), API: []byte("bank"), WindowStart: 1e15, WindowEnd: 1e15 + 1e7, Requests: 3, Final: true, LastEvent: 1e15, FirstSeen: 1e15,
	}
	a := schemas.Aggregate{
		EntityType: []byte(schemas.EntityAPI), Entity: []byte("bank"), API: []byte("bank"), WindowStart: 1e15, WindowEnd: 1e15 + 1e7, Source: 2, Requests: 3,
	}
	p.s.Features(&f, 0, &p.out)
	p.crowd.Apply(&a, 0, &p.out)
	next := map[string]int64{topics.Features: 1, topics.Aggregates: 1}
	q := newScore(t)
	for shard := range p.Shards() {
		data, _ := p.Snapshot(shard, []byte("before"), next)
		data = data[len("before"):]
		if err := q.Restore(shard, data, next); err != nil {
			t.Fatal(err)
		}
		if again, _ := q.Snapshot(shard, nil, next); string(again) != string(data) {
			t.Errorf("shard %d: a restored shard writes another snapshot", shard)
		}
		if err := q.Restore(shard, data[:len(data)-1], next); !errors.Is(err, crowd.ErrSnapshot) {
			t.Errorf("shard %d without its end: %v", shard, err)
		}
		if err := q.Restore(shard, data[:5], next); err == nil {
			t.Errorf("shard %d cut short is restored", shard)
		}
	}
	if q.crowd.APIs() != 1 || q.s.Clients() != 1 {
		t.Errorf("%d APIs and %d clients restored", q.crowd.APIs(), q.s.Clients())
	}
}
