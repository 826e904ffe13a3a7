package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Headers of a dead letter.
const (
	HeaderReason    = "weir-reason"    // why the record was refused
	HeaderTopic     = "weir-topic"     // where it came from
	HeaderPartition = "weir-partition" // decimal
	HeaderOffset    = "weir-offset"    // decimal
	HeaderSize      = "weir-size"      // size of the value if it was cut, bytes, decimal
)

// maxDeadLetter bounds key, value and headers of a dead letter, each, in bytes:
// what is refused for its size must not fail the worker by its size.
const maxDeadLetter = 64 << 10

// ErrUnknownTopic is wrapped by errors about a topic that does not exist.
var ErrUnknownTopic = errors.New("topic does not exist")

// Output takes what a processor writes. It belongs to one Process call after
// another of one partition and is not safe for concurrent use.
//
// Records written in order to one partition of a topic appear there in that
// order. During a restore everything is discarded: the log holds it already.
// A method that cannot do its work (unknown topic, partition out of range)
// makes the Process call fail; there is nothing to check at the caller's.
type Output struct {
	emitter emitter
	ctx     context.Context
	muted   bool
	err     error // first failure of the current Process call

	bytes   []byte       // the rest of the current chunk that copies are cut from
	records []kgo.Record // the rest of the current chunk of records

	deadLetterTopic string
	metrics         *metrics
	logger          *slog.Logger
}

// emitter is the way from an Output to the cluster.
type emitter interface {
	// emit hands over the record for good; a failure surfaces at commit.
	emit(ctx context.Context, rec *kgo.Record)
	// partitions returns the partition count of a topic.
	partitions(ctx context.Context, topic string) (int32, error)
}

// Emit writes a record to the partition that PartitionFor gives its key. It
// copies key and value, not the values of headers: those must not change.
func (o *Output) Emit(topic string, key, value []byte, headers ...kgo.RecordHeader) {
	if o.muted || o.err != nil {
		return
	}
	n := o.Partitions(topic)
	if n < 1 {
		return
	}
	o.send(topic, PartitionFor(key, n), key, value, headers)
}

// EmitTo is Emit to a chosen partition. A nil value is written as a tombstone.
func (o *Output) EmitTo(topic string, partition int32, key, value []byte, headers ...kgo.RecordHeader) {
	if o.muted || o.err != nil {
		return
	}
	if n := o.Partitions(topic); partition < 0 || partition >= n {
		o.fail(fmt.Errorf("writing to topic %s: partition %d is not among %d", topic, partition, n))
		return
	}
	o.send(topic, partition, key, value, headers)
}

// Partitions returns the partition count of a topic, looked up once per
// worker session. It returns 0 if the topic does not exist, and the Process
// call fails then. It works during a restore as well.
func (o *Output) Partitions(topic string) int32 {
	n, err := o.emitter.partitions(o.ctx, topic)
	if err != nil {
		o.fail(err)
		return 0
	}
	return n
}

// DeadLetter writes rec as it came, key, value and headers, to the dead-letter
// topic, with headers that say why and where from. Key and value are cut to
// 64 KiB each, and headers above that together are left out. The reason is a
// short constant text; it is a metric label.
func (o *Output) DeadLetter(rec *kgo.Record, reason string) {
	if o.muted || o.err != nil {
		return
	}
	o.metrics.deadLetter(reason)
	if o.deadLetterTopic == "" {
		o.logger.Warn("record refused", "reason", reason, "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset)
		return
	}
	n := o.Partitions(o.deadLetterTopic)
	if n < 1 {
		return
	}
	headers := make([]kgo.RecordHeader, 0, len(rec.Headers)+5)
	size := 0
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if size <= maxDeadLetter {
		headers = append(headers, rec.Headers...)
	}
	if len(rec.Value) > maxDeadLetter {
		headers = append(headers, kgo.RecordHeader{Key: HeaderSize, Value: strconv.AppendInt(nil, int64(len(rec.Value)), 10)})
	}
	headers = append(headers,
		kgo.RecordHeader{Key: HeaderReason, Value: []byte(reason)},
		kgo.RecordHeader{Key: HeaderTopic, Value: []byte(rec.Topic)},
		kgo.RecordHeader{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(rec.Partition), 10)},
		kgo.RecordHeader{Key: HeaderOffset, Value: strconv.AppendInt(nil, rec.Offset, 10)},
	)
	key, value := rec.Key[:min(len(rec.Key), maxDeadLetter)], rec.Value[:min(len(rec.Value), maxDeadLetter)]
	o.send(o.deadLetterTopic, rec.Partition%n, key, value, headers)
}

func (o *Output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *Output) send(topic string, partition int32, key, value []byte, headers []kgo.RecordHeader) {
	if len(o.records) == 0 {
		o.records = make([]kgo.Record, 64)
	}
	rec := &o.records[0]
	o.records = o.records[1:]
	rec.Topic, rec.Partition = topic, partition
	rec.Key, rec.Value = o.copy(key), o.copy(value)
	rec.Headers = headers
	o.emitter.emit(o.ctx, rec)
}

// copy cuts copies from chunks: a processor emits many small records, and an
// allocation each for key and value would dominate its cost. A chunk is freed
// when the last record cut from it has been written.
func (o *Output) copy(b []byte) []byte {
	const chunk = 32 << 10
	if b == nil {
		return nil
	}
	if len(b) > chunk/8 {
		return append(make([]byte, 0, len(b)), b...)
	}
	if len(b) > len(o.bytes) {
		o.bytes = make([]byte, chunk)
	}
	dst := o.bytes[:len(b):len(b)]
	o.bytes = o.bytes[len(b):]
	copy(dst, b)
	return dst
}
