package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

// LearnConfig describes the learn role.
type LearnConfig struct {
	Opts   []kgo.Opt
	Topics Topics
	// Group elects the one learner of several.
	Group string
	Store *ModelStore
	// Golden is the model that is learnt on top of: the configured one.
	Golden *scoring.Model
	// Policy is the scorers': a candidate is tried under it.
	Policy scoring.Policy
	// Name, Interval, Warmup and Promote are as in config.Learn.
	Name             string
	Interval, Warmup time.Duration
	Promote          bool
	// MinStratum is as in training.Options.
	MinStratum int

	Logger     *slog.Logger          // default: discarded
	Registerer prometheus.Registerer // default: none
	OnReady    func(bool)            // told when it leads, or waits to
}

// learning is the learn role.
type learning struct {
	cfg        LearnConfig
	models     *Models
	candidates *prometheus.CounterVec
	until      prometheus.Gauge
	trial      *prometheus.GaugeVec
	demoted    *prometheus.GaugeVec
}

// RunLearn learns until ctx ends. Several processes may run it: one learns, and
// another takes over when that one is gone. What is learnt from rests in the log,
// and where it stands in the models topic, so that nothing is lost but the interval
// at hand, which is read again.
func RunLearn(ctx context.Context, cfg LearnConfig) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnReady == nil {
		cfg.OnReady = func(bool) {}
	}
	l := &learning{cfg: cfg}
	if err := l.register(); err != nil {
		return err
	}
	var err error
	if l.models, err = NewModels(cfg.Opts, cfg.Topics); err != nil {
		return err
	}
	defer l.models.Close()
	pause := time.Second
	for {
		err := elect(ctx, cfg.Opts, cfg.Group, cfg.Topics.Models, cfg.OnReady, l.lead)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, scoring.ErrConfig) {
			return err
		}
		cfg.Logger.Warn("learning is interrupted", "err", err, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, time.Minute)
		}
	}
}

func (l *learning) register() error {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "weir", Subsystem: "learn", Name: name, Help: help}
	}
	l.candidates = prometheus.NewCounterVec(prometheus.CounterOpts(opts("candidates_total", "Models made, by what became of them.")), []string{"result"})
	l.until = prometheus.NewGauge(prometheus.GaugeOpts(opts("until_seconds", "Event time up to which has been learnt, seconds since 1970.")))
	l.trial = prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("trial_client_days", "Client-days of the last trial, by what would have become of them.")), []string{"outcome"})
	l.demoted = prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("demoted", "1 for each stratum that drifts and is only observed.")), []string{"stratum"})
	if l.cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{l.candidates, l.until, l.trial, l.demoted} {
			if err := l.cfg.Registerer.Register(c); err != nil {
				return fmt.Errorf("registering the metrics of learning: %w", err)
			}
		}
	}
	return nil
}

// lead learns while this process is the one that does.
func (l *learning) lead(ctx context.Context) error {
	all, err := readModels(ctx, l.cfg.Opts, l.cfg.Topics.Models)
	if err != nil {
		return err
	}
	learner, err := training.NewLearner(training.LearnerConfig{
		Name: l.cfg.Name, Golden: l.cfg.Golden, MinStratum: l.cfg.MinStratum,
		Interval: l.cfg.Interval.Microseconds(), Warmup: l.cfg.Warmup.Microseconds(),
	}, all.paces(l.cfg.Name))
	if err != nil {
		return fmt.Errorf("making a learner: %w", err)
	}
	if err := l.follow(ctx, learner); err != nil {
		return err
	}
	read, err := l.reader(ctx, learner)
	if err != nil {
		return err
	}
	defer read.cl.Close()
	for {
		if err := read.poll(ctx); err != nil {
			return err
		}
		// What lay behind at the start is one interval: its partitions come one after
		// another.
		if read.behind > 0 || !learner.Due() {
			continue
		}
		learner.Turn()
		l.until.Set(float64(learner.Newest()) / 1e6)
		if err := l.models.savePaces(ctx, l.cfg.Name, learner.Paces()); err != nil {
			return err
		}
		if err := l.propose(ctx, learner); err != nil {
			return err
		}
	}
}

// follow tells the learner which model is active.
func (l *learning) follow(ctx context.Context, learner *training.Learner) error {
	_, active, err := l.models.List(ctx)
	if err != nil {
		return err
	}
	m, err := l.cfg.Store.Load(ctx, active)
	if errors.Is(err, ErrNoModel) {
		return nil
	}
	if err != nil {
		return err
	}
	return learner.Active(m.Model)
}

// Results of a candidate, as the metric names them.
const (
	promoted  = "promoted"
	published = "published"
	kept      = "kept"
)

// propose makes a model of what was learnt, tries it on the last day, and puts it
// to use if the trial agrees with what the policy allows.
func (l *learning) propose(ctx context.Context, learner *training.Learner) error {
	held, err := l.held(ctx)
	if err != nil {
		return err
	}
	m, err := learner.Candidate(held)
	if err != nil {
		return fmt.Errorf("making a model: %w", err)
	}
	l.demoted.Reset()
	for _, name := range learner.Demoted() {
		l.demoted.WithLabelValues(name).Set(1)
		l.cfg.Logger.Warn("a client type is no longer like what it was calibrated on, and will only be observed", "stratum", name)
	}
	trial, err := training.Shadow(held, m, l.cfg.Policy, learner.Flagged)
	if err != nil {
		return err
	}
	l.trial.WithLabelValues("blocked").Set(float64(trial.Blocked))
	l.trial.WithLabelValues("passed").Set(float64(trial.Days - trial.Blocked))
	ref := ModelRef(m)
	log := l.cfg.Logger.With("model", ref, "client_days", trial.Days, "blocked", trial.Blocked, "alpha", trial.Alpha)
	if !trial.Holds() {
		l.candidates.WithLabelValues(kept).Inc()
		log.Warn("a new model would block more benign clients than allowed; the one before it stays in use", "rate_at_least", trial.Low)
		return nil
	}
	if _, err := l.models.Publish(ctx, m); err != nil {
		return err
	}
	if !l.cfg.Promote {
		l.candidates.WithLabelValues(published).Inc()
		log.Info("a new model is published")
		return nil
	}
	if _, err := l.models.Activate(ctx, ref); err != nil {
		return err
	}
	l.candidates.WithLabelValues(promoted).Inc()
	log.Info("a new model is in use")
	return learner.Active(m)
}

// held is what the features topic still holds, partition by partition, the same at
// every call.
func (l *learning) held(ctx context.Context) (training.Source, error) {
	all, err := wholeTopic(ctx, l.cfg.Opts, l.cfg.Topics.Features)
	if err != nil {
		return nil, err
	}
	var partitions []int32
	for p := range all.to {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	return func(yield func(*schemas.ClientFeatures)) error {
		var f schemas.ClientFeatures
		for _, p := range partitions {
			one := span{map[int32]int64{p: all.from[p]}, map[int32]int64{p: all.to[p]}}
			err := readSpan(ctx, l.cfg.Opts, l.cfg.Topics.Features, one, func(rec *kgo.Record) error {
				if len(rec.Value) > 0 && f.DecodeProto(rec.Value) == nil {
					yield(&f)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// learnReader reads everything that is learnt from.
type learnReader struct {
	cl         *kgo.Client
	topics     Topics
	learner    *training.Learner
	partitions int32
	ends       map[string]map[int32]int64 // when it began
	behind     int                        // partitions that have not reached them
	event      *schemas.Event
	features   schemas.ClientFeatures
}

func (l *learning) reader(ctx context.Context, learner *training.Learner) (*learnReader, error) {
	r := &learnReader{topics: l.cfg.Topics, learner: learner, event: schemas.NewEvent(), ends: map[string]map[int32]int64{}}
	for _, topic := range []string{r.topics.Events, r.topics.Features, r.topics.Verdicts} {
		all, err := wholeTopic(ctx, l.cfg.Opts, topic)
		if err != nil {
			return nil, err
		}
		r.ends[topic] = map[int32]int64{}
		for p, end := range all.to {
			if all.from[p] < end {
				r.ends[topic][p] = end
				r.behind++
			}
		}
		if topic == r.topics.Events {
			r.partitions = int32(len(all.to))
		}
	}
	var err error
	r.cl, err = kgo.NewClient(append(append([]kgo.Opt{}, l.cfg.Opts...),
		kgo.ConsumeTopics(r.topics.Events, r.topics.Features, r.topics.Verdicts),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return r, nil
}

// poll hands the next records to the learner.
func (r *learnReader) poll(ctx context.Context) error {
	fetches := r.cl.PollRecords(ctx, 10_000)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("learning: %w", err)
	}
	if err := fetches.Err(); err != nil {
		return fmt.Errorf("reading what to learn from: %w", err)
	}
	fetches.EachRecord(func(rec *kgo.Record) {
		if end, ok := r.ends[rec.Topic][rec.Partition]; ok && rec.Offset+1 >= end {
			delete(r.ends[rec.Topic], rec.Partition)
			r.behind--
		}
		if !rec.Attrs.IsControl() && len(rec.Value) > 0 {
			r.take(rec)
		}
	})
	return nil
}

// take passes over what cannot be read: its own worker has refused it.
func (r *learnReader) take(rec *kgo.Record) {
	switch rec.Topic {
	case r.topics.Events:
		e := r.event
		if e.Decode(string(header(rec, schemas.HeaderContentType)), rec.Value) != nil || longestName(e) > maxName || Misplaced(rec, e, r.partitions) {
			return
		}
		if e.Time, _ = EventTime(rec, e); e.Time > 0 {
			r.learner.Event(e)
		}
	case r.topics.Features:
		if r.features.DecodeProto(rec.Value) == nil {
			r.learner.Features(&r.features)
		}
	case r.topics.Verdicts:
		var v schemas.Verdict
		if json.Unmarshal(rec.Value, &v) == nil {
			r.learner.Verdict(&v)
		}
	}
}

// learn is the learn role of a service.
func (s *Service) learn(ctx context.Context, opts []kgo.Opt) error {
	return RunLearn(ctx, LearnConfig{
		Opts: opts, Topics: s.topics(), Group: s.cfg.Kafka.GroupPrefix + "learn", Store: s.models, Golden: s.model,
		Policy: s.policy(), Name: s.cfg.Learn.Name, Interval: s.cfg.Learn.Interval, Warmup: s.cfg.Learn.Warmup,
		Promote: s.cfg.Learn.Promote, Logger: s.log, Registerer: s.reg,
		OnReady: func(bool) { s.setReady("learn", true) },
	})
}
