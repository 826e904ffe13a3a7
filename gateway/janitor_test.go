package gateway

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// janitor starts a Janitor that sweeps only when told to, and waits until it has
// read the log.
func (c *testCluster) janitor(now func() time.Time, opts ...kgo.Opt) *Janitor {
	c.t.Helper()
	j, err := NewJanitor(JanitorConfig{
		Opts: append(slices.Clone(c.opts), opts...), Topic: testTopic, Now: now,
		Grace: time.Minute, Interval: 1000 * time.Hour, Batch: 3,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(j.Close)
	j.swept = now() // no sweep of its own
	run(c.t, j.Run)
	c.upTo(j)
	return j
}

// upTo waits until the janitor has read everything.
func (c *testCluster) upTo(j *Janitor) {
	c.t.Helper()
	probe := fmt.Sprintf("default/user/probe-%d", c.write(tombstone("default/user/probe")))
	c.write(tombstone(probe))
	wait(c.t, "the janitor to read", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		_, ok := j.keys[probe]
		return ok && j.caught
	})
}

func sweep(t *testing.T, j *Janitor, want int) {
	t.Helper()
	n, err := j.Sweep(context.Background())
	if err != nil || n != want {
		t.Errorf("sweep wrote %d records, %v; want %d", n, err, want)
	}
}

func keys(m map[string]string) (ks []string) {
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

func TestJanitorRemovesExpiredEntriesInBatches(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	for i := range 5 {
		c.write(put(fmt.Sprintf("tenant%d/user/u", i), entry(schemas.ActionBlock, time.Duration(i)*time.Second, "")))
	}
	c.write(block("user", "stays"), put("default/allow:user/a", entry(schemas.AllowAction, time.Second, "")),
		&kgo.Record{Key: []byte("default/user/unreadable"), Value: []byte("?")})
	j := c.janitor(clk.Now)
	clk.Add(time.Minute - time.Microsecond)
	sweep(t, j, 0)
	clk.Add(10 * time.Second)
	sweep(t, j, 3)
	if left := keys(c.compacted()); slices.Contains(left, "tenant0/user/u") || !slices.Contains(left, "tenant4/user/u") {
		t.Errorf("not the oldest went first: %v", left)
	}
	// Without having read its own tombstones or with them, the rest follows.
	sweep(t, j, 3)
	c.upTo(j)
	sweep(t, j, 0)
	want := []string{"default/user/stays", "default/user/unreadable"}
	if diff := cmp.Diff(want, keys(c.compacted())); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestJanitorLiftsBlocksOfAllowedEntities(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	c.write(block("user", "eve"), block("user", "mallory"), block("ip", "10.1.1.1"),
		put("other/user/eve", entry(schemas.ActionBlock, time.Hour, "")),
		allow("user", "eve"))
	j := c.janitor(clk.Now)
	sweep(t, j, 1)
	c.write(allow("network", "10.0.0.0/8"))
	c.upTo(j)
	sweep(t, j, 1)
	c.write(block("user", "eve"))
	c.upTo(j)
	sweep(t, j, 1)
	c.write(tombstone("default/allow:user/eve"), block("user", "eve"))
	c.upTo(j)
	sweep(t, j, 0)
	want := []string{"default/allow:network/10.0.0.0/8", "default/user/eve", "default/user/mallory", "other/user/eve"}
	if diff := cmp.Diff(want, keys(c.compacted())); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// overtake writes once, at the moment the janitor is about to.
type overtake struct{ write func() }

func (o *overtake) OnProduceRecordBuffered(*kgo.Record) {
	if f := o.write; f != nil {
		o.write = nil
		f()
	}
}

func TestJanitorNeverLiftsABlockThatWasRenewedMeanwhile(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	key := schemas.BlockKey("", "user", "k")
	c.write(put(key, entry(schemas.ActionBlock, time.Second, "first")))
	b := c.start(Config{Now: clk.Now})
	hook := &overtake{}
	j := c.janitor(clk.Now, kgo.WithHooks(hook))
	clk.Add(2 * time.Minute)
	renewed := entry(schemas.ActionBlock, time.Hour, "second")
	hook.write = func() { c.write(put(key, renewed)) }
	sweep(t, j, 1)
	c.write(block("user", "end"))
	wait(t, "end", func() bool { _, ok := b.Lookup("user", "end"); return ok })
	if got, _ := b.Lookup("user", "k"); got.VerdictID != "second" {
		t.Errorf("a follower lost the renewed block: %+v", got)
	}
	// The follower's own tick may repair first; either way it is repaired once.
	wait(t, "the repair in the log", func() bool {
		_, _ = j.Sweep(context.Background())
		_, ok := c.compacted()[key]
		return ok
	})
	late := c.start(Config{Now: clk.Now})
	if got, ok := late.Lookup("user", "k"); !ok || !cmp.Equal(got, renewed) {
		t.Errorf("a follower that started later sees %+v %v", got, ok)
	}
	c.upTo(j)
	sweep(t, j, 0)
}

func TestJanitorRepairsWhatItFindsInTheLog(t *testing.T) {
	clk := newClock()
	key := schemas.BlockKey("", "user", "k")
	version := func(id string) *kgo.Record { return put(key, entry(schemas.ActionBlock, time.Hour, id)) }
	f := func(name, want string, repairs int, log ...*kgo.Record) {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.write(log...)
			before := len(c.records())
			j := c.janitor(clk.Now)
			wait(t, "repairs", func() bool {
				_, _ = j.Sweep(context.Background())
				return len(c.records()) == before+repairs+2
			})
			c.upTo(j)
			sweep(t, j, 0)
			b := c.start(Config{Now: clk.Now})
			got := ""
			if e, ok := b.Lookup("user", "k"); ok {
				got = e.VerdictID
			}
			if got != want {
				t.Errorf("in force %q, want %q", got, want)
			}
			value, ok := c.compacted()[key]
			if ok != (want != "") || ok && value != string(version(want).Value) {
				t.Errorf("after compaction %q, want the record of %q", value, want)
			}
		})
	}
	f("late tombstone", "b", 1, version("a"), version("b"), unless(0, tombstone(key)))
	f("tombstone in time", "", 0, version("a"), unless(0, tombstone(key)))
	f("settled by a newer record", "c", 0, version("a"), version("b"), unless(0, tombstone(key)), version("c"))
	f("repaired by another janitor", "b", 0, version("a"), version("b"), unless(0, tombstone(key)), unless(2, version("b")))
	f("repaired twice", "b", 0, version("a"), version("b"), unless(0, tombstone(key)), unless(2, version("b")), unless(2, version("b")))
	f("late repair", "c", 1, version("a"), version("b"), unless(0, tombstone(key)), version("c"), unless(2, version("b")))
	f("repair after an operator lifted it", "", 1, version("a"), version("b"), unless(0, tombstone(key)), tombstone(key), unless(2, version("b")))
	f("tombstone twice", "", 0, version("a"), unless(0, tombstone(key)), unless(0, tombstone(key)))
}

func TestTwoJanitorsDoNotFight(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	key := schemas.BlockKey("", "user", "k")
	c.write(put(key, entry(schemas.ActionBlock, time.Second, "first")), block("user", "stays"))
	hook := &overtake{}
	a, b := c.janitor(clk.Now, kgo.WithHooks(hook)), c.janitor(clk.Now)
	clk.Add(2 * time.Minute)
	hook.write = func() { c.write(put(key, entry(schemas.ActionBlock, time.Hour, "second"))) }
	sweep(t, a, 1)
	for range 4 {
		for _, j := range []*Janitor{a, b} {
			if _, err := j.Sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		c.upTo(a)
		c.upTo(b)
	}
	sweep(t, a, 0)
	sweep(t, b, 0)
	if diff := cmp.Diff([]string{key, "default/user/stays"}, keys(c.compacted())); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
