package gateway

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

func entrySeeds() []string {
	marshalled, err := json.Marshal(schemas.BlockEntry{
		VerdictID: "v", Action: schemas.ActionBlock, Attack: schemas.AttackProbing, Confidence: 0.999,
		Reason: "a < b & \"c\" > d — \u2028é\t\x01", Created: epoch.Add(123456789), ExpiresAt: Forever,
	})
	if err != nil {
		panic(err)
	}
	return []string{
		string(marshalled), `{}`, `null`, `[]`, ``, `{`, `{"action":"block"}`, ` {"action":"block"} `,
		`{"action":"block","action":"throttle"}`, `{"Action":"block","extra":[1,{"a":null}]}`,
		`{"confidence":0}`, `{"confidence":1}`, `{"confidence":1.0}`, `{"confidence":-0.5}`, `{"confidence":1e3}`,
		`{"confidence":01}`, `{"confidence":.5}`, `{"confidence":0.}`, `{"confidence":"1"}`, `{"confidence":null}`,
		`{"reason":"\u0041\ud83d\ude00\n\/"}`, `{"reason":"\ud800"}`, `{"reason":"\u00"}`, `{"reason":"\x"}`,
		`{"reason":"` + "\xff" + `"}`, `{"reason":"a` + "\n" + `b"}`, `{"reason":"\u003cscript\u003e"}`, `{"reason":"\`,
		`{"created":"2026-02-29T00:00:00Z"}`, `{"created":"2024-02-29T23:59:59.999999999Z"}`, `{"created":"2026-11-01T24:00:00Z"}`,
		`{"created":"2026-11-01T12:00:60Z"}`, `{"created":"2026-11-01T12:00:00+01:00"}`, `{"created":"2026-11-01 12:00:00Z"}`,
		`{"created":"1969-12-31T23:59:59Z"}`, `{"created":"0000-01-01T00:00:00Z"}`, `{"created":"2000-01-01T00:00:00.Z"}`,
		`{"created":"2000-01-01T00:00:00,5Z"}`, `{"created":"2100-02-29T00:00:00Z"}`, `{"created":null}`,
		`{"expires_at":"2026-11-01T12:00:00.5Z"}`, `{"action":"block"}x`, `{"action":"block",}`,
	}
}

// FuzzEntry holds the scanner to encoding/json: what it accepts means the same.
func FuzzEntry(f *testing.F) {
	for _, s := range entrySeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var want schemas.BlockEntry
		jsonErr := json.Unmarshal(value, &want)
		var d entryDecoder
		var e rawEntry
		err := d.decode(value, &e)
		if (err == nil) != (jsonErr == nil) && len(value) <= maxValueBytes {
			t.Fatalf("%q: decoding says %v, encoding/json %v", value, err, jsonErr)
		}
		if err != nil {
			return
		}
		want.Created, want.ExpiresAt = micro(want.Created), micro(want.ExpiresAt)
		got := schemas.BlockEntry{
			VerdictID: string(e.verdictID), Action: e.action, Attack: string(e.attack), Reason: string(e.reason),
			Confidence: e.confidence, Created: time.UnixMicro(e.created).UTC(), ExpiresAt: time.UnixMicro(e.expires).UTC(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-encoding/json +decode):\n%s", value, diff)
		}
		if actionCode(e.action) < 0 || max(len(e.verdictID), len(e.attack)) > 65535 {
			return
		}
		for _, id := range []string{"value", "another"} {
			p := packed(appendPacked(nil, []byte("value"), []byte(id), 7, &e))
			if diff := cmp.Diff(want, p.entry()); diff != "" || p.value() != "value" || p.id() != id || p.offset() != 7 {
				t.Fatalf("%q does not survive packing (-want +got):\n%s", value, diff)
			}
		}
	})
}

func micro(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

func TestScannerKnowsWhatTheProjectWrites(t *testing.T) {
	var d entryDecoder
	var e rawEntry
	for _, value := range []string{
		string(put("k", entry(schemas.ActionBlock, time.Hour, "id")).Value), entrySeeds()[0],
	} {
		// A control character is the one thing that encoding/json writes and the
		// scanner is not made for; it escapes it like any other.
		if !d.scan([]byte(value), &e) {
			t.Errorf("falls back to encoding/json: %s", value)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"default/user/a", "t/ip/::1", "t/allow:network/10.0.0.0/8", "a/b", "//", "a//b", "a/allow:/b", "/a/b", "a/allow:allow:x/y", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		tenant, sc, value, allow, err := schemas.ParseBlockKey(key)
		k, ok := parseKey([]byte(key))
		if ok != (err == nil) {
			t.Fatalf("%q: %v, ParseBlockKey %v", key, ok, err)
		}
		if ok && (string(k.tenant) != tenant || string(k.scope) != sc || string(k.value) != value || k.allow != allow) {
			t.Fatalf("%q: %+v, ParseBlockKey %q %q %q %v", key, k, tenant, sc, value, allow)
		}
	})
}

func addrSeeds() []string {
	return []string{
		"192.0.2.1", "0.0.0.0", "255.255.255.255", "256.1.1.1", "01.1.1.1", "1.1.1", "1.1.1.1.", "1.1.1.1.1", "a.b.c.d",
		"::", "::1", "1::", "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:9", "1::2::3", ":1", "1:", ":::", "12345::", "::ffff:192.0.2.1", "::ffff:c000:201", "fe80::1%eth0",
		"1.2.3.4%eth0", "0123456789abcdef", "", ":", "g::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
	}
}

// FuzzAddr holds parseAddr to netip.ParseAddr.
func FuzzAddr(f *testing.F) {
	for _, s := range addrSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := netip.ParseAddr(s)
		got, ok := parseAddr([]byte(s))
		if ok != (err == nil) || ok && got != want.Unmap().WithZone("") {
			t.Fatalf("%q: %v %v, netip says %v %v", s, got, ok, want, err)
		}
	})
}

func TestCallersAreMatchedUnderTheKeyThatEventsHave(t *testing.T) {
	for _, ip := range append(addrSeeds(), "10.20.30.40", "2001:db8:1:2::3", "hashed-address") {
		for _, ua := range []string{"", "curl/8", "Mozilla/5.0 Chrome/1 Safari/2", "a|b"} {
			if ip == "" {
				continue
			}
			e := schemas.NewEvent()
			e.JA4, e.UserAgent, e.ClientIP = []byte("t13d"), []byte(ua), []byte(ip)
			key := schemas.SplitEntity(string(features.AppendClientKey(nil, e)))
			list := listOf(t, newClock().Now, block(key.Type, key.Value))
			if d := list.Match(IdentityOf(e)); d.Action != schemas.ActionBlock || d.Scope != "device" || d.Value != key.Value {
				t.Errorf("%q %q: blocking %v gives %+v", ip, ua, key, d)
			}
			e.JA4 = nil
			key = schemas.SplitEntity(string(features.AppendClientKey(nil, e)))
			list = listOf(t, newClock().Now, block(key.Type, key.Value))
			if d := list.Match(IdentityOf(e)); d.Action != schemas.ActionBlock || d.Scope != "ip" {
				t.Errorf("%q: blocking %v gives %+v", ip, key, d)
			}
		}
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	list := listOf(t, newClock().Now, block("user", "eve"), block("ip", "192.0.2.1"), block("ip", "2001:db8::1"),
		block("device", "t13d|curl|192.0.2.0/24"), block("network", "10.0.0.0/8"), block("network", "2001:db8:1::/48"),
		allow("user", "boss"), allow("network", "10.9.0.0/16"))
	f := func(name string, want schemas.Action, id Identity) {
		t.Helper()
		var d Decision
		n := testing.AllocsPerRun(100, func() { d = list.Match(id) })
		if n != 0 || d.Action != want {
			t.Errorf("%s: %v allocations, action %q, want %q", name, n, d.Action, want)
		}
	}
	f("nobody", "", Identity{User: []byte("u"), Session: []byte("s"), JA4: []byte("t"), UserAgent: []byte("x/1"), ClientIP: []byte("203.0.113.1")})
	f("user", schemas.ActionBlock, Identity{User: []byte("eve"), ClientIP: []byte("203.0.113.1")})
	f("v4", schemas.ActionBlock, Identity{ClientIP: []byte("192.0.2.1")})
	f("v6", schemas.ActionBlock, Identity{ClientIP: []byte("2001:DB8:0::1")})
	f("v6 network", schemas.ActionBlock, Identity{ClientIP: []byte("2001:db8:1:2:3:4:5:6")})
	f("device", schemas.ActionBlock, Identity{JA4: []byte("t13d"), UserAgent: []byte("curl/8"), ClientIP: []byte("192.0.2.77")})
	f("allowed", schemas.AllowAction, Identity{ClientIP: []byte("10.9.8.7")})
	long := strings.Repeat("x", 120)
	for _, v := range []string{"eve", "nobody", long} {
		if n := testing.AllocsPerRun(100, func() { list.Lookup("user", v) }); n != 0 {
			t.Errorf("looking up %q allocates %v times", v, n)
		}
	}
}
