package payload

import "bytes"

// judgeNested takes apart what is a structure of values rather than a text:
// JSON, a URL with a query, a query by itself. Each part is judged by itself, so
// that punctuation of the structure is no evidence and code in any one part is
// not diluted by the others. It tells whether value was such a structure.
func (d *Detector) judgeNested(s *Scratch, value []byte, depth int) bool {
	if looksJSON(value) && isJSONText(value) {
		d.judgeJSON(s, value, depth+1)
		return true
	}
	if base, query, ok := splitURL(value); ok {
		if !harmless(base) {
			d.judgeDecoded(s, base, depth+1)
		}
		d.judgeQuery(s, query, depth+1, isText)
		return true
	}
	if isQuery(value) {
		d.judgeQuery(s, value, depth+1, isText)
		return true
	}
	return false
}

// judgeDecoded judges a part that has no structure of its own any more.
func (d *Detector) judgeDecoded(s *Scratch, value []byte, depth int) {
	if depth < maxDepth {
		value = s.shorten(value)
		if n, changed := decode(s.layers[depth][:], value, isText); changed {
			d.judge(s, s.layers[depth][:n], depth+1, isText)
			return
		}
	}
	d.judgeText(s, value)
}

// judgeJSON judges every name and string of a JSON text.
func (d *Detector) judgeJSON(s *Scratch, value []byte, depth int) {
	scan := jsonScan{b: value}
	for s.budget > 0 {
		kind, part := scan.next()
		switch kind {
		case jsonEnd, jsonBad:
			return
		case jsonAtom:
			continue
		}
		m := isText
		if scan.escapes {
			m = isJSON
		}
		d.judge(s, part, depth, m)
	}
}

// splitURL tells whether value is an address with a query.
func splitURL(value []byte) (base, query []byte, ok bool) {
	if len(value) < 4 {
		return nil, nil, false
	}
	switch {
	case value[0] == '/':
	case len(value) > 10 && (hasFold(value, "http://") || hasFold(value, "https://")):
	default:
		return nil, nil, false
	}
	q := bytes.IndexByte(value, '?')
	if q < 0 {
		return nil, nil, false
	}
	for _, c := range value[:q] {
		if c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '`' {
			return nil, nil, false
		}
	}
	if !namesValue(value[q+1:]) {
		return nil, nil, false
	}
	return value[:q], value[q+1:], true
}

// hasFold tells whether b starts with prefix, which is lower case.
func hasFold(b []byte, prefix string) bool {
	if len(b) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if c := b[i]; c != prefix[i] && (c < 'A' || c > 'Z' || c|0x20 != prefix[i]) {
			return false
		}
	}
	return true
}

// namesValue tells whether b starts like a parameter: a plain name and an equals
// sign.
func namesValue(b []byte) bool {
	for i, c := range b {
		if c == '=' {
			return i > 0
		}
		if i > 64 || !isWord[c] && c != '-' && c != '.' && c != '[' && c != ']' {
			return false
		}
	}
	return false
}

// isQuery tells whether value is two or more parameters and nothing else.
func isQuery(value []byte) bool {
	parts := 0
	for len(value) > 0 {
		if !namesValue(value) {
			return false
		}
		parts++
		i := bytes.IndexByte(value, '&')
		if i < 0 {
			break
		}
		value = value[i+1:]
	}
	return parts >= 2
}

// judgeQuery judges the names and values of parameters.
func (d *Detector) judgeQuery(s *Scratch, query []byte, depth int, m manner) {
	for len(query) > 0 && s.budget > 0 {
		part := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			part, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if i := bytes.IndexByte(part, '='); i >= 0 && namesValue(part) {
			part = part[i+1:]
		}
		d.judge(s, part, depth, m)
	}
}
