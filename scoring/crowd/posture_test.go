package crowd

import (
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// minute is a minute of a route.
type minute struct {
	route                                                 string
	identified, anonymous, plain, errors, verbose, logins uint64
}

// postureOf plays minutes of routes, the same on each of two days, and lists what
// is found.
func postureOf(t *testing.T, routes ...minute) []string {
	t.Helper()
	c, o := newCrowd(t, Config{}), newPlayed()
	for _, day := range []int64{0, 1} {
		for m := range int64(5) {
			start := begin + day*dayUS + m*60_000_000
			for _, r := range routes {
				c.Apply(&schemas.Aggregate{
					Tenant: []byte("default"), EntityType: []byte(schemas.EntityRoute), Entity: []byte(r.route), API: []byte("bank"),
					WindowStart: start, WindowEnd: start + 60_000_000,
					Requests:   r.identified + r.anonymous + r.errors,
					Identified: r.identified, Anonymous: r.anonymous, Plain: r.plain, Errors: r.errors, Verbose: r.verbose, LoginAttempts: r.logins,
				}, 0, o)
			}
			c.Apply(&schemas.Aggregate{WindowEnd: start + 60_000_000}, 0, o)
		}
	}
	var found []string
	for _, v := range o.list {
		if v.Attack != schemas.AttackMisconfiguration || v.Action != schemas.ActionObserve || v.Entity.Type != schemas.EntityRoute ||
			v.Explanation.Text == "" || len(v.Explanation.Features) != 1 {
			t.Errorf("verdict %+v", v)
		}
		found = append(found, v.Explanation.Features[0].Name+" "+v.Entity.Value)
	}
	if len(o.log) > 0 {
		t.Errorf("a finding blocks: %q", o.log)
	}
	if len(o.verdicts) != len(o.list) {
		t.Errorf("%d verdicts under %d ids", len(o.list), len(o.verdicts))
	}
	slices.Sort(found)
	return found
}

func TestPostureFindingsComeOnceADay(t *testing.T) {
	closed := []minute{
		{route: "GET /a", identified: 40}, {route: "GET /b/{int}", identified: 130, anonymous: 1},
		{route: "POST /c", identified: 20}, {route: "GET /health", anonymous: 60},
	}
	with := func(r ...minute) []minute { return append(slices.Clone(closed), r...) }
	for name, c := range map[string]struct {
		routes []minute
		want   []string
	}{
		"all is well":                       {closed, nil},
		"open among closed":                 {with(minute{route: "POST /export", anonymous: 20}), []string{"anonymous_share POST /export"}},
		"too few calls":                     {with(minute{route: "POST /export", anonymous: 3}), nil},
		"a catalogue":                       {with(minute{route: "GET /goods", anonymous: 400}), nil},
		"a login takes no identity":         {with(minute{route: "POST /v1/enter", anonymous: 40, logins: 40}), nil},
		"health checks are open":            {with(minute{route: "GET /v1/healthz", anonymous: 40}), nil},
		"optional identity":                 {with(minute{route: "GET /news", anonymous: 5, identified: 400}), nil},
		"an open API":                       {[]minute{{route: "GET /a", anonymous: 40}, {route: "GET /b", anonymous: 40}, {route: "GET /c", anonymous: 40}, {route: "GET /d", identified: 40}}, nil},
		"stack traces":                      {with(minute{route: "GET /x", errors: 5, verbose: 4}), []string{"large_error_share GET /x"}},
		"old clients without TLS":           {with(minute{route: "GET /old", identified: 400, plain: 3}), []string{"plain_share GET /old"}},
		"short errors":                      {with(minute{route: "GET /x", errors: 50, verbose: 3}), nil},
		"one route without TLS":             {with(minute{route: "GET /old", identified: 40, plain: 40}), []string{"plain_share GET /old"}},
		"no TLS at all is one finding each": {[]minute{{route: "GET /a", identified: 40, plain: 40}, {route: "GET /b", identified: 40, plain: 40}}, []string{"plain_share *"}},
	} {
		var want []string
		for _, w := range c.want {
			want = append(want, w, w) // of two days
		}
		if got := postureOf(t, c.routes...); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", name, got, want)
		}
	}
}

func TestRouteThatOpensIsFound(t *testing.T) {
	c, o := newCrowd(t, Config{}), newPlayed()
	for m := range int64(10) {
		start := begin + m*60_000_000
		for i, route := range []string{"GET /a", "GET /b", "GET /c", "GET /list"} {
			a := &schemas.Aggregate{
				Tenant: []byte("default"), EntityType: []byte(schemas.EntityRoute), Entity: []byte(route), API: []byte("bank"),
				WindowStart: start, WindowEnd: start + 60_000_000, Requests: 210, Identified: 200,
			}
			if i == 3 && m >= 6 {
				a.Anonymous = 10
			}
			c.Apply(a, 0, o)
		}
		c.Apply(&schemas.Aggregate{WindowEnd: start + 60_000_000}, 0, o)
		if found := len(o.list); found > 0 != (m >= 7) {
			t.Fatalf("%d findings after minute %d", found, m)
		}
	}
	if len(o.list) != 1 || o.list[0].Entity.Value != "GET /list" {
		t.Errorf("found %+v", o.list)
	}
}
