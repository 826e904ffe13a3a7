package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var form = map[string]string{"content-type": "application/x-www-form-urlencoded; charset=utf-8"}

func TestSlotsAreTheParameterValues(t *testing.T) {
	f := func(r *Request, want ...string) {
		t.Helper()
		var got []string
		for _, s := range Slots(r) {
			got = append(got, fmt.Sprintf("%s %s=%s", s.Place, s.Name, s.Value(r)))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	f(&Request{URL: "/a?b=c+d&e%20f=%41%zz&g&h=#i=j"}, "query b=c d", "query e f=A%zz", "query h=")
	f(&Request{URL: "/", Headers: form, Body: "a=1&b=%27"}, "form a=1", "form b='")
	f(&Request{URL: "/", Body: "a=1"})
	f(&Request{URL: "/", Body: ` {"a": "b\"c\u0041", "d" : ["e", 1, {"f":"\\"}], "g":""}`}, `json =b"cA`, "json =e", `json =\`, "json =")
	f(&Request{URL: "/", Body: `{"a": "b"`})
	f(&Request{URL: "/"})
}

func TestTransplantedStringsReachTheServer(t *testing.T) {
	carriers := []*Request{
		{Method: "GET", URL: "/s?q=shoes&page=2"},
		{Method: "POST", URL: "/f", Headers: form, Body: "a=1&b=2"},
		{Method: "POST", URL: "/j", Body: `{"name":"x","tags":["y"]}`},
		{Method: "GET", URL: "/none"},
	}
	var attacks []*Request
	for i := range 300 {
		attacks = append(attacks, &Request{Payload: fmt.Sprintf("<%d>' or \"1\"=\"1 <&%%> \\ \u00e9\n", i), Label: Attack, Type: "sqli", Source: "list"})
	}
	attacks = append(attacks, attacks[0], &Request{Payload: ""})
	got, err := Transplant(carriers, attacks, 1000, 7)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 300 {
		t.Fatalf("%d of 300 strings are placed", len(got))
	}
	places := map[Place]int{}
	appended := 0
	seen := map[string]bool{}
	for _, g := range got {
		places[g.Place]++
		if g.Appended {
			appended++
		}
		if g.Label != Attack || g.Type != "sqli" || g.Source != "list" {
			t.Fatalf("row %+v", g.Request)
		}
		// What a server of its own would read.
		var text string
		switch g.Place {
		case InQuery:
			u, err := url.Parse(g.URL)
			if err != nil {
				t.Fatal(err)
			}
			text = fmt.Sprint(u.Query())
		case InForm:
			v, err := url.ParseQuery(g.Body)
			if err != nil {
				t.Fatal(err)
			}
			text = fmt.Sprint(v)
		case InJSON:
			var v any
			if err := json.Unmarshal([]byte(g.Body), &v); err != nil {
				t.Fatal(err)
			}
			text = fmt.Sprint(v)
		}
		found := ""
		for _, a := range attacks[:300] {
			if strings.Contains(text, a.Payload) && len(a.Payload) > len(found) {
				found = a.Payload
			}
		}
		if found == "" || seen[found] {
			t.Fatalf("%q holds no string, or one twice", text)
		}
		seen[found] = true
	}
	if places[InQuery] != 100 || places[InForm] != 100 || places[InJSON] != 100 {
		t.Errorf("places %v", places)
	}
	if appended < 100 || appended > 200 {
		t.Errorf("%d of 300 stand behind a value", appended)
	}
	again, err := Transplant(carriers, attacks, 1000, 7)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, again); d != "" {
		t.Error("equal seeds differ: " + d)
	}
	other, err := Transplant(carriers, attacks, 1000, 8)
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(got, other) {
		t.Error("another seed makes no difference")
	}
	if _, err := Transplant(carriers[3:], attacks, 1, 7); !errors.Is(err, ErrNoCarriers) {
		t.Errorf("without carriers: %v", err)
	}
}

func TestTransplantKeepsToTheVisiblePartOfABody(t *testing.T) {
	long := &Request{Method: "POST", URL: "/", Body: `{"a":"` + strings.Repeat("x", 5000) + `","b":"y"}`}
	if _, err := Transplant([]*Request{long}, []*Request{{Payload: "z"}}, 1, 1); !errors.Is(err, ErrNoCarriers) {
		t.Errorf("a value behind the visible part carries: %v", err)
	}
}

func TestCarriersAreASampleWithEqualChances(t *testing.T) {
	counts := make([]int, 50)
	for seed := range uint64(4000) {
		c := NewCarriers(5, seed)
		for i := range counts {
			c.Add(&Request{URL: fmt.Sprintf("/?i=%d", i)})
			c.Add(&Request{URL: "/nothing"})
		}
		if len(c.kept) != 5 {
			t.Fatalf("%d kept", len(c.kept))
		}
		for _, r := range c.kept {
			var i int
			if _, err := fmt.Sscanf(r.URL, "/?i=%d", &i); err != nil {
				t.Fatal(err)
			}
			counts[i]++
		}
	}
	// Chi-square with 49 degrees of freedom; 85.4 is its 0.999 quantile.
	var chi float64
	for _, n := range counts {
		d := float64(n) - 400
		chi += d * d / 400
	}
	if chi > 85.4 {
		t.Errorf("chi-square %g: %v", chi, counts)
	}
}
