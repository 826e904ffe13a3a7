package features

import (
	"math/rand/v2"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func observed(change func(*schemas.Event)) observation {
	e := schemas.NewEvent()
	e.Method, e.Path, e.Status = []byte("GET"), []byte("/v1/things"), 200
	change(e)
	var call routeCall
	NewRouteTable(RouteRules{}).match(&call, e)
	return observe(e, start, &call)
}

func TestFlagsOfACall(t *testing.T) {
	const all = isMutation | isLogin | isLoginFailure | isDenied | isMissing | hasObjectNum | isStatic
	post := func(path string, status int64) func(*schemas.Event) {
		return func(e *schemas.Event) { e.Method, e.Path, e.Status = []byte("POST"), []byte(path), status }
	}
	get := func(path string, status int64) func(*schemas.Event) {
		return func(e *schemas.Event) { e.Path, e.Status = []byte(path), status }
	}
	for _, tc := range []struct {
		name   string
		change func(*schemas.Event)
		want   uint32
	}{
		{"read", get("/v1/things", 200), 0},
		{"read of an object", get("/v1/things/7", 200), hasObjectNum},
		{"unauthorised", get("/v1/things", 401), isDenied},
		{"forbidden", get("/v1/things", 403), isDenied},
		{"missing", get("/v1/things", 404), isMissing},
		{"gone", get("/v1/things", 410), isMissing},
		{"server error", get("/v1/things", 500), 0},
		{"write", post("/v1/things", 201), isMutation},
		{"no method", func(e *schemas.Event) { e.Method = nil }, 0},
		{"options", func(e *schemas.Event) { e.Method = []byte("OPTIONS") }, 0},
		{"own method", func(e *schemas.Event) { e.Method = []byte("PURGE") }, isMutation},
		{"login by path", post("/v1/Login/", 200), isMutation | isLogin},
		{"login page is read", get("/v1/login", 200), 0},
		{"login refused with 401", post("/v1/login", 401), isMutation | isLogin | isLoginFailure},
		{"login refused with 404", post("/oauth/token", 404), isMutation | isLogin | isLoginFailure},
		{"login refused with 422", post("/v1/sessions", 422), isMutation | isLogin | isLoginFailure},
		{"login limited", post("/v1/login", 429), isMutation | isLogin | isLoginFailure},
		{"login broken", post("/v1/login", 500), isMutation | isLogin},
		{"login by name tried", func(e *schemas.Event) { e.LoginUser, e.Status = []byte("u"), 403 }, isLogin | isLoginFailure},
		{"picture", get("/logo.PNG", 200), isStatic},
		{"missing icon", get("/favicon.ico", 404), isStatic},
		{"upload to a picture's path", post("/logo.png", 403), isMutation | isDenied},
		{"no suffix of a picture", get("/v1/things.json", 404), isMissing},
	} {
		if o := observed(tc.change); o.flags&all != tc.want {
			t.Errorf("%s: flags %07b, want %07b", tc.name, o.flags, tc.want)
		}
	}
}

func TestNotableCallsAreFailures(t *testing.T) {
	for flags, want := range map[uint32]bool{0: false, isMutation | isLogin: false, isLoginFailure: true, isDenied: true, isMissing: true, isStatic: false} {
		if got := (&observation{flags: flags}).notable(); got != want {
			t.Errorf("flags %b notable: %v", flags, got)
		}
	}
}

func TestDeviceAndNetworkOfACall(t *testing.T) {
	base := func(e *schemas.Event) {
		e.JA4, e.UserAgent, e.ClientIP = []byte("j"), []byte("ua/1"), []byte("10.0.0.1")
	}
	a := observed(base)
	if a.device == 0 || a.network == 0 {
		t.Fatal("a call that names both has neither")
	}
	for name, change := range map[string]func(*schemas.Event){
		"another fingerprint": func(e *schemas.Event) { e.JA4 = []byte("k") },
		"another user agent":  func(e *schemas.Event) { e.UserAgent = []byte("ua/2") },
	} {
		if b := observed(func(e *schemas.Event) { base(e); change(e) }); b.device == a.device {
			t.Errorf("%s is the same device", name)
		}
	}
	if b := observed(func(e *schemas.Event) { base(e); e.ClientIP = []byte("10.0.0.200") }); b.network != a.network {
		t.Error("a neighbour of one /24 is in another network")
	}
	if b := observed(func(*schemas.Event) {}); b.device != 0 || b.network != 0 {
		t.Error("a call that names neither has one")
	}
}

func TestObservationsHaveOneOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 1))
	// Every field decides once those before it are equal.
	fields := []func(*observation){
		func(o *observation) { o.time++ }, func(o *observation) { o.tie++ }, func(o *observation) { o.route++ },
		func(o *observation) { o.object++ }, func(o *observation) { o.objectNum++ }, func(o *observation) { o.loginUser++ },
		func(o *observation) { o.device++ }, func(o *observation) { o.network++ }, func(o *observation) { o.status++ },
		func(o *observation) { o.respBytes++ }, func(o *observation) { o.reqBytes++ }, func(o *observation) { o.duration++ },
		func(o *observation) { o.flags++ }, func(o *observation) { o.norm++ },
	}
	for i, raise := range fields {
		a := observation{time: rng.Int64N(9), tie: rng.Uint64N(9)}
		b := a
		raise(&b)
		for _, later := range fields[i+1:] {
			if rng.IntN(2) == 0 {
				later(&a)
			}
		}
		if a.compare(&b) >= 0 || b.compare(&a) <= 0 {
			t.Errorf("field %d does not decide", i)
		}
	}
	a := observation{time: 5, norm: 2}
	if a.compare(&a) != 0 {
		t.Error("an observation differs from itself")
	}
}

func TestSeedKeepsNamesApart(t *testing.T) {
	s := DefaultConfig().Seed
	var buf []byte
	hash := func(seed Seed, tenant, name, api string) [2]uint64 {
		k := seed.hash(&buf, []byte(tenant), []byte(name), []byte(api))
		return [2]uint64{k.Hi, k.Lo}
	}
	a := hash(s, "t", "ab", "c")
	for name, b := range map[string][2]uint64{
		"shifted text":   hash(s, "t", "a", "bc"),
		"shifted tenant": hash(s, "ta", "b", "c"),
		"another seed":   hash(Seed{1, 2}, "t", "ab", "c"),
	} {
		if a == b {
			t.Errorf("%s has the same key", name)
		}
	}
	if a != hash(s, "t", "ab", "c") {
		t.Error("one name has two keys")
	}
}
