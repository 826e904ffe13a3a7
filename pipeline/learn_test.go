package pipeline

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

// calmTraffic is benign: so long of people.
func calmTraffic(t *testing.T, length time.Duration) []simulate.Record {
	t.Helper()
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Start = 8, cfg.Start.Add(9*time.Hour)
	cfg.Clients, cfg.Duration, cfg.Activity = 40, length, 20
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return simulate.Collect(g, -1, features.AppendClientKey)
}

// learn runs the learn role until the test ends.
func (b *bench) learn(golden *scoring.Model, change func(*LearnConfig)) {
	b.t.Helper()
	cfg := LearnConfig{
		Opts: b.opts, Topics: b.topics, Group: b.prefix + "learn", Store: b.store, Golden: golden,
		Policy: scoring.DefaultPolicy(), Name: "learnt", Interval: time.Hour, Warmup: time.Hour, Promote: true, Registerer: b.reg,
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := RunLearn(ctx, cfg); err != nil {
			b.t.Errorf("learning: %v", err)
		}
	})
	b.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

func TestWhatIsLearntIsPutToUse(t *testing.T) {
	b := newBench(t, embeddedBroker(t), "learning.")
	traffic := calmTraffic(t, 3*time.Hour)
	half := slices.IndexFunc(traffic, func(r simulate.Record) bool { return r.Time > traffic[0].Time+90*60*1_000_000 })
	b.send(traffic[:half])
	b.run(0, 0)
	b.learn(prior(t), nil)
	failed := make(chan error)
	b.await(failed, func() bool { return b.active() != ConfiguredModel })

	first := b.active()
	m, err := b.models.Read(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	status := m.Learnt.Status
	if len(status) != 2 || status["bank"].Windows == 0 || status["bank"].Clients < 10 || m.APIs["bank"] == nil || m.Learnt.APIs["bank"] == nil {
		t.Errorf("status %+v, own numbers of %v", status, slices.Sorted(maps.Keys(m.APIs)))
	}
	d := Describe(m, 1e-3)
	if len(d.APIs) != 2 || d.APIs[0].API != "bank" || d.APIs[0].Windows == 0 || len(d.Strata) == 0 || d.Parameters == 0 {
		t.Errorf("described as %+v", d)
	}
	// The rest is read under it: the mark lies before it.
	b.send(traffic[half:])
	b.close(traffic[len(traffic)-1].Time)
	b.run(0, 0)
	if n := b.counter("weir_model_refused_total"); n != 0 {
		t.Errorf("%v models refused", n)
	}
	b.await(failed, func() bool { return b.active() != first })
	again, err := b.models.Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Learnt.Status["bank"]; got.Windows <= status["bank"].Windows || got.Since != status["bank"].Since {
		t.Errorf("status %+v after %+v", got, status["bank"])
	}
	all, err := readModels(t.Context(), b.opts, b.topics.Models)
	if err != nil {
		t.Fatal(err)
	}
	if p := all.paces("learnt"); p == nil || p.APIs["bank"] == nil || p.Until == 0 {
		t.Error("where the learner stands is not kept")
	}
	t.Logf("figures: %s, then %s after %d events", first, ModelRef(again), len(traffic))
}

func (b *bench) active() string {
	b.t.Helper()
	_, active, err := b.models.List(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return active
}

func TestAModelThatWouldBlockTooManyIsNotPutToUse(t *testing.T) {
	b := newBench(t, embeddedBroker(t), "strict.")
	b.send(calmTraffic(t, 2*time.Hour))
	b.run(0, 0)
	strict := *prior(t)
	strict.Calibration = map[string]*scoring.Calibration{}
	for name, c := range prior(t).Calibration {
		low := *c
		low.Tail, low.Top = nil, make([]float64, len(c.Top))
		low.N = 1_000_000
		strict.Calibration[name] = &low
	}
	if err := strict.Seal(); err != nil {
		t.Fatal(err)
	}
	b.learn(&strict, nil)
	b.await(make(chan error), func() bool { return b.counter("weir_learn_candidates_total") > 0 })
	versions, active, err := b.models.List(t.Context())
	if err != nil || len(versions) != 0 || active != ConfiguredModel {
		t.Errorf("%d versions, %s active: %v", len(versions), active, err)
	}
	if n := b.counter("weir_learn_trial_client_days"); n < 20 {
		t.Errorf("a trial of %v client-days", n)
	}
}

func TestOneOfSeveralLeads(t *testing.T) {
	b := newBench(t, embeddedBroker(t), "election.")
	opts := append([]kgo.Opt{kgo.SessionTimeout(time.Second), kgo.HeartbeatInterval(50 * time.Millisecond)}, b.opts...)
	type term struct {
		who   int
		ended <-chan struct{}
	}
	terms := make(chan term, 8)
	stops := map[int]context.CancelFunc{}
	var done sync.WaitGroup
	defer done.Wait()
	for who := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stops[who] = cancel
		done.Go(func() {
			err := elect(ctx, opts, "electors", b.topics.Models, func(bool) {}, func(ctx context.Context) error {
				terms <- term{who, ctx.Done()}
				<-ctx.Done()
				return ctx.Err()
			})
			if err != nil && !strings.Contains(err.Error(), "context") {
				t.Error(err)
			}
		})
	}
	limit := time.After(30 * time.Second)
	for left := 3; left > 0; {
		var now term
		select {
		case now = <-terms:
		case <-limit:
			t.Fatal("nobody leads")
		}
		select {
		case <-now.ended: // deposed by a rebalance while the others joined
			continue
		default:
		}
		if stops[now.who] == nil {
			t.Fatalf("%d leads after it has gone", now.who)
		}
		stops[now.who]()
		stops[now.who] = nil
		<-now.ended
		left--
	}
}
