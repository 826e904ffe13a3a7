package stream

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// windows counts records per key in tumbling windows of event time; a window
// is written when the watermark passes its end. It has the traits of a real
// processor: several shards, each with its own gate and watermark, sorted
// output, late records refused.
type windows struct {
	partition int32
	shards    []windowShard
}

type windowShard struct {
	next      map[string]int64 // gate: records below were applied
	watermark int64
	counts    map[windowKey]int64
}

type windowKey struct {
	end int64
	key string
}

const (
	windowLen    = 100
	windowShards = 4
)

func newWindows(partition, _ int32) (Processor, error) {
	w := &windows{partition: partition, shards: make([]windowShard, windowShards)}
	for i := range w.shards {
		w.shards[i].counts = make(map[windowKey]int64)
	}
	return w, nil
}

func windowEvent(topic string, partition int32, key string, ts int64) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: partition, Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, uint64(ts))}
}

func (w *windows) Shards() int { return len(w.shards) }

func (w *windows) Process(rec *kgo.Record, out *Output) error {
	if len(rec.Value) != 8 {
		out.DeadLetter(rec, "size")
		return nil
	}
	ts := int64(binary.BigEndian.Uint64(rec.Value))
	var closed []windowKey
	counts := make(map[windowKey]int64)
	for i := range w.shards {
		s := &w.shards[i]
		if rec.Offset < s.next[rec.Topic] {
			continue
		}
		if i == int(PartitionFor(rec.Key, windowShards)) {
			if end := ts/windowLen*windowLen + windowLen; end <= s.watermark {
				out.DeadLetter(rec, "late")
			} else {
				s.counts[windowKey{end, string(rec.Key)}]++
			}
		}
		s.watermark = max(s.watermark, ts)
		for k, n := range s.counts {
			if k.end <= s.watermark {
				closed, counts[k] = append(closed, k), n
				delete(s.counts, k)
			}
		}
	}
	slices.SortFunc(closed, func(a, b windowKey) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.key, b.key))
	})
	for _, k := range closed {
		out.EmitTo("out", w.partition, []byte(k.key), fmt.Appendf(nil, "%d:%d", k.end, counts[k]))
	}
	return nil
}

func (w *windows) Snapshot(shard int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	s := &w.shards[shard]
	dst = binary.AppendVarint(dst, s.watermark)
	for _, k := range slices.SortedFunc(maps.Keys(s.counts), func(a, b windowKey) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.key, b.key))
	}) {
		dst = binary.AppendVarint(dst, k.end)
		dst = appendString(dst, k.key)
		dst = binary.AppendVarint(dst, s.counts[k])
	}
	return dst, nil
}

func (w *windows) Restore(shard int, data []byte, next map[string]int64) error {
	s := &w.shards[shard]
	s.next = maps.Clone(next)
	read := func() int64 {
		v, n := binary.Varint(data)
		data = data[n:]
		return v
	}
	s.watermark = read()
	for len(data) > 0 {
		var k windowKey
		k.end = read()
		n, size := binary.Uvarint(data)
		k.key = string(data[size : size+int(n)])
		data = data[size+int(n):]
		s.counts[k] = read()
	}
	return nil
}

// reference is what one pass over the input writes, per partition.
func reference(t testing.TB, input map[int32][]*kgo.Record, partitions int32) map[int32][]string {
	t.Helper()
	return referenceFrom(t, input, partitions, 0)
}

// referenceFrom is the output of the records from an offset on.
func referenceFrom(t testing.TB, input map[int32][]*kgo.Record, partitions int32, from int64) map[int32][]string {
	t.Helper()
	ref := make(map[int32][]string)
	for p, recs := range input {
		proc, err := newWindows(p, partitions)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMetrics(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		out := &Output{emitter: collect{ref, partitions}, ctx: t.Context(), metrics: m, logger: slog.New(slog.DiscardHandler)}
		for _, rec := range recs {
			out.muted = rec.Offset < from
			if err := proc.Process(rec, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ref
}

// feed writes n window events per partition, with disorder and late ones.
func feed(b *bed, topic string, partitions int32, from, n int) {
	b.t.Helper()
	recs := make([]*kgo.Record, 0, n*int(partitions))
	for i := from; i < from+n; i++ {
		for p := range partitions {
			ts := int64(i)*7 + int64((i*31+int(p)*17)%40)
			if i%97 == 3 {
				ts -= 600
			}
			recs = append(recs, windowEvent(topic, p, fmt.Sprintf("k%d", (i*13+int(p))%23), max(0, ts)))
		}
	}
	b.produce(recs...)
}

func windowsConfig() Config {
	return Config{
		Group:           "g",
		Inputs:          []string{"in"},
		Outputs:         []string{"out"},
		StateTopic:      "state",
		DeadLetterTopic: "dead",
		NewProcessor:    newWindows,
	}
}

// patient gives a worker that nobody kills the time a slow machine may take,
// for tests that expect no session to be lost.
func patient(cfg Config) Config {
	cfg.SessionTimeout, cfg.TransactionTimeout, cfg.CommitTimeout, cfg.StopTimeout = time.Minute, time.Minute, 30*time.Second, time.Minute
	return cfg
}
