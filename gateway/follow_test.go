package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-dev/weir/schemas"
)

func TestRestartRebuildsAndNeverResumes(t *testing.T) {
	c := newCluster(t)
	c.write(block("user", "a"), block("user", "b"))
	b, err := NewBlocklist(Config{Opts: c.opts, Topic: testTopic, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, b.Run)
	wait(t, "ready", b.IsReady)
	stop()
	// What was lifted while nobody looked, with the tombstone compacted away.
	c.write(tombstone("default/user/a"))
	again := c.start(Config{})
	checkEntries(t, again, "user/b=v-b")
}

func TestBrokerRestartIsFollowedThrough(t *testing.T) {
	dir := t.TempDir()
	open := func(opts ...kfake.Opt) *kfake.Cluster {
		fake, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SeedTopics(1, testTopic))...)
		if err != nil {
			t.Fatal(err)
		}
		return fake
	}
	fake := open()
	addr := fake.ListenAddrs()[0]
	var port int
	if _, err := fmt.Sscanf(addr[strings.LastIndexByte(addr, ':')+1:], "%d", &port); err != nil {
		t.Fatal(err)
	}
	c := &testCluster{t: t, fake: fake, opts: []kgo.Opt{
		kgo.SeedBrokers(addr), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}}
	c.admin = c.client()
	c.write(block("user", "a"))
	b := c.start(Config{})
	fake.Close()
	if _, ok := b.Lookup("user", "a"); !ok {
		t.Error("a block was lost with the broker")
	}
	fake = open(kfake.Ports(port))
	t.Cleanup(fake.Close)
	c.fake = fake
	c.write(block("user", "b"))
	wait(t, "a block written after the restart", func() bool { _, ok := b.Lookup("user", "b"); return ok })
	checkEntries(t, b, "user/a=v-a", "user/b=v-b")
}

func TestRebuildSwapsTheListInWhole(t *testing.T) {
	c := newCluster(t)
	c.write(block("user", "old"))
	b := c.start(Config{})
	var rebuilt sync.WaitGroup
	rebuilt.Add(1)
	cancel := b.Subscribe(func(ch Change) {
		if ch.Kind == ChangeRebuilt {
			rebuilt.Done()
		}
	})
	defer cancel()
	c.write(block("user", "new"))
	wait(t, "new", func() bool { _, ok := b.Lookup("user", "new"); return ok })
	// The tombstone of "old" is never delivered: the log was cut above it.
	if err := c.fake.DeleteRecords(testTopic, 0, 1); err != nil {
		t.Fatal(err)
	}
	c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: testTopic, Err: kerr.OffsetOutOfRange})
	c.write(block("user", "wake"))
	rebuilt.Wait()
	checkEntries(t, b, "user/new=v-new", "user/wake=v-wake")
	if s := b.Stats(); s.Rebuilds != 1 || !s.Ready {
		t.Errorf("stats %+v", s)
	}
}

func TestLongSilenceRebuilds(t *testing.T) {
	c := newCluster(t)
	c.write(block("user", "a"))
	clk := newClock()
	b := c.start(Config{Now: clk.Now, RebuildAfter: time.Minute})
	c.write(put("default/user/b", entry(schemas.ActionBlock, 4*time.Hour, "v-b")))
	wait(t, "b", func() bool { _, ok := b.Lookup("user", "b"); return ok })
	clk.Add(2 * time.Hour)
	c.write(put("default/user/c", entry(schemas.ActionBlock, 4*time.Hour, "v-c")))
	wait(t, "a rebuild", func() bool { return b.Stats().Rebuilds == 1 })
	wait(t, "c", func() bool { _, ok := b.Lookup("user", "c"); return ok })
	checkEntries(t, b, "user/b=v-b", "user/c=v-c")
}

func TestReadersAndWritersAtOnce(t *testing.T) {
	c := newCluster(t)
	b := c.start(Config{})
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				b.Match(Identity{User: []byte("u1"), ClientIP: []byte("203.0.113.4")})
				b.Sweep()
				for range b.All() {
				}
				b.Stats()
			}
		})
	}
	for i := range 300 {
		c.write(block("user", fmt.Sprintf("u%d", i%5)), block("network", fmt.Sprintf("203.0.%d.0/24", i%7)))
		if i%3 == 0 {
			c.write(tombstone(fmt.Sprintf("default/user/u%d", i%5)))
		}
	}
	c.write(block("user", "end"))
	wait(t, "end", func() bool { _, ok := b.Lookup("user", "end"); return ok })
	cancel()
	readers.Wait()
	checkEntries(t, b, wantAfterStorm()...)
}

// wantAfterStorm replays TestReadersAndWritersAtOnce on a map.
func wantAfterStorm() (want []string) {
	m := map[string]bool{"user/end=v-end": true}
	for i := range 300 {
		user := fmt.Sprintf("user/u%d=v-u%d", i%5, i%5)
		m[user] = true
		m[fmt.Sprintf("network/203.0.%d.0/24=v-203.0.%d.0/24", i%7, i%7)] = true
		if i%3 == 0 {
			delete(m, user)
		}
	}
	for k := range m {
		want = append(want, k)
	}
	slices.Sort(want)
	return want
}
