package scoring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// records are windows of 60 clients, some of them attackers from some time on, early and final.
func records(seed uint64, n int64) []*schemas.ClientFeatures {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []*schemas.ClientFeatures
	for i := range n {
		for c := range 60 {
			if rng.IntN(3) > 0 {
				continue
			}
			client := fmt.Appendf(nil, "ip:10.0.0.%d", c)
			change := func(f *schemas.ClientFeatures) {
				f.Client = client
				f.Requests = 1 + rng.Uint32N(6)
				f.WindowObjects, f.ObjectAccesses, f.ObjectNew = rng.Uint32N(3), 3, rng.Uint32N(3)
				if c < 20 && i >= 5*int64(c) {
					logins(1 + rng.Uint32N(3))(f)
				}
			}
			f := record(i, rng.IntN(2) == 0, change)
			out = append(out, f)
			if !f.Final {
				out = append(out, record(i, true, change))
			}
		}
	}
	return out
}

func TestRestoredScorerDecidesIdentically(t *testing.T) {
	fs := records(61, 120)
	want := newBench(t, nil)
	want.feed(fs[:len(fs)/2]...)
	if len(want.take().verdicts) == 0 {
		t.Fatal("nothing was decided before the snapshot")
	}
	got := newBench(t, nil)
	for shard := range want.cfg.Shards {
		data := want.AppendSnapshot([]byte("x"), shard)[1:]
		if err := got.RestoreSnapshot(shard, data, want.offset); err != nil {
			t.Fatal(err)
		}
		if again := got.AppendSnapshot(nil, shard); !bytes.Equal(again, data) {
			t.Errorf("shard %d: a restored shard has another snapshot", shard)
		}
	}
	if got.Clients() != want.Clients() {
		t.Errorf("%d clients, want %d", got.Clients(), want.Clients())
	}
	got.feed(fs[:len(fs)/2]...) // all of it is in the snapshot
	if len(got.verdicts) > 0 {
		t.Errorf("records before the snapshot's offset were judged again:\n%s", &got.decisions)
	}
	got.offset = want.offset
	want.feed(fs[len(fs)/2:]...)
	got.feed(fs[len(fs)/2:]...)
	if len(want.verdicts) == 0 || !reflect.DeepEqual(got.decisions, want.decisions) {
		t.Errorf("restored:\n%s\nuninterrupted:\n%s", &got.decisions, &want.decisions)
	}
}

func TestEvidenceOfAnotherModelIsKept(t *testing.T) {
	old := newBench(t, nil)
	old.feed(record(0, true, logins(5)))
	now := newBench(t, func(c *Config) {
		c.Model.Name = "newer"
		if err := c.Model.Seal(); err != nil {
			t.Fatal(err)
		}
	})
	for shard := range old.cfg.Shards {
		if err := now.RestoreSnapshot(shard, old.AppendSnapshot(nil, shard), 0); err != nil {
			t.Fatal(err)
		}
	}
	now.feed(record(1, true, logins(5)))
	if len(now.verdicts) != 1 {
		t.Error("ten failures under two models are not found")
	}
}

func TestSnapshotThatMakesNoSenseIsRefused(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Shards = 1 })
	for _, f := range records(62, 4) {
		b.feed(f)
	}
	good := b.AppendSnapshot(nil, 0)
	before := b.AppendSnapshot(nil, 0)
	for n := 0; n < len(good); n += 61 {
		if err := b.RestoreSnapshot(0, good[:n], 0); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut to %d of %d bytes: error %v", n, len(good), err)
		}
	}
	header := 2 + len(b.cfg.Model.Version)
	if good[header] >= 0x80 {
		t.Fatal("the count takes more than a byte")
	}
	entry := good[header+1 : header+1+17+evidenceBytes]
	twice := append(append(append(bytes.Clone(good[:header]), 2), entry...), entry...)
	for name, data := range map[string][]byte{
		"another version": append([]byte{snapshotVersion + 1}, good[1:]...),
		"a client twice":  twice,
		"endless":         binary.AppendUvarint(bytes.Clone(good[:header]), 1<<63),
	} {
		if err := b.RestoreSnapshot(0, data, 0); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if !bytes.Equal(b.AppendSnapshot(nil, 0), before) {
		t.Error("a refused snapshot changed the state")
	}
	// The guard comes after the first shard; nothing after the others.
	two := newBench(t, func(c *Config) { c.Shards = 2 })
	if err := two.RestoreSnapshot(1, append(two.AppendSnapshot(nil, 1), 0), 0); !errors.Is(err, ErrSnapshot) {
		t.Errorf("more than a shard: error %v", err)
	}
}

func FuzzRestoreSnapshotNeverPanics(f *testing.F) {
	cfg := Config{Model: testModel(f), Policy: DefaultPolicy(), Clients: 30, Shards: 1}
	s, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	fs := records(63, 3)
	for i, r := range fs {
		s.Features(r, int64(i), new(decisions))
	}
	good := s.AppendSnapshot(nil, 0)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{snapshotVersion, 0, 0})
	f.Add([]byte{snapshotVersion, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RestoreSnapshot(0, data, 0); err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("error %v is not ErrSnapshot", err)
			}
			return
		}
		// What was accepted must also be usable.
		for i, r := range fs {
			s.Features(r, int64(i), new(decisions))
		}
		s.AppendSnapshot(nil, 0)
	})
}
