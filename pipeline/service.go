package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/stream"
)

// Service runs the configured roles in one process.
type Service struct {
	cfg   *config.Config
	log   *slog.Logger
	reg   *prometheus.Registry
	model *scoring.Model
	// knowledge is the part of the model that extraction needs.
	knowledge *features.Knowledge
	// models are the models of the topic, once Run has reached it.
	models *ModelStore

	// Brokers are the seed brokers, known once Started is closed.
	Brokers []string
	// Started is closed when the broker is reachable and the topics exist.
	Started chan struct{}

	// mu guards ready, the readiness of each role by name.
	mu    sync.Mutex
	ready map[string]bool
}

// NewService prepares a service; nothing runs yet.
func NewService(cfg *config.Config, log *slog.Logger) (*Service, error) {
	model, err := LoadModel(cfg.Score.ModelFile)
	if err != nil {
		return nil, err
	}
	knowledge, err := features.NewKnowledge(&model.Learnt, decoys(cfg.Features.Decoys))
	if err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Service{
		cfg: cfg, log: log, reg: reg, model: model, knowledge: knowledge,
		Started: make(chan struct{}), ready: map[string]bool{},
	}, nil
}

// Run runs the roles until ctx ends or one of them fails for good.
func (s *Service) Run(ctx context.Context) error {
	s.Brokers = s.cfg.Kafka.Brokers
	if s.cfg.Kafka.Embedded() {
		broker, err := stream.StartEmbedded(stream.EmbeddedConfig{
			DataDir: filepath.Join(s.cfg.DataDir, "broker"), Addr: s.cfg.Listen.Kafka, Logger: s.log,
		})
		if err != nil {
			return fmt.Errorf("starting the embedded broker: %w", err)
		}
		// The broker is the last to go: the roles commit to it while they stop.
		defer broker.Close()
		s.Brokers = broker.Addrs()
	}
	opts, err := KafkaOptions(s.cfg.Kafka, s.Brokers)
	if err != nil {
		return err
	}
	if err := s.awaitTopics(ctx, opts); err != nil {
		return err
	}

	s.models, err = NewModelStore(ModelStoreConfig{
		Opts: opts, Topic: s.topics().Models, Decoys: decoys(s.cfg.Features.Decoys), Configured: s.model, Logger: s.log, Registerer: s.reg,
	})
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	start := func(name string, run func(context.Context) error) {
		s.setReady(name, false)
		g.Go(func() error {
			if err := run(ctx); err != nil {
				return fmt.Errorf("role %s: %w", name, err)
			}
			return nil
		})
	}
	roles := s.cfg.Roles
	if s.cfg.Learns() && !s.cfg.HasRole(config.RoleLearn) {
		roles = append(slices.Clone(roles), config.RoleLearn)
	}
	for _, role := range roles {
		for _, part := range s.parts(role, opts) {
			start(part.name, part.run)
		}
	}
	if s.cfg.Listen.Admin != "" {
		g.Go(func() error { return s.serveAdmin(ctx) })
	}
	close(s.Started)
	s.log.Info("weir is running", "roles", roles, "brokers", s.Brokers, "model", s.model.Name+"@"+s.model.Version)
	err = g.Wait()
	s.log.Info("weir has stopped")
	return err
}

// awaitTopics creates what is missing of the topics, and waits for a cluster
// that is away: a worker that starts while its broker restarts must not give up.
func (s *Service) awaitTopics(ctx context.Context, opts []kgo.Opt) error {
	pause := 250 * time.Millisecond
	for {
		err := EnsureTopics(ctx, s.cfg.Kafka, opts)
		var network net.Error
		if err == nil || !errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		s.log.Warn("waiting for Kafka", "brokers", s.Brokers, "err", err, "pause", pause)
		select {
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		case <-ctx.Done():
			return nil
		}
	}
}

// part is one long-running piece of a role.
type part struct {
	name string
	run  func(context.Context) error
}

func (s *Service) parts(role string, opts []kgo.Opt) []part {
	switch role {
	case config.RoleIngest:
		return []part{{role, func(ctx context.Context) error { return s.ingest(ctx, opts) }}}
	case config.RoleExtract:
		parts := []part{{role, func(ctx context.Context) error { return stream.Run(ctx, s.extractStream(opts)) }}}
		if s.cfg.Extract.TickInterval > 0 {
			parts = append(parts, part{"ticker", func(ctx context.Context) error {
				s.setReady("ticker", true)
				return stream.RunTicker(ctx, stream.TickerConfig{
					Opts: opts, Topic: s.topics().Events, Interval: s.cfg.Extract.TickInterval, Logger: s.log, Registerer: s.reg,
				})
			}})
		}
		return parts
	case config.RoleScore:
		parts := []part{{role, func(ctx context.Context) error { return stream.Run(ctx, s.scoreStream(opts)) }}}
		if s.cfg.Score.Janitor {
			parts = append(parts, part{"janitor", func(ctx context.Context) error { return s.janitor(ctx, opts) }})
		}
		return parts
	case config.RoleSink:
		return s.sinkParts(opts)
	case config.RoleEnforce:
		return []part{{role, func(ctx context.Context) error { return s.enforce(ctx, opts) }}}
	case config.RoleLearn:
		return []part{{role, func(ctx context.Context) error { return s.learn(ctx, opts) }}}
	}
	return nil
}

func (s *Service) topics() Topics { return TopicsUnder(s.cfg.Kafka.TopicPrefix) }

func (s *Service) setReady(name string, ready bool) {
	s.mu.Lock()
	s.ready[name] = ready
	s.mu.Unlock()
}

// notReady lists the parts that are not ready, nil when all are.
func (s *Service) notReady() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, ok := range s.ready {
		if !ok {
			names = append(names, name)
		}
	}
	return names
}

// decoys reads "api:/path" and "/path", which is a decoy on every API.
func decoys(keys []string) []features.Decoy {
	var out []features.Decoy
	for _, k := range keys {
		api, path, _ := strings.Cut(k, "/")
		if api = strings.TrimSuffix(api, ":"); api == "" {
			api = "*"
		}
		out = append(out, features.Decoy{API: api, Route: "/" + path})
	}
	return out
}

// featureConfig is the extractor of one partition.
func (s *Service) featureConfig() features.Config {
	c := features.DefaultConfig()
	c.Hop, c.Lateness = s.cfg.Features.Hop.Microseconds(), s.cfg.Features.Lateness.Microseconds()
	c.Clients = max(s.cfg.ClientsPerPartition(), c.Shards)
	c.Entities = max(c.Clients, c.Shards)
	c.Knowledge = s.knowledge
	return c
}

func (s *Service) extractStream(opts []kgo.Opt) stream.Config {
	f := s.featureConfig()
	cfg := ExtractConfig{Topics: s.topics(), Features: f, MaxFuture: s.cfg.Features.MaxFuture.Microseconds(), Models: s.models}
	return stream.Config{
		Opts: opts, Group: s.cfg.Kafka.GroupPrefix + config.RoleExtract,
		Inputs: []string{cfg.Topics.Events}, Outputs: []string{cfg.Topics.Features, cfg.Topics.Aggregates},
		StateTopic: cfg.Topics.State, DeadLetterTopic: cfg.Topics.DeadLetter,
		Delivery:       stream.ExactlyOnce,
		CommitInterval: s.cfg.Extract.CommitInterval, SnapshotInterval: s.cfg.Extract.SnapshotInterval,
		ConfigHash: fmt.Sprintf("features/2 hop=%d lateness=%d clients=%d shards=%d seed=%x", f.Hop, f.Lateness, f.Clients, f.Shards, f.Seed.K0^f.Seed.K1),
		NewProcessor: func(partition, partitions int32) (stream.Processor, error) {
			return NewExtract(cfg, partition, partitions)
		},
		Logger: s.log, Registerer: s.reg,
		OnReady: func(ready bool) { s.setReady(config.RoleExtract, ready) },
	}
}

// policy is the configured policy of one partition.
func (s *Service) policy() scoring.Policy {
	shadow := map[string]bool{}
	for _, api := range s.cfg.Score.ShadowAPIs {
		shadow[api] = true
	}
	policy := scoring.DefaultPolicy()
	policy.AlphaBlock, policy.AlphaChallenge, policy.AlphaThrottle = s.cfg.Score.AlphaBlock, s.cfg.Score.AlphaChallenge, s.cfg.Score.AlphaThrottle
	policy.BlockTTL, policy.MaxBlockTTL = s.cfg.Score.BlockTTL, s.cfg.Score.MaxBlockTTL
	policy.Shadow, policy.ShadowAPIs = s.cfg.Score.Shadow, shadow
	policy.FDR, policy.HoldOut, policy.MaxBlockedShare = s.cfg.Score.FDR, s.cfg.Score.HoldOut, s.cfg.Score.MaxBlocked
	if n := s.cfg.Score.MaxBlocks; n > 0 {
		policy.MaxBlocksPerMinute = max(1, n/s.cfg.Kafka.Partitions)
	} else {
		policy.MaxBlocksPerMinute = 0
	}
	return policy
}

func (s *Service) scoreStream(opts []kgo.Opt) stream.Config {
	policy := s.policy()
	f := s.featureConfig()
	cfg := ScoreConfig{Topics: s.topics(), Scoring: scoring.Config{
		Model: s.model, Policy: policy, Clients: f.Clients, Shards: f.Shards, Seed: f.Seed,
	}, Models: s.models}
	cfg.Crowd = CrowdConfig(&cfg.Scoring, f.Hop)
	return stream.Config{
		Opts: opts, Group: s.cfg.Kafka.GroupPrefix + config.RoleScore,
		Inputs: []string{cfg.Topics.Features, cfg.Topics.Aggregates}, Outputs: []string{cfg.Topics.Verdicts, cfg.Topics.Blocklist},
		StateTopic: cfg.Topics.State, DeadLetterTopic: cfg.Topics.DeadLetter,
		Delivery:       stream.AtLeastOnce,
		CommitInterval: s.cfg.Extract.CommitInterval, SnapshotInterval: s.cfg.Extract.SnapshotInterval,
		ConfigHash: fmt.Sprintf("scoring/3 hop=%d clients=%d shards=%d seed=%x", f.Hop, f.Clients, f.Shards, f.Seed.K0^f.Seed.K1),
		NewProcessor: func(partition, partitions int32) (stream.Processor, error) {
			return NewScore(cfg, partition, partitions)
		},
		Logger: s.log, Registerer: s.reg,
		OnReady: func(ready bool) { s.setReady(config.RoleScore, ready) },
	}
}

// serveHTTP serves on an address until ctx ends, then lets running requests
// finish.
func serveHTTP(ctx context.Context, addr string, h http.Handler, log *slog.Logger) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving on %s: %w", addr, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopping the server on %s: %w", addr, err)
	}
	return nil
}
