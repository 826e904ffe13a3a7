package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/stream"
	"github.com/weir-dev/weir/training"
)

const swapPartitions = 2

// bench is one set of topics on an embedded broker, and what runs on it.
type bench struct {
	t      *testing.T
	opts   []kgo.Opt
	topics Topics
	prefix string
	cl     *kgo.Client
	models *Models
	store  *ModelStore
	reg    *prometheus.Registry
}

func newBench(t *testing.T, brokers []string, prefix string) *bench {
	t.Helper()
	b := &bench{t: t, opts: []kgo.Opt{kgo.SeedBrokers(brokers...)}, topics: TopicsUnder(prefix), prefix: prefix, reg: prometheus.NewRegistry()}
	var err error
	if b.cl, err = kgo.NewClient(append(b.opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.cl.Close)
	var specs []stream.TopicSpec
	for _, s := range schemas.Topics(prefix, swapPartitions) {
		specs = append(specs, stream.TopicSpec(s))
	}
	if err := stream.EnsureTopics(t.Context(), kadm.NewClient(b.cl), specs, 1); err != nil {
		t.Fatal(err)
	}
	if b.models, err = NewModels(b.opts, b.topics); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.models.Close)
	b.store, err = NewModelStore(ModelStoreConfig{Opts: b.opts, Topic: b.topics.Models, Configured: prior(t), Registerer: b.reg})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func embeddedBroker(t *testing.T) []string {
	t.Helper()
	broker, err := stream.StartEmbedded(stream.EmbeddedConfig{Addr: "127.0.0.1:0", DataDir: t.TempDir(), MinSessionTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker.Addrs()
}

// readPrior reads the shipped model once; tests change copies.
var readPrior = sync.OnceValues(scoring.Prior)

func prior(t *testing.T) *scoring.Model {
	t.Helper()
	m, err := readPrior()
	if err != nil {
		t.Fatal(err)
	}
	own := *m
	return &own
}

// slim is a model that is soon read and written.
func slim(t *testing.T, name string) *scoring.Model {
	t.Helper()
	m := prior(t)
	m.Name, m.Joint = name, nil
	m.Calibration = map[string]*scoring.Calibration{scoring.Pooled: m.Calibration[scoring.Pooled]}
	return m
}

func (b *bench) send(recs []simulate.Record) {
	b.t.Helper()
	out := make([]*kgo.Record, 0, len(recs))
	for _, r := range recs {
		out = append(out, &kgo.Record{Topic: b.topics.Events, Partition: stream.PartitionFor(r.Key, swapPartitions), Key: r.Key, Value: r.Value})
	}
	b.produce(out...)
}

func (b *bench) produce(recs ...*kgo.Record) {
	b.t.Helper()
	if err := b.cl.ProduceSync(b.t.Context(), recs...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) publish(m *scoring.Model) string {
	b.t.Helper()
	ref, err := b.models.Publish(b.t.Context(), m)
	if err != nil {
		b.t.Fatal(err)
	}
	return ref
}

func (b *bench) activate(ref string) {
	b.t.Helper()
	if _, err := b.models.Activate(b.t.Context(), ref); err != nil {
		b.t.Fatal(err)
	}
}

// copy writes another bench's events again as they are.
func (b *bench) copy(from *bench) {
	b.t.Helper()
	all, err := wholeTopic(b.t.Context(), from.opts, from.topics.Events)
	if err != nil {
		b.t.Fatal(err)
	}
	var recs []*kgo.Record
	err = readSpan(b.t.Context(), from.opts, from.topics.Events, all, func(r *kgo.Record) error {
		recs = append(recs, &kgo.Record{Topic: b.topics.Events, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.produce(recs...)
}

// close ends every window.
func (b *bench) close(last int64) {
	for p := range int32(swapPartitions) {
		b.produce(stream.TickRecord(b.topics.Events, p, last+time.Minute.Microseconds()))
	}
}

// faulty is a processor that dies at every so manieth record of a worker.
type faulty struct {
	stream.Processor
	left *atomic.Int64
}

var errKilled = errors.New("killed by the test")

func (f faulty) Process(rec *kgo.Record, out *stream.Output) error {
	if f.left.Add(-1) == 0 {
		return errKilled
	}
	return f.Processor.Process(rec, out)
}

// run works everything off and returns the closed windows' verdicts by id. With
// deaths, each worker dies that often, at every nth record, and is restored.
func (b *bench) run(deaths int, every int64) map[string]string {
	b.t.Helper()
	f := features.DefaultConfig()
	f.Clients, f.Entities, f.Shards = 2000, 2000, 4
	f.Knowledge = b.store.configured.Knowledge
	x := ExtractConfig{Topics: b.topics, Features: f, MaxFuture: time.Second.Microseconds(), Models: b.store}
	s := ScoreConfig{Topics: b.topics, Models: b.store, Scoring: scoring.Config{
		Model: b.store.configured.Model, Policy: scoring.DefaultPolicy(), Clients: f.Clients, Shards: f.Shards, Seed: f.Seed,
	}}
	s.Crowd = CrowdConfig(&s.Scoring, f.Hop)
	shared := stream.Config{
		Opts: b.opts, StateTopic: b.topics.State, DeadLetterTopic: b.topics.DeadLetter,
		CommitInterval: 5 * time.Millisecond, MaxPollRecords: 700, SnapshotInterval: stream.EveryCommit,
		RetryBackoff: time.Millisecond, SessionTimeout: time.Second,
	}
	mortal := func(make func(int32, int32) (stream.Processor, error)) func(int32, int32) (stream.Processor, error) {
		var made atomic.Int64
		return func(p, n int32) (stream.Processor, error) {
			proc, err := make(p, n)
			left := new(atomic.Int64)
			if made.Add(1) <= int64(deaths) {
				left.Store(every)
			}
			return faulty{proc, left}, err
		}
	}
	extract, score := shared, shared
	extract.Group, extract.Inputs = b.prefix+"extract", []string{b.topics.Events}
	extract.NewProcessor = mortal(func(p, n int32) (stream.Processor, error) { return NewExtract(x, p, n) })
	score.Group, score.Inputs, score.Delivery = b.prefix+"score", []string{b.topics.Features, b.topics.Aggregates}, stream.AtLeastOnce
	score.NewProcessor = mortal(func(p, n int32) (stream.Processor, error) { return NewScore(s, p, n) })

	ctx, cancel := context.WithCancel(b.t.Context())
	var workers sync.WaitGroup
	failed := make(chan error, 2)
	for _, cfg := range []stream.Config{extract, score} {
		workers.Go(func() {
			if err := stream.Run(ctx, cfg); err != nil {
				failed <- err
			}
		})
	}
	defer workers.Wait()
	defer cancel()
	b.await(failed, func() bool { return b.drained(extract.Group, extract.Inputs...) })
	b.await(failed, func() bool { return b.drained(score.Group, score.Inputs...) })
	return b.verdicts()
}

func (b *bench) await(failed chan error, ok func() bool) {
	b.t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(60 * time.Second)
	for !ok() {
		select {
		case err := <-failed:
			b.t.Fatal(err)
		case <-limit:
			b.t.Fatal("the workers do not catch up")
		case <-poll.C:
		}
	}
}

func (b *bench) drained(group string, topics ...string) bool {
	adm := kadm.NewClient(b.cl)
	committed, err := adm.FetchOffsets(b.t.Context(), group)
	if err != nil {
		return false
	}
	for _, topic := range topics {
		ends, err := adm.ListEndOffsets(b.t.Context(), topic)
		if err != nil {
			return false
		}
		stable, err := adm.ListCommittedOffsets(b.t.Context(), topic)
		if err != nil {
			return false
		}
		for p, end := range ends[topic] {
			at, ok := committed.Lookup(topic, p)
			if end.Offset > 0 && (!ok || at.At < end.Offset || stable[topic][p].Offset != end.Offset) {
				return false
			}
		}
	}
	return true
}

func (b *bench) verdicts() map[string]string {
	b.t.Helper()
	all, err := wholeTopic(b.t.Context(), b.opts, b.topics.Verdicts)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]string{}
	err = readSpan(b.t.Context(), b.opts, b.topics.Verdicts, all, func(rec *kgo.Record) error {
		var v schemas.Verdict
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			return err
		}
		out[v.ID] = string(rec.Value)
		if v.Withdrawn {
			delete(out, v.ID)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) counter(name string) (n float64) {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += value(m)
			}
		}
	}
	return n
}

func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

// models counts verdicts by the model that gave them.
func byModel(t *testing.T, verdicts map[string]string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, text := range verdicts {
		var v schemas.Verdict
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		out[v.Model]++
	}
	return out
}

// swapTraffic is an hour of people and of all attacks.
func swapTraffic(t *testing.T) []simulate.Record {
	t.Helper()
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Start = 5, cfg.Start.Add(9*time.Hour)
	cfg.Clients, cfg.Duration, cfg.Activity = 200, time.Hour, 30
	cfg.Attacks = simulate.EveryAttack(time.Minute, time.Minute, 1)
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return simulate.Collect(g, 4000, features.AppendClientKey)
}

// acquainted is the prior with what the traffic teaches extraction, and under
// another name: scorer and extractor both see the difference.
func acquainted(t *testing.T, records []simulate.Record) *scoring.Model {
	t.Helper()
	learnt, err := training.Knowledge(func(yield func(*schemas.Event)) error {
		e := schemas.NewEvent()
		for _, r := range records {
			if err := e.Decode(schemas.ContentTypeJSON, r.Value); err != nil {
				return err
			}
			yield(e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m := prior(t)
	m.Name, m.Learnt = "own", *learnt
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	n := 0
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if got[id] != want[id] && n < 3 {
			t.Errorf("%s: verdict %s\n got %s\nwant %s", what, id, got[id], want[id])
			n++
		}
	}
	t.Errorf("%s: %d verdicts, want %d the same", what, len(got), len(want))
}

// A switch in the middle of the stream takes effect at its place in the log, and
// workers that die before, at and after it give the verdicts of workers that do
// not; so does going back, and a replay of the whole log.
func TestModelsSwapAtAPlaceInTheLog(t *testing.T) {
	brokers := embeddedBroker(t)
	traffic := swapTraffic(t)
	own := acquainted(t, traffic[:len(traffic)/2])
	third := len(traffic) / 3
	play := func(prefix string, deaths int, every int64) (*bench, map[string]string) {
		b := newBench(t, brokers, prefix)
		ref := b.publish(own)
		b.send(traffic[:third])
		b.activate(ref)
		b.send(traffic[third : 2*third])
		if back, err := b.models.Rollback(t.Context()); err != nil || back != ConfiguredModel {
			t.Fatalf("rolled back to %q: %v", back, err)
		}
		b.send(traffic[2*third:])
		b.close(traffic[len(traffic)-1].Time)
		return b, b.run(deaths, every)
	}
	calm, want := play("calm.", 0, 0)
	models := byModel(t, want)
	if models[ModelRef(own)] == 0 || models[ModelRef(prior(t))] == 0 {
		t.Fatalf("verdicts by model: %v", models)
	}
	deaths := []int64{300, 900}
	if underRace {
		deaths = deaths[:1]
	}
	for i, every := range deaths {
		b, got := play(fmt.Sprintf("dying%d.", i), 3, every)
		same(t, fmt.Sprintf("dying every %d records", every), got, want)
		if n := b.counter("weir_model_refused_total"); n != 0 {
			t.Errorf("%v models refused", n)
		}
	}
	// The same log once more.
	replay := newBench(t, brokers, "replay.")
	replay.publish(own)
	replay.copy(calm)
	same(t, "replay", replay.run(0, 0), want)
	if n := replay.counter("weir_model_swaps_total"); n < 2*2*swapPartitions {
		t.Errorf("%v swaps", n)
	}
	t.Logf("figures: %d events, %d verdicts %v, the same after %d deaths and in a replay", len(traffic), len(want), models, 3*len(deaths))
}

func TestAModelThatIsNotThereChangesNothing(t *testing.T) {
	traffic := swapTraffic(t)[:2000]
	brokers := embeddedBroker(t)
	play := func(prefix string, disturb func(*bench)) (*bench, map[string]string) {
		b := newBench(t, brokers, prefix)
		b.send(traffic[:1000])
		if disturb != nil {
			disturb(b)
		}
		b.send(traffic[1000:])
		b.close(traffic[len(traffic)-1].Time)
		return b, b.run(0, 0)
	}
	_, want := play("calm.", nil)
	b, got := play("disturbed.", func(b *bench) {
		torn := b.models.record("torn@0123456789ab", []byte("no model"))
		b.publish(slim(t, "other"))
		all, err := readModels(t.Context(), b.opts, b.topics.Models)
		if err != nil {
			t.Fatal(err)
		}
		stolen := b.models.record("stolen@0123456789ab", all.versions[0].value)
		b.produce(torn, stolen)
		for _, bad := range []string{"nobody@0123456789ab", "torn@0123456789ab", "stolen@0123456789ab", strings.Repeat("x", 500), ""} {
			if bad != "" {
				if _, err := b.models.Activate(t.Context(), bad); !errors.Is(err, ErrNoModel) {
					t.Errorf("activating %.30q: %v", bad, err)
				}
			}
			for p := range int32(swapPartitions) {
				b.produce(ModelMark(b.topics.Events, p, bad))
			}
		}
	})
	same(t, "marks of models that are not there", got, want)
	if n := b.counter("weir_model_refused_total"); n < 3*swapPartitions {
		t.Errorf("%v models refused", n)
	}
}

// A worker without a snapshot, in a log whose head is gone with its marks, uses what
// is active.
func TestAHeadlessLogIsReadUnderTheActiveModel(t *testing.T) {
	traffic := swapTraffic(t)[:2000]
	b := newBench(t, embeddedBroker(t), "headless.")
	own := acquainted(t, traffic)
	ref := b.publish(own)
	b.send(traffic[:1000])
	b.activate(ref)
	adm := kadm.NewClient(b.cl)
	ends, err := adm.ListEndOffsets(t.Context(), b.topics.Events)
	if err != nil {
		t.Fatal(err)
	}
	b.send(traffic[1000:])
	b.close(traffic[len(traffic)-1].Time)
	if _, err := adm.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
		t.Fatal(err)
	}
	models := byModel(t, b.run(0, 0))
	if models[ModelRef(own)] == 0 || models[ModelRef(prior(t))] > 0 {
		t.Errorf("verdicts by model: %v", models)
	}
}

func TestModelsKeepsTheLastVersions(t *testing.T) {
	b := newBench(t, embeddedBroker(t), "kept.")
	var refs []string
	for i := range 12 {
		m := slim(t, "m")
		m.Learnt.Routes.Collapsed = []features.CollapsedRoute{{Parent: fmt.Sprintf("/v%d", i)}}
		refs = append(refs, b.publish(m))
		if i == 0 || i == 1 {
			b.activate(refs[i])
		}
	}
	versions, active, err := b.models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range versions {
		got = append(got, v.Ref)
	}
	want := append(slices.Clone(refs[:2]), refs[6:]...)
	if active != refs[1] || !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v; active %s", got, want, active)
	}
	m, err := b.models.Read(t.Context(), refs[7][len("m@"):][:8])
	if err != nil || ModelRef(m) != refs[7] {
		t.Errorf("read by the beginning of its version: %v, %v", m, err)
	}
	for _, back := range []string{refs[0], ConfiguredModel} {
		if ref, err := b.models.Rollback(t.Context()); err != nil || ref != back {
			t.Errorf("rolled back to %q: %v, want %s", ref, err, back)
		}
	}
	if _, err := b.models.Rollback(t.Context()); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("rolling back further: %v", err)
	}
	bad := slim(t, "a@b")
	if _, err := b.models.Publish(t.Context(), bad); !errors.Is(err, ErrModelName) {
		t.Errorf("publishing %q: %v", bad.Name, err)
	}
}
