package ingest

import "bytes"

// setRequestLine reads "METHOD target HTTP/1.1" as a client sent it, which may
// be anything at all: a target with spaces, no protocol (HTTP/0.9), a TLS
// handshake on the plain port. What is no request line leaves the method
// unknown, and the text as an attribute.
func (f *filler) setRequestLine(line []byte) {
	if absent(line) {
		return
	}
	method, rest, found := bytes.Cut(line, []byte(" "))
	if !found || !isMethod(method) {
		f.keepRequestLine(line)
		return
	}
	target, proto := rest, []byte(nil)
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 && isProtocol(rest[i+1:]) {
		target, proto = rest[:i], rest[i+1:]
	} else if isProtocol(rest) {
		target, proto = nil, rest
	}
	if proto == nil {
		// Without a protocol only a path tells a request from chatter.
		if len(target) == 0 || target[0] != '/' {
			f.keepRequestLine(line)
			return
		}
		f.ev.HTTPVersion = textHTTP09
	} else {
		f.setVersion(proto)
	}
	f.ev.Method = method
	f.setTarget(target)
}

var textHTTP09 = []byte("0.9")

func (f *filler) keepRequestLine(line []byte) {
	line = line[:min(len(line), maxRequestLine)]
	f.addAttr(nameRequest, f.maskURL(f.urlText(line)))
}

// isMethod tells whether b is a token of letters, as every method in use is.
func isMethod(b []byte) bool {
	if len(b) == 0 || len(b) > 24 {
		return false
	}
	for _, c := range b {
		if (c|0x20) < 'a' || (c|0x20) > 'z' {
			if c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isProtocol tells whether b is a name, a slash and a version.
func isProtocol(b []byte) bool {
	if len(b) == 8 && string(b[:5]) == "HTTP/" {
		return true
	}
	i := bytes.IndexByte(b, '/')
	if i < 2 || i+1 >= len(b) || len(b) > 12 {
		return false
	}
	for _, c := range b[:i] {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	for _, c := range b[i+1:] {
		if c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// unescapeLog undoes what Apache and nginx do to quotes, backslashes and bytes
// that do not print: the client's own bytes are what a detector must see. It
// returns b itself when nothing was escaped.
func (f *filler) unescapeLog(b []byte) []byte {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return b
	}
	from := len(f.scratch)
	f.scratch = append(f.scratch, b[:i]...)
	for ; i < len(b); i++ {
		c := b[i]
		if c != '\\' || i+1 == len(b) {
			f.scratch = append(f.scratch, c)
			continue
		}
		i++
		switch b[i] {
		case 'x':
			if i+2 < len(b) {
				if v, ok := unhex(b[i+1], b[i+2]); ok {
					f.scratch = append(f.scratch, v)
					i += 2
					continue
				}
			}
			f.scratch = append(f.scratch, '\\', 'x')
		case 'n':
			f.scratch = append(f.scratch, '\n')
		case 'r':
			f.scratch = append(f.scratch, '\r')
		case 't':
			f.scratch = append(f.scratch, '\t')
		case 'v':
			f.scratch = append(f.scratch, '\v')
		case 'b':
			f.scratch = append(f.scratch, '\b')
		case '"', '\\':
			f.scratch = append(f.scratch, b[i])
		default:
			f.scratch = append(f.scratch, '\\', b[i])
		}
	}
	return f.since(from)
}
