package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"testing"
	"unicode/utf8"
)

func decoded(s string, m manner) string {
	out := make([]byte, len(s))
	n, _ := decode(out, []byte(s), m)
	return string(out[:n])
}

func TestDecodeUndoesOneLayer(t *testing.T) {
	for _, c := range []struct {
		in, want string
		m        manner
	}{
		{"%27%20or%201", "' or 1", isText},
		{"%2527", "%27", isText},
		{"%%35c", "%5c", isText},
		{"%zz%4", "%zz%4", isText},
		{"a+b", "a b", isForm},
		{"a+b", "a b", asIs},
		{"a+b c", "a+b c", asIs},
		{"a+b", "a+b", isJSON},
		{"%u003cscript%uff1e", "<script>", isText},
		{"&lt;b&gt;&#39;&#x27;&#39", "<b>'''", isText},
		{"a&lt=3&copy=4", "a&lt=3&copy=4", isText},
		{"&amp;lt;", "&lt;", isText},
		{"java&Tab;script&colon;", "java\tscript:", isText},
		{`\u003cscript\x3e\u{41}`, "<script>A", isText},
		{`c:\new\table`, `c:\new\table`, isText},
		{`a\r\nb\\`, "a\r\nb\\", isJSON},
		{`\"\/`, `"/`, isText},
		{"un/**/ion/*x*/select", "un ion select", isText},
		{"/*!50000union*/", " union*/", isText},
		{"a /* open", "a /* open", isText},
		{"..\xc0\xaf..\xe0\x80\xaf..\xf0\x80\x80\xaf", "../../../", isText},
		{"\xc0\xae\xc1\x9c\xc0\x6e", ".\\.", isText},
		{"\xf8\x80\x80\x80\xae\xfc\x80\x80\x80\x80\xae", "..", isText},
		{"\uff07\uff1cx\uff1e", "'<x>", isText},
		{"\u02bcx", "'x", isText},
		{"\u4e2d\u6587 \u00e9\u2019", "\u4e2d\u6587 \u00e9\u2019", isText},
	} {
		if got := decoded(c.in, c.m); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "%", "%u", "%u12", "&#", "&#x", "&#99999999999;", `\u{`, `\u{110000}`, "/*", "/*!", "\xc0", "\xe0\x80", "\xfc\x80\x80\x80\x80", "+%25+", "&amp;#39;"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []manner{asIs, isForm, isJSON, isText} {
			out := make([]byte, len(b))
			n, changed := decode(out, b, m)
			if !changed && !bytes.Equal(out[:n], b) {
				t.Fatalf("%q became %q unnoticed", b, out[:n])
			}
		}
		// The standard library's encoders are the independent side: what they
		// encode comes back, unless it held another encoding itself.
		if !bytes.ContainsAny(b, "+%&\\/") && utf8.Valid(b) && !bytes.ContainsAny(b, "\uff01\u02bc\u3000\ufeff\u200b") {
			s := string(b)
			fold := decoded(s, isText)
			if got := decoded(url.QueryEscape(s), isForm); got != s {
				t.Fatalf("query escape of %q: %q", s, got)
			}
			if fold == s {
				if got := decoded(html.EscapeString(s), isText); got != s {
					t.Fatalf("HTML escape of %q: %q", s, got)
				}
			}
		}
	})
}

func TestJSONScanAgreesWithTheStandardLibrary(t *testing.T) {
	for _, s := range []string{
		`{}`, `[]`, `{"a":1}`, `{"a":[1,2,{"b":null}],"c":"d\"e"}`, `[1,"x",true,-1.5e3]`, `{"a":"b",}`, `{a:1}`,
		`{"a" 1}`, `[1 2]`, `{{7*7}}`, `[]["filter"]`, `{"a":1}}`, `[1]]`, `{"a":1]`, `{'a':1}`, `[tru]`, `{"a":{"b":{"c":[]}}}`,
		` { "a" : "b" } `, `[,]`, `{"a":undefined}`, `{"a":"b"} ' or 1=1`,
	} {
		if got, want := isJSONText([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	for _, cut := range []string{`{"a":1,"b":"c","d":"`, `{"a":1,"b":2,"c`, `[1,2,3`} {
		if !isJSONText([]byte(cut)) {
			t.Errorf("%s: a sample that was cut is not taken for JSON", cut)
		}
	}
}

func FuzzJSONScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"c"}]}`, `[[[[`, `{"a":"\`, `{"":{"":`, "[1]\n[2]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ok := isJSONText(b)
		if looksJSON(b) && json.Valid(b) && !ok && bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) < 64 {
			t.Fatalf("valid JSON refused: %q", b)
		}
	})
}

func TestBase64IsReadOnlyWherePlausible(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	attack := []byte("<script>alert(document.cookie)</script>")
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
		f := d.Value(s, []byte(enc.EncodeToString(attack)))
		if string(f.Decoded) != string(attack) || f.Class != XSS {
			t.Errorf("%+v", f)
		}
	}
	for _, v := range []string{"QWxhZGRpbg==", "deadbeefdeadbeefdeadbeef", "CPe--UAPe--UAAbADCENB4CsAP_AAH_AAAwIIbtf"} {
		if f := d.Value(s, []byte(v)); f.Confidence > 0.1 {
			t.Errorf("%s: %+v", v, f)
		}
	}
}
