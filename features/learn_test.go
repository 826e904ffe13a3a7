package features

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// seen is what a learner is shown: a call of one client.
type seen struct {
	method, route, path string
	client              int
	status              int64
	duration            int64
}

func learn(calls []seen) RouteRules {
	l := NewRouteLearner()
	e := schemas.NewEvent()
	for _, c := range calls {
		e.Reset()
		e.Method, e.Route, e.Path = []byte("GET"), []byte(c.route), []byte(c.path)
		if c.method != "" {
			e.Method = []byte(c.method)
		}
		e.User = fmt.Appendf(nil, "u%d", c.client)
		e.Status, e.DurationUS = 200, c.duration
		if c.status != 0 {
			e.Status = c.status
		}
		l.Observe(e)
	}
	return l.Rules()
}

// posts are calls of 30 clients to n different literals under parent.
func posts(parent string, n int) []seen {
	var calls []seen
	for i := range n {
		calls = append(calls, seen{path: fmt.Sprintf("%s/post-%c%c", parent, 'a'+i%26, 'a'+i/26), client: i % 30})
	}
	return calls
}

func parents(r RouteRules) (out []string) {
	for _, c := range r.Collapsed {
		out = append(out, c.Parent)
	}
	return out
}

func TestManyAlikeLiteralsOfManyClientsCollapse(t *testing.T) {
	if got, want := parents(learn(posts("/blog", 80))), []string{"/blog"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("collapsed %q, want %q", got, want)
	}
}

// Each case breaks one rule of TestManyAlikeLiteralsOfManyClientsCollapse's
// traffic, which collapses.
func TestEveryCollapseRuleHoldsTheOthersBack(t *testing.T) {
	base := func() []seen { return posts("/blog", 80) }
	for name, calls := range map[string][]seen{
		"too few literals": posts("/blog", minLiterals-1),
		"one client": func() []seen {
			calls := base()
			for i := range calls {
				calls[i].client = 1
			}
			return calls
		}(),
		"mostly failures": func() []seen {
			calls := base()
			for i := range calls {
				calls[i].status = 500
			}
			for i := range 30 {
				calls[i].status = 200
			}
			return calls
		}(),
		"nothing found": func() []seen {
			calls := base()
			for i := range calls {
				calls[i].status = []int64{404, 410}[i%2]
			}
			return calls
		}(),
		"no new literals any more": func() (calls []seen) {
			for i := range 30 {
				for _, c := range base() {
					c.client = (c.client + i) % 30
					calls = append(calls, c)
				}
			}
			return calls
		}(),
		"unlike subtrees": func() []seen {
			calls := base()
			for i := range calls {
				switch i % 4 {
				case 1:
					calls[i].path += "/settings"
				case 2:
					calls[i].path += "/7"
				case 3:
					calls[i].path += "/123e4567-e89b-12d3-a456-426614174000"
				}
			}
			return calls
		}(),
		"the first segment": posts("", 80),
		"the gateway names the route": func() []seen {
			calls := base()
			for i := range calls {
				calls[i].route = "/blog/{post}"
			}
			return calls
		}(),
		"no response": func() []seen {
			calls := base()
			for i := range calls {
				calls[i].status = schemas.Unknown
			}
			return calls
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			if got := parents(learn(calls)); len(got) > 0 {
				t.Errorf("collapsed %q", got)
			}
		})
	}
}

func TestScannerCannotShapeRoutes(t *testing.T) {
	calls := posts("/blog", 80)
	want := learn(calls)
	rng := rand.New(rand.NewPCG(21, 1))
	for i := range 3000 {
		calls = append(calls, seen{path: fmt.Sprintf("/admin/%c%c", 'a'+rng.IntN(26), 'a'+rng.IntN(26)), client: i, status: 404})
	}
	if got := learn(calls); !reflect.DeepEqual(got, want) {
		t.Errorf("calls that found nothing changed the rules to %+v", got)
	}
}

func TestBusyLiteralOfManyClientsStaysAName(t *testing.T) {
	calls := posts("/blog", 80)
	for i := range 40 {
		calls = append(calls, seen{path: "/blog/archive", client: i})
	}
	r := learn(calls)
	if want := []CollapsedRoute{{Parent: "/blog", Pinned: []string{"archive"}}}; !reflect.DeepEqual(r.Collapsed, want) {
		t.Fatalf("rules %+v, want %+v", r.Collapsed, want)
	}
	table := NewRouteTable(r)
	for path, want := range map[string]string{"/blog/archive": "/blog/archive", "/blog/never-seen": "/blog/{slug}"} {
		if got := table.Template([]byte(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	// One client alone pins nothing, however busy.
	calls = posts("/blog", 80)
	for range 40 {
		calls = append(calls, seen{path: "/blog/archive", client: 1})
	}
	if r := learn(calls); len(r.Collapsed) != 1 || len(r.Collapsed[0].Pinned) > 0 {
		t.Errorf("one client's favourite is pinned: %+v", r.Collapsed)
	}
}

// Positions below a value are judged over all values together, whatever their
// number is under each.
func TestPositionsBelowValuesCollapse(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	var calls []seen
	for i := range 90 {
		for j := range 1 + i%4 {
			calls = append(calls, seen{path: fmt.Sprintf("/shop/%d/item-%c%c", j, 'a'+i%26, 'a'+i/26), client: rng.IntN(40)})
		}
	}
	if got, want := parents(learn(calls)), []string{"/shop/{int}"}; !reflect.DeepEqual(got, want) {
		t.Errorf("below a typed value: collapsed %q, want %q", got, want)
	}
	calls = nil
	for i := range 100 {
		note := i % 80 // some stand below two pages
		calls = append(calls, seen{path: fmt.Sprintf("/wiki/page-%c%c/note-%c%c", 'a'+i%26, 'a'+i/26, 'a'+note%26, 'a'+note/26), client: rng.IntN(40)})
	}
	if got, want := parents(learn(calls)), []string{"/wiki", "/wiki/{slug}"}; !reflect.DeepEqual(got, want) {
		t.Errorf("below a slug: collapsed %q, want %q", got, want)
	}
}

func TestRulesDoNotDependOnTheOrderOfCalls(t *testing.T) {
	var calls []seen
	calls = append(calls, posts("/blog", 80)...)
	calls = append(calls, posts("/blog/post-aa/comments", 70)...)
	calls = append(calls, posts("/shop/3", 90)...)
	for i := range 50 {
		calls = append(calls, seen{path: "/blog/archive", client: i})
	}
	want := learn(calls)
	if len(want.Collapsed) == 0 {
		t.Fatalf("nothing was learnt: %+v", want)
	}
	rng := rand.New(rand.NewPCG(23, 1))
	for range 5 {
		rng.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		if got := learn(calls); !reflect.DeepEqual(got, want) {
			t.Fatalf("rules %+v, want %+v", got, want)
		}
	}
}

func TestLearnerIsBoundedAgainstEndlessLiterals(t *testing.T) {
	l := NewRouteLearner()
	e := schemas.NewEvent()
	e.Method, e.Status, e.User = []byte("GET"), 200, []byte("u")
	for i := range 30_000 {
		e.Path = fmt.Appendf(nil, "/a/word%c%c%c%c/b", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576)
		l.Observe(e)
	}
	if l.nodes > maxRouteNodes*4 || len(l.root.children["a"].children) > maxNodeLiterals {
		t.Errorf("%d nodes, %d literals", l.nodes, len(l.root.children["a"].children))
	}
	l.Rules()
}
