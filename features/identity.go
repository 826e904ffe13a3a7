// Package features turns API-call events into what a behaviour model can judge:
// who called, on which route, and how that client's traffic looks in a window
// and over the day. It is pure: no Kafka, no clock, no I/O. The same events give
// the same features, in whatever order they arrived inside the allowed lateness.
package features

import (
	"bytes"
	"net/netip"

	"github.com/weir-dev/weir/schemas"
)

// Client key types, from the narrowest identity to the widest.
const (
	ClientUser       = "user"
	ClientConsumer   = "consumer"
	ClientCredential = "credential"
	ClientSession    = "session"
	ClientDevice     = "device"
	ClientIP         = "ip"
)

// unknownClient keys events that name nobody, so that they are still counted.
const unknownClient = "ip:unknown"

// AppendClientKey appends the client key of an event, "type:value": the
// narrowest known of user, consumer, credential, session, device, address. A
// device is a TLS fingerprint with a user-agent family inside one client
// network, because a fingerprint alone is shared by a browser's every user.
//
// On a call that was refused as unauthenticated (401), user and consumer are what
// the caller claimed and could not prove: it is keyed by the credential that it
// showed, which names nobody but whoever has it, or as if it had claimed nothing,
// so that nobody is judged by calls in their name.
func AppendClientKey(dst []byte, e *schemas.Event) []byte {
	key := func(kind string, value []byte) []byte {
		dst = append(dst, kind...)
		dst = append(dst, ':')
		return append(dst, value...)
	}
	proven := e.Status != 401
	switch {
	case proven && len(e.User) > 0:
		return key(ClientUser, e.User)
	case proven && len(e.Consumer) > 0:
		return key(ClientConsumer, e.Consumer)
	case len(e.Credential) > 0:
		return key(ClientCredential, e.Credential)
	case len(e.Session) > 0:
		return key(ClientSession, e.Session)
	case len(e.JA4) > 0 && len(e.ClientIP) > 0:
		dst = key(ClientDevice, e.JA4)
		dst = append(dst, '|')
		dst = append(dst, UserAgentFamily(e.UserAgent)...)
		dst = append(dst, '|')
		return AppendNetwork(dst, e.ClientIP)
	case len(e.ClientIP) > 0:
		return key(ClientIP, e.ClientIP)
	}
	return append(dst, unknownClient...)
}

// AppendNetwork appends the network an address belongs to: its /24 for IPv4,
// its /48 for IPv6, or the text itself where it is no address (a hashed address,
// a host name).
func AppendNetwork(dst, ip []byte) []byte {
	if out, ok := appendIPv4Network(dst, ip); ok {
		return out
	}
	if bytes.IndexByte(ip, ':') < 0 {
		return append(dst, ip...)
	}
	addr, err := netip.ParseAddr(string(ip))
	if err != nil {
		return append(dst, ip...)
	}
	bits := 48
	if addr = addr.Unmap(); addr.Is4() {
		bits = 24
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return append(dst, ip...)
	}
	return prefix.AppendTo(dst)
}

// appendIPv4Network is AppendNetwork for dotted IPv4 without the allocation that
// parsing through netip costs; every event passes here.
func appendIPv4Network(dst, ip []byte) ([]byte, bool) {
	dots, digits, value, last := 0, 0, 0, 0
	for i, c := range ip {
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && value == 0 {
				return dst, false // a leading zero: netip refuses it too
			}
			digits++
			if value = value*10 + int(c-'0'); digits > 3 || value > 255 {
				return dst, false
			}
		case c == '.' && digits > 0:
			dots, digits, value, last = dots+1, 0, 0, i
		default:
			return dst, false
		}
	}
	if dots != 3 || digits == 0 {
		return dst, false
	}
	dst = append(dst, ip[:last]...)
	return append(dst, ".0/24"...), true
}

// userAgentFamilies are looked for in order: a browser built on another also
// carries the other's token.
var userAgentFamilies = []struct{ token, family []byte }{
	{[]byte("Edg"), []byte("edge")},
	{[]byte("OPR/"), []byte("opera")},
	{[]byte("Firefox/"), []byte("firefox")},
	{[]byte("Chrome/"), []byte("chrome")},
	{[]byte("CriOS/"), []byte("chrome")},
	{[]byte("Safari/"), []byte("safari")},
}

// maxFamily bounds a user agent's family, bytes: it becomes part of client keys,
// and the caller writes it.
const maxFamily = 32

// UserAgentFamily is the product that a user agent names, without its version:
// the browser's name for browsers, the first product token for everything else,
// "-" when empty; at most 32 bytes. The result may alias ua.
func UserAgentFamily(ua []byte) []byte {
	if len(ua) == 0 {
		return []byte("-")
	}
	if bytes.HasPrefix(ua, []byte("Mozilla/")) {
		for _, f := range userAgentFamilies {
			if bytes.Contains(ua, f.token) {
				return f.family
			}
		}
	}
	for i, c := range ua {
		if c == '/' || c == ' ' {
			return ua[:min(max(i, 1), maxFamily)]
		}
	}
	return ua[:min(len(ua), maxFamily)]
}
