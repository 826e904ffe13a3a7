package payload

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	libinjection "github.com/corazawaf/libinjection-go"
)

// Libinjection is libinjection by itself, on every value of a row: 1 where it
// knows SQL injection or cross-site scripting, else 0.
func Libinjection() *Subject {
	return &Subject{
		Name: "libinjection", Threshold: 0.5,
		New: func() (Scorer, error) { return libinjectionScorer{}, nil },
	}
}

type libinjectionScorer struct{}

func (libinjectionScorer) Score(r *Request) float64 {
	found := false
	values(r, func(v string) bool {
		sqli, _ := libinjection.IsSQLi(v)
		found = sqli || libinjection.IsXSS(v)
		return !found
	})
	if found {
		return 1
	}
	return 0
}

// values gives every string of a row that a client chooses: a bare row itself;
// of a request the decoded path, parameters with their names, cookies, the
// user agent, the referrer, and a body that is neither form nor JSON, in parts
// if it is multipart. It ends when yield returns false.
func values(r *Request, yield func(string) bool) {
	if r.Bare() {
		yield(r.Payload)
		return
	}
	_, path, _ := r.Split()
	if !yield(unescape(path)) {
		return
	}
	slots := Slots(r)
	inBody := false
	for _, s := range slots {
		inBody = inBody || s.Place != InQuery
		if s.Name != "" && !yield(s.Name) || !yield(s.Value(r)) {
			return
		}
	}
	for _, name := range []string{"User-Agent", "Referer"} {
		if v := r.Header(name); v != "" && !yield(v) {
			return
		}
	}
	for c := range strings.SplitSeq(r.Header("Cookie"), ";") {
		if _, v, ok := strings.Cut(c, "="); ok && !yield(unescape(v)) {
			return
		}
	}
	if inBody || r.Body == "" {
		return
	}
	kind, params, err := mime.ParseMediaType(r.Header("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		yield(r.Body)
		return
	}
	parts := multipart.NewReader(strings.NewReader(r.Body), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil { // the end, or a body that is cut off
			return
		}
		v, err := io.ReadAll(p)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if !yield(string(v)) {
			return
		}
	}
}
