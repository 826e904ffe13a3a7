package pipeline

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/stream"
)

// HeaderModel marks the place in a log from which on another model counts; the
// value is the model's reference, "name@version", or ConfiguredModel.
const HeaderModel = "weir-model"

// ConfiguredModel refers to the model that a worker was configured with, the
// shipped prior unless score.model_file names another.
const ConfiguredModel = "configured"

// maxModelRef bounds a reference, bytes: it stands in every snapshot behind one
// byte of length.
const maxModelRef = 200

// ModelMark is the record that switches one partition to another model. It is a
// tick of time 0 as well, so that a reader who knows nothing of models passes it
// over.
func ModelMark(topic string, partition int32, ref string) *kgo.Record {
	r := stream.TickRecord(topic, partition, 0)
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: HeaderModel, Value: []byte(ref)})
	return r
}

// MarkedModel is the reference that a model mark carries, and whether rec is one.
func MarkedModel(rec *kgo.Record) (ref string, ok bool) {
	if len(rec.Key) != 0 || len(rec.Value) != 0 {
		return "", false
	}
	v := header(rec, HeaderModel)
	return string(v), v != nil
}

// activeModel is which model a processor works with, as its snapshots carry it:
// replaying the log from any of them then gives what was given before.
//
// Shards are taken at different offsets, and a replay starts at the lowest of
// them. That shard's model is the one to start with; the marks that follow it in
// the log bring the others. No shard is touched by a record from before its
// snapshot, so that none is worked on under a model older than its own.
type activeModel struct {
	store *ModelStore // nil: marks are passed over
	ref   string      // "": the configured model
	use   func(*LoadedModel) error

	restored int
	lowest   int64 // offset of the restored shard that is furthest back
	begun    bool
}

// mark goes over to the model that a mark names. A model that is not there, or is
// not what it says it is, leaves the old one in place; only a cluster that does
// not answer is an error.
func (a *activeModel) mark(ref string) error {
	if a.store == nil {
		return nil
	}
	m, err := a.store.swap(ref)
	if err != nil || m == nil {
		return err
	}
	if err := a.use(m); err != nil {
		a.store.refuse(ref, err)
		return nil
	}
	a.ref = m.snapshotRef()
	return nil
}

// begin is told of each record's offset. A worker without a snapshot that starts
// in a log whose head is gone has missed the marks that stood there, and takes the
// model that is active now; switched tells so.
func (a *activeModel) begin(offset int64) (switched bool, err error) {
	if a.begun {
		return false, nil
	}
	if a.store != nil && a.restored == 0 && offset > 0 {
		ref, err := a.store.current()
		if err != nil {
			return false, err
		}
		if err := a.mark(ref); err != nil {
			return false, err
		}
	}
	a.begun = true
	return a.restored == 0 && a.ref != "", nil
}

// append writes the reference in front of a snapshot.
func (a *activeModel) append(dst []byte) []byte {
	return append(append(dst, byte(len(a.ref))), a.ref...)
}

// restore reads what append wrote for a shard taken at an offset, and returns the
// rest.
func (a *activeModel) restore(data []byte, at int64) (rest []byte, err error) {
	if len(data) < 1 || len(data) < 1+int(data[0]) {
		return nil, errTornSnapshot
	}
	ref, rest := string(data[1:1+data[0]]), data[1+data[0]:]
	if a.restored++; a.restored > 1 && at >= a.lowest {
		return rest, nil
	}
	a.lowest = at
	if ref == a.ref {
		return rest, nil
	}
	if ref == "" {
		ref = ConfiguredModel
	}
	return rest, a.mark(ref)
}
