package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

func contextServe(ln net.Listener, cfg ServerConfig, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error { return Serve(ctx, ln, cfg, h) }
}

// feedReader reads lines of a feed as they come.
type feedReader struct {
	t     *testing.T
	lines *bufio.Scanner
}

func openFeed(t *testing.T, url string) *feedReader {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	return &feedReader{t, bufio.NewScanner(resp.Body)}
}

func (f *feedReader) next() (l FeedLine, ok bool) {
	f.t.Helper()
	if !f.lines.Scan() {
		return l, false
	}
	if err := json.Unmarshal(f.lines.Bytes(), &l); err != nil {
		f.t.Fatalf("line %q: %v", f.lines.Bytes(), err)
	}
	return l, true
}

func (f *feedReader) expect(op, scope, value string) FeedLine {
	f.t.Helper()
	l, ok := f.next()
	if !ok || l.Op != op || l.Scope != scope || l.Value != value {
		f.t.Fatalf("line %+v %v, want %s %s %s", l, ok, op, scope, value)
	}
	return l
}

func TestFeedGivesSnapshotThenChanges(t *testing.T) {
	clk := newClock()
	list := listOf(t, clk.Now, block("user", "a"))
	url := serve(t, ServerConfig{}, Mux(nil, NewFeed(list))) + "/v1/blocklist"

	once := openFeed(t, url)
	if l := once.expect("put", "user", "a"); l.Entry == nil || l.Entry.VerdictID != "v-a" {
		t.Errorf("entry %+v", l.Entry)
	}
	if l := once.expect("ready", "", ""); l.Count != 1 {
		t.Errorf("count %d, want 1", l.Count)
	}
	if l, more := once.next(); more {
		t.Errorf("a snapshot goes on: %+v", l)
	}

	stream := openFeed(t, url+"?follow=true")
	stream.expect("put", "user", "a")
	stream.expect("ready", "", "")
	sink := (*listSink)(list)
	sink.apply([]*kgo.Record{block("user", "b"), tombstone("default/user/a"), allow("ip", "192.0.2.1")})
	stream.expect("put", "user", "b")
	stream.expect("delete", "user", "a")
	if l := stream.expect("put", "ip", "192.0.2.1"); !l.Allow || l.Entry.Action != schemas.AllowAction {
		t.Errorf("allowance %+v", l)
	}
	clk.Add(2 * time.Hour)
	list.Sweep()
	stream.next()
	stream.next()
	// The list is read again: the reader has to start over.
	sink.begin()
	if err := sink.caughtUp(0); err != nil {
		t.Fatal(err)
	}
	stream.expect("reset", "", "")
	if _, more := stream.next(); more {
		t.Error("the stream goes on after reset")
	}
}

func TestFeedPingsAndEndsWithTheServer(t *testing.T) {
	list := listOf(t, newClock().Now)
	feed := NewFeed(list)
	feed.ping = time.Millisecond
	ln, err := Listen(t.Context(), ServerConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, contextServe(ln, ServerConfig{}, Mux(nil, feed)))
	stream := openFeed(t, "http://"+ln.Addr().String()+"/v1/blocklist?follow=true")
	stream.expect("ready", "", "")
	stream.expect("ping", "", "")
	began := time.Now()
	stop()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("an open stream held up the shutdown for %s", d)
	}
}

func TestFeedRefusesBeforeReadyAndOtherMethods(t *testing.T) {
	list, err := NewBlocklist(Config{Topic: testTopic})
	if err != nil {
		t.Fatal(err)
	}
	f := func(method string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		NewFeed(list).ServeHTTP(w, httptest.NewRequest(method, "/v1/blocklist", nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
	}
	f("GET", http.StatusServiceUnavailable)
	f("POST", http.StatusMethodNotAllowed)
}

// stuck is a reader that takes nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	entered, release chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	select {
	case <-s.entered:
	default:
		close(s.entered)
	}
	<-s.release
	return s.ResponseRecorder.Write(p)
}

func TestFeedCutsOffAReaderThatFallsBehind(t *testing.T) {
	list := listOf(t, newClock().Now, block("user", "a"))
	w := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewFeed(list).ServeHTTP(w, httptest.NewRequest("GET", "/v1/blocklist?follow=true", nil))
	}()
	<-w.entered
	rs := make([]*kgo.Record, feedBuffer+1)
	for i := range rs {
		rs[i] = block("user", "a")
	}
	(*listSink)(list).apply(rs)
	close(w.release)
	<-done
	lines := bufio.NewScanner(w.Body)
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if last != `{"op":"reset"}` {
		t.Errorf("the last line is %q", last)
	}
}
