package features

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// busy is an Extractor of one shard with every kind of state: closed and open
// hops, stale slots, entities, residue.
func busy(t testing.TB) (*Extractor, Config) { return busyWith(t, 1500) }

func busyWith(t testing.TB, n int) (*Extractor, Config) {
	cfg := testConfig()
	cfg.Clients, cfg.Entities, cfg.Shards = 20, 200, 1
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range shuffle(traffic(71, n), 2*second, 5) {
		x.Apply(ev.e, ev.t, int64(i), discard{})
	}
	return x, cfg
}

func TestSnapshotOfARestoredShardIsTheSame(t *testing.T) {
	x, cfg := busy(t)
	data := x.AppendSnapshot([]byte("prefix"), 0)[len("prefix"):]
	if again := x.AppendSnapshot(nil, 0); !bytes.Equal(again, data) {
		t.Error("taking a snapshot changed the state")
	}
	sh := x.shards[0]
	if len(sh.open) == 0 || len(sh.entities.cells) == 0 || x.Stats.Evicted == 0 {
		t.Fatalf("the snapshot lacks open clients, entities or residue: %+v", x.Stats)
	}
	y, _ := New(cfg)
	if err := y.RestoreSnapshot(0, data, 5); err != nil {
		t.Fatal(err)
	}
	if again := y.AppendSnapshot(nil, 0); !bytes.Equal(again, data) {
		t.Error("a restored shard has another snapshot")
	}
	if y.Watermark() != x.Watermark() || y.Clients() != x.Clients() {
		t.Errorf("watermark %d and %d clients, want %d and %d", y.Watermark(), y.Clients(), x.Watermark(), x.Clients())
	}
}

// every fills each field below v with a number of its own.
func every(v reflect.Value, next *uint64) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			every(reflect.NewAt(v.Field(i).Type(), v.Field(i).Addr().UnsafePointer()).Elem(), next)
		}
	case reflect.Array:
		for i := range v.Len() {
			every(v.Index(i), next)
		}
	default:
		*next++
		n := reflect.ValueOf(*next % 250)
		v.Set(n.Convert(v.Type()))
	}
}

// A field that a snapshot forgets would be lost on the next restart only.
func TestEveryFieldOfASlotIsInItsSnapshot(t *testing.T) {
	var want, got slot
	n := uint64(0)
	every(reflect.ValueOf(&want).Elem(), &n)
	w := &codec{}
	want.code(w)
	r := &codec{buf: w.buf, reading: true}
	got.code(r)
	if r.bad || len(r.buf) > 0 || got != want {
		t.Errorf("bad %v, %d bytes left\ngot  %+v\nwant %+v", r.bad, len(r.buf), got, want)
	}
}

func TestEveryFieldOfAnObservationIsInItsSnapshot(t *testing.T) {
	var want, got observation
	n := uint64(0)
	every(reflect.ValueOf(&want).Elem(), &n)
	w := &codec{}
	want.code(w)
	r := &codec{buf: w.buf, reading: true}
	if got.code(r); r.bad || len(r.buf) > 0 || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSnapshotThatMakesNoSenseIsRefused(t *testing.T) {
	x, cfg := busy(t)
	good := x.AppendSnapshot(nil, 0)
	restore := func(data []byte) error {
		y, _ := New(cfg)
		return y.RestoreSnapshot(0, data, 0)
	}
	if err := restore(good); err != nil {
		t.Fatal(err)
	}
	twice := func() []byte { // two slots of one key
		c := &codec{buf: []byte{snapshotVersion}}
		var zero int64
		for range 3 {
			c.i64(&zero)
		}
		c.length(2)
		for range 2 {
			k, no := slab.Key{Hi: 1, Lo: 2}, false
			c.u64(&k.Hi)
			c.u64(&k.Lo)
			c.flag(&no)
			new(slot).code(c)
		}
		c.length(0)
		c.length(0)
		c.length(0)
		return c.buf
	}
	sketchless := func() []byte { // an aggregate without registers
		c := &codec{buf: []byte{snapshotVersion}}
		var zero int64
		for range 3 {
			c.i64(&zero)
		}
		c.length(0)
		c.length(0)
		c.length(1)
		new(entityCell).code(c)
		c.length(0)
		return c.buf
	}
	for name, data := range map[string][]byte{
		"empty":                 nil,
		"another version":       append([]byte{snapshotVersion + 1}, good[1:]...),
		"torn":                  good[:len(good)-1],
		"more than a shard":     append(bytes.Clone(good), 0),
		"a key twice":           twice(),
		"an empty sketch":       sketchless(),
		"endless list":          append(bytes.Clone(good[:25]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		"a number of 11 digits": append(bytes.Clone(good[:25]), bytes.Repeat([]byte{0xff}, 12)...),
	} {
		if err := restore(data); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: error %v, want ErrSnapshot", name, err)
		}
	}
}

// While one shard is missing nothing of the others' time may be believed: its
// events would be late.
func TestTimeRestartsWhereTheOldestShardStands(t *testing.T) {
	cfg := testConfig()
	cfg.Shards = 2
	x, _ := New(cfg)
	feed := func(from, n int64) {
		for i := range n {
			e := schemas.NewEvent()
			e.User, e.API = fmt.Appendf(nil, "u%d", i%9), []byte("a")
			x.Apply(e, start+(from+i)*second, from+i, discard{})
		}
	}
	feed(0, 20)
	older := x.AppendSnapshot(nil, 0)
	at := x.Watermark()
	feed(20, 20)
	newer := x.AppendSnapshot(nil, 1)
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		y, _ := New(cfg)
		for i, shard := range order {
			data := older
			if shard == 1 {
				data = newer
			}
			if err := y.RestoreSnapshot(shard, data, 20); err != nil {
				t.Fatal(err)
			}
			want := -cfg.Lateness
			if i == 1 {
				want = at
			}
			if y.Watermark() != want {
				t.Errorf("watermark %d after %d shards, want %d", y.Watermark(), i+1, want)
			}
		}
	}
}

func TestSkippedEventsAreInTheSnapshotAlready(t *testing.T) {
	x, cfg := busy(t)
	data := x.AppendSnapshot(nil, 0)
	y, _ := New(cfg)
	if err := y.RestoreSnapshot(0, data, 1500); err != nil {
		t.Fatal(err)
	}
	events := shuffle(traffic(71, 1500), 2*second, 5)
	if got := y.Apply(events[1499].e, events[1499].t, 1499, discard{}); got != Skipped {
		t.Errorf("outcome %d, want Skipped", got)
	}
	if again := y.AppendSnapshot(nil, 0); !bytes.Equal(again, data) {
		t.Error("a skipped event changed the state")
	}
}

func FuzzRestoreSnapshotNeverPanics(f *testing.F) {
	x, cfg := busyWith(f, 60)
	good := x.AppendSnapshot(nil, 0)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{snapshotVersion})
	for at := 1; at < len(good); at += len(good)/20 + 1 {
		bad := bytes.Clone(good)
		bad[at] ^= 0x55
		f.Add(bad)
	}
	events := traffic(72, 50)
	f.Fuzz(func(t *testing.T, data []byte) {
		y, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := y.RestoreSnapshot(0, data, 0); err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("error %v is not ErrSnapshot", err)
			}
			return
		}
		// What was accepted must also be usable.
		for i, ev := range events {
			y.Apply(ev.e, ev.t, int64(i), discard{})
		}
		y.Flush(discard{})
		y.AppendSnapshot(nil, 0)
	})
}
