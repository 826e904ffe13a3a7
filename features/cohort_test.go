package features

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestCohortIsNetworkAndFingerprint(t *testing.T) {
	long := strings.Repeat("t", 200)
	for _, c := range []struct {
		asn     int64
		ja4, ua string
		want    string
	}{
		{64500, "t13d", "curl/8", "64500|t13d"},
		{64500, "", "curl/8.1", "64500|ua:curl"},
		{schemas.Unknown, "t13d", "", "-|t13d"},
		{0, "", "Mozilla/5.0 (X11) Firefox/120", "-|ua:firefox"},
		{0, "", "", "-|-"},
		{1, long, "", "1|" + long[:maxFingerprint]},
	} {
		if got := string(AppendCohort(nil, c.asn, []byte(c.ja4), []byte(c.ua))); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestCohortsAndRoutesBelongToOneAPI(t *testing.T) {
	s := newStage(t, testConfig())
	for i, api := range []string{"bank", "shop", "bank"} {
		s.call(fmt.Sprint("u", i), start+int64(i), func(e *schemas.Event) {
			e.API, e.ASN, e.JA4 = []byte(api), 64500, []byte("j")
		})
	}
	s.x.Flush(s)
	requests := map[string]uint64{}
	for _, a := range s.aggregates {
		if kind := string(a.EntityType); kind == schemas.EntityCohort || kind == schemas.EntityRoute {
			requests[kind+" "+string(a.API)] += a.Requests
		}
	}
	for k, want := range map[string]uint64{"cohort bank": 2, "cohort shop": 1, "route bank": 2, "route shop": 1} {
		if requests[k] != want {
			t.Errorf("%s: %d calls, want %d", k, requests[k], want)
		}
	}
}

func TestClientsAreNewForAnHour(t *testing.T) {
	const hour = 3600 * second
	s := newStage(t, testConfig())
	at := int64(start - start%hour)
	for i := range 20 { // 20 old hands, whose first hour passes
		s.call(fmt.Sprint("old", i), at+int64(i), nil)
	}
	for i := range 20 {
		s.call(fmt.Sprint("old", i), at+hour+second+int64(i), nil)
	}
	for i := range 7 {
		s.call(fmt.Sprint("new", i), at+hour+2*second+int64(i), nil)
	}
	for i := range 7 {
		s.call(fmt.Sprint("new", i), at+hour+3*second+int64(i), nil)
	}
	s.x.Flush(s)
	for _, a := range s.aggregates {
		if kind := string(a.EntityType); kind != schemas.EntityAPI && kind != schemas.EntityCohort {
			if len(a.NewClients) > 0 {
				t.Errorf("%s keeps new clients", kind)
			}
			continue
		}
		want := 20.0
		if a.WindowStart > at {
			want = 7
		}
		if got := EstimateRegisters(a.NewClients); math.Abs(got-want) > 2.5 {
			t.Errorf("%s at %d: %.1f new clients, want %.0f", a.EntityType, a.WindowStart-at, got, want)
		}
	}
}

func TestRoutesTellHowTheyAreKept(t *testing.T) {
	s := newStage(t, testConfig())
	at := int64(start - start%(60*second))
	calls := []func(e *schemas.Event){
		nil,
		func(e *schemas.Event) { e.Scheme = []byte("http") },
		func(e *schemas.Event) { e.User = nil },
		func(e *schemas.Event) { e.User, e.Credential = nil, []byte("c") },
		func(e *schemas.Event) { e.Status, e.RespBytes = 500, schemas.VerboseError },
		func(e *schemas.Event) { e.Status, e.RespBytes = 403, 20 },
		func(e *schemas.Event) { e.Status, e.RespBytes = 500, schemas.Unknown },
		func(e *schemas.Event) { e.Status, e.RespBytes = 404, 9000 }, // does not exist: no route
	}
	for i, edit := range calls {
		s.call("u", at+int64(i), func(e *schemas.Event) {
			e.Route, e.Status, e.Scheme = []byte("/v1/x/{id}"), 200, []byte("https")
			if edit != nil {
				edit(e)
			}
		})
	}
	s.x.Flush(s)
	found := 0
	for _, a := range s.aggregates {
		if string(a.EntityType) != schemas.EntityRoute {
			continue
		}
		found++
		if string(a.Entity) != "GET /v1/x/{id}" || a.Requests != 7 || a.Identified != 3 || a.Anonymous != 1 || a.Plain != 1 || a.Errors != 2 || a.Verbose != 1 {
			t.Errorf("%s: %+v", a.Entity, a)
		}
		if len(a.Clients) > 0 {
			t.Error("a route keeps its clients")
		}
	}
	if found != 1 {
		t.Errorf("%d routes", found)
	}
}

func TestCohortsThatFindNoRoomKeepTheirNetwork(t *testing.T) {
	cfg := testConfig()
	cfg.Entities, cfg.Shards = 64, 4
	s := newStage(t, cfg)
	const n = 500
	for i := range n { // every call with another fingerprint, from one address
		s.call("u", start+int64(i), func(e *schemas.Event) {
			e.ASN, e.JA4 = 64500, fmt.Appendf(nil, "t%d", i)
		})
	}
	s.x.Flush(s)
	total, overflowed := uint64(0), uint64(0)
	for _, a := range s.aggregates {
		if string(a.EntityType) != schemas.EntityCohort {
			continue
		}
		total += a.Requests
		if !strings.HasPrefix(string(a.Entity), "64500|") {
			t.Errorf("cohort %s", a.Entity)
		}
		if strings.Contains(string(a.Entity), "|"+OverflowEntity) {
			overflowed += a.Requests
		}
	}
	if total != n || overflowed < n/2 {
		t.Errorf("%d calls in cohorts, %d of them without a fingerprint", total, overflowed)
	}
}

func TestCountingEntitiesDoesNotAllocate(t *testing.T) {
	x, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	out := discard{}
	e := schemas.NewEvent()
	e.API, e.Method, e.Path, e.Status = []byte("bank"), []byte("POST"), []byte("/v1/login"), 401
	e.ClientIP, e.UserAgent, e.ASN, e.JA4 = []byte("10.0.0.1"), []byte("curl/8"), 64500, []byte("t13d1516h2_8daaf6152771_02713d6af862")
	e.LoginUser = []byte("u")
	offset := int64(0)
	call := func() {
		x.Apply(e, start, offset, out)
		offset++
	}
	for range 2 * foldAt { // grow the buffers that are kept
		call()
	}
	if n := testing.AllocsPerRun(200, call); n >= 1 {
		t.Errorf("%v allocations a call", n)
	}
}
