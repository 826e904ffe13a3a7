package pipeline

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/stream"
)

// HeaderRerouted marks an event that an extractor moved to the partition of its
// client; the value is the append time of the original record, µs since 1970.
const HeaderRerouted = "weir-rerouted"

// maxClockLead is how far ahead of the broker an event's time may be before it
// is no clock error but garbage, µs. Between features.max_future and this the
// time is cut back to the broker's.
const maxClockLead = 24 * 3600 * 1_000_000

// ReasonFuture refuses an event from days ahead.
const ReasonFuture = "future_time"

// ExtractConfig describes the extract role.
type ExtractConfig struct {
	Topics   Topics
	Features features.Config // of one partition
	// MaxFuture is how far an event's time may be ahead of the broker's, µs.
	MaxFuture int64
	// Models are what model marks refer to; nil passes the marks on and over.
	Models *ModelStore
}

// extract is the Processor of one partition of the events topic.
type extract struct {
	cfg        ExtractConfig
	partition  int32
	partitions int32
	x          *features.Extractor
	event      *schemas.Event
	out        emitter
	active     activeModel
}

// NewExtract makes the state of one partition of the events topic.
func NewExtract(cfg ExtractConfig, partition, partitions int32) (stream.Processor, error) {
	cfg.Features.Source = partition
	x, err := features.New(cfg.Features)
	if err != nil {
		return nil, fmt.Errorf("making the extractor of partition %d: %w", partition, err)
	}
	p := &extract{cfg: cfg, partition: partition, partitions: partitions, x: x, event: schemas.NewEvent()}
	p.active = activeModel{store: cfg.Models, use: func(m *LoadedModel) error {
		x.SetKnowledge(m.Knowledge)
		return nil
	}}
	p.out = emitter{
		topics:    cfg.Topics,
		features:  schemaHeaders(schemas.SchemaFeatures, schemas.ContentTypeProtobuf),
		aggregate: schemaHeaders(schemas.SchemaAggregate, schemas.ContentTypeProtobuf),
	}
	return p, nil
}

func (p *extract) Process(rec *kgo.Record, out *stream.Output) error {
	p.out.to = out
	if switched, err := p.active.begin(rec.Offset); err != nil {
		return err
	} else if switched {
		mark := ModelMark(p.cfg.Topics.Features, p.partition, p.active.ref)
		out.EmitTo(mark.Topic, mark.Partition, nil, nil, mark.Headers...)
	}
	if ref, ok := MarkedModel(rec); ok && len(ref) <= maxModelRef {
		out.EmitTo(p.cfg.Topics.Features, p.partition, nil, nil, rec.Headers...)
		return p.active.mark(ref)
	}
	if t, ok := stream.TickTime(rec); ok {
		p.x.Advance(t, &p.out)
		return nil
	}
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaEvent); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	e := p.event
	if err := e.Decode(string(header(rec, schemas.HeaderContentType)), rec.Value); err != nil {
		out.DeadLetter(rec, string(schemas.ReasonOf(err)))
		return nil
	}
	if longestName(e) > maxName {
		out.DeadLetter(rec, string(schemas.ReasonTooLarge))
		return nil
	}
	rerouted := header(rec, HeaderRerouted)
	t, appended := EventTime(rec, e)
	if t > appended+maxClockLead {
		out.DeadLetter(rec, ReasonFuture)
		return nil
	}
	if t > appended+p.cfg.MaxFuture {
		t = appended
	}
	if rerouted == nil && Misplaced(rec, e, p.partitions) {
		p.reroute(rec, e, out)
		return nil
	}
	if p.x.Apply(e, t, rec.Offset, &p.out) == features.Late {
		out.DeadLetter(rec, string(schemas.ReasonLate))
	}
	return nil
}

// maxName bounds the text that names a client, an entity or an API, bytes. It is
// repeated in keys, features and verdicts, which must stay below what a broker
// takes; gateways do not let a request pass that comes near it.
const maxName = 64 << 10

func longestName(e *schemas.Event) int {
	return max(len(e.Tenant), len(e.API), len(e.Host), len(e.Route), len(e.Path), len(e.ClientIP),
		len(e.Consumer), len(e.User), len(e.Credential), len(e.Session), len(e.JA4))
}

// EventTime is when a call happened and when the broker took it in, µs since
// 1970: the gateway's time, or where it gives none the broker's. An event that
// was moved between partitions keeps the time of its first arrival.
func EventTime(rec *kgo.Record, e *schemas.Event) (t, appended int64) {
	appended = rec.Timestamp.UnixMicro()
	if v := header(rec, HeaderRerouted); v != nil {
		if us, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			appended = us
		}
	}
	if t = e.Time; t == 0 {
		t = appended
	}
	return t, appended
}

// Misplaced tells whether an event lies in another partition than its client's,
// because its producer gave no key, another key, or partitions differently. The
// extractor moves it; every other reader must pass it over, or it counts twice.
func Misplaced(rec *kgo.Record, e *schemas.Event, partitions int32) bool {
	if header(rec, HeaderRerouted) != nil {
		return false
	}
	var buf [256]byte
	return stream.PartitionFor(features.AppendClientKey(buf[:0], e), partitions) != rec.Partition
}

func (p *extract) reroute(rec *kgo.Record, e *schemas.Event, out *stream.Output) {
	key := features.AppendClientKey(nil, e)
	headers := append(append([]kgo.RecordHeader{}, rec.Headers...), kgo.RecordHeader{
		Key: HeaderRerouted, Value: strconv.AppendInt(nil, rec.Timestamp.UnixMicro(), 10),
	})
	out.EmitTo(rec.Topic, stream.PartitionFor(key, p.partitions), key, rec.Value, headers...)
}

func (p *extract) Shards() int { return p.cfg.Features.Shards }

func (p *extract) Snapshot(shard int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	return p.x.AppendSnapshot(p.active.append(dst), shard), nil
}

func (p *extract) Restore(shard int, data []byte, next map[string]int64) error {
	at := next[p.cfg.Topics.Events]
	data, err := p.active.restore(data, at)
	if err != nil {
		return fmt.Errorf("restoring shard %d: %w", shard, err)
	}
	return p.x.RestoreSnapshot(shard, data, at)
}

// emitter writes an Extractor's records to the stream.
type emitter struct {
	topics    Topics
	to        *stream.Output
	key, buf  []byte
	features  []kgo.RecordHeader
	aggregate []kgo.RecordHeader
}

func (w *emitter) Features(f *schemas.ClientFeatures) {
	w.buf = f.AppendProto(w.buf[:0])
	w.to.Emit(w.topics.Features, f.Client, w.buf, w.features...)
}

func (w *emitter) Aggregate(a *schemas.Aggregate) {
	w.buf = a.AppendProto(w.buf[:0])
	if a.Mark() {
		for p := range w.to.Partitions(w.topics.Aggregates) {
			w.to.EmitTo(w.topics.Aggregates, p, nil, w.buf, w.aggregate...)
		}
		return
	}
	if schemas.PerAPI(a.EntityType) {
		w.key = append(append(w.key[:0], schemas.EntityAPI+":"...), a.API...)
	} else {
		w.key = append(append(append(w.key[:0], a.EntityType...), ':'), a.Entity...)
	}
	w.to.Emit(w.topics.Aggregates, w.key, w.buf, w.aggregate...)
}
