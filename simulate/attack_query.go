package simulate

import "bytes"

// ownQuery writes the route's own query for a call.
func (g *Generator) ownQuery(q *request, now int64) []byte {
	if len(q.route.query) == 0 {
		return nil
	}
	return g.write(q.route, q.route.query, q, now)
}

// extend adds parameters to the route's own.
func (g *Generator) extend(q *request, now int64, more []byte) []byte {
	own := g.ownQuery(q, now)
	at := len(g.buf)
	if len(own) > 0 {
		g.buf = append(append(g.buf, own...), '&')
	}
	g.buf = append(g.buf, more...)
	return g.cut(at)
}

var (
	deepPages  = lines("4000 9999 25000 100000 250000")
	firstDates = lines("1990-01-01 2001-01-01 2009-06-30 2012-01-01")
	wideQuery  = lines("limit=100000&from=1999-01-01 size=100000&offset=500000 from=2000-01-01&to=2026-12-31&detail=full")
)

// widen is the route's own query with ranges that take in everything: pages far
// down, dates long ago, lists without an end.
func (g *Generator) widen(q *request, now int64) []byte {
	own := g.ownQuery(q, now)
	if len(own) == 0 {
		return wideQuery[g.dice.n(len(wideQuery))]
	}
	at := len(g.buf)
	dates := 0
	for len(own) > 0 {
		pair, rest, _ := bytes.Cut(own, []byte{'&'})
		own = rest
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if len(g.buf) > at {
			g.buf = append(g.buf, '&')
		}
		g.buf = append(append(g.buf, name...), '=')
		switch {
		case isDate(value) && dates == 0:
			dates++
			g.buf = append(g.buf, firstDates[g.dice.n(len(firstDates))]...)
		case isNumber(value):
			g.buf = append(g.buf, deepPages[g.dice.n(len(deepPages))]...)
		default:
			g.buf = append(g.buf, value...)
		}
	}
	return g.cut(at)
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

func isDate(b []byte) bool { return len(b) == 10 && b[4] == '-' && b[7] == '-' }

// replaceValue is the route's own query with another value for one of its
// parameters, or with one parameter more where it has none.
func (g *Generator) replaceValue(q *request, now int64, value []byte) []byte {
	own := g.ownQuery(q, now)
	at := len(g.buf)
	if len(own) == 0 {
		g.buf = append(append(g.buf, paramNames[g.dice.n(len(paramNames))]...), '=')
		g.buf = append(g.buf, value...)
		return g.cut(at)
	}
	k := g.dice.n(1 + bytes.Count(own, []byte{'&'}))
	for i := 0; len(own) > 0; i++ {
		pair, rest, _ := bytes.Cut(own, []byte{'&'})
		own = rest
		if i > 0 {
			g.buf = append(g.buf, '&')
		}
		if i != k {
			g.buf = append(g.buf, pair...)
			continue
		}
		name, _, _ := bytes.Cut(pair, []byte{'='})
		g.buf = append(append(append(g.buf, name...), '='), value...)
	}
	return g.cut(at)
}

var paramNames = lines("id filter q sort lang ref name view next")
