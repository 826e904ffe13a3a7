package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// ScopeNetwork blocks or allows every address of a CIDR prefix. ScopeCohort does
// so for the callers of one API that share an ASN, a JA4 or user agent's family,
// or both. The other scopes are the client key types: user, consumer, credential,
// session, device and ip.
const (
	ScopeNetwork = schemas.EntityNetwork
	ScopeCohort  = schemas.ScopeCohort
)

// Errors of scope and value validation.
var (
	ErrScope = errors.New("unknown scope")
	ErrValue = errors.New("value does not fit its scope")
)

// maxKeyValue bounds the value part of a key, in bytes.
const maxKeyValue = 2048

// scope is an index of scopeNames, from the narrowest to the widest.
type scope uint8

const (
	scopeUser scope = iota
	scopeConsumer
	scopeCredential
	scopeSession
	scopeDevice
	scopeIP
	scopeCohort
	scopeNetwork
	numScopes
)

var scopeNames = [numScopes]string{
	features.ClientUser, features.ClientConsumer, features.ClientCredential,
	features.ClientSession, features.ClientDevice, features.ClientIP, ScopeCohort, ScopeNetwork,
}

func (s scope) String() string { return scopeNames[s] }

// Scopes lists the scopes that a blocklist entry may have, narrowest first.
func Scopes() []string { return scopeNames[:] }

func scopeOf(name []byte) (scope, bool) {
	for s := range numScopes {
		if string(name) == scopeNames[s] {
			return s, true
		}
	}
	return 0, false
}

// blockKey is a record key taken apart; its slices alias the key.
type blockKey struct {
	tenant, scope, value []byte
	allow                bool
}

var allowScope = []byte("allow:")

// parseKey is schemas.ParseBlockKey on bytes, without allocating.
func parseKey(key []byte) (k blockKey, ok bool) {
	var rest []byte
	if k.tenant, rest, ok = bytes.Cut(key, slash); !ok {
		return k, false
	}
	if k.scope, k.value, ok = bytes.Cut(rest, slash); !ok ||
		len(k.tenant) == 0 || len(k.scope) == 0 || len(k.value) == 0 {
		return k, false
	}
	k.scope, k.allow = bytes.CutPrefix(k.scope, allowScope)
	return k, true
}

var slash = []byte("/")

// appendAddr appends the canonical text of an address: IPv4 in IPv6 unmapped,
// no zone, shortest form. A value that is no address (a hashed one) is appended
// as it is. A client is thus found however its gateway spells its address.
func appendAddr(dst, value []byte) []byte {
	addr, ok := parseAddr(value)
	if !ok {
		return append(dst, value...)
	}
	return addr.AppendTo(dst)
}

// parseNetwork reads a CIDR prefix or a single address, with host bits cleared.
func parseNetwork(value string) (netip.Prefix, error) {
	if !strings.Contains(value, "/") {
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%w: network %q", ErrValue, value)
		}
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: network %q", ErrValue, value)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%w: network %q covers all of IPv4", ErrValue, value)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Canonical checks a scope and a value and returns the value as it is written
// to the topic: addresses in their shortest form, networks with the host bits
// cleared. The error is ErrScope or ErrValue.
func Canonical(scopeName, value string) (string, error) {
	s, ok := scopeOf([]byte(scopeName))
	if !ok {
		return "", fmt.Errorf("%w: %q, one of %s", ErrScope, scopeName, strings.Join(scopeNames[:], ", "))
	}
	switch {
	case value == "":
		return "", fmt.Errorf("%w: %s is empty", ErrValue, s)
	case len(value) > maxKeyValue:
		return "", fmt.Errorf("%w: %s of %d bytes, at most %d", ErrValue, s, len(value), maxKeyValue)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("%w: %s is not UTF-8", ErrValue, s)
	}
	for _, r := range value {
		if r < 0x20 || r == 0x7f {
			return "", fmt.Errorf("%w: %s %q holds a control character", ErrValue, s, value)
		}
	}
	switch s {
	case scopeCohort:
		if !cohortValue(value) {
			return "", fmt.Errorf("%w: cohort %q is not asn=N, ja4=F or ua=F, and api=NAME, in this order", ErrValue, value)
		}
	case scopeIP:
		// A hashed address is any other word; what looks like a mistyped
		// address or a prefix would block nobody, silently.
		if strings.ContainsAny(value, "./:") {
			if _, err := netip.ParseAddr(value); err != nil {
				return "", fmt.Errorf("%w: ip %q is not an address", ErrValue, value)
			}
		}
		return string(appendAddr(nil, []byte(value))), nil
	case scopeNetwork:
		p, err := parseNetwork(value)
		if err != nil {
			return "", err
		}
		return p.String(), nil
	}
	return value, nil
}

// cohortValue tells whether a value is one that a lookup can build.
func cohortValue(value string) bool {
	rest := value
	for _, parts := range [...][]string{{"asn="}, {"ja4=", "ua="}} {
		for _, part := range parts {
			if s, ok := strings.CutPrefix(rest, part); ok {
				i := strings.IndexByte(s, ',')
				if i <= 0 {
					return false
				}
				rest = s[i+1:]
				break
			}
		}
	}
	api, ok := strings.CutPrefix(rest, "api=")
	return ok && rest != value && api != ""
}

// allowsEntity tells whether an allowance in s speaks for an entity: its own, or
// one of a network around the address, device or network.
func (s *store) allowsEntity(sc scope, value string, now func() int64) bool {
	if p, ok := s.get(sc, true, []byte(value)); ok && p.expires() > now() {
		return true
	}
	switch sc {
	case scopeIP, scopeNetwork:
	case scopeDevice:
		// ja4|family|network: the family may hold a bar, the network cannot.
		value = value[strings.LastIndexByte(value, '|')+1:]
	default:
		return false
	}
	inner, err := parseNetwork(value)
	if err != nil {
		return false
	}
	_, ok := s.contains(true, inner, now)
	return ok
}
