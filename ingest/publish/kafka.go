package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// Names of headers on dead letters, and on events beside those of package schemas.
const (
	HeaderReason = "weir-reason" // why the record was refused, a schemas.Reason
	HeaderTopic  = "weir-topic"  // where it came from: here a source, not a topic
	HeaderField  = "weir-field"  // field at fault
	HeaderFormat = "weir-format" // format as which it was read
	HeaderSize   = "weir-size"   // its size if it was cut, bytes, decimal
	HeaderKeyID  = "weir-key-id" // id of the key under which pseudonyms were made
)

// maxDeadLetter bounds the value of a dead letter, bytes; a longer one is cut.
const maxDeadLetter = 64 << 10

// Config of the Kafka publisher.
type Config struct {
	// Brokers are the seed brokers, host:port. Required.
	Brokers []string
	// TopicPrefix precedes topic names. Default: schemas.DefaultTopicPrefix.
	TopicPrefix string
	// JSON writes events as canonical JSON. Default: Protobuf.
	JSON bool
	// KeyID names the pseudonym key in a header. Default: no header.
	KeyID string
}

// Kafka publishes to Kafka. It is safe for concurrent use.
type Kafka struct {
	cl          *kgo.Client
	events      string
	deadLetters string
	json        bool
	headers     []kgo.RecordHeader
	records     sync.Pool
	failed      *prometheus.CounterVec
}

// record is a record with the buffer that its key and value lie in. Once its
// promise was called the client holds neither.
type record struct {
	kgo.Record
	buf []byte
}

// ProducerOptions are the client options that publishing rests on. The
// partitioner is Kafka's own for keyed records: whoever knows the key knows the
// partition.
func ProducerOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.RecordDeliveryTimeout(30 * time.Second),
		// Without this a record whose reply was lost, as when a broker dies, waits
		// for ever instead. The price is a duplicate where the sender repeats a
		// record that was written after all.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.MaxBufferedBytes(64 << 20),
		kgo.ProducerBatchMaxBytes(2 << 20),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}
}

// NewKafka connects lazily: brokers that cannot be reached show when publishing.
// Opts follow ProducerOptions and may carry TLS, SASL, or overrides. The caller
// closes it.
func NewKafka(cfg Config, reg prometheus.Registerer, opts ...kgo.Opt) (*Kafka, error) {
	if cfg.TopicPrefix == "" {
		cfg.TopicPrefix = schemas.DefaultTopicPrefix
	}
	k := &Kafka{
		events:      cfg.TopicPrefix + schemas.TopicEvents,
		deadLetters: cfg.TopicPrefix + schemas.TopicDeadLetter,
		json:        cfg.JSON,
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_publish_failed_total", Help: "Records that could not be written to Kafka.",
		}, []string{"kind"}),
	}
	contentType := schemas.ContentTypeProtobuf
	if cfg.JSON {
		contentType = schemas.ContentTypeJSON
	}
	k.headers = []kgo.RecordHeader{
		{Key: schemas.HeaderSchema, Value: []byte(schemas.SchemaEvent)},
		{Key: schemas.HeaderContentType, Value: []byte(contentType)},
	}
	if cfg.KeyID != "" {
		k.headers = append(k.headers, kgo.RecordHeader{Key: HeaderKeyID, Value: []byte(cfg.KeyID)})
	}
	k.records.New = func() any { return new(record) }
	if err := reg.Register(k.failed); err != nil {
		return nil, fmt.Errorf("registering publish metrics: %w", err)
	}
	all := append([]kgo.Opt{kgo.SeedBrokers(cfg.Brokers...)}, ProducerOptions()...)
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		reg.Unregister(k.failed)
		return nil, fmt.Errorf("creating the Kafka client: %w", err)
	}
	k.cl = cl
	return k, nil
}

// Publish implements Publisher.
func (k *Kafka) Publish(ctx context.Context, ev *schemas.Event, done func(error)) {
	r := k.records.Get().(*record)
	r.buf = features.AppendClientKey(r.buf[:0], ev)
	n := len(r.buf)
	if k.json {
		r.buf = ev.AppendJSON(r.buf)
	} else {
		r.buf = ev.AppendProto(r.buf)
	}
	if len(r.buf)-n > schemas.MaxEventBytes {
		k.records.Put(r)
		done(&schemas.DecodeError{Reason: schemas.ReasonTooLarge})
		return
	}
	r.Record = kgo.Record{Topic: k.events, Key: r.buf[:n:n], Value: r.buf[n:], Headers: k.headers}
	k.cl.Produce(ctx, &r.Record, func(_ *kgo.Record, err error) {
		k.records.Put(r)
		switch {
		case errors.Is(err, kerr.MessageTooLarge):
			// The broker allows less than we do. Sending it again cannot help.
			err = &schemas.DecodeError{Reason: schemas.ReasonTooLarge}
		case err != nil:
			k.failed.WithLabelValues("event").Inc()
			err = fmt.Errorf("publishing an event: %w", err)
		}
		done(err)
	})
}

// Refuse implements Publisher. A long record is cut; a header then tells its size.
func (k *Kafka) Refuse(ctx context.Context, refused Refused, done func(error)) {
	rec := &kgo.Record{
		Topic: k.deadLetters,
		Value: append([]byte(nil), refused.Raw[:min(len(refused.Raw), maxDeadLetter)]...),
		Headers: []kgo.RecordHeader{
			{Key: HeaderReason, Value: []byte(refused.Reason)},
			{Key: HeaderTopic, Value: []byte(refused.Source)},
			{Key: HeaderFormat, Value: []byte(refused.Format)},
		},
	}
	if refused.Field != "" {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: HeaderField, Value: []byte(refused.Field)})
	}
	if len(refused.Raw) > maxDeadLetter {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: HeaderSize, Value: strconv.AppendInt(nil, int64(len(refused.Raw)), 10)})
	}
	k.cl.Produce(ctx, rec, func(_ *kgo.Record, err error) {
		if err != nil {
			k.failed.WithLabelValues("dead_letter").Inc()
			err = fmt.Errorf("publishing a dead letter: %w", err)
		}
		done(err)
	})
}

// Ping tells whether a broker answers, for readiness.
func (k *Kafka) Ping(ctx context.Context) error { return k.cl.Ping(ctx) }

// Close waits for what is buffered until ctx ends, then closes the client. The
// error says that records were given up.
func (k *Kafka) Close(ctx context.Context) error {
	err := k.cl.Flush(ctx)
	k.cl.Close()
	if err != nil {
		return fmt.Errorf("flushing events: %w", err)
	}
	return nil
}
