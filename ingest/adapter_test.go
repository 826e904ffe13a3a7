package ingest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

func TestOptionsFillWhatTheLogDoesNotSay(t *testing.T) {
	f := func(format, line string, opts Options, want string) {
		t.Helper()
		got := canonicalJSON(mustParse(t, testAdapter(t, format, opts), line))
		for part := range strings.SplitSeq(want, " ") {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %s lacks %s", format, got, part)
			}
		}
	}
	clf := `198.51.100.7 - - [02/Mar/2026:09:15:01 +0000] "GET /a HTTP/1.1" 200 5 "-" "-" 1500`
	f(FormatCombined, clf, Options{}, `"api":"default"`)
	f(FormatCombined, clf, Options{API: "shop", Tenant: "acme", Gateway: "g", GatewayType: "apache"},
		`"api":"shop" "tenant":"acme" "gateway":"g" "gateway_type":"apache"`)
	f(FormatCombined, clf, Options{ExtraUnit: "us"}, `"duration_us":1500`)
	f(FormatCombined, clf, Options{ExtraUnit: "ms"}, `"duration_us":1500000`)
	f(FormatCombined, clf, Options{ExtraUnit: "s"}, `"duration_us":1500000000`)
	f(FormatEPA, `h [02:00:00:01] "GET /a" 200 5`, Options{BaseMonth: time.Date(2001, 2, 17, 5, 0, 0, 0, time.UTC)}, `"time":"2001-02-02T00:00:01Z"`)
	f(FormatCanonical, `{"time":"2026-03-02T09:15:01Z","tenant":"own","body_sample":"x"}`, Options{Tenant: "acme", BodySamples: true}, `"tenant":"own" "body_sample":"x"`)

	a := testAdapter(t, FormatCanonical, Options{HashCanonical: true})
	got := canonicalJSON(mustParse(t, a, `{"time":"2026-03-02T09:15:01Z","user":"u-clear","login_user":"u-clear","credential":"c-clear","session":"s-clear"}`))
	if strings.Contains(got, "clear") || strings.Count(got, string(testPseudonym(t, KindUser, "u-clear"))) != 2 {
		t.Errorf("canonical identities are not hashed: %s", got)
	}
	nginx := testAdapter(t, FormatNginxJSON, Options{SessionCookies: []string{"mine"}})
	got = canonicalJSON(mustParse(t, nginx, `{"msec":1772442901,"remote_addr":"h","status":200,"cookie":"session=a; mine=b"}`))
	if !strings.Contains(got, string(testPseudonym(t, KindSession, "b"))) {
		t.Errorf("configured session cookie is not taken: %s", got)
	}

	for name, bad := range map[string]Options{
		FormatCombined: {ExtraUnit: "h"}, FormatEPA: {BaseMonth: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)}, "nope": {},
	} {
		if _, err := New(name, bad); err == nil || name == "nope" && !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("%s with bad options: %v", name, err)
		}
	}
}

func testPseudonym(t *testing.T, kind Kind, secret string) []byte {
	t.Helper()
	return NewHasher(testKey(t)).Append(nil, kind, []byte(secret))
}

func TestBadInputIsRefusedWithItsReason(t *testing.T) {
	f := func(format, line string, want schemas.Reason) {
		t.Helper()
		if err := testAdapter(t, format, Options{}).Parse([]byte(line), schemas.NewEvent()); schemas.ReasonOf(err) != want {
			t.Errorf("%s %.60s: %v, want %s", format, line, err, want)
		}
	}
	f(FormatCombined, "", ReasonNoMatch)
	f(FormatCombined, `"`, ReasonNoMatch)
	f(FormatCombined, `[02/Mar/2026:09:15:01 +0000] "GET / HTTP/1.1" 200 5`, ReasonNoMatch)
	f(FormatCombined, strings.Repeat("x", DefaultMaxLine+1), schemas.ReasonTooLarge)
	f(FormatCombined, `h - - [02/Mar/2026:09:15:01 +0000] "GET / HTTP/1.1" 2000 5`, ReasonBadStatus)
	f(FormatCombined, `h - - [02/Mar/2026:09:15:01 +0000] "GET / HTTP/1.1" 200 99999999999999999999`, ReasonBadNumber)
	// A user name cannot bring a time stamp of its own.
	f(FormatCombined, `h - a [02/Mar/2026:09:15:01 +0000] x [bad] "GET / HTTP/1.1" 200 5`, schemas.ReasonInvalidTime)
	f(FormatNginxJSON, "", schemas.ReasonEmpty)
	f(FormatNginxJSON, "null", schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"a":1}x`, schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"a":tru}`, schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"a" 1}`, schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"uri":"\u12"}`, schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"uri":"\q"}`, schemas.ReasonMalformedJSON)
	f(FormatNginxJSON, `{"a":`+strings.Repeat(`{"a":`, 100), schemas.ReasonTooDeep)
	f(FormatNginxJSON, `{"a":`+strings.Repeat(`[`, 100000), schemas.ReasonTooDeep)
	f(FormatNginxJSON, `{"status":1000,"remote_addr":"h"}`, ReasonBadStatus)
	f(FormatNginxJSON, `{"status":null,"remote_addr":"h","msec":1}`, ReasonMissingField)
	f(FormatCaddy, `{"ts":-5,"request":{"method":"GET"},"status":200}`, schemas.ReasonInvalidTime)
	f(FormatCaddy, `{"ts":1e300,"request":{"method":"GET"},"status":200}`, schemas.ReasonInvalidTime)
	f(FormatTraefik, `{"Duration":true}`, schemas.ReasonWrongType)
	f(FormatHAProxy, `{"ts":"x"}`, schemas.ReasonInvalidTime)
	f(FormatCanonical, `{"status":"x"}`, schemas.ReasonWrongType)
}

func TestScrubMasksWhatLooksSecret(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		if got := string(Scrub(nil, []byte(raw))); got != want {
			t.Errorf("scrubbed %s\nto       %s\nwant     %s", raw, got, want)
		}
	}
	f("nothing here: 5 = 5", "nothing here: 5 = 5")
	f(`h - alice b [x] "GET /?token=abc&a=1 HTTP/1.1"`, `h - REDACTED [x] "GET /?token=REDACTED&a=1 HTTP/1.1"`)
	f(`h - - [x] "GET /?a=1 HTTP/1.1" password=abc`, `h - - [x] "GET /?a=1 HTTP/1.1" password=REDACTED`)
	f(`{"api_key":"k","a":1,"remote_user" : "u","uri":"/?sig=s&b=2"`, `{"api_key":"REDACTED","a":1,"remote_user" : "REDACTED","uri":"/?sig=REDACTED&b=2"`)
	f(`{"headers":{"Authorization":["Bearer t\"x"],"Cookie":["a=b"]`, `{"headers":{"Authorization":["REDACTED"],"Cookie":["REDACTED"]`)
	f("Authorization: Bearer t\nX-Api-Key: k", "Authorization: REDACTED\nX-Api-Key: REDACTED")
	f(`{"api_key":"never closed`, `{"api_key":"REDACTED`)
	f(`{"log":"{\"token\":\"t\",\"a\":1}"}`, `{"log":"{\"token\":\"REDACTED",\"a\":1}"}`)
	f(`{"token":12345}`, `{"token":REDACTED}`)
}
