package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/stream"
)

// ScoreConfig describes the score role.
type ScoreConfig struct {
	Topics  Topics
	Scoring scoring.Config // of one partition
}

// score is the Processor of one partition of the features topic.
type score struct {
	cfg      ScoreConfig
	s        *scoring.Scorer
	features schemas.ClientFeatures
	out      decisions
}

// NewScore makes the state of one partition of the features topic.
func NewScore(cfg ScoreConfig, partition, _ int32) (stream.Processor, error) {
	s, err := scoring.New(cfg.Scoring)
	if err != nil {
		return nil, fmt.Errorf("making the scorer of partition %d: %w", partition, err)
	}
	return &score{cfg: cfg, s: s, out: decisions{
		topics:  cfg.Topics,
		verdict: schemaHeaders(schemas.SchemaVerdict, schemas.ContentTypeJSON),
		block:   schemaHeaders(schemas.SchemaBlockEntry, schemas.ContentTypeJSON),
	}}, nil
}

func (p *score) Process(rec *kgo.Record, out *stream.Output) error {
	p.out.to = out
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

func (p *score) Shards() int { return p.cfg.Scoring.Shards }

func (p *score) Snapshot(shard int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	return p.s.AppendSnapshot(dst, shard), nil
}

func (p *score) Restore(shard int, data []byte, next map[string]int64) error {
	return p.s.RestoreSnapshot(shard, data, next[p.cfg.Topics.Features])
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
