package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/schemas"
)

func (c *testCluster) editor(now func() time.Time) *Editor {
	c.t.Helper()
	e, err := NewEditor(EditorConfig{Opts: c.opts, Topic: testTopic, Now: now})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(e.Close)
	return e
}

func values(items []Item) (vs []string) {
	for _, it := range items {
		prefix := ""
		if it.Allow {
			prefix = "allow:"
		}
		vs = append(vs, prefix+it.Scope+"/"+it.Value)
	}
	return vs
}

func TestEditorRefusesWhatWouldNotWork(t *testing.T) {
	c := newCluster(t)
	e := c.editor(newClock().Now)
	c.write(allow("user", "boss"), allow("network", "10.0.0.0/8"))
	f := func(b Block, want error) {
		t.Helper()
		if _, err := e.Add(context.Background(), b); !errors.Is(err, want) {
			t.Errorf("adding %+v: %v, want %v", b, err, want)
		}
	}
	f(Block{Scope: "planet", Value: "x", Reason: "r", TTL: time.Hour}, ErrScope)
	f(Block{Scope: "user", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "user", Value: "a\nb", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "user", Value: "a\xff", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "ip", Value: "192.0.2.300", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "ip", Value: "192.0.2.0/24", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "network", Value: "192.0.2.0/33", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "network", Value: "::ffff:0:0/90", Reason: "r", TTL: time.Hour}, ErrValue)
	f(Block{Scope: "user", Value: "a", Reason: "r"}, ErrTTL)
	f(Block{Scope: "user", Value: "a", Reason: "r", TTL: -1}, ErrTTL)
	f(Block{Scope: "user", Value: "a", TTL: time.Hour}, ErrReason)
	f(Block{Scope: "user", Value: "a", Reason: "r", TTL: time.Hour, Action: schemas.ActionObserve}, ErrAction)
	f(Block{Scope: "user", Value: "a", Reason: "r", TTL: time.Hour, Action: schemas.AllowAction}, ErrAction)
	f(Block{Scope: "user", Value: "boss", Reason: "r", TTL: time.Hour}, ErrAllowed)
	f(Block{Scope: "ip", Value: "10.1.2.3", Reason: "r", TTL: time.Hour}, ErrAllowed)
	f(Block{Scope: "network", Value: "10.1.0.0/16", Reason: "r", TTL: time.Hour}, ErrAllowed)
	f(Block{Scope: "device", Value: "t13d|chrome|10.4.5.0/24", Reason: "r", TTL: time.Hour}, ErrAllowed)
	// Wider than what is allowed: still a block, of the rest.
	f(Block{Scope: "network", Value: "10.0.0.0/7", Reason: "r", TTL: time.Hour}, nil)
	f(Block{Scope: "device", Value: "t13d|chrome|192.0.2.0/24", Reason: "r", TTL: time.Hour}, nil)
	if _, err := e.Remove(context.Background(), "user", "nobody"); !errors.Is(err, ErrNotListed) {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := e.Disallow(context.Background(), "user", "nobody"); !errors.Is(err, ErrNotListed) {
		t.Errorf("disallowing what is not there: %v", err)
	}
	if _, _, err := e.Allow(context.Background(), "ip", "x.y", "r", 0); !errors.Is(err, ErrValue) {
		t.Errorf("allowing a bad address: %v", err)
	}
}

func TestEditorListsChosenEntries(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	e := c.editor(clk.Now)
	other := entry(schemas.ActionThrottle, time.Hour, "x")
	other.Attack = schemas.AttackProbing
	c.write(block("user", "b"), block("user", "a"), block("ip", "::ffff:192.0.2.1"), allow("user", "c"),
		put("default/session/s", other), put("default/user/old", entry(schemas.ActionBlock, -time.Second, "")))
	f := func(filter Filter, want ...string) {
		t.Helper()
		items, err := e.List(context.Background(), filter)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, values(items)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", filter, diff)
		}
	}
	f(Filter{}, "ip/::ffff:192.0.2.1", "session/s", "user/a", "user/b", "allow:user/c")
	f(Filter{Scope: "user"}, "user/a", "user/b", "allow:user/c")
	f(Filter{Scope: "user", Blocks: true, Expired: true}, "user/a", "user/b", "user/old")
	f(Filter{Allows: true}, "allow:user/c")
	f(Filter{Value: "192.0.2.1", Scope: "ip"}, "ip/::ffff:192.0.2.1")
	f(Filter{Attack: schemas.AttackProbing}, "session/s")
	if _, err := e.List(context.Background(), Filter{Scope: "x"}); !errors.Is(err, ErrScope) {
		t.Errorf("unknown scope: %v", err)
	}
}

func TestEditorAddAndRemoveReachFollowers(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	b := c.start(Config{Now: clk.Now})
	e := c.editor(clk.Now)
	c.write(put("default/ip/::ffff:192.0.2.1", entry(schemas.ActionBlock, time.Hour, "mapped")))
	it, err := e.Add(context.Background(), Block{Scope: "ip", Value: "192.0.2.1", Reason: "by hand", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the block", func() bool {
		got, _ := b.Lookup("ip", "192.0.2.1")
		return cmp.Equal(got, it.Entry)
	})
	if it.Entry.ExpiresAt != epoch.Add(time.Hour) || it.Entry.Action != schemas.ActionBlock {
		t.Errorf("entry %+v", it.Entry)
	}
	lifted, err := e.Remove(context.Background(), "ip", "::ffff:c000:201")
	if err != nil {
		t.Fatal(err)
	}
	if len(lifted) != 2 {
		t.Errorf("lifted %v, want both spellings", values(lifted))
	}
	wait(t, "the end of the block", func() bool { _, ok := b.Lookup("ip", "192.0.2.1"); return !ok })
	if left := c.compacted(); len(left) != 0 {
		t.Errorf("left in the log: %v", left)
	}
}

func TestAllowWinsAndLiftsWhatItCovers(t *testing.T) {
	c := newCluster(t)
	clk := newClock()
	c.write(
		block("ip", "10.1.2.3"), block("ip", "::ffff:10.1.2.4"), block("ip", "11.1.2.3"),
		block("network", "10.2.0.0/16"), block("network", "10.0.0.0/7"),
		block("device", "ja4|chrome|10.1.2.0/24"), block("device", "ja4|chrome|11.1.2.0/24"),
		block("user", "10.1.2.3"), block("user", "eve"),
	)
	b := c.start(Config{Now: clk.Now})
	e := c.editor(clk.Now)
	ctx := context.Background()

	allowed, lifted, err := e.Allow(ctx, "network", "10.9.9.9/8", "the office", 0)
	if err != nil {
		t.Fatal(err)
	}
	if allowed.Value != "10.0.0.0/8" || allowed.Entry.ExpiresAt != Forever {
		t.Errorf("allowed %+v", allowed)
	}
	got := make(map[string]bool)
	for _, v := range values(lifted) {
		got[v] = true
	}
	want := map[string]bool{"ip/10.1.2.3": true, "ip/::ffff:10.1.2.4": true, "network/10.2.0.0/16": true, "device/ja4|chrome|10.1.2.0/24": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lifted (-want +got):\n%s", diff)
	}
	wait(t, "the last tombstone", func() bool { return b.Stats().Blocks == 5 })

	f := func(id Identity, want schemas.Action, scope string) {
		t.Helper()
		if d := b.Match(id); d.Action != want || d.Scope != scope {
			t.Errorf("%s %s: %q by %s, want %q by %s", id.User, id.ClientIP, d.Action, d.Scope, want, scope)
		}
	}
	// 10.0.0.0/7 still stands, and the allowance wins over it inside its own half.
	f(Identity{ClientIP: []byte("10.1.2.3")}, schemas.AllowAction, "network")
	f(Identity{ClientIP: []byte("11.5.5.5")}, schemas.ActionBlock, "network")
	f(Identity{User: []byte("eve"), ClientIP: []byte("10.1.2.3")}, schemas.AllowAction, "network")
	f(Identity{User: []byte("eve"), ClientIP: []byte("192.0.2.1")}, schemas.ActionBlock, "user")
	f(Identity{User: []byte("mallory"), ClientIP: []byte("192.0.2.1")}, "", "")
	if _, ok := b.Allowed(Identity{ClientIP: []byte("::ffff:10.1.2.3")}); !ok {
		t.Error("an allowed address is not told as such")
	}

	if _, _, err := e.Allow(ctx, "user", "eve", "our scanner", time.Hour); err != nil {
		t.Fatal(err)
	}
	wait(t, "eve allowed", func() bool { _, ok := b.Allowed(Identity{User: []byte("eve")}); return ok })
	// A block written by a scorer that has not heard yet.
	c.write(put("default/user/eve", entry(schemas.ActionBlock, 3*time.Hour, "again")))
	wait(t, "the block", func() bool { _, ok := b.Lookup("user", "eve"); return ok })
	f(Identity{User: []byte("eve")}, schemas.AllowAction, "user")
	clk.Add(2 * time.Hour)
	f(Identity{User: []byte("eve")}, schemas.ActionBlock, "user")

	if _, err := e.Disallow(ctx, "network", "10.0.0.0/8"); err != nil {
		t.Fatal(err)
	}
	wait(t, "the end of the allowance", func() bool {
		_, ok := b.Allowed(Identity{ClientIP: []byte("10.1.2.3")})
		return !ok
	})
}

func TestEditorReportsAMissingTopic(t *testing.T) {
	c := newCluster(t)
	e, err := NewEditor(EditorConfig{Opts: c.opts, Topic: "nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.List(context.Background(), Filter{}); err == nil {
		t.Error("listing a topic that does not exist succeeded")
	}
}
