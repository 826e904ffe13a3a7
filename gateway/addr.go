package gateway

import "net/netip"

// parseAddr is netip.ParseAddr on bytes, unmapped and without its zone. It does
// not allocate for the usual notations; netip.ParseAddr keeps its argument in
// the error it may return, so a conversion for it would allocate on every call.
func parseAddr(b []byte) (netip.Addr, bool) {
	if a, ok := parseV4(b); ok {
		return netip.AddrFrom4(a), true
	}
	if a, ok := parseV6(b); ok {
		return netip.AddrFrom16(a).Unmap(), true
	}
	// An address ends in a hex digit, has a colon, or a zone after one: the
	// rest, such as a hashed address, is not worth a conversion.
	for _, c := range b {
		if c == ':' {
			addr, err := netip.ParseAddr(string(b))
			return addr.Unmap().WithZone(""), err == nil
		}
	}
	return netip.Addr{}, false
}

// parseV4 reads four decimal numbers without leading zeros.
func parseV4(b []byte) (a [4]byte, ok bool) {
	if len(b) < 7 || len(b) > 15 {
		return a, false
	}
	i := 0
	for part := range 4 {
		if part > 0 {
			if i >= len(b) || b[i] != '.' {
				return a, false
			}
			i++
		}
		n, start := 0, i
		for ; i < len(b) && i < start+3 && b[i] >= '0' && b[i] <= '9'; i++ {
			n = n*10 + int(b[i]-'0')
		}
		if i == start || n > 255 || b[start] == '0' && i > start+1 {
			return a, false
		}
		a[part] = byte(n)
	}
	return a, i == len(b)
}

// parseV6 reads groups of hex digits with at most one "::"; addresses with an
// IPv4 tail or a zone are left to netip.
func parseV6(b []byte) (a [16]byte, ok bool) {
	if len(b) < 2 || len(b) > 39 {
		return a, false
	}
	gap, n, i := -1, 0, 0
	if b[0] == ':' {
		if b[1] != ':' {
			return a, false
		}
		gap, i = 0, 2
	}
	for i < len(b) {
		if n == 16 {
			return a, false
		}
		v, start := 0, i
		for ; i < len(b) && i < start+4; i++ {
			d := hexDigit(b[i])
			if d < 0 {
				break
			}
			v = v<<4 | d
		}
		if i == start {
			return a, false
		}
		a[n], a[n+1] = byte(v>>8), byte(v)
		n += 2
		if i == len(b) {
			break
		}
		if b[i] != ':' || i+1 == len(b) {
			return a, false
		}
		i++
		if b[i] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap = n
			i++
		}
	}
	if gap < 0 {
		return a, n == 16
	}
	if n == 16 {
		return a, false // "::" stands for at least one group
	}
	copy(a[gap+16-n:], a[gap:n])
	clear(a[gap : gap+16-n])
	return a, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
