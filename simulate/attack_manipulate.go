package simulate

import (
	"bytes"

	"github.com/weir-dev/weir/schemas"
)

func buildManipulation(g *Generator, in *instance) {
	strike := map[string]func(*raider, *Generator, *agent, *request){
		"parameters": addParameters, "types": changeTypes, "verbs": changeVerb, "duplicates": repeatParameters, "headers": oddHeaders,
	}[in.variant]
	roles := []Role{
		RoleList, RoleItem, RoleHistory, RoleParties, RoleProfile, RoleReport, RoleSearch, RoleCatalogue, RoleProduct,
		RoleSubmit, RoleAddParty, RoleBasketAdd, RoleUpdate, RoleProfileEdit,
	}
	if in.variant == "duplicates" {
		// There has to be a parameter.
		roles = []Role{RoleHistory, RoleReport, RoleSearch, RoleCatalogue, RoleCategory, RoleSubmit, RoleAddParty, RoleUpdate, RoleProfileEdit}
	}
	in.raid(g, 40, 6, .8, strike, roles...)
}

var (
	extraParameters = lines(`role=admin admin=true debug=1 is_admin=1 price=0 discount=100 user_id=1 verified=true
		status=approved credit=99999 internal=1 trace=on owner=1 scope=all tenant=root limit_override=1 test=true`)
	extraFields = lines(`{"role":"admin" {"is_admin":true {"price":0 {"discount":100 {"verified":true {"status":"approved"
		{"balance":999999 {"owner_id":1 {"permissions":["*"] {"credit_limit":1000000 {"debug":true {"fee":0`)
	wrongTypes = lines(`abc -1 1e309 null [] true %00 999999999999999999999 1.5 NaN undefined -0 0x1F {} %5Bobject%20Object%5D
		1;2 2026-13-45 false`)
	wrongFields = lines(`"abc" -1 null [] {} true [1,2,3] 1e309 "" {"$ref":1} 99999999999999999999 "null" [null] "-1"`)
	wrongVerbs  = lines("DELETE PUT PATCH TRACE POST OPTIONS DELETE PUT")
	singleID    = []byte("id=1")
	oddTypes    = lines(`text/xml application/x-www-form-urlencoded text/plain application/x-java-serialized-object
		multipart/form-data application/json;charset=utf-7 application/yaml image/png`)
	oddKeys   = lines("x-original-url x-http-method-override x-forwarded-host x-rewrite-url x-user-id x-debug x-forwarded-for x-internal")
	oddValues = lines("/admin PUT localhost /v1/admin/users 1 true 127.0.0.1 1")

	manipulated    = []StatusShare{{400, .33}, {422, .08}, {403, .06}, {500, .03}, {0, 0}}
	verbsAnswered  = []StatusShare{{405, .42}, {400, .1}, {404, .1}, {403, .1}, {0, 0}}
	headersRefused = []StatusShare{{415, .3}, {400, .14}, {403, .06}, {500, .02}, {0, 0}}
)

func (q *request) answer(g *Generator, shares []StatusShare) {
	if q.status = g.dice.oneOf(shares...); q.status == 0 {
		q.status = q.route.ok
	}
}

// addParameters tries what the route never asked for: mass assignment.
func addParameters(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.answer(g, manipulated)
	d := g.dice
	if own := g.ownBody(q, a); own != nil {
		at := len(g.buf)
		g.buf = append(append(append(g.buf, extraFields[d.n(len(extraFields))]...), ','), own[1:]...)
		q.body = g.cut(at)
		return
	}
	q.query = g.extend(q, a.at, extraParameters[d.n(len(extraParameters))])
}

// changeTypes puts a value of one type where another belongs.
func changeTypes(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.answer(g, manipulated)
	d := g.dice
	if own := g.ownBody(q, a); own != nil {
		name, rest, _ := bytes.Cut(own, []byte{':'})
		_, rest, _ = bytes.Cut(rest, []byte{','})
		at := len(g.buf)
		g.buf = append(append(append(g.buf, name...), ':'), wrongFields[d.n(len(wrongFields))]...)
		g.buf = append(append(g.buf, ','), rest...)
		q.body = g.cut(at)
		return
	}
	wrong := wrongTypes[d.n(len(wrongTypes))]
	if q.route.hasID() && d.chance(.5) {
		q.id = wrong
		return
	}
	q.query = g.replaceValue(q, a.at, wrong)
}

// changeVerb calls routes by methods that they do not have.
func changeVerb(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.answer(g, verbsAnswered)
	d := g.dice
	for q.method = wrongVerbs[d.n(len(wrongVerbs))]; bytes.Equal(q.method, q.route.method); {
		q.method = wrongVerbs[d.n(len(wrongVerbs))]
	}
}

// repeatParameters says one thing and then another.
func repeatParameters(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.answer(g, manipulated)
	d := g.dice
	if own := g.ownBody(q, a); own != nil {
		name, _, _ := bytes.Cut(own, []byte{':'})
		at := len(g.buf)
		g.buf = append(append(append(g.buf, name...), ':'), wrongFields[d.n(len(wrongFields))]...)
		g.buf = append(append(g.buf, ','), own[1:]...)
		q.body = g.cut(at)
		return
	}
	own := g.ownQuery(q, a.at)
	if len(own) == 0 {
		own = singleID
	}
	name, _, _ := bytes.Cut(own, []byte{'='})
	at := len(g.buf)
	g.buf = append(append(append(g.buf, own...), '&'), name...)
	g.buf = append(append(g.buf, '='), wrongTypes[d.n(len(wrongTypes))]...)
	q.query = g.cut(at)
}

// oddHeaders names content that the route does not take, and headers by which
// proxies are fooled.
func oddHeaders(r *raider, g *Generator, a *agent, q *request) {
	r.any(g, a, q)
	q.answer(g, headersRefused)
	d := g.dice
	k := d.n(len(oddKeys))
	q.headers = oddHeader[k : k+1]
	if d.chance(.6) || q.route.mutation {
		q.contentType = oddTypes[d.n(len(oddTypes))]
	}
}

// oddHeader pairs keys and values; it is never written after initialisation.
var oddHeader = func() []schemas.KV {
	out := make([]schemas.KV, len(oddKeys))
	for i := range out {
		out[i] = schemas.KV{Key: oddKeys[i], Value: oddValues[i]}
	}
	return out
}()

// ownBody writes the body that the route usually takes, or returns nil.
func (g *Generator) ownBody(q *request, a *agent) []byte {
	if len(q.route.body) == 0 || !g.cfg.Bodies {
		return nil
	}
	at := len(g.buf)
	g.appendPattern(q.route, q.route.body, q, a.at, mix(uint64(a.at)), 160)
	return g.cut(at)
}
