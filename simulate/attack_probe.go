package simulate

import (
	"bytes"

	"github.com/weir-dev/weir/schemas"
)

// prober looks for what should not be there, or for how the API fails.
type prober struct {
	foe
	fuzz bool
	turn int
}

func lines(s string) [][]byte { return bytes.Fields([]byte(s)) }

var (
	probePaths = lines(`/.env /.git/config /.git/HEAD /wp-login.php /wp-admin/ /xmlrpc.php /phpinfo.php
		/phpmyadmin/ /admin /admin/login /administrator /actuator /actuator/env /actuator/heapdump
		/actuator/health /server-status /console /manager/html /jenkins/ /solr/admin/info/system
		/api/v1/users /api/v2/users /api/users /api/internal/config /api/debug /api/swagger.json
		/swagger.json /swagger-ui.html /openapi.json /v2/api-docs /v3/api-docs /graphql /graphiql
		/backup.zip /backup.sql /dump.sql /db.sqlite /config.json /config.yml /application.yml
		/.aws/credentials /.ssh/id_rsa /.DS_Store /.htpasswd /web.config /composer.json /package.json
		/api/v1/admin /api/v1/keys /api/v1/tokens /api/v1/export /internal/metrics /metrics /debug/vars
		/debug/pprof/ /trace /env /heapdump /status /test /old/ /dev/ /staging/ /cgi-bin/test.cgi
		/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php /owa/ /remote/login /hudson /nagios/
		/api/v1/user/1 /api/v1/account/1 /api/v0/login /api/beta/users /rest/api/latest/serverInfo
		/ws /socket.io/ /upload /uploads/ /files/ /download /export /import /install /setup /shell
		/api/v1/config /api/v1/settings /api/v1/secrets /api/v1/health/details /_cat/indices /_search
		/favicon.old /robots.bak /sitemap.old /crossdomain.xml /elmah.axd /trace.axd /login.action`)
	probeMethods = lines("GET GET GET GET GET GET HEAD OPTIONS POST PUT DELETE TRACE")
	fuzzQueries  = lines(`id=-1 id=99999999999999999999 page=-5 limit=1000000 debug=true format=xml callback=x
		id[]=1 page=abc sort=%27 fields=* expand=all filter=%7B%7D limit=%00 offset=1e309 lang=../ id=null
		q=%F0%9F%92%A9 include=password _method=DELETE`)
)

func buildProbing(g *Generator, in *instance) {
	id := &identity{}
	a := in.add(g, id)
	id.user = attackUsers + uint64(a.index)
	id.here = hosted(in.attackNetwork(g, a))
	id.browser = g.anyBrowser(g.scanners)
	p := &prober{foe: newFoe(in, nobody, 250, .5, .7), fuzz: in.variant == "fuzz"}
	if in.spec.Name == schemas.AttackSlowProbing {
		p.foe = newFoe(in, nobody, 100, 420, .8)
		id.browser = g.anyBrowser(g.desktops)
	}
	if g.dice.chance(.3) {
		p.auth = unmarked
	}
	p.turn = g.dice.n(len(probePaths))
	a.act = p
}

func (p *prober) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if p.ordinary(g) && p.read(g, a, ev) {
		return p.within(a.at + d.wait(p.gap, p.sigma))
	}
	q := request{api: p.api, auth: p.auth, page: 1, method: probeMethods[d.n(len(probeMethods))], object: d.Uint64() >> 40}
	x := d.float()
	if p.fuzz {
		q.route = p.api.order[d.n(len(p.api.order))]
		q.query = fuzzQueries[d.n(len(fuzzQueries))]
		q.login = strangers + d.Uint64()>>25
		switch {
		case x < .35:
			q.status = 400
		case x < .55:
			q.status = 401
		case x < .7:
			q.status = 405
		case x < .85:
			q.status = 404
		case x < .93:
			q.status = 422
		case x < .97:
			q.status = 500
		default:
			q.status = 200
		}
	} else {
		// The routes' sizes and times do not matter for what does not exist.
		q.route = p.api.route(RoleSummary)
		q.path = probePaths[p.turn%len(probePaths)]
		q.query = noQuery
		p.turn++
		switch {
		case x < .78:
			q.status = 404
		case x < .87:
			q.status = 403
		case x < .93:
			q.status = 400
		case x < .97:
			q.status = 405
		default:
			q.status = 200
		}
	}
	g.emit(a, &q, ev)
	return p.spent(g, a)
}

var noQuery = []byte{}

// climber is a valid user who tries functions of administrators.
type climber struct {
	foe
	inside bool
	routes []*route
}

func buildFunctionProbing(g *Generator, in *instance) {
	a := in.insider(g)
	c := &climber{foe: newFoe(in, known, 60, 8, .7)}
	for _, r := range [...]Role{RoleAdminUsers, RoleAdminAudit, RoleAdminExport, RoleAdminGrant} {
		if route := in.api.route(r); route != nil {
			c.routes = append(c.routes, route)
		}
	}
	a.act = c
}

func (c *climber) call(g *Generator, a *agent, ev *schemas.Event) int64 {
	d := g.dice
	if !c.inside {
		c.inside = true
		return c.enter(g, a, ev)
	}
	if c.ordinary(g) && c.read(g, a, ev) {
		return c.within(a.at + d.wait(c.gap, c.sigma))
	}
	q := request{api: c.api, auth: known, page: 1, route: c.routes[d.n(len(c.routes))], object: d.Uint64() >> 48}
	q.status = g.outcome(c.api, q.route, a.at, false)
	g.emit(a, &q, ev)
	return c.spent(g, a)
}
