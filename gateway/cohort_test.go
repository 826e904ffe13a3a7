package gateway

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-dev/weir/schemas"
)

func cohortList(tb testing.TB) *Blocklist {
	return listOf(tb, newClock().Now,
		block("cohort", "asn=64500,ja4=t13bot,api=bank"), block("cohort", "ja4=t13flood,api=bank"),
		block("cohort", "asn=64666,api=bank"), block("cohort", "ua=python-requests,api=bank"),
		block("cohort", "asn=64777,ua=curl,api=a,b/c"),
		put("default/cohort/asn=64501,api=bank", entry(schemas.ActionChallenge, time.Minute, "prove")),
		block("cohort", "asn=64501,ja4=t13bad,api=bank"),
		allow("user", "boss"), allow("cohort", "asn=64888,ja4=t13flood,api=bank"))
}

func TestCallersAreMatchedByTheirCohort(t *testing.T) {
	list := cohortList(t)
	f := func(name string, want schemas.Action, value string, id Identity) {
		t.Helper()
		var d Decision
		if n := testing.AllocsPerRun(50, func() { d = list.Match(id) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if d.Action != want || value != "" && (d.Scope != "cohort" || d.Value != value) {
			t.Errorf("%s: %+v, want %q of %q", name, d, want, value)
		}
	}
	bank := []byte("bank")
	block := schemas.ActionBlock
	f("network and fingerprint", block, "asn=64500,ja4=t13bot,api=bank", Identity{ASN: 64500, JA4: []byte("t13bot"), API: bank})
	f("the fingerprint elsewhere", "", "", Identity{ASN: 64502, JA4: []byte("t13bot"), API: bank})
	f("the network with another fingerprint", "", "", Identity{ASN: 64500, JA4: []byte("t13x"), API: bank})
	f("another API", "", "", Identity{ASN: 64500, JA4: []byte("t13bot"), API: []byte("shop")})
	f("an API that is not known", "", "", Identity{ASN: 64500, JA4: []byte("t13bot")})
	f("fingerprint from anywhere", block, "ja4=t13flood,api=bank", Identity{ASN: 1, JA4: []byte("t13flood"), API: bank})
	f("fingerprint from an unknown network", block, "ja4=t13flood,api=bank", Identity{JA4: []byte("t13flood"), API: bank, ASN: schemas.Unknown})
	f("network with any fingerprint", block, "asn=64666,api=bank", Identity{ASN: 64666, JA4: []byte("t13x"), API: bank})
	f("network without a fingerprint", block, "asn=64666,api=bank", Identity{ASN: 64666, API: bank})
	f("user agent", block, "ua=python-requests,api=bank", Identity{UserAgent: []byte("python-requests/2.31"), API: bank})
	f("user agent of a caller with a JA4", "", "", Identity{UserAgent: []byte("python-requests/2.31"), JA4: []byte("t13x"), API: bank})
	f("an API with a comma and a slash", block, "asn=64777,ua=curl,api=a,b/c", Identity{ASN: 64777, UserAgent: []byte("curl/8"), API: []byte("a,b/c")})
	f("the more severe", block, "asn=64501,ja4=t13bad,api=bank", Identity{ASN: 64501, JA4: []byte("t13bad"), API: bank})
	f("the less severe", schemas.ActionChallenge, "asn=64501,api=bank", Identity{ASN: 64501, JA4: []byte("t13x"), API: bank})
	f("an allowed user of the cohort", schemas.AllowAction, "", Identity{User: []byte("boss"), ASN: 64666, API: bank})
	f("an allowed cohort", schemas.AllowAction, "asn=64888,ja4=t13flood,api=bank", Identity{ASN: 64888, JA4: []byte("t13flood"), API: bank})
}

func TestEventsAreMatchedByTheirCohort(t *testing.T) {
	list := cohortList(t)
	e := schemas.NewEvent()
	e.ASN, e.JA4, e.API = 64500, []byte("t13bot"), []byte("bank")
	if d := list.Match(IdentityOf(e)); d.Action != schemas.ActionBlock {
		t.Errorf("event of a blocked cohort: %+v", d)
	}
	// An event without an API is its host's.
	e.API, e.Host = nil, []byte("bank")
	if d := list.Match(IdentityOf(e)); d.Action != schemas.ActionBlock {
		t.Errorf("event of a blocked cohort by host: %+v", d)
	}
}

func TestForwardAuthKnowsNetworkAndAPI(t *testing.T) {
	a, err := NewAuth(cohortList(t), AuthConfig{ASNHeader: "x-asn", APIHeader: "x-api", JA4Header: "x-ja4", Now: newClock().Now, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer    string
		headers map[string]string
		want    int
	}{
		{"127.0.0.1:1", map[string]string{"X-Asn": "64666", "X-Api": "bank"}, 403},
		{"127.0.0.1:1", map[string]string{"X-Asn": "AS64666", "X-Forwarded-Host": "bank"}, 403},
		{"127.0.0.1:1", map[string]string{"X-Asn": "64666", "X-Api": "shop", "X-Forwarded-Host": "bank"}, 200},
		{"127.0.0.1:1", map[string]string{"X-Asn": "64666"}, 200},
		{"127.0.0.1:1", map[string]string{"X-Asn": "-64666", "X-Api": "bank"}, 200},
		{"127.0.0.1:1", map[string]string{"X-Asn": "nonsense", "X-Ja4": "t13flood", "X-Api": "bank"}, 403},
		{"198.51.100.1:1", map[string]string{"X-Asn": "64666", "X-Api": "bank"}, 200}, // no gateway: not believed
	} {
		r := httptest.NewRequest("GET", "/auth", nil)
		r.RemoteAddr = c.peer
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		if a.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s %v: %d, want %d", c.peer, c.headers, w.Code, c.want)
		}
	}
}

func TestCohortsThatNoLookupWouldFindAreRefused(t *testing.T) {
	for value, ok := range map[string]bool{
		"asn=64500,api=bank": true, "ja4=t13,api=bank": true, "ua=curl,api=b": true, "asn=1,ja4=t,api=a,b": true,
		"api=bank": false, "asn=64500": false, "asn=,api=bank": false, "ja4=t,asn=1,api=bank": false, "asn=64500,api=": false,
		"asn=1,ja4=t,ua=curl,api=b": false, "country=xx,api=b": false,
	} {
		if _, err := Canonical("cohort", value); (err == nil) != ok || err != nil && !errors.Is(err, ErrValue) {
			t.Errorf("%q: error %v", value, err)
		}
	}
}

func TestExpiredCohortsAreSweptAndSeenByNobody(t *testing.T) {
	clk := newClock()
	list := listOf(t, clk.Now, put("default/cohort/asn=64666,api=bank", entry(schemas.ActionBlock, time.Minute, "flood")))
	who := Identity{ASN: 64666, API: []byte("bank")}
	if d := list.Match(who); d.Action != schemas.ActionBlock {
		t.Fatalf("in force: %+v", d)
	}
	clk.Add(2 * time.Minute)
	if d := list.Match(who); d.Action != "" {
		t.Errorf("expired: %+v", d)
	}
	if n := list.Sweep(); n != 1 {
		t.Errorf("%d swept", n)
	}
}
