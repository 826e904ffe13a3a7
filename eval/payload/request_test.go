package payload

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"

	"github.com/weir-dev/weir/schemas"
)

func TestParseReadsBothShapes(t *testing.T) {
	f := func(text string, want Request) {
		t.Helper()
		got, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if d := cmp.Diff(want, *got); d != "" {
			t.Errorf("%s:\n%s", text, d)
		}
	}
	f(`{"payload":"' or 1=1","label":1,"type":"sqli"}`, Request{Payload: "' or 1=1", Label: Attack, Type: "sqli"})
	f(`{"payload":""}`, Request{Label: Unlabelled})
	f(`{"payload":42,"label":"0"}`, Request{Payload: "42", Label: Benign})
	f(`{"payload":"x","url":"/a?x=x","label":false}`, Request{Payload: "x", Label: Benign})
	f(`{"payload":"","url":"/a"}`, Request{Method: "GET", URL: "/a", Label: Unlabelled})
	f(`{"method":"POST","url":"/a","headers":{"A":"1","B":["2","3"]},"body":"b","label":1.0}`,
		Request{Method: "POST", URL: "/a", Headers: map[string]string{"A": "1", "B": "2, 3"}, Body: "b", Label: Attack})
	f(`{"method":"POST","url":"/a","data":"d","unknown":[1]}`, Request{Method: "POST", URL: "/a", Body: "d", Label: Unlabelled})
	f(`{"method":"POST","url":"/a","body":{"k": "v"}}`, Request{Method: "POST", URL: "/a", Body: `{"k": "v"}`, Label: Unlabelled})
}

func TestParseRefusesWhatIsNoRow(t *testing.T) {
	for _, text := range []string{``, `x`, `[]`, `{}`, `{"label":1}`, `{"payload":"x","label":2}`, `{"payload":"x","label":"evil"}`, `{"url":3}`, `{"url":"/","headers":{"a":[1]}}`} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrRefused) {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

func TestReaderCountsLinesAndGoesOnAfterABadOne(t *testing.T) {
	long := `{"payload":"` + strings.Repeat("a", MaxLine) + `"}`
	text := "\xef\xbb\xbf{\"payload\":\"a\"}\r\n\n  \nnonsense\n" + long + "\n{\"payload\":\"b\"}"
	r := NewReader(strings.NewReader(text))
	var got []string
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *Refusal
		switch {
		case errors.As(err, &bad):
			got = append(got, fmt.Sprintf("%d refused", bad.Line))
			if !errors.Is(err, ErrRefused) || !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", bad.Line)) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, fmt.Sprintf("%d %s", r.Line(), row.Payload))
		}
	}
	want := []string{"1 a", "4 refused", "5 refused", "6 b"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadFileTakesPlainGzipAndXZ(t *testing.T) {
	const text = "{\"payload\":\"a\"}\n\nx\n{\"payload\":\"b\"}\n"
	pack := map[string]func(io.Writer) (io.WriteCloser, error){
		"plain": func(w io.Writer) (io.WriteCloser, error) { return keepOpen{w}, nil },
		"gz":    func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"xz":    func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	}
	for name, packer := range pack {
		var b bytes.Buffer
		w, err := packer(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var rows, refused int
		err = ReadFile(t.Context(), path, func(*Request) error { rows++; return nil }, func(r *Refusal) {
			refused++
			if r.Line != 3 {
				t.Errorf("%s: line %d refused", name, r.Line)
			}
		}, nil)
		if err != nil || rows != 2 || refused != 1 {
			t.Errorf("%s: %d rows, %d refused, %v", name, rows, refused, err)
		}
	}
	if err := ReadFile(t.Context(), filepath.Join(t.TempDir(), "none"), nil, nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReadFile(ctx, path, func(*Request) error { return nil }, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
}

type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

func TestEventHoldsWhatAGatewayWouldReport(t *testing.T) {
	r := &Request{Method: "POST", URL: "https://Shop.example/a/b?c=d#e", Headers: map[string]string{
		"Content-Type": "text/plain", "user-agent": "ua", "X-B": "2", "X-A": "1",
	}, Body: strings.Repeat("x", 5000)}
	e := schemas.NewEvent()
	e.Status = 500
	r.Event(e)
	if string(e.Host) != "Shop.example" || string(e.Path) != "/a/b" || string(e.Query) != "c=d#e" {
		t.Errorf("host %q, path %q, query %q", e.Host, e.Path, e.Query)
	}
	if string(e.ContentType) != "text/plain" || string(e.UserAgent) != "ua" || e.ReqBytes != 5000 || len(e.BodySample) != 4096 {
		t.Errorf("event %+v", e)
	}
	if e.Status != schemas.Unknown {
		t.Error("the event keeps what it held before")
	}
	var names []string
	for _, h := range e.Headers {
		names = append(names, string(h.Key))
	}
	if d := cmp.Diff([]string{"content-type", "x-a", "x-b", "user-agent"}, names); d != "" {
		t.Error(d)
	}
	if host, path, query := (&Request{URL: "http://h"}).Split(); host != "h" || path != "/" || query != "" {
		t.Errorf("split %q %q %q", host, path, query)
	}
	for url, want := range map[string]string{
		"http://h:80.bak": "h:80 .bak", "http://h:80": "h:80 /", "http://h?q": "h /", "https://[::1]/p": "[::1] /p", "HTTP://[::1]:81x": "[::1]:81 x",
	} {
		if host, path, _ := (&Request{URL: url}).Split(); host+" "+path != want {
			t.Errorf("%s splits into %s %s, want %s", url, host, path, want)
		}
	}
	if host, path, query := (&Request{URL: "/p?q", Headers: map[string]string{"host": "h"}}).Split(); host != "h" || path != "/p" || query != "q" {
		t.Errorf("split %q %q %q", host, path, query)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"payload":"' or 1=1","label":1,"type":"sqli"}` + "\n" + `{"method":"POST","url":"/a?b=c","headers":{"Content-Type":"application/json"},"body":"{\"a\":\"b\"}"}`))
	f.Add([]byte("{\"url\":\"/?%zz=%41&&=&a\",\"headers\":{\"A\":[\"1\",\"2\"]},\"data\":\"x=1\"}\n\nnonsense\r\n"))
	f.Add([]byte(`{"url":"http://","method":"","body":[1,"\u0000","\"",{"a\"":"\\"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := NewReader(bytes.NewReader(text))
		last := 0
		e := schemas.NewEvent()
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if r.Line() <= last {
				t.Fatalf("line %d after %d", r.Line(), last)
			}
			last = r.Line()
			if err != nil {
				if !errors.Is(err, ErrRefused) {
					t.Fatal(err)
				}
				continue
			}
			row.Event(e)
			for _, s := range Slots(row) {
				raw := s.Raw(row)
				put := s.Put(row, "a'\"&=<%\\\n\u00e9")
				moved := s
				moved.End += len(put.URL) - len(row.URL) + len(put.Body) - len(row.Body)
				if got := moved.Value(put); got != "a'\"&=<%\\\n\u00e9" {
					t.Fatalf("slot %+v of %q holds %q after Put, before it %q", s, row.URL+row.Body, got, raw)
				}
			}
		}
	})
}
