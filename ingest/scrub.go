package ingest

import "bytes"

// Scrub appends a refused record to dst, with the values of everything that is
// named like a secret or a user masked. A refused record could not be parsed, so
// this goes by its look: name=value, "name":"value", and the user of an access
// log line.
func Scrub(dst, raw []byte) []byte {
	raw, rest := cutUser(raw)
	kept := 0
	if rest > 0 {
		dst = append(dst, raw[:rest]...)
		kept = rest
	}
	for i := kept; i < len(raw); i++ {
		c := raw[i]
		if c != '=' && c != ':' || !namesSecret(nameBefore(raw[kept:i])) {
			continue
		}
		from, to := valueAfter(raw, i+1, c)
		if to == from {
			continue
		}
		dst = append(dst, raw[kept:from]...)
		dst = append(dst, masked...)
		kept, i = to, to-1
	}
	return append(dst, raw[kept:]...)
}

// cutUser masks the third field of "host ident user [time] ..."; done is how much
// of the result is settled.
func cutUser(raw []byte) (out []byte, done int) {
	open := bytes.Index(raw, []byte(" ["))
	if open < 0 || bytes.IndexByte(raw[:open], '{') >= 0 {
		return raw, 0
	}
	first := bytes.IndexByte(raw[:open], ' ')
	if first < 0 {
		return raw, 0
	}
	second := bytes.IndexByte(raw[first+1:open], ' ')
	if second < 0 {
		return raw, 0
	}
	from := first + 1 + second + 1
	if absent(raw[from:open]) {
		return raw, 0
	}
	out = append(out, raw[:from]...)
	out = append(out, masked...)
	done = len(out)
	return append(out, raw[open:]...), done
}

// nameBefore is the name that ends b, without the quotes around it.
func nameBefore(b []byte) []byte {
	b = bytes.TrimRight(b, "\"'\\ ")
	i := len(b)
	for i > 0 {
		c := b[i-1]
		if (c|0x20) >= 'a' && (c|0x20) <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '%' || c == '[' || c == ']' {
			i--
			continue
		}
		break
	}
	return b[i:]
}

func namesSecret(name []byte) bool {
	if len(name) < 3 || len(name) > 128 {
		return false
	}
	if secretParam(name) {
		return true
	}
	lower := bytes.ToLower(name)
	for _, part := range [...]string{"authorization", "cookie", "api_key", "api-key", "apikey", "auth-token", "user_id", "remote_user", "username", "session"} {
		if bytes.Contains(lower, []byte(part)) {
			return true
		}
	}
	return string(lower) == "user" || string(lower) == "login_user" || string(lower) == "credential"
}

// valueAfter finds the value that begins at or after i: what stands between
// quotes, or runs to what ends a parameter (after '=') or a header (after ':').
func valueAfter(b []byte, i int, sep byte) (from, to int) {
	nested := false // inside a string already: quotes are escaped
	for i < len(b) && (b[i] == ' ' || b[i] == '[' || b[i] == '\\') {
		nested = b[i] == '\\'
		i++
	}
	if i < len(b) && (b[i] == '"' || b[i] == '\'') {
		quote := b[i]
		from = i + 1
		for to = from; to < len(b) && b[to] != quote; to++ {
			if b[to] == '\\' && !nested {
				to++
			}
		}
		return from, min(to, len(b))
	}
	ends := "& \t\r\n\""
	if sep == ':' {
		ends = "\r\n\",}"
	}
	from, to = i, len(b)
	if j := bytes.IndexAny(b[from:], ends); j >= 0 {
		to = from + j
	}
	return from, to
}
