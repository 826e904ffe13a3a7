package features

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

func TestClassifyTellsValuesFromNames(t *testing.T) {
	for class, segments := range map[segmentClass][]string{
		segWord: {
			"", "accounts", "v2", "v1.1", "index.html", "login.php", "-", "--", "a-long-title-of-a-post", "x86_64",
			"deadbeef", "2fa", "user@", "@me", "a@b", "utf8", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abc1234", "+7",
			"camelCaseNameOfAThing", "2024-1-1", "12a", strings.Repeat("7", 513),
		},
		segInt:    {"0", "7", "-7", "123456789012345678901234567890", "007"},
		segUUID:   {"123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "00000000-0000-0000-0000-000000000000"},
		segHex:    {"deadbee1", "0123456789abcdef", "D41D8CD98F00B204E9800998ECF8427E"},
		segULID:   {"01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav"},
		segBase64: {"dGVzdGluZyAxMjM0NQ==", "eyJhbGciOiJIUzI1NiJ9", "AbC_dEf-123456789x"},
		segDate:   {"2024-02-29", "0000-00-00"},
		segEmail:  {"a@b.c", "first.last@example.org"},
	} {
		for _, s := range segments {
			if got := classify([]byte(s)); got != class {
				t.Errorf("classify(%q) = %q, want %q", s, segmentNames[got], segmentNames[class])
			}
		}
	}
}

func TestTemplateOfAPath(t *testing.T) {
	table := NewRouteTable(RouteRules{Collapsed: []CollapsedRoute{
		{Parent: "/blog", Pinned: []string{"archive"}},
		{Parent: "/shop/{int}"},
	}})
	for path, want := range map[string]string{
		"":                     "/",
		"/":                    "/",
		"//":                   "/",
		"accounts":             "/accounts",
		"/accounts/":           "/accounts",
		"//accounts///7":       "/accounts/{int}",
		"/v1/accounts/7/items": "/v1/accounts/{int}/items",
		"/u/123e4567-e89b-12d3-a456-426614174000": "/u/{uuid}",
		"/blog":                        "/blog",
		"/blog/my-first-post":          "/blog/{slug}",
		"/blog/archive":                "/blog/archive",
		"/blog/archive/x":              "/blog/archive/x",
		"/blog/a/comments":             "/blog/{slug}/comments",
		"/blog/7":                      "/blog/{int}",
		"/shop/7/red-shoes":            "/shop/{int}/{slug}",
		"/shop/red-shoes":              "/shop/red-shoes",
		"/" + strings.Repeat("a", 100): "/" + strings.Repeat("a", 64),
	} {
		if got := table.Template([]byte(path)); got != want {
			t.Errorf("template of %q is %q, want %q", path, got, want)
		}
	}
	if got := (*RouteTable)(nil).Template([]byte("/blog/my-post")); got != "/blog/my-post" {
		t.Errorf("no table templates to %q", got)
	}
}

func TestTemplatesOfEndlessPathsAreBounded(t *testing.T) {
	deep := []byte(strings.Repeat("/segment", 4000))
	got := NewRouteTable(RouteRules{}).Template(deep)
	if len(got) > 400 || !strings.HasSuffix(got, "/…") {
		t.Errorf("a path of %d bytes has a template of %d: %q", len(deep), len(got), got)
	}
}

// routed matches an event built from a gateway's route, a path and a query.
func routed(table *RouteTable, route, path, query string) routeCall {
	e := schemas.NewEvent()
	e.Method, e.Route, e.Path, e.Query = []byte("GET"), []byte(route), []byte(path), []byte(query)
	var call routeCall
	table.match(&call, e)
	return call
}

func objectHash(values ...string) (h uint64) {
	for _, v := range values {
		h = nonZero(h*0x9e3779b97f4a7c15 ^ xxhash.Sum64String(v))
	}
	return h
}

func TestMatchNamesTheObject(t *testing.T) {
	table := NewRouteTable(RouteRules{Collapsed: []CollapsedRoute{{Parent: "/blog"}}})
	for _, tc := range []struct {
		name               string
		route, path, query string
		template           string
		values             []string
		num                int64
	}{
		{name: "typed segment", path: "/a/7", template: "GET /a/{int}", values: []string{"7"}, num: 7},
		{name: "several values, the last integer counts", path: "/a/7/b/9", template: "GET /a/{int}/b/{int}", values: []string{"7", "9"}, num: 9},
		{name: "no value", path: "/a/b", template: "GET /a/b"},
		{name: "negative", path: "/a/-3", template: "GET /a/{int}", values: []string{"-3"}, num: -3},
		{name: "too long for an integer", path: "/a/1234567890123456789", template: "GET /a/{int}", values: []string{"1234567890123456789"}},
		{name: "slug", path: "/blog/x", template: "GET /blog/{slug}", values: []string{"x"}},
		{name: "gateway braces", route: "/a/{id}/b", path: "/a/x9/b", template: "GET /a/{id}/b", values: []string{"x9"}},
		{name: "gateway colon", route: "/a/:id", path: "/a/41", template: "GET /a/:id", values: []string{"41"}, num: 41},
		{name: "gateway star", route: "/a/*", path: "/a/q", template: "GET /a/*", values: []string{"q"}},
		{name: "gateway template wins over the path's types", route: "/a/7", path: "/a/7", template: "GET /a/7"},
		{name: "gateway template longer than the path", route: "/a/{id}/b/{x}", path: "/a/1", template: "GET /a/{id}/b/{x}", values: []string{"1"}, num: 1},
		{name: "gateway template with an empty value", route: "/a/{id}", path: "/a/", template: "GET /a/{id}"},
		{name: "query id", path: "/a", query: "x=1&id=77", template: "GET /a", values: []string{"77"}, num: 77},
		{name: "query id of another case", path: "/a", query: "ID=77", template: "GET /a", values: []string{"77"}, num: 77},
		{name: "query account_id", path: "/a", query: "account_id=abc", template: "GET /a", values: []string{"abc"}},
		{name: "query userId", path: "/a", query: "userId=5", template: "GET /a", values: []string{"5"}, num: 5},
		{name: "query that only ends alike", path: "/a", query: "paid=5&grid=2&=3&id=&_id=", template: "GET /a"},
		{name: "path before query", path: "/a/7", query: "id=9", template: "GET /a/{int}", values: []string{"7"}, num: 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			call := routed(table, tc.route, tc.path, tc.query)
			if string(call.template) != tc.template || call.object != objectHash(tc.values...) || call.num != tc.num || call.hasNum != (tc.num != 0) {
				t.Errorf("got %q object %x number %d %v; want %q of %q and %d", call.template, call.object, call.num, call.hasNum, tc.template, tc.values, tc.num)
			}
		})
	}
}

func FuzzTemplateIsBoundedAndStable(f *testing.F) {
	for _, s := range []string{"/a/7", "", "//", "/blog/x/../y", "/%2e%2e/etc", "/\x00/\xff", "/a?b"} {
		f.Add(s, s)
	}
	table := NewRouteTable(RouteRules{Collapsed: []CollapsedRoute{{Parent: "/a"}}})
	f.Fuzz(func(t *testing.T, path, query string) {
		got := table.Template([]byte(path))
		if !strings.HasPrefix(got, "/") || len(got) > 600 {
			t.Fatalf("template %q of %d bytes", got[:min(len(got), 80)], len(got))
		}
		if again := table.Template([]byte(path)); again != got {
			t.Fatalf("%q and %q of one path", got, again)
		}
		routed(table, path, query, query)
	})
}

func TestWordsAsObjectsCostNoAllocation(t *testing.T) {
	table := NewRouteTable(RouteRules{Collapsed: []CollapsedRoute{{Parent: "/blog"}}})
	e := schemas.NewEvent()
	e.Method = []byte("GET")
	var call routeCall
	for i := range 3 {
		e.Path = fmt.Appendf(nil, "/blog/post-number-%d", i)
		if n := testing.AllocsPerRun(100, func() { table.match(&call, e) }); n > 0 {
			t.Errorf("%g allocations to match %s", n, e.Path)
		}
	}
}
