package parameters

import (
	"bytes"
	"fmt"
	"strings"
)

// maxShown is how many bytes of a value an explanation shows.
const maxShown = 48

// Explain puts a violation into words. The violation must be of this Model, and
// what its slices alias must still hold.
func (m *Model) Explain(v Violation) string {
	if v.Kind == KindNone {
		return ""
	}
	r := m.routes[v.Expected.route]
	a := m.apis[v.Expected.route]
	if r == nil && a != nil && v.Location == Header {
		r = a.headers
	}
	switch {
	case a != nil && v.Kind == KindRoute:
		return fmt.Sprintf("path %s is not among the %d routes that %d calls of the API took", quote(v.Value), a.routes, a.calls)
	case a != nil && v.Kind == KindMethod:
		return fmt.Sprintf("method %s was never used on this path in %d calls of the API", quote(v.Value), a.calls)
	case r == nil:
		return fmt.Sprintf("%s: %s", v.Kind, quote(v.Value))
	}
	switch v.Kind {
	case KindUnknown:
		return fmt.Sprintf("%s parameter %s, got %s, is not among the %d known of this route (%s calls)",
			v.Location, quote(v.Name), quote(v.Value), len(r.params), thousands(r.calls))
	case KindContentType:
		usual := r.example
		if usual == "" {
			usual = "no body"
		}
		return fmt.Sprintf("body is %s in %s calls of this route, got %s", usual, thousands(r.calls), quote(v.Value))
	case KindSize:
		return fmt.Sprintf("body is of another size than in %s calls of this route", thousands(r.calls))
	}
	if v.Expected.param < 0 || int(v.Expected.param) >= len(r.info) {
		return fmt.Sprintf("%s: %s", v.Kind, quote(v.Value))
	}
	info := &r.info[v.Expected.param]
	name := fmt.Sprintf("%s parameter %s", v.Location, quote(info.name))
	if v.Location == Header {
		name = "header " + quote(info.name)
	}
	values := thousands(info.votes) + " values"
	switch v.Kind {
	case KindMissing:
		return fmt.Sprintf("%s came with %s of %s calls, and is missing", name, thousands(info.present), thousands(max(r.calls, info.present)))
	case KindOrder:
		return fmt.Sprintf("%s comes in an order that none of %s calls had", name, thousands(r.calls))
	case KindDuplicate:
		return fmt.Sprintf("%s is given more than once, which none of %s calls did", name, thousands(info.present))
	case KindEnum:
		return fmt.Sprintf("%s is one of %s (%s), got %s", name, list(info.values), values, quote(v.Value))
	case KindLength:
		if info.minLen < 0 {
			return fmt.Sprintf("%s is of another length than the few values known, got %d bytes: %s", name, len(v.Value), quote(v.Value))
		}
		return fmt.Sprintf("%s is %s long (%s), got %d: %s", name, span(info.minLen, info.maxLen), values, len(v.Value), quote(v.Value))
	case KindCharacters:
		p := &r.params[v.Expected.param]
		return fmt.Sprintf("%s seldom or never has %s (%s), got %s", name, p.oddCharacters(v.Value), values, quote(v.Value))
	case KindPattern:
		return fmt.Sprintf("%s has letters, digits and marks in an order that none of %s has, got %s", name, values, quote(v.Value))
	case KindRange:
		return fmt.Sprintf("%s is out of the range of %s, got %s", name, values, quote(v.Value))
	}
	return fmt.Sprintf("%s is %s %s%s (%s), got %s", name, often(info), info.main, lengthOf(info), values, quote(v.Value))
}

// often says how regular the type of a parameter is.
func often(info *paramInfo) string {
	if info.share > 0.999 {
		return "always"
	}
	return fmt.Sprintf("in %.0f %%", 100*info.share)
}

func lengthOf(info *paramInfo) string {
	if info.minLen < 0 {
		return ""
	}
	return " of " + span(info.minLen, info.maxLen)
}

func span(lo, hi int) string {
	if lo == hi {
		return fmt.Sprintf("%d bytes", lo)
	}
	return fmt.Sprintf("%d to %d bytes", lo, hi)
}

// oddCharacters lists the bytes of the rarest classes of a value.
func (p *paramModel) oddCharacters(v []byte) string {
	least := float32(0)
	for _, c := range v {
		least = min(least, p.chars[classOf[c]])
	}
	var found []string
	for i, c := range v {
		if lp := p.chars[classOf[c]]; lp < 0 && lp <= least/2 && bytes.IndexByte(v[:i], c) < 0 && len(found) < 5 {
			found = append(found, quote(v[i:i+1]))
		}
	}
	if len(found) == 0 {
		return "such an encoding"
	}
	return strings.Join(found, " ")
}

func list(values []string) string {
	const most = 4
	var b strings.Builder
	for i, v := range values {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(values)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote([]byte(v)))
	}
	return b.String()
}

// quote shows a value: printable, and not too much of it.
func quote(v []byte) string {
	if len(v) > maxShown {
		return fmt.Sprintf("%q...", v[:maxShown])
	}
	return fmt.Sprintf("%q", v)
}

// thousands writes a number as people read it: 4,210.
func thousands(n uint32) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
