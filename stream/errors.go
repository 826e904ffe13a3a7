package stream

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ProcessError is a record that the processor could not apply.
type ProcessError struct {
	Topic     string
	Partition int32
	Offset    int64
	Restoring bool  // during the replay of a restore
	Err       error // what Process returned; a panic is an error with its stack
}

func (e *ProcessError) Error() string {
	doing := "processing"
	if e.Restoring {
		doing = "replaying"
	}
	return fmt.Sprintf("%s record %s/%d@%d: %v", doing, e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap returns what Process returned.
func (e *ProcessError) Unwrap() error { return e.Err }

var (
	// ErrNotCoPartitioned means that the input topics, or the state topic,
	// differ in their partition counts, or that one member was not given the
	// same partitions of all of them.
	ErrNotCoPartitioned = errors.New("topics are not co-partitioned")
	// ErrSnapshotVersion means that the state topic holds a snapshot written
	// by a newer version of this package.
	ErrSnapshotVersion = errors.New("unknown snapshot version")
	// ErrSnapshotCorrupt means that a snapshot record does not decode or does
	// not match its checksum.
	ErrSnapshotCorrupt = errors.New("corrupt snapshot")

	// errRestoreShard means that the processor refused its own snapshot.
	errRestoreShard = errors.New("processor refused a snapshot")
)

// produceError is an output that the cluster refused.
type produceError struct {
	topic string
	err   error
}

func (e *produceError) Error() string { return fmt.Sprintf("writing to topic %s: %v", e.topic, e.err) }
func (e *produceError) Unwrap() error { return e.err }

// failureKey names a failure that comes from a record, the configuration or
// stored data, and so will come again: the same key MaxFailures times in a row
// ends Run. Failures of the cluster or the network have no key; they are
// retried for ever.
func failureKey(err error) (key string, ok bool) {
	var pe *ProcessError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s/%d@%d", pe.Topic, pe.Partition, pe.Offset), true
	}
	var large *kgo.ErrDecompressTooLarge
	if errors.As(err, &large) {
		return fmt.Sprintf("%s/%d@%d", large.Topic, large.Partition, large.Offset), true
	}
	var lost *kgo.ErrDataLoss
	if errors.As(err, &lost) {
		// The log was cut back and written anew below our position. What the
		// state was built from is gone, so going on needs somebody's decision.
		return fmt.Sprintf("%s/%d lost", lost.Topic, lost.Partition), true
	}
	var out *produceError
	if errors.As(err, &out) && !kerr.IsRetriable(out.err) && errors.As(err, new(*kerr.Error)) {
		return out.Error(), true
	}
	for _, target := range []error{ErrConfig, ErrUnknownTopic, ErrNotCoPartitioned, ErrSnapshotVersion, ErrSnapshotCorrupt, errRestoreShard} {
		if errors.Is(err, target) {
			return target.Error(), true
		}
	}
	return "", false
}
