package features

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestClientKeyIsTheNarrowestKnownIdentity(t *testing.T) {
	full := func() *schemas.Event {
		e := schemas.NewEvent()
		e.User, e.Consumer, e.Credential, e.Session = []byte("u1"), []byte("app"), []byte("c1"), []byte("s1")
		e.JA4, e.ClientIP = []byte("t13d"), []byte("203.0.113.9")
		e.UserAgent = []byte("Mozilla/5.0 (X11) Gecko/20100101 Firefox/120.0")
		return e
	}
	e := full()
	for _, step := range []struct {
		want string
		drop *[]byte
	}{
		{"user:u1", &e.User},
		{"consumer:app", &e.Consumer},
		{"credential:c1", &e.Credential},
		{"session:s1", &e.Session},
		{"device:t13d|firefox|203.0.113.0/24", &e.JA4},
		{"ip:203.0.113.9", &e.ClientIP},
		{"ip:unknown", nil},
	} {
		if got := string(AppendClientKey(nil, e)); got != step.want {
			t.Fatalf("client key %q, want %q", got, step.want)
		}
		if step.drop != nil {
			*step.drop = nil
		}
	}
	e = full()
	e.User, e.Consumer, e.Credential, e.Session, e.ClientIP = nil, nil, nil, nil, nil
	if got := string(AppendClientKey(nil, e)); got != "ip:unknown" {
		t.Errorf("a fingerprint without a network keys %q: every user of a browser would share it", got)
	}
	if got := string(AppendClientKey([]byte("kept "), full())); got != "kept user:u1" {
		t.Errorf("appended to a prefix: %q", got)
	}
}

func TestNetworkOfAnAddress(t *testing.T) {
	for ip, want := range map[string]string{
		"203.0.113.9":              "203.0.113.0/24",
		"0.0.0.0":                  "0.0.0.0/24",
		"255.255.255.255":          "255.255.255.0/24",
		"::ffff:203.0.113.9":       "203.0.113.0/24",
		"2001:db8:1:2:3::4":        "2001:db8:1::/48",
		"fe80::1%eth0":             "fe80::/48",
		"::1":                      "::/48",
		"":                         "",
		"h:3f2a":                   "h:3f2a",
		"proxy.internal":           "proxy.internal",
		"203.0.113":                "203.0.113",
		"203.0.113.":               "203.0.113.",
		"203.0.113.256":            "203.0.113.256",
		"203.0.113.09":             "203.0.113.09",
		"203.0.113.9.1":            "203.0.113.9.1",
		"203..113.9":               "203..113.9",
		"1203.0.113.9":             "1203.0.113.9",
		"sha256-203.0.113.9":       "sha256-203.0.113.9",
		"203.0.113.9, 10.0.0.1":    "203.0.113.9, 10.0.0.1",
		"[2001:db8::1]":            "[2001:db8::1]",
		"203.0.113.99999999999999": "203.0.113.99999999999999",
	} {
		if got := string(AppendNetwork(nil, []byte(ip))); got != want {
			t.Errorf("network of %q is %q, want %q", ip, got, want)
		}
	}
}

// networkByNetip is AppendNetwork by the standard library alone.
func networkByNetip(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	addr = addr.WithZone("").Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return ip
	}
	return p.String()
}

func FuzzNetworkAgreesWithNetip(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "01.2.3.4", "1.2.3", "::ffff:1.2.3.4", "::ffff:1.2.3.4%a", "2001:db8::1", "fe80::1%25", "1.2.3.4:80", "0.0.0.00", ":", "", "::", "999.1.1.1", "1.2.3.4\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ip string) {
		if got, want := string(AppendNetwork([]byte("x "), []byte(ip))), "x "+networkByNetip(ip); got != want {
			t.Fatalf("network of %q is %q, netip says %q", ip, got, want)
		}
	})
}

func TestUserAgentFamily(t *testing.T) {
	for ua, want := range map[string]string{
		"": "-",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0": "edge",
		"Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/119.0 Safari/537.36 OPR/105.0":                                     "opera",
		"Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/120.0":                                                         "firefox",
		"Mozilla/5.0 (Macintosh) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36":                 "chrome",
		"Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 CriOS/120.0 Mobile Safari/604.1":                                     "chrome",
		"Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1":                             "safari",
		"Mozilla/4.0 (compatible; MSIE 7.0)":                                                                            "Mozilla",
		"curl/8.4.0":                                                                                                    "curl",
		"okhttp":                                                                                                        "okhttp",
		"Go-http-client/2.0":                                                                                            "Go-http-client",
		"Some App 3":                                                                                                    "Some",
		"/weird":                                                                                                        "/",
		" lead":                                                                                                         " ",
		"Bot mentions Chrome/1":                                                                                         "Bot",
	} {
		if got := string(UserAgentFamily([]byte(ua))); got != want {
			t.Errorf("family of %q is %q, want %q", ua, got, want)
		}
	}
}

// The caller writes the user agent, and the family becomes part of a key that
// is stored and indexed everywhere.
func TestUserAgentFamilyIsBounded(t *testing.T) {
	for _, ua := range []string{strings.Repeat("a", 4096), strings.Repeat("a", 4096) + "/1.0"} {
		if got := UserAgentFamily([]byte(ua)); len(got) > 32 {
			t.Errorf("a family of %d bytes", len(got))
		}
	}
}
