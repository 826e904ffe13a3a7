package gateway

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// callerReader finds out who a forward-auth request is about.
type callerReader struct {
	trusted     []netip.Prefix
	address     []string
	user        string
	consumer    string
	session     string
	ja4         string
	asn         string
	api         string
	credentials []string
	cookies     []string

	hashUser, hashCredential, hashSession func([]byte) []byte

	pool sync.Pool // of *callerScratch
}

// loopback are the peers that are trusted by default.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func newCallerReader(cfg *AuthConfig) *callerReader {
	canonical := func(names []string, def ...string) (out []string) {
		if names == nil {
			names = def
		}
		for _, n := range names {
			out = append(out, http.CanonicalHeaderKey(n))
		}
		return out
	}
	c := &callerReader{
		trusted:     cfg.TrustedPeers,
		address:     canonical(cfg.AddressHeaders, "X-Real-IP"),
		user:        http.CanonicalHeaderKey(cfg.UserHeader),
		consumer:    http.CanonicalHeaderKey(cfg.ConsumerHeader),
		session:     http.CanonicalHeaderKey(cfg.SessionHeader),
		ja4:         http.CanonicalHeaderKey(cfg.JA4Header),
		asn:         http.CanonicalHeaderKey(cfg.ASNHeader),
		api:         http.CanonicalHeaderKey(cfg.APIHeader),
		credentials: canonical(cfg.CredentialHeaders, "Authorization", "X-Api-Key"),
		cookies:     cfg.SessionCookies,
		hashUser:    cfg.HashUser, hashCredential: cfg.HashCredential, hashSession: cfg.HashSession,
	}
	if c.trusted == nil {
		c.trusted = loopback()
	}
	c.pool.New = func() any { return new(callerScratch) }
	return c
}

// callerScratch holds the text of one caller; it is reused.
type callerScratch struct {
	id    Identity
	buf   []byte
	other [][]byte
}

func (c *callerReader) get() *callerScratch  { return c.pool.Get().(*callerScratch) }
func (c *callerReader) put(s *callerScratch) { c.pool.Put(s) }

// text copies s into the scratch. A slice returned earlier stays valid when the
// buffer grows, because it keeps the old one.
func (s *callerScratch) text(v string) []byte {
	if v == "" {
		return nil
	}
	from := len(s.buf)
	s.buf = append(s.buf, v...)
	return s.buf[from:len(s.buf):len(s.buf)]
}

// read fills in the identity. It returns false when a trusted peer gave no
// usable client address.
func (s *callerScratch) read(c *callerReader, r *http.Request) (known bool) {
	s.buf, s.other = s.buf[:0], s.other[:0]
	s.id = Identity{UserAgent: s.text(first(r.Header, "User-Agent"))}
	known = true
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	from := peer.Addr().Unmap().WithZone("")
	switch {
	case err != nil:
		known = false
	case !c.trusts(from):
		s.id.ClientIP = s.addr(from)
	default:
		var client netip.Addr
		if client, known = c.client(r.Header); known {
			s.id.ClientIP = s.addr(client)
		}
		s.gatewayHeaders(c, r.Header)
	}
	s.secrets(c, r.Header)
	return known
}

func (s *callerScratch) addr(a netip.Addr) []byte {
	from := len(s.buf)
	s.buf = a.AppendTo(s.buf)
	return s.buf[from:len(s.buf):len(s.buf)]
}

// gatewayHeaders reads what only a gateway may say.
func (s *callerScratch) gatewayHeaders(c *callerReader, h http.Header) {
	s.id.User = s.hashed(first(h, c.user), c.hashUser)
	s.id.Consumer = s.text(first(h, c.consumer))
	s.id.Session = s.hashed(first(h, c.session), c.hashSession)
	s.id.JA4 = s.text(first(h, c.ja4))
	s.id.ASN = autonomousSystem(first(h, c.asn))
	if s.id.API = s.text(first(h, c.api)); s.id.API == nil {
		s.id.API = s.text(first(h, "X-Forwarded-Host"))
	}
}

// autonomousSystem reads "64500" or "AS64500"; 0 is unknown.
func autonomousSystem(v string) int64 {
	if len(v) > 2 && (v[0]|0x20) == 'a' && (v[1]|0x20) == 's' {
		v = v[2:]
	}
	if v == "" {
		return 0 // an error costs an allocation
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return 0
	}
	return int64(n)
}

// secrets reads what a caller proves by having it, so that a forged one names
// nobody but whoever owns the secret. The user name of basic authentication is
// not among it: it can be claimed without the password.
func (s *callerScratch) secrets(c *callerReader, h http.Header) {
	if c.hashCredential != nil {
		for _, name := range c.credentials {
			secret := first(h, name)
			if name == "Authorization" {
				secret = withoutScheme(secret)
			}
			p := s.hashed(secret, c.hashCredential)
			switch {
			case p == nil:
			case s.id.Credential == nil:
				s.id.Credential = p
			default:
				s.other = append(s.other, p)
			}
		}
		s.id.OtherCredentials = s.other
	}
	if s.id.Session == nil && c.hashSession != nil && len(c.cookies) > 0 {
		for _, line := range h["Cookie"] {
			if id := cookie(line, c.cookies); id != "" {
				s.id.Session = s.hashed(id, c.hashSession)
				return
			}
		}
	}
}

func (s *callerScratch) hashed(v string, hash func([]byte) []byte) []byte {
	b := s.text(v)
	if b == nil || hash == nil {
		return b
	}
	return hash(b)
}

// first is the value of a header whose name is canonical, "" for no name. Of a
// repeated header it is the last: a gateway appends its own after the client's.
func first(h http.Header, name string) string {
	if name == "" {
		return ""
	}
	vs := h[name]
	if len(vs) == 0 {
		return ""
	}
	return strings.TrimSpace(vs[len(vs)-1])
}

// withoutScheme cuts "Bearer " and its like.
func withoutScheme(v string) string {
	if _, rest, ok := strings.Cut(v, " "); ok {
		return strings.TrimSpace(rest)
	}
	return v
}

// cookie finds the first of the named cookies in a Cookie header.
func cookie(line string, names []string) string {
	for line != "" {
		var pair string
		pair, line, _ = strings.Cut(line, ";")
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || value == "" {
			continue
		}
		for _, want := range names {
			if strings.EqualFold(name, want) {
				return value
			}
		}
	}
	return ""
}

func (c *callerReader) trusts(a netip.Addr) bool {
	for _, p := range c.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// client reads the client's address from the first header that is present. Of a
// list the last address that is no trusted peer counts, because everything to
// the left of it is what the client claims; if all are trusted, the first.
func (c *callerReader) client(h http.Header) (a netip.Addr, ok bool) {
	for _, name := range c.address {
		vs := h[name]
		if len(vs) == 0 {
			continue
		}
		for i := len(vs) - 1; i >= 0; i-- {
			list := vs[i]
			for more := true; more; {
				part := list
				var j int
				if j = strings.LastIndexByte(list, ','); j >= 0 {
					part, list = list[j+1:], list[:j]
				}
				more = j >= 0
				// What cannot be read ends the search: whatever stands to the
				// left of it was not vouched for.
				next, valid := hostAddr(strings.TrimSpace(part))
				if !valid {
					return a, ok
				}
				a, ok = next, true
				if !c.trusts(a) {
					return a, true
				}
			}
		}
		return a, ok
	}
	return a, false
}

// hostAddr reads an address, with or without a port.
func hostAddr(v string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		ap, err := netip.ParseAddrPort(v)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}
