package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/schemas"
)

// Labels of a Request.
const (
	Unlabelled = -1
	Benign     = 0
	Attack     = 1
)

// ErrRefused says that a line is no request: it is not JSON of either shape, or
// longer than the bound.
var ErrRefused = errors.New("no payload and no request")

// Request is one row to judge: a bare string, or an HTTP request.
type Request struct {
	Method  string
	URL     string            // path and query, or absolute
	Headers map[string]string // as sent; values of one name joined by ", "
	Body    string
	Payload string // the string to judge, where the row is no request
	Label   int    // Attack, Benign or Unlabelled
	Type    string // kind of attack or of benign row; may be empty
	// Source names the list that a row of a data set comes from.
	Source string
}

// Bare tells whether the row is a string by itself.
func (r *Request) Bare() bool { return r.Method == "" && r.URL == "" }

// Kind is the Type, or a word for the label where there is none.
func (r *Request) Kind() string {
	switch {
	case r.Type != "":
		return r.Type
	case r.Label == Attack:
		return "attack"
	case r.Label == Benign:
		return "benign"
	}
	return "unlabelled"
}

// Header is the value of a header, by its name in any case; "" without it.
func (r *Request) Header(name string) string {
	if v, ok := r.Headers[name]; ok {
		return v
	}
	for _, n := range r.headerNames() {
		if strings.EqualFold(n, name) {
			return r.Headers[n]
		}
	}
	return ""
}

// headerNames are the names in a fixed order.
func (r *Request) headerNames() []string {
	names := make([]string, 0, len(r.Headers))
	for n := range r.Headers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Split cuts the URL into host, path and query. An absolute URL names its host;
// else the Host header does. What follows a port without being a number, as in
// "http://h:80.bak", is part of the path. A fragment is part of what it follows.
func (r *Request) Split() (host, path, query string) {
	rest := r.URL
	host = r.Header("Host")
	for _, scheme := range []string{"http://", "https://"} {
		if len(rest) >= len(scheme) && strings.EqualFold(rest[:len(scheme)], scheme) {
			rest = rest[len(scheme):]
			end := strings.IndexAny(rest, "/?#")
			if end < 0 {
				end = len(rest)
			}
			if colon := strings.LastIndexByte(rest[:end], ':'); colon >= 0 && colon > strings.IndexByte(rest[:end], ']') {
				end = colon + 1
				for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
					end++
				}
			}
			host, rest = rest[:end], rest[end:]
			break
		}
	}
	path, query, _ = strings.Cut(rest, "?")
	if path == "" {
		path = "/"
	}
	return host, path, query
}

// maxSample is how much of a body an Event carries.
const maxSample = 4 << 10

// Event fills e, which it resets, with the request as a gateway would report
// it: header names in lower case and in a fixed order, at most 4 KiB of the
// body. A bare row has no event.
func (r *Request) Event(e *schemas.Event) {
	e.Reset()
	host, path, query := r.Split()
	e.API, e.Host = []byte(host), []byte(host)
	e.Method, e.Path, e.Query = []byte(r.Method), []byte(path), []byte(query)
	e.ContentType = []byte(r.Header("Content-Type"))
	e.UserAgent = []byte(r.Header("User-Agent"))
	e.ReqBytes = int64(len(r.Body))
	e.BodySample = []byte(r.Body[:min(len(r.Body), maxSample)])
	for _, n := range r.headerNames() {
		e.Headers = append(e.Headers, schemas.KV{Key: []byte(strings.ToLower(n)), Value: []byte(r.Headers[n])})
	}
}

// line is the shape of both kinds of row.
type line struct {
	Method  string                     `json:"method"`
	URL     *string                    `json:"url"`
	Headers map[string]json.RawMessage `json:"headers"`
	Body    json.RawMessage            `json:"body"`
	Data    json.RawMessage            `json:"data"` // another name for the body
	Payload json.RawMessage            `json:"payload"`
	Label   json.RawMessage            `json:"label"`
	Type    string                     `json:"type"`
	Source  string                     `json:"source"`
}

// Parse reads one JSON object with a payload, or with a request: a method and a
// url, and perhaps headers, and a body under "body" or "data". A row that has
// both is its payload, unless that is empty. Errors wrap ErrRefused and say
// what is wrong in one line.
func Parse(text []byte) (*Request, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r := &Request{Type: l.Type, Source: l.Source}
	var err error
	if r.Label, err = label(l.Label); err != nil {
		return nil, err
	}
	if r.Payload, err = textOf(l.Payload, "payload"); err != nil {
		return nil, err
	}
	if r.Payload != "" {
		return r, nil
	}
	if l.URL == nil {
		if l.Payload == nil {
			return nil, fmt.Errorf("%w: neither payload nor url", ErrRefused)
		}
		return r, nil // an empty string is a string
	}
	r.Method, r.URL = l.Method, *l.URL
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Body, err = textOf(l.Body, "body"); err != nil {
		return nil, err
	}
	if r.Body == "" {
		if r.Body, err = textOf(l.Data, "data"); err != nil {
			return nil, err
		}
	}
	if len(l.Headers) > 0 {
		r.Headers = make(map[string]string, len(l.Headers))
		for name, raw := range l.Headers {
			if r.Headers[name], err = headerValue(raw); err != nil {
				return nil, fmt.Errorf("%w: header %q", err, name)
			}
		}
	}
	return r, nil
}

// textOf is the text of a value: a string as it is, anything else in the JSON it
// came in, because a body may be given as an object, and a payload as a number.
func textOf(raw json.RawMessage, name string) (string, error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrRefused, name, err)
		}
		return s, nil
	}
	return string(raw), nil
}

func headerValue(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && raw[0] == '[' {
		var many []string
		if err := json.Unmarshal(raw, &many); err != nil {
			return "", fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return strings.Join(many, ", "), nil
	}
	return textOf(raw, "header")
}

func label(raw json.RawMessage) (int, error) {
	s := string(bytes.Trim(raw, `"`))
	switch s {
	case "", "null":
		return Unlabelled, nil
	case "false":
		return Benign, nil
	case "true":
		return Attack, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || (v != Benign && v != Attack) {
		return 0, fmt.Errorf("%w: label %s is neither 0 nor 1", ErrRefused, raw)
	}
	return int(v), nil
}
