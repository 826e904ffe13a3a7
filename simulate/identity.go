package simulate

import (
	"net/netip"

	"github.com/weir-dev/weir/schemas"
)

// place is where a client calls from.
type place struct {
	addr    netip.Addr
	country *country
	asn     int64
}

// country has a code, its hours from UTC, and the first of its access
// networks' numbers (private-use AS numbers).
type country struct {
	code []byte
	zone int64
	asn  int64
	sum  float64 // running sum of shares
}

var countries = []country{
	{[]byte("US"), -6, 64512, .22}, {[]byte("DE"), 1, 64528, .38}, {[]byte("IN"), 5, 64544, .54},
	{[]byte("BR"), -3, 64560, .64}, {[]byte("GB"), 0, 64576, .73}, {[]byte("FR"), 1, 64592, .81},
	{[]byte("JP"), 9, 64608, .88}, {[]byte("ZA"), 2, 64624, .93}, {[]byte("AU"), 10, 64640, .97},
	{[]byte("MX"), -6, 64656, 1},
}

func (g *Generator) anyCountry() *country {
	x := g.dice.float()
	for i := range countries {
		if x < countries[i].sum {
			return &countries[i]
		}
	}
	return &countries[0]
}

// homeNetworks is the number of /24 networks that homes are spread over, so
// that neighbours share networks as an access provider's customers do.
const homeNetworks = 1 << 14

// anyHome draws a subscriber's line: an IPv4 address of 240.0.0.0/5 (reserved,
// so it is nobody's) or, for one in seven, an IPv6 address of 2001:db8::/32.
func (g *Generator) anyHome(c *country) place {
	d := g.dice
	p := place{country: c, asn: c.asn + int64(d.n(4))}
	if d.chance(1. / 7) {
		var b [16]byte
		copy(b[:], []byte{0x20, 0x01, 0x0d, 0xb8})
		n := d.n(1 << 16)
		b[4], b[5] = byte(n>>8), byte(n)
		b[7] = byte(d.n(256))
		h := d.Uint64()
		for i := range 8 {
			b[8+i] = byte(h >> (8 * i))
		}
		p.addr = netip.AddrFrom16(b)
		return p
	}
	p.addr = v4(240<<24 | uint32(d.n(homeNetworks))<<8 | uint32(2+d.n(250)))
	return p
}

// browser is a user agent with the TLS fingerprint that goes with it.
type browser struct {
	agent, ja4, http []byte
	sum              float64 // running sum of popularity
}

func newBrowser(agent, alpn string, share, sum float64) browser {
	h := uint64(len(agent))
	// The fingerprint follows the TLS library: the part of the agent before
	// patch versions decides it, which keeps it stable and shared.
	for _, c := range []byte(agent) {
		h = mix(h ^ uint64(c))
	}
	ja4 := append([]byte("t13d"), "1516"...)
	ja4 = append(ja4, alpn...)
	ja4 = append(ja4, '_')
	ja4 = appendHex(ja4, h, 12)
	ja4 = append(ja4, '_')
	ja4 = appendHex(ja4, mix(h), 12)
	http := "2.0"
	if alpn == "h1" || alpn == "00" {
		http = "1.1"
	}
	return browser{[]byte(agent), ja4, []byte(http), sum + share}
}

func browsers(agents []string, alpn string) []browser {
	out := make([]browser, 0, len(agents))
	sum := 0.0
	for i, a := range agents {
		b := newBrowser(a, alpn, 1/float64(i+1), sum)
		sum = b.sum
		out = append(out, b)
	}
	return out
}

func (g *Generator) anyBrowser(of []browser) *browser {
	x := g.dice.float() * of[len(of)-1].sum
	for i := range of {
		if x < of[i].sum {
			return &of[i]
		}
	}
	return &of[0]
}

const (
	winChrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"
	macChrome = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"
	macSafari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/"
	iphone    = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	pixel     = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"
	firefox   = "; rv:135.0) Gecko/20100101 Firefox/135.0"
)

// desktopAgents and handAgents are in order of popularity.
var desktopAgents = []string{
	winChrome + "133.0.0.0 Safari/537.36",
	macChrome + "133.0.0.0 Safari/537.36",
	winChrome + "133.0.0.0 Safari/537.36 Edg/133.0.0.0",
	macSafari + "18.3 Safari/605.1.15",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64" + firefox,
	winChrome + "132.0.0.0 Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64" + firefox,
	winChrome + "131.0.0.0 Safari/537.36 OPR/117.0.0.0",
	macSafari + "17.6 Safari/605.1.15",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15" + firefox,
	winChrome + "109.0.0.0 Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36",
}

var handAgents = []string{
	iphone + "Version/18.3 Mobile/15E148 Safari/604.1",
	pixel + "133.0.0.0 Mobile Safari/537.36",
	iphone + "CriOS/133.0.6943.84 Mobile/15E148 Safari/604.1",
	pixel + "132.0.0.0 Mobile Safari/537.36",
	iphone + "Version/17.6 Mobile/15E148 Safari/604.1",
	pixel + "131.0.0.0 Mobile Safari/537.36",
}

func appAgents(name string) []string {
	return []string{
		name + "-app/7.4.1 (iPhone; iOS 18.3; Scale/3.00)",
		name + "-app/7.4.1 (Android 15; sdk 35)",
		name + "-app/7.3.0 (Android 14; sdk 34)",
		name + "-app/7.4.0 (iPhone; iOS 18.2; Scale/3.00)",
		name + "-app/6.9.2 (Android 12; sdk 31)",
		name + "-app/7.1.3 (iPhone; iOS 17.6; Scale/2.00)",
	}
}

var (
	scriptAgents = []string{
		"python-requests/2.32.3", "okhttp/4.12.0", "Go-http-client/2.0", "Apache-HttpClient/5.4.1 (Java/21.0.5)",
		"axios/1.7.9", "node-fetch/1.0", "Java-http-client/21.0.5", "GuzzleHttp/7",
	}
	botAgents = []string{
		"Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)",
		"ExampleIndexer/1.4 (+https://index.example)",
		"Mozilla/5.0 (compatible; PriceCompare/0.9; +https://prices.example/bot)",
	}
	probeAgents   = []string{"kube-probe/1.31", "Blackbox-Exporter/0.25.0", "uptime-check/3.2"}
	scannerAgents = []string{
		"Mozilla/5.0 (compatible; webscan/3.1)", "python-requests/2.28.1", "Go-http-client/1.1", "curl/8.5.0", "fuzzer/2.1.0",
	}
)

// identity is who calls. Pseudonyms are hashes of the numbers under the seed.
type identity struct {
	user       uint64 // number of the person
	consumer   uint64 // number of the application
	generation uint32 // of the credential: counts renewals
	session    uint32 // counts anonymous sessions
	here       place
	browser    *browser
	// claims is an IPv4 address that stands before the client's own in
	// X-Forwarded-For, put there by an office's proxy or by a liar; 0 for none.
	claims uint32
}

// authority is what a call proves about its caller.
type authority uint8

const (
	nobody   authority = iota
	visitor            // a session identifier, where the API has them
	known              // user and credential
	app                // consumer and API key
	unmarked           // nobody, without a TLS fingerprint
	claimed            // a consumer's name without its key
)

// userName is the pseudonym of a person. The hash of the name tried at a login
// and the pseudonym of the authenticated user are the same, because both are
// the same keyed hash of the same name.
func (g *Generator) userName(dst []byte, user uint64) []byte {
	return appendHex(append(dst, 'u'), derive(g.cfg.Seed, domainUser, user), 15)
}

// consumerName is the id of an application.
func (g *Generator) consumerName(dst []byte, consumer uint64) []byte {
	return appendHex(append(dst, "app-"...), derive(g.cfg.Seed, domainConsumer, consumer), 8)
}

// cut is what the buffer holds from an offset on.
func (g *Generator) cut(from int) []byte { return g.buf[from:len(g.buf):len(g.buf)] }

func (g *Generator) fillIdentity(ev *schemas.Event, a *api, id *identity, auth authority) {
	seed := g.cfg.Seed
	switch auth {
	case visitor:
		if a.sessions {
			at := len(g.buf)
			h := derive(seed, domainSession, id.user<<32|uint64(id.session))
			g.buf = appendHex(appendHex(g.buf, h, 16), mix(h), 8)
			ev.Session = g.cut(at)
		}
	case known:
		at := len(g.buf)
		g.buf = g.userName(g.buf, id.user)
		ev.User = g.cut(at)
		at = len(g.buf)
		h := derive(seed, domainCredential, id.user<<32|uint64(id.generation))
		g.buf = appendHex(appendHex(g.buf, h, 16), mix(h), 16)
		ev.Credential, ev.CredentialType = g.cut(at), a.credentialType
	case claimed:
		at := len(g.buf)
		g.buf = g.consumerName(g.buf, id.consumer)
		ev.Consumer = g.cut(at)
	case app:
		at := len(g.buf)
		g.buf = g.consumerName(g.buf, id.consumer)
		ev.Consumer = g.cut(at)
		at = len(g.buf)
		h := derive(seed, domainConsumer, id.consumer|1<<40)
		g.buf = appendHex(appendHex(g.buf, h, 16), mix(h), 16)
		ev.Credential, ev.CredentialType = g.cut(at), apiKey
	}
	at := len(g.buf)
	g.buf = id.here.addr.AppendTo(g.buf)
	ev.ClientIP = g.cut(at)
	ev.XFF = ev.ClientIP
	if id.claims != 0 {
		at = len(g.buf)
		g.buf = append(v4(id.claims).AppendTo(g.buf), ", "...)
		g.buf = append(g.buf, ev.ClientIP...)
		ev.XFF = g.cut(at)
	}
	ev.UserAgent, ev.HTTPVersion = id.browser.agent, id.browser.http
	if auth != unmarked {
		ev.JA4 = id.browser.ja4
	}
	ev.Country, ev.ASN = id.here.country.code, id.here.asn
}

var apiKey = []byte("api_key")
