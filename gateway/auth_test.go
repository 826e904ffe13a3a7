package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// listOf is a ready Blocklist with the given records, without a broker.
func listOf(tb testing.TB, now func() time.Time, rs ...*kgo.Record) *Blocklist {
	tb.Helper()
	b, err := NewBlocklist(Config{Topic: testTopic, Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	for i, r := range rs {
		r.Offset = int64(i)
	}
	s := (*listSink)(b)
	s.begin()
	s.apply(rs)
	if err := s.caughtUp(int64(len(rs))); err != nil {
		tb.Fatal(err)
	}
	return b
}

// pseudo stands for a keyed hash.
func pseudo(secret []byte) []byte { return append([]byte("h:"), secret...) }

func TestForwardAuth(t *testing.T) {
	clk := newClock()
	list := listOf(t, clk.Now,
		block("ip", "192.0.2.1"), block("ip", "2001:db8::1"), block("ip", "198.51.100.9"), block("ip", "127.0.0.1"),
		block("network", "203.0.113.0/24"), allow("ip", "203.0.113.7"), allow("user", "h:boss"),
		block("user", "h:eve"), block("consumer", "shop"), block("credential", "h:s3cret"),
		block("credential", "h:basic=="), block("session", "h:sess"),
		block("device", "t13d|curl|192.0.2.0/24"),
		put("default/ip/192.0.2.50", entry(schemas.ActionThrottle, time.Minute, "slow")),
		put("default/ip/192.0.2.51", entry(schemas.ActionChallenge, time.Minute, "prove")),
		put("default/ip/192.0.2.52", entry(schemas.ActionObserve, time.Minute, "look")),
	)
	a, err := NewAuth(list, AuthConfig{
		TrustedPeers:   append(loopback(), netip.MustParsePrefix("10.0.0.0/8")),
		AddressHeaders: []string{"x-real-ip", "x-forwarded-for"},
		UserHeader:     "x-user", ConsumerHeader: "x-consumer", SessionHeader: "x-session", JA4Header: "x-ja4",
		SessionCookies: []string{"sid"}, HashUser: pseudo, HashCredential: pseudo, HashSession: pseudo,
		Now: clk.Now, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	const gatewayPeer, strangerPeer = "127.0.0.1:5000", "198.51.100.10:5000"
	f := func(name, peer string, headers []string, status int, action schemas.Action) {
		t.Helper()
		r := httptest.NewRequest("POST", "/auth?x=1", strings.NewReader("body"))
		r.RemoteAddr = peer
		for _, h := range headers {
			k, v, _ := strings.Cut(h, ": ")
			r.Header.Add(k, v)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != status || w.Header().Get(HeaderAction) != string(action) {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Header().Get(HeaderAction), status, action)
		}
	}
	const pass, denied = http.StatusOK, http.StatusForbidden
	block := schemas.ActionBlock

	f("nobody special", gatewayPeer, []string{"X-Real-IP: 192.0.2.200"}, pass, "")
	f("no address: the gateway's own is not the client's", gatewayPeer, nil, pass, "")
	f("nonsense address", gatewayPeer, []string{"X-Real-IP: localhost"}, pass, "")
	f("blocked address", gatewayPeer, []string{"X-Real-IP: 192.0.2.1"}, denied, block)
	f("mapped", gatewayPeer, []string{"X-Real-IP: ::ffff:192.0.2.1"}, denied, block)
	f("with a port", gatewayPeer, []string{"X-Real-IP: [2001:DB8:0::1]:443"}, denied, block)
	f("IPv6 loopback peer", "[::1]:80", []string{"X-Real-IP: 192.0.2.1"}, denied, block)
	f("mapped peer", "[::ffff:10.0.0.1]:80", []string{"X-Real-IP: 192.0.2.1"}, denied, block)
	f("network", gatewayPeer, []string{"X-Real-IP: 203.0.113.9"}, denied, block)
	f("allowed inside a blocked network", gatewayPeer, []string{"X-Real-IP: 203.0.113.7"}, pass, schemas.AllowAction)
	f("user", gatewayPeer, []string{"X-User: eve", "X-Real-IP: 192.0.2.200"}, denied, block)
	f("consumer", gatewayPeer, []string{"X-Consumer: shop"}, denied, block)
	f("session header", gatewayPeer, []string{"X-Session: sess"}, denied, block)
	f("session cookie", gatewayPeer, []string{"Cookie: a=b; SID=sess; c=d"}, denied, block)
	f("other cookie", gatewayPeer, []string{"Cookie: xsid=sess"}, pass, "")
	f("bearer token", gatewayPeer, []string{"Authorization: Bearer s3cret"}, denied, block)
	f("bare token", gatewayPeer, []string{"Authorization: s3cret"}, denied, block)
	f("basic", gatewayPeer, []string{"Authorization: Basic basic=="}, denied, block)
	f("blocked key behind another credential", gatewayPeer, []string{"Authorization: Bearer fresh", "X-Api-Key: s3cret"}, denied, block)
	f("device", gatewayPeer, []string{"X-JA4: t13d", "User-Agent: curl/8", "X-Real-IP: 192.0.2.99"}, denied, block)
	f("same device elsewhere", gatewayPeer, []string{"X-JA4: t13d", "User-Agent: curl/8", "X-Real-IP: 192.0.3.99"}, pass, "")
	f("throttle passes", gatewayPeer, []string{"X-Real-IP: 192.0.2.50"}, pass, schemas.ActionThrottle)
	f("challenge passes", gatewayPeer, []string{"X-Real-IP: 192.0.2.51"}, pass, schemas.ActionChallenge)
	f("observe is nothing", gatewayPeer, []string{"X-Real-IP: 192.0.2.52"}, pass, "")
	f("most severe wins", gatewayPeer, []string{"X-Real-IP: 192.0.2.50", "X-User: eve"}, denied, block)

	f("forwarded list: the last that is no gateway", gatewayPeer, []string{"X-Forwarded-For: 192.0.2.200, 192.0.2.1, 10.0.0.9"}, denied, block)
	f("forwarded list: what the client claims", gatewayPeer, []string{"X-Forwarded-For: 192.0.2.1, 192.0.2.200"}, pass, "")
	f("forwarded in two lines", gatewayPeer, []string{"X-Forwarded-For: 192.0.2.200", "X-Forwarded-For: 192.0.2.1, 10.1.1.1"}, denied, block)
	f("forwarded nonsense hides what is left of it", gatewayPeer, []string{"X-Forwarded-For: 192.0.2.1, ?, 10.1.1.1"}, pass, "")
	f("first header present counts", gatewayPeer, []string{"X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.200"}, pass, "")
	f("repeated header: the gateway's is the last", gatewayPeer, []string{"X-Real-IP: 192.0.2.200", "X-Real-IP: 192.0.2.1"}, denied, block)

	f("stranger is its socket", "192.0.2.1:99", nil, denied, block)
	f("stranger claims another address", "192.0.2.1:99", []string{"X-Real-IP: 203.0.113.7"}, denied, block)
	f("stranger claims an allowed user", "192.0.2.1:99", []string{"X-User: boss"}, denied, block)
	f("stranger asks about another", strangerPeer, []string{"X-Real-IP: 192.0.2.1", "X-User: eve", "X-Session: sess", "X-Consumer: shop"}, pass, "")
	f("stranger forges a device", strangerPeer, []string{"X-JA4: t13d", "User-Agent: curl/8", "X-Forwarded-For: 192.0.2.99"}, pass, "")
	f("stranger with its own blocked key", strangerPeer, []string{"X-Api-Key: s3cret"}, denied, block)
	f("unreadable peer", "@", []string{"X-Real-IP: 192.0.2.1", "X-User: eve"}, pass, "")
	f("allowed user through the gateway", gatewayPeer, []string{"X-Real-IP: 192.0.2.1", "X-User: boss"}, pass, schemas.AllowAction)
	f("name claimed by basic authentication is not believed", gatewayPeer, []string{"X-Real-IP: 192.0.2.1", "Authorization: Basic Ym9zczp4"}, denied, block)
}

func TestForwardAuthSaysWhy(t *testing.T) {
	clk := newClock()
	e := entry(schemas.ActionBlock, time.Minute, "v-1")
	e.Reason = "4 210 requests\r\nX-Evil: 1 — 38 expected"
	list := listOf(t, clk.Now, put("default/ip/192.0.2.1", e))
	a, err := NewAuth(list, AuthConfig{Now: clk.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/auth", nil)
	r.RemoteAddr = "192.0.2.1:1"
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	want := http.Header{
		"X-Weir-Action": {"block"}, "X-Weir-Verdict": {"v-1"}, "X-Weir-Expires": {"2026-11-01T12:01:00Z"},
		"X-Weir-Reason": {"4 210 requests??X-Evil: 1 ??? 38 expected"}, "Retry-After": {"60"},
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	wantBody := map[string]string{"action": "block", "reason": e.Reason, "verdict_id": "v-1", "expires_at": "2026-11-01T12:01:00Z"}
	if diff := cmp.Diff(wantBody, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestForwardAuthBeforeReady(t *testing.T) {
	list, err := NewBlocklist(Config{Topic: testTopic})
	if err != nil {
		t.Fatal(err)
	}
	f := func(closed bool, want int) {
		t.Helper()
		a, err := NewAuth(list, AuthConfig{FailClosed: closed})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("GET", "/auth", nil))
		if w.Code != want {
			t.Errorf("closed %v: %d, want %d", closed, w.Code, want)
		}
	}
	f(false, http.StatusOK)
	f(true, http.StatusForbidden)
}

func TestListenerNeedsATokenBeyondLoopback(t *testing.T) {
	f := func(addr, token string, insecure, ok bool) {
		t.Helper()
		if err := CheckListen(addr, token, insecure); (err == nil) != ok {
			t.Errorf("%s token %q insecure %v: %v", addr, token, insecure, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"} {
		f(addr, "", false, true)
	}
	for _, addr := range []string{":8620", "0.0.0.0:1", "[::]:1", "192.0.2.1:1", "gateway:1", "localhost.example:1"} {
		f(addr, "", false, false)
		f(addr, "t", false, true)
		f(addr, "", true, true)
	}
	f("nonsense", "t", true, false)
	if _, err := Listen(t.Context(), ServerConfig{Addr: "0.0.0.0:0"}); err == nil {
		t.Error("listening on all addresses without a token succeeded")
	}
}

func TestServeAsksForTheToken(t *testing.T) {
	clk := newClock()
	list := listOf(t, clk.Now, block("ip", "192.0.2.1"))
	a, err := NewAuth(list, AuthConfig{Now: clk.Now})
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, ServerConfig{Token: "tok"}, Mux(a, NewFeed(list)))
	f := func(path, token string, want int) {
		t.Helper()
		r, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Real-IP", "192.0.2.1")
		if token != "" {
			r.Header.Set(HeaderToken, token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s with token %q: %d, want %d", path, token, resp.StatusCode, want)
		}
	}
	f("/auth", "", http.StatusUnauthorized)
	f("/auth", "tok2", http.StatusUnauthorized)
	f("/auth", "tok", http.StatusForbidden)
	f("/v1/blocklist", "", http.StatusUnauthorized)
	f("/v1/blocklist", "tok", http.StatusOK)
	f("/elsewhere", "tok", http.StatusNotFound)
}

// serve runs a server until the end of the test and returns its URL.
func serve(t *testing.T, cfg ServerConfig, h http.Handler) string {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	ln, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, contextServe(ln, cfg, h))
	return "http://" + ln.Addr().String()
}

// nothing is a ResponseWriter that costs nothing.
type nothing struct{ h http.Header }

func (n nothing) Header() http.Header         { return n.h }
func (n nothing) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (n nothing) WriteHeader(int)             {}

func passingRequest() *http.Request {
	r := httptest.NewRequest("GET", "/auth", nil)
	r.RemoteAddr = "127.0.0.1:999"
	r.Header.Set("X-Real-IP", "203.0.113.200")
	r.Header.Set("X-User", "somebody")
	r.Header.Set("X-JA4", "t13d1516h2_8daaf6152771_b186095e22b6")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36")
	return r
}

func passingAuth(tb testing.TB, list Matcher) *Auth {
	tb.Helper()
	a, err := NewAuth(list, AuthConfig{UserHeader: "X-User", JA4Header: "X-JA4"})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func TestPassingCallersCostNoAllocation(t *testing.T) {
	list := listOf(t, newClock().Now, block("user", "eve"), block("ip", "192.0.2.1"), block("device", "x|y|z"),
		block("network", "10.0.0.0/8"), block("network", "2001:db8::/32"), allow("user", "boss"))
	a, r, w := passingAuth(t, list), passingRequest(), nothing{http.Header{}}
	if n := testing.AllocsPerRun(200, func() { a.ServeHTTP(w, r) }); n != 0 && !raceEnabled {
		t.Errorf("the handler allocates %v times", n)
	}
}

func BenchmarkAuth(b *testing.B) {
	list := filled(b, benchEntries(b))
	a, r := passingAuth(b, list), passingRequest()
	b.Run("pass", func(b *testing.B) {
		w := nothing{http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			a.ServeHTTP(w, r)
		}
	})
	b.Run("block", func(b *testing.B) {
		r := r.Clone(b.Context())
		_, user := nthEntity(1)
		r.Header.Set("X-User", user)
		b.ReportAllocs()
		for b.Loop() {
			a.ServeHTTP(nothing{http.Header{}}, r)
		}
	})
}
