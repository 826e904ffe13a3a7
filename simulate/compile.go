package simulate

import (
	"fmt"
	"math"
	"strings"
)

// The compiled world: names resolved to pointers and text to bytes, so that a
// call costs no map look-up and no allocation.

type api struct {
	name, version, host, gateway, gatewayType []byte

	templates, sessions bool
	cookie              bool
	decoys              [][]byte
	credentialType      []byte
	tokenTTL            int64
	routes              map[Role]*route
	order               []*route // in the order of the World
	pages               []*page
	index               int
}

func (a *api) route(r Role) *route { return a.routes[r] }

func (a *api) has(roles ...Role) bool {
	for _, r := range roles {
		if a.routes[r] == nil {
			return false
		}
	}
	return true
}

type route struct {
	role             Role
	method, template []byte
	path, query      pattern
	body             pattern
	objects          *objects // of the path, the query or the body; nil without an id
	ok               int64
	errors           []StatusShare
	request, reply   lognormal
	latency          lognormal
	mutation         bool
	public           bool // its objects belong to nobody
	next             successor
	paged            bool
}

type page struct {
	calls []pageCall
	auth  bool
	next  []*page
	sum   []float64 // running sums of the links' weights
}

type pageCall struct {
	route  *route
	chance float64
	pause  bool
}

type objects struct {
	Objects
	words [][]byte
}

type lognormal struct{ mu, sigma float64 }

func compileLogNormal(l LogNormal) lognormal {
	if l.Median <= 0 {
		return lognormal{mu: math.Inf(-1)}
	}
	return lognormal{math.Log(l.Median), l.Sigma}
}

func compileWorld(w World) ([]*api, error) {
	if len(w.APIs) == 0 {
		return nil, fmt.Errorf("%w: it has no API", ErrWorld)
	}
	out := make([]*api, len(w.APIs))
	for i := range w.APIs {
		a, err := compileAPI(&w.APIs[i])
		if err != nil {
			return nil, fmt.Errorf("%w: API %q: %w", ErrWorld, w.APIs[i].Name, err)
		}
		a.index = i
		out[i] = a
	}
	return out, nil
}

func compileAPI(in *API) (*api, error) {
	a := &api{
		name: []byte(in.Name), version: []byte(in.Version), host: []byte(in.Host),
		gateway: []byte("gw-" + in.Name), gatewayType: []byte(in.Gateway),
		templates: in.Templates, sessions: in.Sessions,
		credentialType: []byte("token"), tokenTTL: int64(in.TokenTTL * second),
		routes: make(map[Role]*route, len(in.Routes)),
	}
	if a.cookie = in.Cookie; in.Cookie {
		a.credentialType = []byte("cookie")
	}
	for _, p := range in.Decoys {
		a.decoys = append(a.decoys, []byte(p))
	}
	spaces := make(map[string]*objects, len(in.Objects))
	for _, o := range in.Objects {
		c := &objects{Objects: o}
		for _, w := range o.Words {
			c.words = append(c.words, []byte(w))
		}
		if o.Count == 0 && o.PerUser == 0 || o.Style == IDWord && uint64(len(o.Words)) != o.Count {
			return nil, fmt.Errorf("objects %q are empty", o.Name)
		}
		spaces[o.Name] = c
	}
	for _, r := range in.Routes {
		c, err := compileRoute(&r, spaces)
		if err != nil {
			return nil, fmt.Errorf("route %s %s: %w", r.Method, r.Path, err)
		}
		a.routes[r.Role] = c
		a.order = append(a.order, c)
	}
	if !a.has(RoleLogin, RoleRefresh, RoleHealth, RoleSummary) {
		return nil, fmt.Errorf("login, refresh, health and summary are needed")
	}
	return a, a.compilePages(in.Pages)
}

func compileRoute(r *Route, spaces map[string]*objects) (*route, error) {
	c := &route{
		role: r.Role, method: []byte(r.Method), template: []byte(r.Path),
		ok: r.OK, errors: r.Errors, request: compileLogNormal(r.Request),
		reply: compileLogNormal(r.Reply), latency: compileLogNormal(r.Latency),
	}
	if c.ok == 0 {
		c.ok = 200
	}
	switch r.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
	default:
		c.mutation = true
	}
	var err error
	if c.path, err = compilePattern(r.Path, spaces, &c.objects); err != nil {
		return nil, err
	}
	if c.query, err = compilePattern(r.Query, spaces, &c.objects); err != nil {
		return nil, err
	}
	if c.body, err = compilePattern(r.Body, spaces, &c.objects); err != nil {
		return nil, err
	}
	c.public = c.objects != nil && c.objects.PerUser == 0
	for _, p := range c.query {
		c.paged = c.paged || p.kind == partPage
	}
	return c, nil
}

func (a *api) compilePages(in []Page) error {
	if len(in) == 0 {
		return fmt.Errorf("it has no page")
	}
	byName := make(map[string]*page, len(in))
	for _, p := range in {
		c := &page{auth: p.Auth}
		for _, call := range p.Calls {
			r := a.routes[call.Role]
			if r == nil {
				return fmt.Errorf("page %q calls %q, which is no route", p.Name, call.Role)
			}
			if call.Chance == 0 {
				call.Chance = 1
			}
			c.calls = append(c.calls, pageCall{r, call.Chance, call.Pause})
		}
		if len(c.calls) == 0 || c.calls[0].chance < 1 || len(p.Next) == 0 {
			return fmt.Errorf("page %q needs a certain first call and a way on", p.Name)
		}
		byName[p.Name] = c
		a.pages = append(a.pages, c)
	}
	for i, p := range in {
		sum := 0.0
		for _, l := range p.Next {
			next := byName[l.Page]
			if next == nil {
				return fmt.Errorf("page %q leads to %q, which does not exist", p.Name, l.Page)
			}
			sum += l.Weight
			a.pages[i].next = append(a.pages[i].next, next)
			a.pages[i].sum = append(a.pages[i].sum, sum)
		}
	}
	return nil
}

// pattern is text with placeholders.
type pattern []part

type part struct {
	kind    partKind
	literal []byte
	choices [][]byte
}

type partKind uint8

const (
	partLiteral partKind = iota
	partObject
	partPage
	partWords
	partDate
	partToday
	partChoice
	partAmount
	partNumber
	partText
	partRest
)

var partKinds = map[string]partKind{
	"page": partPage, "words": partWords, "date": partDate, "today": partToday,
	"amount": partAmount, "number": partNumber, "text": partText, "rest": partRest,
}

func compilePattern(s string, spaces map[string]*objects, used **objects) (pattern, error) {
	var p pattern
	for s != "" {
		before, rest, ok := strings.Cut(s, "{")
		if ok && (rest == "" || rest[0] == '"') {
			// A brace of a JSON object and not of a placeholder.
			before, s = before+"{", rest
			p = append(p, part{literal: []byte(before)})
			continue
		}
		if before != "" {
			p = append(p, part{literal: []byte(before)})
		}
		if !ok {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("unclosed placeholder in %q", s)
		}
		s = after
		kind, known := partKinds[name]
		switch {
		case known:
			p = append(p, part{kind: kind})
		case strings.Contains(name, "|"):
			c := part{kind: partChoice}
			for _, choice := range strings.Split(name, "|") {
				c.choices = append(c.choices, []byte(choice))
			}
			p = append(p, c)
		default:
			o := spaces[name]
			if o == nil || *used != nil && *used != o {
				return nil, fmt.Errorf("placeholder %q names no objects, or a second kind", name)
			}
			*used = o
			p = append(p, part{kind: partObject})
		}
	}
	return p, nil
}
