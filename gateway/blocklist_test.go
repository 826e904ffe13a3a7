package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-dev/weir/schemas"
)

// entries lists what is in force as "scope/value=id".
func entries(b *Blocklist) (s []string) {
	for it := range b.All() {
		prefix := ""
		if it.Allow {
			prefix = "allow:"
		}
		s = append(s, prefix+it.Scope+"/"+it.Value+"="+it.Entry.VerdictID)
	}
	slices.Sort(s)
	return s
}

func checkEntries(t *testing.T, b *Blocklist, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, entries(b)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestEmptyTopicIsReady(t *testing.T) {
	b := newCluster(t).start(Config{})
	checkEntries(t, b)
	if s := b.Stats(); !s.Ready || s.Blocks != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestMissingTopicIsWaitedFor(t *testing.T) {
	c := newCluster(t)
	b := c.startUnready(Config{Topic: "later"})
	if b.IsReady() {
		t.Error("ready without a topic")
	}
	if err := c.fake.CreateTopic("later", 1, nil); err != nil {
		t.Fatal(err)
	}
	wait(t, "ready after the topic was created", b.IsReady)
}

func TestBootstrapKeepsLastRecordOfEachKey(t *testing.T) {
	c := newCluster(t)
	c.write(
		block("user", "kept"),
		block("user", "lifted"),
		block("ip", "192.0.2.1"),
		put("default/user/changed", entry(schemas.ActionThrottle, time.Hour, "old")),
		put("default/user/changed", entry(schemas.ActionBlock, time.Hour, "new")),
		allow("network", "10.0.0.0/8"),
		put("other/user/kept", entry(schemas.ActionBlock, time.Hour, "other tenant")),
		put("default/user/past", entry(schemas.ActionBlock, -time.Hour, "past")),
		tombstone("default/user/lifted"),
		tombstone("default/user/never-there"),
	)
	b := c.start(Config{})
	checkEntries(t, b, "allow:network/10.0.0.0/8=a-10.0.0.0/8", "ip/192.0.2.1=v-192.0.2.1",
		"user/changed=new", "user/kept=v-kept")
	got, ok := b.Lookup("user", "changed")
	if want := entry(schemas.ActionBlock, time.Hour, "new"); !ok || !cmp.Equal(got, want) {
		t.Errorf("looking up user changed: %v %v, want %v", got, ok, want)
	}
	if _, ok := b.Lookup("user", "past"); ok {
		t.Error("an expired entry was found")
	}
	for _, scope := range []string{"", "users", "allow:network"} {
		if _, ok := b.Lookup(scope, "kept"); ok {
			t.Errorf("scope %q was found", scope)
		}
	}
}

func TestBootstrapReachesAnEndWithoutRecords(t *testing.T) {
	ctx := context.Background()
	f := func(name string, prepare func(*testing.T, *testCluster), want ...string) {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.write(block("user", "a"), block("user", "b"))
			prepare(t, c)
			b := c.start(Config{})
			checkEntries(t, b, want...)
			c.write(block("user", "z"))
			wait(t, "an entry written after the bootstrap", func() bool {
				_, ok := b.Lookup("user", "z")
				return ok
			})
		})
	}
	transact := func(t *testing.T, c *testCluster, commit kgo.TransactionEndTry) {
		cl := c.client(kgo.TransactionalID("tx"), kgo.DefaultProduceTopic(testTopic))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, block("user", "in-transaction")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, commit); err != nil {
			t.Fatal(err)
		}
	}
	f("commit marker last", func(t *testing.T, c *testCluster) { transact(t, c, kgo.TryCommit) },
		"user/a=v-a", "user/b=v-b", "user/in-transaction=v-in-transaction")
	f("aborted transaction last", func(t *testing.T, c *testCluster) { transact(t, c, kgo.TryAbort) },
		"user/a=v-a", "user/b=v-b")
	f("everything deleted", func(t *testing.T, c *testCluster) {
		if err := c.fake.DeleteRecords(testTopic, 0, -1); err != nil {
			t.Fatal(err)
		}
	})
	f("compacted away", func(t *testing.T, c *testCluster) {
		// The broker reports an end that lies beyond the last record that it
		// still has.
		var once sync.Once
		c.fake.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.fake.KeepControl()
			r := req.(*kmsg.ListOffsetsRequest)
			if len(r.Topics) != 1 || r.Topics[0].Partitions[0].Timestamp != -1 {
				return nil, nil, false
			}
			var answer kmsg.Response
			once.Do(func() {
				resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
				rt := kmsg.NewListOffsetsResponseTopic()
				rt.Topic = testTopic
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Offset = 7
				rt.Partitions = append(rt.Partitions, rp)
				resp.Topics = append(resp.Topics, rt)
				answer = resp
			})
			return answer, nil, answer != nil
		})
		c.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.fake.KeepControl()
			r := req.(*kmsg.FetchRequest)
			// Only the probe has no session; answer it as such a broker would.
			if r.SessionEpoch != -1 || len(r.Topics) != 1 || r.Topics[0].Partitions[0].FetchOffset != 2 {
				return nil, nil, false
			}
			resp := r.ResponseKind().(*kmsg.FetchResponse)
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = r.Topics[0].Topic, r.Topics[0].TopicID
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.HighWatermark, rp.LastStableOffset = 7, 7
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
	}, "user/a=v-a", "user/b=v-b")
}

func TestMalformedRecordsBlockNobodyAndAreCounted(t *testing.T) {
	c := newCluster(t)
	reg := prometheus.NewRegistry()
	c.write(
		block("user", "good"),
		block("user", "overwritten"),
		&kgo.Record{Key: []byte("default/user/overwritten"), Value: []byte(`{"action":"block"`)},
		&kgo.Record{Key: []byte("default/user/empty"), Value: []byte{}},
		&kgo.Record{Key: []byte("nonsense"), Value: []byte(`{}`)},
		&kgo.Record{Value: []byte(`{}`)},
		block("galaxy", "milky way"),
		block("network", "10.0.0.0/99"),
		put("default/user/no-expiry", schemas.BlockEntry{Action: schemas.ActionBlock}),
		put("default/user/wrong-action", entry("maim", time.Hour, "")),
		put("default/user/block-that-allows", entry(schemas.AllowAction, time.Hour, "")),
		put("default/allow:user/allow-that-blocks", entry(schemas.ActionBlock, time.Hour, "")),
		&kgo.Record{
			Key: []byte("default/user/future"), Value: block("user", "future").Value,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte("blocklist/2")}},
		},
		&kgo.Record{Key: []byte("default/user/huge"), Value: []byte(`{"reason":"` + strings.Repeat("x", maxValueBytes) + `"}`)},
		put("default/allow:user/always", schemas.BlockEntry{Action: schemas.AllowAction}),
	)
	b := c.start(Config{Registerer: reg})
	checkEntries(t, b, "allow:user/always=", "user/good=v-good")
	if got := b.Stats().Refused; got != 12 {
		t.Errorf("%d refused, want 12", got)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if f.GetName() == "weir_blocklist_refused_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"key": 3, "scope": 1, "value": 3, "action": 3, "expiry": 1, "version": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused by reason (-want +got):\n%s", diff)
	}
}

func TestFollowReportsEveryChangeOnceVisible(t *testing.T) {
	c := newCluster(t)
	c.write(block("user", "before"))
	clk := newClock()
	b := c.start(Config{Now: clk.Now})
	var mu sync.Mutex
	var got []string
	cancel := b.Subscribe(func(ch Change) {
		_, found := b.Lookup(ch.Item.Scope, ch.Item.Value)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%s %s/%s found=%v", ch.Kind, ch.Item.Scope, ch.Item.Value, found))
	})
	seen := func() int { mu.Lock(); defer mu.Unlock(); return len(got) }
	c.write(block("user", "new"), block("user", "before"), block("network", "198.51.100.0/24"),
		tombstone("default/user/new"), tombstone("default/user/unknown"))
	wait(t, "four changes", func() bool { return seen() == 4 })
	clk.Add(2 * time.Hour)
	if n := b.Sweep(); n != 2 {
		t.Errorf("sweep freed %d entries, want 2", n)
	}
	cancel()
	c.write(put("default/user/last", entry(schemas.ActionBlock, 9*time.Hour, "")))
	wait(t, "last", func() bool { _, ok := b.Lookup("user", "last"); return ok })
	want := []string{
		"added user/new found=true", "replaced user/before found=true",
		"added network/198.51.100.0/24 found=true", "removed user/new found=false",
		"expired network/198.51.100.0/24 found=false", "expired user/before found=false",
	}
	// The order within a batch is the log's, except that a lookup may already
	// see the end of the batch; the writes above are batches of their own or not,
	// as it happens.
	mu.Lock()
	defer mu.Unlock()
	for i := range got {
		if strings.HasPrefix(got[i], "added user/new") {
			got[i] = want[0]
		}
	}
	slices.Sort(got[4:])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestEntriesExpireByTheClockAlone(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	c.write(put("default/ip/192.0.2.9", entry(schemas.ActionBlock, time.Minute, "v")),
		put("default/network/192.0.2.0/24", entry(schemas.ActionThrottle, 2*time.Minute, "n")))
	b := c.start(Config{Now: clk.Now})
	who := Identity{ClientIP: []byte("192.0.2.9")}
	check := func(want schemas.Action) {
		t.Helper()
		if got := b.Match(who).Action; got != want {
			t.Errorf("at %s: action %q, want %q", clk.Now(), got, want)
		}
	}
	check(schemas.ActionBlock)
	clk.Add(time.Minute - time.Microsecond)
	check(schemas.ActionBlock)
	clk.Add(time.Microsecond)
	check(schemas.ActionThrottle)
	clk.Add(time.Minute)
	check("")
	if s := b.Stats(); s.Blocks != 2 {
		t.Errorf("%d blocks before the sweep, want 2", s.Blocks)
	}
	b.Sweep()
	if s := b.Stats(); s.Blocks != 0 || s.TextBytes != 0 {
		t.Errorf("after the sweep: %+v", s)
	}
}

func TestRunSweepsByItself(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	c.write(block("user", "a"))
	b := c.start(Config{Now: clk.Now, SweepInterval: time.Minute})
	clk.Add(2 * time.Hour)
	wait(t, "the entry to be freed", func() bool { return b.Stats().Blocks == 0 })
}

func TestConditionalRecordsNeverReplaceNewerOnes(t *testing.T) {
	c := newCluster(t)
	key := schemas.BlockKey("", "user", "k")
	first := c.write(put(key, entry(schemas.ActionBlock, time.Hour, "first")))
	c.write(put(key, entry(schemas.ActionBlock, time.Hour, "second")),
		unless(first, tombstone(key)))
	b := c.start(Config{})
	checkEntries(t, b, "user/k=second")
	last := c.write(put(key, entry(schemas.ActionBlock, time.Hour, "third")))
	c.write(unless(last, tombstone(key)), block("user", "done"))
	wait(t, "the end of the log", func() bool { _, ok := b.Lookup("user", "done"); return ok })
	checkEntries(t, b, "user/done=v-done")
	c.write(unless(0, put(key, entry(schemas.ActionBlock, time.Hour, "fourth"))))
	wait(t, "a conditional record over nothing", func() bool { _, ok := b.Lookup("user", "k"); return ok })
	bad := tombstone(key)
	bad.Headers = []kgo.RecordHeader{{Key: HeaderNotAfter, Value: []byte("soon")}}
	c.write(bad, tombstone("default/user/done"))
	wait(t, "the end of the log", func() bool { _, ok := b.Lookup("user", "done"); return !ok })
	checkEntries(t, b, "user/k=fourth")
}

func TestSpellingsOfOneAddressAreLiftedOneByOne(t *testing.T) {
	c := newCluster(t)
	c.write(
		put("default/ip/::ffff:192.0.2.7", entry(schemas.ActionBlock, time.Hour, "mapped")),
		put("default/ip/192.0.2.7", entry(schemas.ActionBlock, time.Hour, "plain")),
		put("default/ip/2001:DB8::0:1", entry(schemas.ActionBlock, time.Hour, "six")),
		put("default/network/10.1.2.3/8", entry(schemas.ActionBlock, time.Hour, "hostbits")),
		put("default/network/10.0.0.0/8", entry(schemas.ActionBlock, time.Hour, "net")),
	)
	b := c.start(Config{})
	check := func(ip, want string) {
		t.Helper()
		if got := b.Match(Identity{ClientIP: []byte(ip)}).Entry.VerdictID; got != want {
			t.Errorf("%s: verdict %q, want %q", ip, got, want)
		}
	}
	for _, ip := range []string{"192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"} {
		check(ip, "plain")
	}
	check("2001:db8::1", "six")
	check("10.9.9.9", "net")
	c.write(tombstone("default/ip/192.0.2.7"), tombstone("default/network/10.0.0.0/8"), block("user", "1"))
	wait(t, "1", func() bool { _, ok := b.Lookup("user", "1"); return ok })
	check("192.0.2.7", "mapped")
	check("10.9.9.9", "hostbits")
	c.write(tombstone("default/ip/::ffff:192.0.2.7"), tombstone("default/ip/2001:DB8::0:1"),
		tombstone("default/network/10.1.2.3/8"), tombstone("default/user/1"))
	wait(t, "lifted", func() bool { _, ok := b.Lookup("user", "1"); return !ok })
	checkEntries(t, b)
	if s := b.Stats(); s.Blocks != 0 || s.TextBytes != 0 {
		t.Errorf("after lifting all: %+v", s)
	}
}
