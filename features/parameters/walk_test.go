package parameters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func read(c call) []string {
	s := NewScratch()
	s.read(c.e, c.route)
	var out []string
	for _, it := range s.items {
		out = append(out, fmt.Sprintf("%s %s=%s", it.loc, it.name, it.value))
	}
	return out
}

func TestReadQuery(t *testing.T) {
	got := read(get(1, "/x", "a=1&b=x%20y+z&&c&d%5B12%5D%5Bk%5D=%41&e=%zz&f=a=b&g=%2527"))
	want := []string{"query a=1", "query b=x y z", "query c=", "query d[][k]=A", "query e=%zz", "query f=a=b", "query g=%27"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s := NewScratch()
	s.read(get(1, "/x", "e=%zz&g=%2527").e, nil)
	if !s.items[0].shape.chars.has(1<<classBadEscape) || !s.items[1].shape.chars.has(1<<classTwice) {
		t.Error("bad and double escapes are not marked")
	}
}

func TestReadPath(t *testing.T) {
	c := get(1, "/v1/accounts/42/cards/a%20b", "")
	c.route = []byte("GET /v1/accounts/{id}/cards/:card")
	if got, want := read(c), []string{"path 1{id}=42", "path 2:card=a b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadJSON(t *testing.T) {
	got := read(post(1, "/x", "application/json; charset=utf-8",
		` {"a":{"b":[{"c":1.5},{"c":-2e3}]},"t":true,"n":null,"s":"x\"\n\u00e9","7f0a":{"x":1},"12":{"x":2},"e":[],"o":{}} `))
	want := []string{"json a.b[].c=1.5", "json a.b[].c=-2e3", "json t=true", "json n=", "json s=x\"\né",
		"json 7f0a.x=1", "json {}.x=2"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, bad := range []string{`{`, `{"a"`, `{"a":`, `{"a":1,}`, `[1,]`, `{"a":1}x`, `{a:1}`, `"\u00g0"`, `-`, `tru`, `"x`, `[1 2]`, ``} {
		s := NewScratch()
		if s.readJSON([]byte(bad)) {
			t.Errorf("%q parses", bad)
		}
	}
	deep := strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2)
	if NewScratch().readJSON([]byte(deep)) {
		t.Error("a document beyond the depth parses")
	}
}

func TestReadIsBounded(t *testing.T) {
	c := get(1, "/x", strings.Repeat("a=1&", 10000))
	c.e.Headers = make([]schemas.KV, 10000)
	if got := len(read(c)); got != maxItems {
		t.Errorf("%d parameters, want %d", got, maxItems)
	}
}

func TestBodyKinds(t *testing.T) {
	tests := []struct {
		contentType, body string
		kind              bodyKind
	}{
		{"application/json", `{}`, bodyJSON},
		{"Application/Problem+JSON", `{}`, bodyJSON},
		{"", ` [1]`, bodyJSON},
		{"", `a=1`, bodyForm},
		{"application/x-www-form-urlencoded; charset=UTF-8", `a=1`, bodyForm},
		{"text/plain", `a=1`, bodyOther},
		{"application/json", ``, bodyNone},
	}
	for _, tt := range tests {
		s := NewScratch()
		s.read(post(1, "/x", tt.contentType, tt.body).e, nil)
		if s.body != tt.kind {
			t.Errorf("%q %q: kind %d, want %d", tt.contentType, tt.body, s.body, tt.kind)
		}
	}
	c := post(1, "/x", "application/json", `{"a":`)
	c.e.ReqBytes = 5000 // the sample was cut
	s := NewScratch()
	if s.read(c.e, nil); s.complete || s.malformed {
		t.Error("a sample that was cut counts as malformed")
	}
}

// What the standard library reads of a query, this package reads too.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&b=2&a=3")
	f.Add("x%5B0%5D=%20&y=a+b&&z")
	f.Add("%=%&%41=%4")
	f.Fuzz(func(t *testing.T, q string) {
		s := NewScratch()
		s.readPairs(Query, []byte(q))
		values, err := url.ParseQuery(q)
		if err != nil || len(s.items) == maxItems || len(q) > maxParsed {
			return
		}
		n := 0
		for _, v := range values {
			n += len(v)
		}
		if n != len(s.items) {
			t.Fatalf("%d parameters, want %d", len(s.items), n)
		}
		for _, it := range s.items {
			// Names with indexes are collapsed.
			if !strings.Contains(string(it.name), "[") && !slices.Contains(values[string(it.name)], string(it.value)) {
				t.Fatalf("%s=%s is not in %v", it.name, it.value, values)
			}
		}
	})
}

// Whatever the standard library takes for JSON parses here, with as many leaves.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2,{"b":"c"}],"d":null,"e":true}`))
	f.Add([]byte(`"\ud83d\ude00\u0041"`))
	f.Add([]byte(`[[[]]]`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewScratch()
		ok := s.readJSON(b)
		if !json.Valid(b) {
			return // this reader is lenient
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		depth, most, leaves := 0, 0, 0
		keys := []bool{} // per open bracket: an object waiting for a key
		value := func() {
			if n := len(keys); n > 0 {
				keys[n-1] = !keys[n-1]
			}
		}
		for {
			tok, err := d.Token()
			if err != nil {
				break
			}
			switch v := tok.(type) {
			case json.Delim:
				if v == '{' || v == '[' {
					depth++
					most = max(most, depth)
				} else {
					depth--
				}
			default:
				leaves++
			}
			value()
		}
		if most > maxDepth {
			return
		}
		if !ok {
			t.Fatalf("%q does not parse", b)
		}
		if len(s.items) > leaves {
			t.Fatalf("%d leaves of %d tokens", len(s.items), leaves)
		}
	})
}
