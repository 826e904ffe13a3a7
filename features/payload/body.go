package payload

import (
	"bytes"

	"github.com/weir-dev/weir/schemas"
)

// body judges the fields of a body sample. What it is shows in its first bytes:
// content types are absent or wrong too often to be relied on.
func (v *visit) body(e *schemas.Event) {
	b := e.BodySample
	if len(b) == 0 || unreadable(b) {
		return
	}
	if len(b) > 4*maxValue {
		b = b[:4*maxValue]
	}
	switch {
	case looksJSON(b) && isJSONText(b):
		v.json(b)
	case len(b) > 4 && b[0] == '-' && b[1] == '-' && v.multipart(b):
	case namesValue(b):
		v.query(b, InBody)
	case looksXML(b):
		v.xml(b)
	default:
		v.value(b, InBody, nil, asIs)
	}
}

// unreadable tells whether a body is no text: compressed, or of an encoding of its
// own, where punctuation means nothing.
func unreadable(b []byte) bool {
	b = b[:min(len(b), 512)]
	odd := 0
	for _, c := range b {
		// Two in a hundred: text has none, and an attack's one or two are few.
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f || c >= 0xf5 {
			odd++
		}
	}
	return odd*50 > len(b)
}

// json judges the names and strings of a JSON body.
func (v *visit) json(b []byte) {
	scan := jsonScan{b: b}
	var key []byte
	for v.s.budget > 0 {
		kind, part := scan.next()
		m := isText
		if scan.escapes {
			m = isJSON
		}
		switch kind {
		case jsonEnd, jsonBad:
			return
		case jsonKey:
			key = part
			if !plainName(part) {
				v.value(part, InBody, key, m)
			}
		case jsonText:
			v.value(part, InBody, key, m)
		case jsonAtom:
		}
	}
}

func looksXML(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n\xef\xbb\xbf")
	return bytes.HasPrefix(b, []byte("<?xml")) || bytes.HasPrefix(b, []byte("<soap")) ||
		bytes.HasPrefix(b, []byte("<SOAP")) || bytes.HasPrefix(b, []byte("<env:")) ||
		bytes.HasPrefix(b, []byte("<!DOCTYPE"))
}

// xml judges the text between tags and the values of attributes: tags belong to
// such a body and are no evidence, its declarations may be.
func (v *visit) xml(b []byte) {
	var tag []byte
	for len(b) > 0 && v.s.budget > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			i = len(b)
		}
		if text := bytes.TrimSpace(b[:i]); len(text) > 0 {
			v.value(text, InBody, tag, isText)
		}
		if b = b[i:]; len(b) == 0 {
			return
		}
		switch {
		case bytes.HasPrefix(b, []byte("<![CDATA[")):
			part, rest, _ := bytes.Cut(b[9:], []byte("]]>"))
			v.value(part, InBody, tag, isText)
			b = rest
			continue
		case len(b) > 1 && b[1] == '!':
			// A document type and its entities: to the end of the subset, as one.
			end := bytes.Index(b, []byte("]>"))
			if end < 0 {
				end = bytes.IndexByte(b, '>')
			}
			if end < 0 {
				end = len(b) - 1
			}
			v.value(b[:end+1], InBody, nil, isText)
			b = b[end+1:]
			continue
		}
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			end = len(b) - 1
		}
		inside := b[1 : end+1]
		tag = inside
		for k, c := range inside {
			if !isWord[c] && c != ':' && c != '-' && c != '.' {
				tag = inside[:k]
				break
			}
		}
		v.attributes(inside)
		b = b[end+1:]
	}
}

// attributes judges what stands between quotes in a tag.
func (v *visit) attributes(tag []byte) {
	for len(tag) > 0 {
		i := bytes.IndexAny(tag, `"'`)
		if i < 0 {
			return
		}
		quote := tag[i]
		part, rest := cutByte(tag[i+1:], quote)
		v.value(part, InBody, nil, isText)
		tag = rest
	}
}

// multipart judges the parts of a form and the file names among their headers.
// A part that says it is a file is not judged: its content is data.
func (v *visit) multipart(b []byte) bool {
	line := bytes.IndexByte(b, '\n')
	if line < 4 || line > 80 {
		return false
	}
	boundary := bytes.TrimRight(b[:line], "\r")
	rest := b[line+1:]
	for len(rest) > 0 && v.s.budget > 0 {
		part := rest
		if i := bytes.Index(rest, boundary); i >= 0 {
			part, rest = rest[:i], rest[i+len(boundary):]
			if n := bytes.IndexByte(rest, '\n'); n >= 0 {
				rest = rest[n+1:]
			} else {
				rest = nil
			}
		} else {
			rest = nil
		}
		split := bytes.Index(part, []byte("\r\n\r\n"))
		gap := 4
		if split < 0 {
			split, gap = bytes.Index(part, []byte("\n\n")), 2
		}
		if split < 0 {
			continue
		}
		head, content := part[:split], bytes.TrimRight(part[split+gap:], "\r\n")
		name := quoted(head, []byte(` name="`))
		if file := quoted(head, []byte(`filename="`)); file != nil {
			v.value(file, InBody, name, isText)
			continue
		}
		if !plainName(name) {
			v.value(name, InBody, name, isText)
		}
		v.value(content, InBody, name, isText)
	}
	return true
}

// quoted is what follows key up to the closing quote; nil if key is not there.
func quoted(head, key []byte) []byte {
	i := bytes.Index(head, key)
	if i < 0 {
		return nil
	}
	part, _ := cutByte(head[i+len(key):], '"')
	return part
}
