package gateway

import (
	"bytes"
	"net/netip"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// Identity is what is known about a caller. Empty means unknown. The slices are
// only read, and not kept.
type Identity struct {
	User       []byte
	Consumer   []byte
	Credential []byte // keyed hash, as in events
	// OtherCredentials are further hashes of the same call, such as an API key
	// beside a token; each is checked.
	OtherCredentials [][]byte
	Session          []byte // keyed hash
	JA4              []byte
	UserAgent        []byte
	ClientIP         []byte
	ASN              int64  // autonomous system of the address; 0 or less when unknown
	API              []byte // that is called, as events name it; without it no cohort matches
}

// IdentityOf is the caller of an event; it aliases the event.
func IdentityOf(e *schemas.Event) Identity {
	api := e.API
	if len(api) == 0 {
		api = e.Host
	}
	return Identity{
		User: e.User, Consumer: e.Consumer, Credential: e.Credential, Session: e.Session,
		JA4: e.JA4, UserAgent: e.UserAgent, ClientIP: e.ClientIP, ASN: e.ASN, API: api,
	}
}

// Decision is what the list says about a caller.
type Decision struct {
	// Action is throttle, challenge or block; AllowAction where an allowance
	// lifts a block that would apply; empty where nothing applies.
	Action schemas.Action
	// Scope and Value name the entity whose entry decided.
	Scope, Value string
	Entry        schemas.BlockEntry
}

// Match checks every scope of a caller: user, consumer, credentials, session,
// device, address, the cohorts of the API's callers that it belongs to, and the
// networks around it. The most severe block is
// returned, of equals the narrowest; an allowance of any of the caller's
// entities wins over all blocks. It does not allocate.
func (b *Blocklist) Match(id Identity) Decision {
	s := b.live.Load()
	var device [256]byte
	c := caller{id: id, now: b.now}
	c.device, c.addr = id.resolve(device[:0])
	best, sc := c.worst(s)
	if best == "" {
		return Decision{}
	}
	// Allowances are asked for only when there is something to lift, which
	// keeps the common caller, neither blocked nor allowed, cheap.
	if p, allowed, ok := c.allowed(s); ok {
		best, sc = p, allowed
	}
	return Decision{Action: best.action(), Scope: sc.String(), Value: best.value(), Entry: best.entry()}
}

// Allowed finds an allowance that speaks for the caller, whether or not a block
// exists.
func (b *Blocklist) Allowed(id Identity) (Item, bool) {
	var device [256]byte
	c := caller{id: id, now: b.now}
	c.device, c.addr = id.resolve(device[:0])
	p, sc, ok := c.allowed(b.live.Load())
	if !ok {
		return Item{}, false
	}
	return item(sc, true, p), true
}

// caller is an Identity with what is derived from it.
type caller struct {
	id     Identity
	now    func() int64
	device []byte
	addr   netip.Prefix // a single address; invalid when unknown
}

// resolve finds the caller's address, and its device key as
// features.AppendClientKey writes it, which it appends to buf.
func (id *Identity) resolve(buf []byte) (device []byte, single netip.Prefix) {
	if len(id.ClientIP) == 0 {
		return nil, single
	}
	addr, ok := parseAddr(id.ClientIP)
	if ok {
		single = netip.PrefixFrom(addr, addr.BitLen())
	}
	if len(id.JA4) == 0 {
		return nil, single
	}
	buf = append(buf, id.JA4...)
	buf = append(buf, '|')
	buf = append(buf, features.UserAgentFamily(id.UserAgent)...)
	buf = append(buf, '|')
	if !ok {
		return append(buf, id.ClientIP...), single
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, _ := addr.Prefix(bits)
	return network.AppendTo(buf), single
}

// value is the caller's entity in a scope other than cohort and network.
func (c *caller) value(sc scope) []byte {
	switch sc {
	case scopeUser:
		return c.id.User
	case scopeConsumer:
		return c.id.Consumer
	case scopeCredential:
		return c.id.Credential
	case scopeSession:
		return c.id.Session
	case scopeDevice:
		return c.device
	case scopeIP:
		return c.id.ClientIP
	}
	return nil
}

// find is an unexpired entry of one entity.
func (c *caller) find(s *store, sc scope, allow bool, value []byte) (packed, bool) {
	if len(value) == 0 {
		return "", false
	}
	p, ok := s.get(sc, allow, value)
	return p, ok && p.expires() > c.now()
}

func (c *caller) worst(s *store) (best packed, at scope) {
	severity := 0
	consider := func(p packed, sc scope, ok bool) {
		if ok {
			if n := p.action().Severity(); n > severity {
				best, at, severity = p, sc, n
			}
		}
	}
	for sc := range scopeCohort {
		p, ok := c.find(s, sc, false, c.value(sc))
		consider(p, sc, ok)
		if sc == scopeCredential {
			for _, other := range c.id.OtherCredentials {
				p, ok := c.find(s, sc, false, other)
				consider(p, sc, ok)
			}
		}
	}
	p, ok := c.cohort(s, false)
	consider(p, scopeCohort, ok)
	if c.addr.IsValid() {
		p, ok := s.contains(false, c.addr, c.now)
		consider(p, scopeNetwork, ok)
	}
	return best, at
}

func (c *caller) allowed(s *store) (packed, scope, bool) {
	for sc := range scopeCohort {
		if p, ok := c.find(s, sc, true, c.value(sc)); ok {
			return p, sc, true
		}
	}
	for _, other := range c.id.OtherCredentials {
		if p, ok := c.find(s, scopeCredential, true, other); ok {
			return p, scopeCredential, true
		}
	}
	if p, ok := c.cohort(s, true); ok {
		return p, scopeCohort, true
	}
	if c.addr.IsValid() {
		if p, ok := s.contains(true, c.addr, c.now); ok {
			return p, scopeNetwork, true
		}
	}
	return "", 0, false
}

// cohort finds the most severe entry of the caller's cohorts on the API, of equals
// the narrowest. Where the list has no cohorts it looks at nothing.
func (c *caller) cohort(s *store, allow bool) (best packed, ok bool) {
	if len(c.id.API) == 0 || s.table(scopeCohort, allow).count.Load() == 0 {
		return "", false
	}
	var name, key [256]byte
	both := features.AppendCohort(name[:0], c.id.ASN, c.id.JA4, c.id.UserAgent)
	bar := bytes.IndexByte(both, '|')
	asn, fingerprint := both[:bar], both[bar+1:]
	for _, of := range [...]struct{ asn, fingerprint []byte }{{asn, fingerprint}, {nil, fingerprint}, {asn, nil}} {
		value := schemas.AppendCohortValue(key[:0], of.asn, of.fingerprint, c.id.API)
		p, found := c.find(s, scopeCohort, allow, value)
		if found && (!ok || p.action().Severity() > best.action().Severity()) {
			best, ok = p, true
		}
	}
	return best, ok
}
