package simulate

import (
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate/injections"
)

// injector puts text that some backend may run where routes take values.
type injector struct {
	class  string
	header [1]schemas.KV
}

// mostInjections is how many such calls an attack makes at most: few are needed
// to find out whether one works.
const mostInjections = 30

func buildCodeInjection(g *Generator, in *instance) {
	var r *raider
	if in.api.has(RoleCatalogue) && derive(g.cfg.Seed, domainAttack, 1<<50|uint64(in.index))%5 < 2 {
		a := in.stranger(g)
		r = &raider{foe: newFoe(in, unmarked, 14, 10, .9), inside: true}
		r.routes = in.api.routesOf(RoleCatalogue, RoleSearch, RoleProduct, RoleCategory)
		a.act = r
	} else {
		r = in.raid(g, 14, 10, .9, nil, RoleItem, RoleHistory, RoleSearch, RoleSubmit, RoleAddParty, RoleProfileEdit, RoleUpdate, RoleReport, RoleProduct)
	}
	i := &injector{class: in.variant}
	r.strike = i.strike
	r.left = min(max(r.left, 5), mostInjections)
	r.cover = max(r.cover, .4)
	// Made beforehand, because nothing is allocated while events are made.
	for range r.left {
		r.texts = append(r.texts, injections.Attack(in.variant, g.dice.r))
	}
}

var (
	injected       = []StatusShare{{400, .3}, {403, .08}, {404, .07}, {500, .1}, {422, .05}, {0, 0}}
	injectedHeader = lines("x-api-version x-client-id accept-language referer x-request-id")
)

func (i *injector) strike(r *raider, g *Generator, a *agent, q *request) {
	d := g.dice
	text := r.texts[r.turn%len(r.texts)]
	r.any(g, a, q)
	strict := d.chance(.5)
	at := len(g.buf)
	inHeader := (i.class == "log4j" || i.class == "header") && d.chance(.25)
	switch {
	case inHeader:
		g.buf = appendHeaderText(g.buf, text)
		i.header[0] = schemas.KV{Key: injectedHeader[d.n(len(injectedHeader))], Value: g.cut(at)}
		q.headers = i.header[:]
	case q.route.takesText() && g.cfg.Bodies:
		g.buf = appendJSONText(g.buf, text)
		q.text = g.cut(at)
	case q.route.hasID() && d.chance(.4):
		g.buf = appendEscaped(g.buf, text, strict, i.class == "traversal" && !r.api.templates)
		q.id = g.cut(at)
	default:
		g.buf = appendEscaped(g.buf, text, strict, true)
		q.query = g.replaceValue(q, a.at, g.cut(at))
	}
	if q.status = d.oneOf(injected...); q.status == 0 {
		q.status = q.route.ok
	}
}

// takesText says whether the route's body has a field of free text.
func (r *route) takesText() bool {
	for _, p := range r.body {
		if p.kind == partText {
			return true
		}
	}
	return false
}

// hasID says whether the route's path has an object's id.
func (r *route) hasID() bool {
	for _, p := range r.path {
		if p.kind == partObject {
			return true
		}
	}
	return false
}

// appendEscaped writes text as part of a URL: what would end the value is
// escaped, and if strict everything that is not a letter or a digit. slashes
// may stay as they are.
func appendEscaped(dst, text []byte, strict, slashes bool) []byte {
	for k, c := range text {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case letter:
			dst = append(dst, c)
		case c == '%' && !strict && k+2 < len(text) && isHex(text[k+1]) && isHex(text[k+2]):
			// Escaped already.
			dst = append(dst, c)
		case c <= ' ' || c >= 0x7f || c == '%' || c == '&' || c == '#' || c == '+' || c == '?' || c == '"' || c == '<' || c == '>',
			strict && c != '-' && c != '_' && c != '.' && (c != '/' || !slashes), c == '/' && !slashes:
			dst = append(dst, '%')
			dst = appendHex(dst, uint64(c), 2)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendHeaderText writes text as a header's value, which ends at a line break.
func appendHeaderText(dst, text []byte) []byte {
	for _, c := range text {
		if c < ' ' {
			dst = append(dst, '%')
			dst = appendHex(dst, uint64(c), 2)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// appendJSONText writes text as the inside of a JSON string.
func appendJSONText(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0')
			dst = appendHex(dst, uint64(c), 2)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
