package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
)

// sequence is what was written in an order that must be the same again.
type sequence struct {
	keys   []string
	values [][]byte
}

func (s *sequence) add(r *kgo.Record) {
	s.keys = append(s.keys, string(r.Key))
	s.values = append(s.values, r.Value)
}

// outcome is what a deployment made of its events.
type outcome struct {
	features    map[string]*sequence // by partition
	aggregates  map[string]*sequence // by partition and source
	verdicts    map[string]string    // final record by id, without those withdrawn
	written     int                  // verdict records, repeated ones included
	provisional int                  // ids whose last record is provisional
	blocklist   map[string]string    // last record by key, without those lifted
	dead        int
}

func (d *deployment) outcome() *outcome {
	d.t.Helper()
	o := &outcome{features: map[string]*sequence{}, aggregates: map[string]*sequence{}}
	for p, recs := range d.read(d.topics.Features) {
		s := &sequence{}
		o.features[fmt.Sprint(p)] = s
		for _, r := range recs {
			s.add(r)
		}
	}
	for p, recs := range d.read(d.topics.Aggregates) {
		for _, r := range recs {
			var a schemas.Aggregate
			if err := a.DecodeProto(r.Value); err != nil {
				d.t.Fatal(err)
			}
			at := fmt.Sprintf("%d from %d", p, a.Source)
			if o.aggregates[at] == nil {
				o.aggregates[at] = &sequence{}
			}
			o.aggregates[at].add(r)
		}
	}
	d.readVerdicts(o)
	o.blocklist = map[string]string{}
	for _, recs := range d.read(d.topics.Blocklist) {
		for _, r := range recs {
			if o.blocklist[string(r.Key)] = string(r.Value); len(r.Value) == 0 {
				delete(o.blocklist, string(r.Key))
			}
		}
	}
	for _, recs := range d.read(d.topics.DeadLetter) {
		o.dead += len(recs)
	}
	return o
}

func (d *deployment) readVerdicts(o *outcome) {
	d.t.Helper()
	o.verdicts = map[string]string{}
	for _, recs := range d.read(d.topics.Verdicts) {
		for _, r := range recs {
			o.written++
			v := decodeVerdict(d.t, string(r.Value))
			o.verdicts[v.ID] = string(r.Value)
		}
	}
	for id, text := range o.verdicts {
		v := decodeVerdict(d.t, text)
		if v.Withdrawn {
			delete(o.verdicts, id)
		} else if v.Provisional {
			o.provisional++
		}
	}
}

func decodeVerdict(t testing.TB, text string) *schemas.Verdict {
	t.Helper()
	v := new(schemas.Verdict)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (o *outcome) blocks(t testing.TB) (n int) {
	for _, text := range o.verdicts {
		if decodeVerdict(t, text).Action == schemas.ActionBlock {
			n++
		}
	}
	return n
}

func total(m map[string]*sequence) (n int) {
	for _, s := range m {
		n += len(s.keys)
	}
	return n
}

// sameSequences fails the test where two runs did not write the same records in
// the same order.
func sameSequences(t testing.TB, what string, got, want map[string]*sequence) {
	t.Helper()
	for _, at := range union(got, want) {
		g, w := got[at], want[at]
		if g == nil || w == nil {
			t.Errorf("%s in partition %s: written by one run only", what, at)
			continue
		}
		for i := range max(len(g.keys), len(w.keys)) {
			if i < len(g.keys) && i < len(w.keys) && g.keys[i] == w.keys[i] && bytes.Equal(g.values[i], w.values[i]) {
				continue
			}
			t.Errorf("%s in partition %s: %d records, want %d; the first difference is at record %d", what, at, len(g.keys), len(w.keys), i)
			if what == "features" && i < len(g.keys) && i < len(w.keys) {
				t.Logf("got  %s\nwant %s", describeFeatures(t, g.values[i]), describeFeatures(t, w.values[i]))
			}
			break
		}
	}
}

func describeFeatures(t testing.TB, value []byte) string {
	var f schemas.ClientFeatures
	if err := f.DecodeProto(value); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s on %s, window %d, seq %d, final %v, %d requests", f.Client, f.API, f.WindowStart, f.Seq, f.Final, f.Requests)
}

// sameTexts fails the test where two runs did not end with the same records.
func sameTexts(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	shown := 0
	for _, key := range union(got, want) {
		if got[key] == want[key] {
			continue
		}
		if shown++; shown > 3 {
			t.Errorf("%s: more differences", what)
			return
		}
		t.Errorf("%s %s:\ngot  %s\nwant %s", what, key, got[key], want[key])
	}
}

func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// traffic is about n simulated events with every attack among them, in an order
// of arrival inside the allowed lateness.
func traffic(t testing.TB, n int, seed uint64) []simulate.Record {
	t.Helper()
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Start = seed, cfg.Start.Add(9*hour)
	cfg.Clients, cfg.Duration, cfg.Activity = 500, 2*hour, 40
	if n > 100_000 {
		cfg.Clients, cfg.Duration = 4000, 6*hour
	}
	cfg.Attacks = simulate.EveryAttack(cfg.Duration/60, cfg.Duration/60, 1)
	g, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	records := simulate.Collect(g, n, features.AppendClientKey)
	if len(records) < n*9/10 {
		t.Fatalf("only %d events", len(records))
	}
	return records
}

// closing is a time that ends every window of records.
func closing(records []simulate.Record) int64 {
	newest := slices.MaxFunc(records, func(a, b simulate.Record) int { return cmp.Compare(a.Time, b.Time) })
	return newest.Time + minute.Microseconds()
}
