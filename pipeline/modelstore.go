package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring"
)

// ErrNoModel says that the models topic holds no usable model under a reference.
var ErrNoModel = errors.New("no such model")

// modelTimeout bounds one reading of the models topic.
const modelTimeout = 20 * time.Second

// LoadedModel is a model ready for use. It is immutable and shared.
type LoadedModel struct {
	Ref       string // "name@version", or ConfiguredModel
	Model     *scoring.Model
	Knowledge *features.Knowledge
}

// snapshotRef names the model in snapshots: the configured one by nothing, so that
// a worker configured with another goes over to that.
func (m *LoadedModel) snapshotRef() string {
	if m.Ref == ConfiguredModel {
		return ""
	}
	return m.Ref
}

// ModelRef is the reference of a model.
func ModelRef(m *scoring.Model) string { return m.Name + "@" + m.Version }

// ModelStoreConfig describes a ModelStore.
type ModelStoreConfig struct {
	Opts   []kgo.Opt // reach the brokers
	Topic  string    // full name of the models topic
	Decoys []features.Decoy
	// Configured is what ConfiguredModel refers to.
	Configured *scoring.Model
	Logger     *slog.Logger          // default: discarded
	Registerer prometheus.Registerer // default: none
}

// ModelStore hands out the versions that lie in the models topic. A version never
// changes, so it is read once. It is safe for concurrent use.
type ModelStore struct {
	cfg           ModelStoreConfig
	configured    *LoadedModel
	swaps, denied prometheus.Counter
	active, apis  *prometheus.GaugeVec

	mu     sync.Mutex
	loaded map[string]*LoadedModel
}

// NewModelStore returns a store; it reads nothing yet.
func NewModelStore(cfg ModelStoreConfig) (*ModelStore, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &ModelStore{cfg: cfg, loaded: map[string]*LoadedModel{}}
	var err error
	if s.configured, err = s.prepare(ConfiguredModel, cfg.Configured); err != nil {
		return nil, err
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weir", Subsystem: "model", Name: name, Help: help})
	}
	gauge := func(name, help, label string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "weir", Subsystem: "model", Name: name, Help: help}, []string{label})
	}
	s.swaps = counter("swaps_total", "Partitions that went over to another model.")
	s.denied = counter("refused_total", "Model marks that were passed over because their model is missing or broken.")
	s.active = gauge("active", "1 for the model that this process went over to last.", "model")
	s.apis = gauge("apis", "APIs of that model by how far they are learnt.", "status")
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.swaps, s.denied, s.active, s.apis} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("registering the metrics of models: %w", err)
			}
		}
	}
	s.show(s.configured)
	return s, nil
}

func (s *ModelStore) prepare(ref string, m *scoring.Model) (*LoadedModel, error) {
	k, err := features.NewKnowledge(&m.Learnt, s.cfg.Decoys)
	if err != nil {
		return nil, fmt.Errorf("reading model %s: %w", ref, err)
	}
	return &LoadedModel{Ref: ref, Model: m, Knowledge: k}, nil
}

// Load returns the model under a reference. The error is ErrNoModel where the
// topic holds none that can be used, else that of the cluster.
func (s *ModelStore) Load(ctx context.Context, ref string) (*LoadedModel, error) {
	if ref == ConfiguredModel || ref == "" {
		return s.configured, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.loaded[ref]; ok {
		return m, nil
	}
	all, err := readModels(ctx, s.cfg.Opts, s.cfg.Topic)
	if err != nil {
		return nil, err
	}
	m, err := all.read(ref)
	if err != nil {
		return nil, err
	}
	loaded, err := s.prepare(ref, m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoModel, err)
	}
	if len(s.loaded) >= keptModels {
		clear(s.loaded) // whoever uses one holds it
	}
	s.loaded[ref] = loaded
	return loaded, nil
}

// swap is Load for a worker at a mark: nil without an error where there is no such
// model.
func (s *ModelStore) swap(ref string) (*LoadedModel, error) {
	ctx, cancel := context.WithTimeout(context.Background(), modelTimeout)
	defer cancel()
	m, err := s.Load(ctx, ref)
	if errors.Is(err, ErrNoModel) {
		s.refuse(ref, err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading model %s: %w", ref, err)
	}
	s.swaps.Inc()
	s.show(m)
	return m, nil
}

func (s *ModelStore) refuse(ref string, err error) {
	s.denied.Inc()
	s.cfg.Logger.Error("a model that was to be used from here on cannot be; the one before it stays in use", "model", ref, "err", err)
}

func (s *ModelStore) show(m *LoadedModel) {
	s.active.Reset()
	s.active.WithLabelValues(ModelRef(m.Model)).Set(1)
	s.apis.Reset()
	for _, status := range m.Model.Learnt.Status {
		s.apis.WithLabelValues(status.Status).Add(1)
	}
}

// current is the reference that is active now.
func (s *ModelStore) current() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), modelTimeout)
	defer cancel()
	all, err := readModels(ctx, s.cfg.Opts, s.cfg.Topic)
	if err != nil {
		return "", fmt.Errorf("looking up the active model: %w", err)
	}
	return all.active(), nil
}

// readArtefact reads a model from a record's value.
func readArtefact(ref string, value []byte) (*scoring.Model, error) {
	m, err := scoring.ReadModel(bytes.NewReader(value))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoModel, ref, err)
	}
	if ModelRef(m) != ref {
		return nil, fmt.Errorf("%w: under %s lies %s", ErrNoModel, ref, ModelRef(m))
	}
	return m, nil
}
