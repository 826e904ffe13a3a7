package pipeline

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/training"
)

const (
	// keptModels is how many versions the models topic keeps, the active one and
	// the one before it included.
	keptModels = 8
	// maxModelBatch is above what the topic takes: it refuses, not the client.
	maxModelBatch = 12 << 20
)

// ModelVersion is one artefact in the models topic.
type ModelVersion struct {
	Ref     string    `json:"ref"` // "name@version"
	Created time.Time `json:"created"`
	Bytes   int       `json:"bytes"`
	Active  bool      `json:"active"`
	value   []byte
}

// activation is the record under a model's plain name: what is active now, and
// what was before, newest last.
type activation struct {
	Active   string    `json:"active"`
	Previous []string  `json:"previous,omitempty"`
	Changed  time.Time `json:"changed"`
	offset   int64
}

// modelLog is what the models topic holds.
type modelLog struct {
	versions []ModelVersion // oldest first
	pointer  activation     // the newest of any name
	learners map[string][]byte
}

// pacesKey is where a learner keeps what must outlive it.
func pacesKey(name string) string { return name + "#paces" }

// paces are where the learner of a name stands; nil where it is new, or what lies
// there cannot be read.
func (l *modelLog) paces(name string) *training.Paces {
	z, err := gzip.NewReader(bytes.NewReader(l.learners[pacesKey(name)]))
	if err != nil {
		return nil
	}
	var p training.Paces
	if err := json.NewDecoder(z).Decode(&p); err != nil {
		return nil
	}
	return &p
}

func (a *Models) savePaces(ctx context.Context, name string, p *training.Paces) error {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if err := errors.Join(json.NewEncoder(z).Encode(p), z.Close()); err != nil {
		return fmt.Errorf("encoding where the learner stands: %w", err)
	}
	return a.produce(ctx, []*kgo.Record{a.record(pacesKey(name), body.Bytes())})
}

// readModels reads the models topic.
func readModels(ctx context.Context, opts []kgo.Opt, topic string) (*modelLog, error) {
	all, err := wholeTopic(ctx, opts, topic)
	if err != nil {
		return nil, err
	}
	l := &modelLog{learners: map[string][]byte{}}
	err = readSpan(ctx, opts, topic, all, func(rec *kgo.Record) error {
		ref := string(rec.Key)
		if strings.Contains(ref, "#") {
			l.learners[ref] = bytes.Clone(rec.Value)
			return nil
		}
		if !strings.Contains(ref, "@") {
			var a activation
			// One that does not parse is not ours and says nothing.
			if json.Unmarshal(rec.Value, &a) == nil && a.Active != "" {
				a.offset = rec.Offset
				l.pointer = a
			}
			return nil
		}
		l.versions = slices.DeleteFunc(l.versions, func(v ModelVersion) bool { return v.Ref == ref })
		if rec.Value != nil {
			l.versions = append(l.versions, ModelVersion{
				Ref: ref, Created: rec.Timestamp.UTC(), Bytes: len(rec.Value), value: bytes.Clone(rec.Value),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range l.versions {
		l.versions[i].Active = l.versions[i].Ref == l.active()
	}
	return l, nil
}

func (l *modelLog) active() string {
	if l.pointer.Active == "" {
		return ConfiguredModel
	}
	return l.pointer.Active
}

// read is the model under a reference; the error is ErrNoModel.
func (l *modelLog) read(ref string) (*scoring.Model, error) {
	for _, v := range l.versions {
		if v.Ref == ref {
			return readArtefact(ref, v.value)
		}
	}
	return nil, fmt.Errorf("%w: %s is not in the models topic", ErrNoModel, ref)
}

// find completes a reference: a full one, a version alone, or the beginning of one.
func (l *modelLog) find(text string) (string, error) {
	if text == ConfiguredModel {
		return text, nil
	}
	var found []string
	for _, v := range l.versions {
		_, version, _ := strings.Cut(v.Ref, "@")
		if v.Ref == text || version == text {
			return v.Ref, nil
		}
		if len(text) >= 4 && strings.HasPrefix(version, text) {
			found = append(found, v.Ref)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: %q stands for %d of the %d versions in the models topic", ErrNoModel, text, len(found), len(l.versions))
	}
	return found[0], nil
}

// Models changes which models there are and which is active. Every method reads
// the topic first; it is made for a command line and for the learner.
type Models struct {
	opts   []kgo.Opt
	topics Topics
	cl     *kgo.Client
	now    func() time.Time
}

// NewModels returns a Models that reaches the brokers by opts. Close it.
func NewModels(opts []kgo.Opt, topics Topics) (*Models, error) {
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, opts...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(maxModelBatch), kgo.RecordDeliveryTimeout(modelTimeout),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return &Models{opts: opts, topics: topics, cl: cl, now: time.Now}, nil
}

// Close releases the connection.
func (a *Models) Close() { a.cl.Close() }

// List returns the versions, oldest first, and the reference that is active.
func (a *Models) List(ctx context.Context) (versions []ModelVersion, active string, err error) {
	l, err := readModels(ctx, a.opts, a.topics.Models)
	if err != nil {
		return nil, "", err
	}
	return l.versions, l.active(), nil
}

// Read returns the model under a reference, a version, or the beginning of one;
// "" is the active one. The error is ErrNoModel where there is none, as for
// ConfiguredModel, which lies with the workers.
func (a *Models) Read(ctx context.Context, text string) (*scoring.Model, error) {
	l, err := readModels(ctx, a.opts, a.topics.Models)
	if err != nil {
		return nil, err
	}
	if text == "" {
		text = l.active()
	}
	ref, err := l.find(text)
	if err != nil {
		return nil, err
	}
	return l.read(ref)
}

// ErrModelName refuses a name that a reference cannot hold.
var ErrModelName = errors.New("a model's name has 1 to 100 letters, digits, dots, dashes or underscores")

// Publish writes a model under "name@version" and returns that reference. What is
// older than the last eight versions is removed, but not what is active or was
// before.
func (a *Models) Publish(ctx context.Context, m *scoring.Model) (string, error) {
	if !validName(m.Name) {
		return "", fmt.Errorf("%w: %q", ErrModelName, m.Name)
	}
	var body bytes.Buffer
	if err := m.Write(&body); err != nil {
		return "", err
	}
	ref := ModelRef(m)
	if _, err := readArtefact(ref, body.Bytes()); err != nil {
		return "", err
	}
	l, err := readModels(ctx, a.opts, a.topics.Models)
	if err != nil {
		return "", err
	}
	recs := []*kgo.Record{a.record(ref, body.Bytes(), kgo.RecordHeader{Key: HeaderModel, Value: []byte(ref)})}
	kept := []string{l.active(), ref}
	if n := len(l.pointer.Previous); n > 0 {
		kept = append(kept, l.pointer.Previous[n-1])
	}
	older := slices.DeleteFunc(l.versions, func(v ModelVersion) bool { return slices.Contains(kept, v.Ref) })
	for i := range max(0, len(older)+len(kept)-keptModels) {
		if i < len(older) {
			recs = append(recs, a.record(older[i].Ref, nil))
		}
	}
	if err := a.produce(ctx, recs); err != nil {
		return "", fmt.Errorf("publishing model %s: %w", ref, err)
	}
	return ref, nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 100 && name != ConfiguredModel
}

// Activate switches to a model, named as in Read, or ConfiguredModel: a mark in
// every partition of the events topic, and then the record that says so. It
// returns the full reference. A model that cannot be read is refused: ErrNoModel.
func (a *Models) Activate(ctx context.Context, text string) (string, error) {
	l, err := readModels(ctx, a.opts, a.topics.Models)
	if err != nil {
		return "", err
	}
	ref, err := l.find(text)
	if err != nil {
		return "", err
	}
	previous := append(slices.Clone(l.pointer.Previous), l.active())
	return ref, a.switchTo(ctx, l, ref, previous[max(0, len(previous)-keptModels):])
}

// ErrNoPrevious says that there is nothing to roll back to.
var ErrNoPrevious = errors.New("no model was active before")

// Rollback switches back to what was active before the last Activate.
func (a *Models) Rollback(ctx context.Context) (string, error) {
	l, err := readModels(ctx, a.opts, a.topics.Models)
	if err != nil {
		return "", err
	}
	n := len(l.pointer.Previous)
	if n == 0 {
		return "", ErrNoPrevious
	}
	ref := l.pointer.Previous[n-1]
	return ref, a.switchTo(ctx, l, ref, l.pointer.Previous[:n-1])
}

func (a *Models) switchTo(ctx context.Context, l *modelLog, ref string, previous []string) error {
	name := ConfiguredModel
	if ref != ConfiguredModel {
		m, err := l.read(ref)
		if err != nil {
			return err
		}
		if _, err := features.NewKnowledge(&m.Learnt, nil); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNoModel, ref, err)
		}
		name = m.Name
	}
	partitions, err := partitionsOf(ctx, a.opts, a.topics.Events)
	if err != nil {
		return err
	}
	marks := make([]*kgo.Record, 0, partitions)
	for p := range partitions {
		marks = append(marks, ModelMark(a.topics.Events, p, ref))
	}
	if err := a.produce(ctx, marks); err != nil {
		return fmt.Errorf("marking the switch to model %s: %w", ref, err)
	}
	body, err := json.Marshal(activation{Active: ref, Previous: previous, Changed: a.now().UTC().Truncate(time.Microsecond)})
	if err != nil {
		return fmt.Errorf("encoding the switch to model %s: %w", ref, err)
	}
	if err := a.produce(ctx, []*kgo.Record{a.record(name, body)}); err != nil {
		return fmt.Errorf("recording the switch to model %s: %w", ref, err)
	}
	return nil
}

func (a *Models) record(key string, value []byte, more ...kgo.RecordHeader) *kgo.Record {
	return &kgo.Record{
		Topic: a.topics.Models, Key: []byte(key), Value: value,
		Headers: append([]kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte(schemas.SchemaModel)}}, more...),
	}
}

func (a *Models) produce(ctx context.Context, recs []*kgo.Record) error {
	if err := a.cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("writing to Kafka: %w", err)
	}
	return nil
}
