package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/stream"
)

// division is one way of dividing up and batching the same events.
type division struct {
	partitions int32
	batch      int           // records taken at once
	commit     time.Duration // longest time between commits
	shuffle    uint64        // seed of the order of arrival; 0: by event time
}

func (d division) String() string {
	arrival := "in order"
	if d.shuffle > 0 {
		arrival = fmt.Sprintf("shuffled by seed %d", d.shuffle)
	}
	return fmt.Sprintf("%d partitions, batches of %d, commits within %s, arriving %s", d.partitions, d.batch, d.commit, arrival)
}

func TestDeterminismOfVerdictsUnderPartitionsBatchesAndArrival(t *testing.T) {
	t.Parallel()
	events := traffic(t, choose(20_000, 300_000), 4)
	var divisions []division
	for i, partitions := range []int32{1, 4, 16} {
		for j, b := range []division{
			{batch: 20_000, commit: 15 * time.Millisecond},
			{batch: 100, commit: time.Millisecond},
			{batch: 1009, commit: 100 * time.Millisecond},
		} {
			b.partitions, b.shuffle = partitions, uint64(3*i+j)
			if i == j || full() {
				divisions = append(divisions, b) // in short each value once, not each pair
			}
		}
	}
	// The first once more, as a replay.
	divisions = append(divisions, divisions[0])

	broker := embedded(t)
	var first *outcome
	early := 0
	began := time.Now()
	for i, dv := range divisions {
		got := playThrough(t, broker, fmt.Sprintf("run%d.", i), dv, events)
		if got.provisional > 0 {
			t.Errorf("%s: %d verdicts are still provisional after every window has closed", dv, got.provisional)
		}
		if got.dead > 0 {
			t.Errorf("%s: %d dead letters", dv, got.dead)
		}
		early += got.written - len(got.verdicts)
		if first == nil {
			first = got
			continue
		}
		if sameTexts(t, dv.String()+": verdict", got.verdicts, first.verdicts); t.Failed() {
			break
		}
	}
	if len(first.verdicts) == 0 || first.blocks(t) == 0 {
		t.Error("no verdicts to compare")
	}
	sameTexts(t, "offline verdict", detectOffline(t, events, 0), first.verdicts)
	t.Logf("figures: %d events in %d runs over 1, 4 and 16 partitions, three batch sizes and 9 orders of arrival; "+
		"%d verdicts (%d blocks), the same bytes in every run and offline; %d records that later ones replaced; %.0f s",
		len(events), len(divisions), len(first.verdicts), first.blocks(t), early, time.Since(began).Seconds())
}

// embedded starts a broker in this process.
func embedded(t testing.TB) []string {
	t.Helper()
	b, err := stream.StartEmbedded(stream.EmbeddedConfig{Addr: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Addrs()
}

// playThrough runs one extractor and one scorer over the events.
func playThrough(t *testing.T, brokers []string, prefix string, dv division, events []simulate.Record) *outcome {
	t.Helper()
	arriving := slices.Clone(events)
	if dv.shuffle > 0 {
		simulate.Shuffle(arriving, arrivalDisorder, dv.shuffle)
	}
	d := deploy(t, brokers, prefix, dv.partitions)
	for _, e := range arriving {
		d.send(e)
	}
	d.flush()
	d.tick(closing(events))

	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 2)
	var workers sync.WaitGroup
	for _, cfg := range d.streams(dv) {
		workers.Go(func() {
			if err := stream.Run(ctx, cfg); err != nil {
				failed <- err
			}
		})
	}
	defer workers.Wait()
	defer cancel()
	d.drain(3 * minute)
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	o := &outcome{}
	d.readVerdicts(o)
	for _, recs := range d.read(d.topics.DeadLetter) {
		o.dead += len(recs)
	}
	return o
}

// streams are the two workers as the service sets them up, with another batch
// size and commit interval.
func (d *deployment) streams(dv division) []stream.Config {
	d.t.Helper()
	model, err := scoring.Prior()
	if err != nil {
		d.t.Fatal(err)
	}
	f := features.DefaultConfig()
	f.Clients, f.Entities = 1_000_000/int(d.partitions)/10, 1_000_000/int(d.partitions)/10
	if f.Knowledge, err = features.NewKnowledge(&model.Learnt, nil); err != nil {
		d.t.Fatal(err)
	}
	x := pipeline.ExtractConfig{Topics: d.topics, Features: f, MaxFuture: time.Second.Microseconds()}
	s := pipeline.ScoreConfig{Topics: d.topics, Scoring: scoring.Config{
		Model: model, Policy: scoring.DefaultPolicy(), Clients: f.Clients, Shards: f.Shards, Seed: f.Seed,
	}}
	shared := stream.Config{
		Opts: []kgo.Opt{kgo.SeedBrokers(d.brokers...)}, StateTopic: d.topics.State, DeadLetterTopic: d.topics.DeadLetter,
		CommitInterval: dv.commit, MaxPollRecords: dv.batch, SnapshotInterval: 10 * time.Second,
	}
	extract, score := shared, shared
	extract.Group, extract.Inputs = d.prefix+config.RoleExtract, []string{d.topics.Events}
	extract.NewProcessor = func(partition, partitions int32) (stream.Processor, error) {
		return pipeline.NewExtract(x, partition, partitions)
	}
	score.Group, score.Inputs, score.Delivery = d.prefix+config.RoleScore, []string{d.topics.Features, d.topics.Aggregates}, stream.AtLeastOnce
	score.NewProcessor = func(partition, partitions int32) (stream.Processor, error) {
		return pipeline.NewScore(s, partition, partitions)
	}
	return []stream.Config{extract, score}
}

func TestDeterminismOfDetectionWithoutKafka(t *testing.T) {
	t.Parallel()
	events := traffic(t, choose(20_000, 300_000), 4)
	want := detectOffline(t, events, 0)
	for seed := range uint64(3) {
		sameTexts(t, "verdict", detectOffline(t, events, seed+1), want)
	}
	t.Logf("figures: %d events in 4 orders of arrival; %d verdicts, all the same", len(events), len(want))
}

// detectOffline judges events as weir detect does and returns the verdicts as
// the topic would hold them, by id.
func detectOffline(t *testing.T, events []simulate.Record, shuffle uint64) map[string]string {
	t.Helper()
	if shuffle > 0 {
		events = slices.Clone(events)
		simulate.Shuffle(events, arrivalDisorder, shuffle)
	}
	model, err := scoring.Prior()
	if err != nil {
		t.Fatal(err)
	}
	f := features.DefaultConfig()
	if f.Knowledge, err = features.NewKnowledge(&model.Learnt, nil); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	d, err := pipeline.NewDetector(f, scoring.Config{
		Model: model, Policy: scoring.DefaultPolicy(), Clients: f.Clients, Shards: f.Shards, Seed: f.Seed,
	}, func(v *schemas.Verdict) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out[v.ID] = string(text)
	})
	if err != nil {
		t.Fatal(err)
	}
	ev := schemas.NewEvent()
	for _, r := range events {
		if err := errors.Join(ev.Decode(schemas.ContentTypeJSON, r.Value), d.Event(ev)); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	if d.Late > 0 || d.Restarts > 0 {
		t.Errorf("%d events late, %d restarts", d.Late, d.Restarts)
	}
	return out
}
