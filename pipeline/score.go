package pipeline

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/scoring/crowd"
	"github.com/weir-dev/weir/stream"
)

// ScoreConfig describes the score role.
type ScoreConfig struct {
	Topics  Topics
	Scoring scoring.Config // of one partition
	// Crowd is what judges aggregates. Sources, Shards and Seed are set here, from
	// the partitions and from Scoring.
	Crowd crowd.Config
	// Models are what model marks refer to; nil passes the marks over.
	Models *ModelStore
}

// CrowdConfig is the Crowd beside a Scorer, under the same operator's policy; hop
// is the length of the extractor's windows, µs.
func CrowdConfig(s *scoring.Config, hop int64) crowd.Config {
	return crowd.Config{Hop: hop, Shadow: s.Policy.Shadow, ShadowAPIs: s.Policy.ShadowAPIs}
}

// score is the Processor of one partition number of the features and the
// aggregates topic: a client's windows lie in the one, its API's in the other.
type score struct {
	cfg       ScoreConfig
	s         *scoring.Scorer
	crowd     *crowd.Crowd
	features  schemas.ClientFeatures
	aggregate schemas.Aggregate
	out       decisions
	active    activeModel
}

// NewScore makes the state of one partition of the features and aggregates
// topics, of as many partitions as the events topic has.
func NewScore(cfg ScoreConfig, partition, partitions int32) (stream.Processor, error) {
	s, err := scoring.New(cfg.Scoring)
	if err != nil {
		return nil, fmt.Errorf("making the scorer of partition %d: %w", partition, err)
	}
	cfg.Crowd.Sources, cfg.Crowd.Shards, cfg.Crowd.Seed = int(partitions), cfg.Scoring.Shards, cfg.Scoring.Seed
	together, err := crowd.New(cfg.Crowd)
	if err != nil {
		return nil, fmt.Errorf("making the crowd of partition %d: %w", partition, err)
	}
	active := activeModel{store: cfg.Models, use: func(m *LoadedModel) error { return s.SetModel(m.Model) }}
	return &score{cfg: cfg, s: s, crowd: together, active: active, out: decisions{
		topics:  cfg.Topics,
		verdict: schemaHeaders(schemas.SchemaVerdict, schemas.ContentTypeJSON),
		block:   schemaHeaders(schemas.SchemaBlockEntry, schemas.ContentTypeJSON),
	}}, nil
}

func (p *score) Process(rec *kgo.Record, out *stream.Output) error {
	p.out.to = out
	if rec.Topic == p.cfg.Topics.Aggregates {
		return p.processAggregate(rec, out)
	}
	if _, err := p.active.begin(rec.Offset); err != nil {
		return err
	}
	if ref, ok := MarkedModel(rec); ok {
		return p.active.mark(ref)
	}
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaFeatures); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	if err := p.features.DecodeProto(rec.Value); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	p.s.Features(&p.features, rec.Offset, &p.out)
	return p.out.err
}

func (p *score) processAggregate(rec *kgo.Record, out *stream.Output) error {
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaAggregate); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	if err := p.aggregate.DecodeProto(rec.Value); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	p.crowd.Apply(&p.aggregate, rec.Offset, &p.out)
	return p.out.err
}

func (p *score) Shards() int { return p.cfg.Scoring.Shards }

// Snapshot writes the model in use, the scorer's part, its length before it, and
// then the crowd's.
func (p *score) Snapshot(shard int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	dst = p.active.append(dst)
	at := len(dst)
	dst = p.s.AppendSnapshot(append(dst, 0, 0, 0, 0), shard)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return p.crowd.AppendSnapshot(dst, shard), nil
}

var errTornSnapshot = errors.New("a part of the snapshot is missing")

func (p *score) Restore(shard int, data []byte, next map[string]int64) error {
	data, err := p.active.restore(data, next[p.cfg.Topics.Features])
	if err != nil {
		return fmt.Errorf("restoring shard %d: %w", shard, err)
	}
	if len(data) < 4 || uint64(len(data)-4) < uint64(binary.LittleEndian.Uint32(data)) {
		return fmt.Errorf("restoring shard %d: %w", shard, errTornSnapshot)
	}
	n := int(binary.LittleEndian.Uint32(data))
	if err := p.s.RestoreSnapshot(shard, data[4:4+n], next[p.cfg.Topics.Features]); err != nil {
		return err
	}
	return p.crowd.RestoreSnapshot(shard, data[4+n:], next[p.cfg.Topics.Aggregates])
}

// decisions writes a Scorer's decisions to the stream.
type decisions struct {
	topics         Topics
	to             *stream.Output
	verdict, block []kgo.RecordHeader
	err            error
}

func (w *decisions) Verdict(v *schemas.Verdict) {
	body, err := json.Marshal(v)
	if err != nil {
		w.err = fmt.Errorf("encoding verdict %s: %w", v.ID, err)
		return
	}
	w.to.Emit(w.topics.Verdicts, []byte(v.Entity.String()), body, w.verdict...)
}

func (w *decisions) Block(key string, entry *schemas.BlockEntry) {
	if entry == nil {
		w.to.Emit(w.topics.Blocklist, []byte(key), nil, w.block...)
		return
	}
	body, err := json.Marshal(entry)
	if err != nil {
		w.err = fmt.Errorf("encoding block entry %s: %w", key, err)
		return
	}
	w.to.Emit(w.topics.Blocklist, []byte(key), body, w.block...)
}
