package ingest

import "bytes"

// masked stands where a secret stood.
const masked = "REDACTED"

// secretParam tells whether a query parameter of this name carries a secret. Of
// a nested name, user[password], the innermost counts.
func secretParam(name []byte) bool {
	if len(name) < 3 || len(name) > 128 {
		return false
	}
	var buf [128]byte
	folded := buf[:0]
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if v, ok := unhex(name[i+1], name[i+2]); ok {
				c = v
				i += 2
			}
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		folded = append(folded, c)
	}
	if n := len(folded); folded[n-1] == ']' {
		folded = folded[bytes.LastIndexByte(folded, '[')+1 : n-1]
	}
	switch string(folded) {
	case "api_key", "api-key", "apikey", "x-api-key", "token", "key", "sig", "signature", "x-amz-signature",
		"x-amz-security-token", "x-amz-credential", "x-goog-signature", "passwd", "pwd", "pass", "secret", "authorization":
		return true
	}
	for _, suffix := range [...]string{"_token", "-token", "password", "_secret"} {
		if len(folded) >= len(suffix) && string(folded[len(folded)-len(suffix):]) == suffix {
			return true
		}
	}
	return false
}

// endsParam ends a parameter. Servers differ about ';', and a '?' starts the
// parameters of a URL inside a parameter.
func endsParam(c byte) bool { return c == '&' || c == ';' || c == '?' || c == '#' }

// maskQuery replaces the values of secret parameters in a query. It returns q
// itself when there is nothing to hide, else text in f.scratch.
func (f *filler) maskQuery(q []byte) (out []byte, changed bool) {
	if bytes.IndexByte(q, '=') < 0 {
		return q, false
	}
	from, start, kept := len(f.scratch), 0, 0
	for i := 0; i < len(q); i++ {
		switch {
		case endsParam(q[i]):
			start = i + 1
		case q[i] == '=':
			if !secretParam(q[start:i]) {
				for i+1 < len(q) && !endsParam(q[i+1]) {
					i++
				}
				continue
			}
			// A secret may hold any separator but '&': hiding too much is harmless.
			end := len(q)
			if j := bytes.IndexByte(q[i:], '&'); j >= 0 {
				end = i + j
			}
			f.scratch = append(f.scratch, q[kept:i+1]...)
			if end > i+1 {
				f.scratch = append(f.scratch, masked...)
			}
			kept, changed = end, true
			i = end - 1
		}
	}
	if !changed {
		return q, false
	}
	f.scratch = append(f.scratch, q[kept:]...)
	return f.since(from), true
}

// maskURL masks the query of a URL and drops its user and password.
func (f *filler) maskURL(u []byte) []byte {
	if i := bytes.Index(u, []byte("://")); i >= 0 {
		authority := u[i+3:]
		if j := bytes.IndexAny(authority, "/?#"); j >= 0 {
			authority = authority[:j]
		}
		if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
			from := len(f.scratch)
			f.scratch = append(f.scratch, u[:i+3]...)
			f.scratch = append(f.scratch, u[i+3+at+1:]...)
			u = f.since(from)
		}
	}
	i := bytes.IndexByte(u, '?')
	if i < 0 {
		return u
	}
	query, changed := f.maskQuery(u[i+1:])
	if !changed {
		return u
	}
	from := len(f.scratch)
	f.scratch = append(f.scratch, u[:i+1]...)
	f.scratch = append(f.scratch, query...)
	return f.since(from)
}

func unhex(a, b byte) (byte, bool) {
	x, y := hexDigit(a), hexDigit(b)
	return x<<4 | y, x < 16 && y < 16
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
