package stream

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pairs counts the records of two topics per key. What it writes depends on
// the order between the topics, but the last state of each key does not.
type pairs struct {
	partition int32
	shards    []pairShard
}

type pairShard struct {
	next   map[string]int64
	counts map[string]*[2]int64
}

func newPairs(partition, _ int32) (Processor, error) {
	p := &pairs{partition: partition, shards: make([]pairShard, 3)}
	for i := range p.shards {
		p.shards[i].counts = make(map[string]*[2]int64)
	}
	return p, nil
}

func (p *pairs) Shards() int { return len(p.shards) }

func (p *pairs) Process(rec *kgo.Record, out *Output) error {
	s := &p.shards[PartitionFor(rec.Key, int32(len(p.shards)))]
	if rec.Offset < s.next[rec.Topic] {
		return nil
	}
	c := s.counts[string(rec.Key)]
	if c == nil {
		c = new([2]int64)
		s.counts[string(rec.Key)] = c
	}
	if rec.Topic == "left" {
		c[0]++
	} else {
		c[1]++
	}
	out.Emit("out", rec.Key, fmt.Appendf(nil, "%d,%d", c[0], c[1]))
	return nil
}

func (p *pairs) Snapshot(shard int, dst []byte, _ map[string]int64) ([]byte, map[string]int64) {
	s := &p.shards[shard]
	for _, k := range slices.Sorted(maps.Keys(s.counts)) {
		dst = appendString(dst, k)
		dst = binary.AppendUvarint(dst, uint64(s.counts[k][0]))
		dst = binary.AppendUvarint(dst, uint64(s.counts[k][1]))
	}
	return dst, nil
}

func (p *pairs) Restore(shard int, data []byte, next map[string]int64) error {
	s := &p.shards[shard]
	s.next = maps.Clone(next)
	d := decoder{b: data}
	for len(d.b) > 0 && !d.bad {
		k := string(d.bytes())
		s.counts[k] = &[2]int64{int64(d.varint(1 << 40)), int64(d.varint(1 << 40))}
	}
	return nil
}

func TestTwoInputsGoToOneWorkerAtLeastOnce(t *testing.T) {
	t.Parallel()
	const partitions = 6
	b := newBed(t, specs(partitions, "left", "right", "out", "state")...)
	cfg := Config{
		Group:            "pairs",
		Inputs:           []string{"left", "right"},
		Outputs:          []string{"out"},
		StateTopic:       "state",
		Delivery:         AtLeastOnce,
		SnapshotInterval: 50 * time.Millisecond,
		NewProcessor:     newPairs,
	}
	want := make(map[string][2]int64)
	n := 0
	more := func(count int) {
		recs := make([]*kgo.Record, 0, 2*count)
		for range count {
			n++
			key := "k" + strconv.Itoa(n%57)
			c := want[key]
			for side, topic := range []string{"left", "right"} {
				if side == 1 && n%3 == 0 {
					continue
				}
				c[side]++
				recs = append(recs, &kgo.Record{Topic: topic, Partition: PartitionFor([]byte(key), partitions), Key: []byte(key)})
			}
			want[key] = c
		}
		b.produce(recs...)
	}

	start := func(id string) *worker {
		c := cfg
		c.InstanceID = id
		return startWorker(t, b.addrs, c)
	}
	first := start("1")
	more(500)
	second := startWorker(t, b.addrs, cfg)
	eventually(t, "the second worker to have both topics", func() bool {
		more(20)
		return second.metric(t, "weir_stream_partitions") >= 2 && second.metric(t, "weir_stream_records_total") > 0
	})
	for range 3 {
		before := b.written("out")
		more(300)
		eventually(t, "output after a kill", func() bool { return b.written("out") > before })
		first.kill()
		more(100)
		first = start("1")
	}
	if err := second.stop(t); err != nil {
		t.Error(err)
	}
	more(100)
	eventually(t, "the workers to catch up", func() bool { return b.behind("pairs", "left", "right") == 0 })
	if err := first.stop(t); err != nil {
		t.Error(err)
	}

	// Both counters of a key only grow, so the largest sum is the last state:
	// too low, and a record was lost; too high, and one was applied twice.
	got := make(map[string][2]int64)
	for p, recs := range b.readAll("out") {
		for _, rec := range recs {
			if PartitionFor(rec.Key, partitions) != p {
				t.Fatalf("key %s is in partition %d", rec.Key, p)
			}
			l, r, _ := strings.Cut(string(rec.Value), ",")
			left, _ := strconv.ParseInt(l, 10, 64)
			right, _ := strconv.ParseInt(r, 10, 64)
			if c := got[string(rec.Key)]; left+right > c[0]+c[1] {
				got[string(rec.Key)] = [2]int64{left, right}
			}
		}
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("key %s: got %v, want %v", k, got[k], w)
		}
	}
}

func TestARebalanceKeepsWhatDidNotChange(t *testing.T) {
	t.Parallel()
	const partitions = 4
	b := newBed(t, specs(partitions, "left", "right", "out", "state")...)
	cfg := patient(Config{Group: "pairs", Inputs: []string{"left", "right"}, StateTopic: "state", Delivery: AtLeastOnce, NewProcessor: newPairs})
	first := startWorker(t, b.addrs, cfg)
	var recs []*kgo.Record
	for p := range int32(partitions) {
		for i := range 50 {
			for _, topic := range cfg.Inputs {
				recs = append(recs, &kgo.Record{Topic: topic, Partition: p, Key: []byte(strconv.Itoa(i))})
			}
		}
	}
	b.produce(recs...)
	eventually(t, "the worker to catch up", func() bool { return b.behind("pairs", "left", "right") == 0 })
	if n := first.metric(t, "weir_stream_restores_total"); n != partitions {
		t.Fatalf("%v restores at the start", n)
	}
	second := startWorker(t, b.addrs, cfg)
	eventually(t, "the second worker to have partitions", func() bool {
		return second.metric(t, "weir_stream_partitions") >= 4 && first.metric(t, "weir_stream_restores_avoided_total") >= 2
	})
	// An eager rebalance takes everything from the first and gives half back.
	if n := first.metric(t, "weir_stream_restores_total"); n != partitions {
		t.Errorf("%v restores after the rebalance, want none more than %d", n, partitions)
	}
	if n := second.metric(t, "weir_stream_restores_total"); n < 2 {
		t.Errorf("%v restores at the second worker", n)
	}
	if a := first.metric(t, "weir_stream_aborts_total"); a != 0 {
		t.Errorf("%v commits were rolled back", a)
	}
	for _, w := range []*worker{second, first} {
		if err := w.stop(t); err != nil {
			t.Error(err)
		}
	}
}
