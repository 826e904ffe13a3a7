package stream

import "github.com/twmb/franz-go/pkg/kgo"

// Processor is the state of one input partition number: partition p of every
// input topic goes to the same Processor.
//
// It must be a pure function of the record sequence: no wall clock, no map
// order, no randomness that is not derived from the records. Within one topic
// records arrive in log order; the relative order of records of different
// topics is unspecified and may differ between a run and its replay.
//
// All methods are called by one goroutine at a time, though not always the
// same one. A Processor is dropped without notice when its partition is lost
// or its work is rolled back, so it must hold nothing that needs closing.
type Processor interface {
	// Process applies one record of one of the input topics and writes what
	// follows from it to out. The record and its byte slices stay valid after
	// the call, but they alias a whole fetched batch: copy what is kept for
	// long. out must not be kept.
	//
	// An error (or a panic, which is turned into one) ends the worker session:
	// nothing of the current commit is kept, and the record is seen again. A
	// record that can never be processed is therefore the processor's to
	// refuse, with [Output.DeadLetter] and a nil error.
	Process(rec *kgo.Record, out *Output) error

	// Shards is the number of snapshot shards, at least 1. It is constant for
	// a given Config.ConfigHash.
	Shards() int

	// Snapshot appends the state of one shard to dst and returns the extended
	// slice. It is called between records.
	//
	// next holds, per input topic, the offset of the next record to be
	// processed; it must not be kept or changed. The returned resume holds,
	// per input topic, the first offset still needed to rebuild the shard:
	// next itself for a shard that is complete in data (nil means that), lower
	// where the shard refers to records by their place in the log.
	Snapshot(shard int, dst []byte, next map[string]int64) (data []byte, resume map[string]int64)

	// Restore loads one shard that Snapshot wrote. It is called on a new
	// Processor before any record, at most once per shard, and not at all for
	// a shard that has no usable snapshot. Neither data nor next may be kept.
	//
	// next are the offsets at which the snapshot was taken. The replay that
	// follows starts at the lowest resume of all shards, so it brings records
	// below next again: the processor does not apply those to this shard, save
	// to recover what the shard holds by reference.
	Restore(shard int, data []byte, next map[string]int64) error
}

// Delivery is what a worker guarantees about its output.
type Delivery int

const (
	// ExactlyOnce commits outputs, input offsets and snapshots in one Kafka
	// transaction. Readers with isolation level read_committed see the output
	// of each input record once, after at most Config.CommitInterval plus the
	// time of a commit.
	ExactlyOnce Delivery = iota
	// AtLeastOnce writes outputs as they arise, without transactions, and
	// commits the input offsets after them. After a crash the output of the
	// last commit interval may appear again; a deterministic processor writes
	// the same records again.
	AtLeastOnce
)

// String returns the name used in configuration: exactly-once, at-least-once.
func (d Delivery) String() string {
	switch d {
	case ExactlyOnce:
		return "exactly-once"
	case AtLeastOnce:
		return "at-least-once"
	default:
		return "unknown"
	}
}
