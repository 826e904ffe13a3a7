package features

import (
	"bytes"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

// segmentClass is what a path segment looks like.
type segmentClass uint8

const (
	segWord segmentClass = iota // a literal
	segInt
	segUUID
	segHex
	segULID
	segBase64
	segDate
	segEmail
	segSlug // only where the route table says so
)

// segmentNames stand in templates for the segments of a class.
var segmentNames = [...]string{"", "{int}", "{uuid}", "{hex}", "{ulid}", "{base64}", "{date}", "{email}", "{slug}"}

// classify tells whether a path segment is a value rather than a name. A word,
// a file name and a version (v2) are names.
func classify(s []byte) segmentClass {
	n := len(s)
	if n == 0 || n > 512 {
		return segWord
	}
	var digits, lower, upper, hexLetters, dashes, other int
	at := false
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z':
			lower++
			if c <= 'f' {
				hexLetters++
			}
		case c >= 'A' && c <= 'Z':
			upper++
			if c <= 'F' {
				hexLetters++
			}
		case c == '-':
			dashes++
		case c == '@':
			at = true
			other++
		default:
			other++
		}
	}
	letters := lower + upper
	switch {
	case digits == n, n > 1 && digits == n-1 && s[0] == '-':
		return segInt
	case n == 36 && dashes == 4 && digits+hexLetters == 32 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-':
		return segUUID
	case n == 10 && dashes == 2 && digits == 8 && s[4] == '-' && s[7] == '-':
		return segDate
	case at && n > 3 && bytes.IndexByte(s[bytes.IndexByte(s, '@'):], '.') > 0:
		return segEmail
	case n >= 8 && digits+hexLetters == n && digits > 0 && hexLetters > 0 && letters == hexLetters:
		return segHex
	case n == 26 && digits+letters == n && digits >= 2 && (lower == 0 || upper == 0) && s[0] <= '7':
		return segULID
	case n >= 16 && digits > 0 && upper > 0 && lower > 0 && other-countTail(s) <= bytes.Count(s, []byte("_")):
		return segBase64
	}
	return segWord
}

// countTail counts the '=' padding at the end of a base64 segment.
func countTail(s []byte) int { return len(s) - len(bytes.TrimRight(s, "=")) }

// RouteTable is the learnt part of routing, distributed with the models so that
// every extractor templates a path alike. The zero RouteTable knows nothing: it
// still recognises typed segments.
type RouteTable struct {
	// collapsed maps the hash of a parent template to the literals that stay
	// literal below it; every other literal there becomes {slug}.
	collapsed map[uint64]map[string]bool
}

// NewRouteTable builds a table from its learnt rules.
func NewRouteTable(rules RouteRules) *RouteTable {
	t := &RouteTable{collapsed: map[uint64]map[string]bool{}}
	for _, c := range rules.Collapsed {
		pinned := make(map[string]bool, len(c.Pinned))
		for _, p := range c.Pinned {
			pinned[p] = true
		}
		t.collapsed[xxhash.Sum64String(c.Parent)] = pinned
	}
	return t
}

// RouteRules is a RouteTable as it is stored in a model.
type RouteRules struct {
	Collapsed []CollapsedRoute `json:"collapsed,omitempty"`
}

// CollapsedRoute says that the segments below Parent are values, but for Pinned.
type CollapsedRoute struct {
	Parent string   `json:"parent"` // template, such as "/blog"
	Pinned []string `json:"pinned,omitempty"`
}

// routeCall is a call's route: scratch of one Extractor, overwritten per event.
type routeCall struct {
	template []byte // "METHOD /path/{int}"
	object   uint64 // hash of the values that fill the template; 0: none
	num      int64
	hasNum   bool
}

// match fills call with the route of an event.
func (t *RouteTable) match(call *routeCall, e *schemas.Event) {
	call.template = append(append(call.template[:0], e.Method...), ' ')
	call.object, call.num, call.hasNum = 0, 0, false
	if len(e.Route) > 0 {
		call.template = append(call.template, e.Route...)
		call.objectsOf(e.Route, e.Path)
	} else {
		t.appendTemplate(call, e.Path)
	}
	if call.object == 0 {
		call.queryObject(e.Query)
	}
}

// Template is the template of a path under the table, without a method.
func (t *RouteTable) Template(path []byte) string {
	var call routeCall
	t.appendTemplate(&call, path)
	return string(call.template)
}

func (t *RouteTable) appendTemplate(call *routeCall, path []byte) {
	start := len(call.template)
	if len(path) == 0 || path[0] != '/' {
		call.template = append(call.template, '/')
	}
	for rest := bytes.TrimPrefix(path, []byte("/")); len(rest) > 0; {
		seg := rest
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			seg, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if len(seg) == 0 {
			continue // "//" is a spelling of "/"
		}
		if len(call.template) == start || call.template[len(call.template)-1] != '/' {
			call.template = append(call.template, '/')
		}
		class := classify(seg)
		if class == segWord && t != nil && len(t.collapsed) > 0 {
			parent := call.template[start : len(call.template)-1]
			if pinned, ok := t.collapsed[xxhash.Sum64(parent)]; ok && !pinned[string(seg)] {
				class = segSlug
			}
		}
		if class == segWord {
			call.template = append(call.template, seg[:min(len(seg), 64)]...)
		} else {
			call.template = append(call.template, segmentNames[class]...)
			call.addObject(seg)
		}
		if len(call.template)-start > 256 {
			// Deeper paths share a route: a template is a name, not a copy.
			call.template = append(call.template, "/…"...)
			break
		}
	}
	if len(call.template) == start {
		call.template = append(call.template, '/')
	}
}

// objectsOf reads the values of a gateway's template ("/a/{id}", "/a/:id",
// "/a/*") out of the path.
func (call *routeCall) objectsOf(route, path []byte) {
	for len(route) > 0 && len(path) > 0 {
		var r, p []byte
		r, route = nextSegment(route)
		p, path = nextSegment(path)
		if len(r) > 0 && (r[0] == '{' || r[0] == ':' || r[0] == '*') && len(p) > 0 {
			call.addObject(p)
		}
	}
}

func nextSegment(p []byte) (seg, rest []byte) {
	p = bytes.TrimPrefix(p, []byte("/"))
	if i := bytes.IndexByte(p, '/'); i >= 0 {
		return p[:i], p[i:]
	}
	return p, nil
}

// queryObject takes an object id from a query such as "id=7" or "account_id=7".
func (call *routeCall) queryObject(query []byte) {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		i := bytes.IndexByte(pair, '=')
		if i <= 0 || i == len(pair)-1 {
			continue
		}
		name := pair[:i]
		if n := len(name); bytes.EqualFold(name, []byte("id")) ||
			n > 3 && bytes.EqualFold(name[n-3:], []byte("_id")) || n > 2 && string(name[n-2:]) == "Id" {
			call.addObject(pair[i+1:])
			return
		}
	}
}

// addObject mixes one more value into the object's identity; the last integer
// among the values is the one whose sequence is watched.
func (call *routeCall) addObject(v []byte) {
	call.object = nonZero(call.object*0x9e3779b97f4a7c15 ^ xxhash.Sum64(v))
	// Words are sorted out first: what ParseInt refuses costs allocations.
	if len(v) <= 18 && classify(v) == segInt {
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			call.num, call.hasNum = n, true
		}
	}
}

// durationRatio is ln(duration / the route's norm); ok is false without both.
func (o *observation) durationRatio() (float64, bool) {
	if o.duration <= 0 || o.norm == 0 {
		return 0, false
	}
	return math.Log(float64(o.duration)) - o.norm, true
}
