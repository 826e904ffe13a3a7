package payload

import (
	"encoding/json"
	"net/url"
	"strings"
)

// Place says where in a request a value stands.
type Place string

// Places of values that a client chooses freely.
const (
	InQuery Place = "query"
	InForm  Place = "form"
	InJSON  Place = "json"
)

// Slot is one parameter value of a request, as it stands there.
type Slot struct {
	Place Place
	Name  string // decoded; "" in JSON
	// Start and End delimit the encoded value: in the URL for InQuery, else in
	// the body; in JSON without its quotes.
	Start, End int
}

// Raw is the value as it stands in the request.
func (s Slot) Raw(r *Request) string {
	if s.Place == InQuery {
		return r.URL[s.Start:s.End]
	}
	return r.Body[s.Start:s.End]
}

// Value is the decoded value. What cannot be decoded is as it stands.
func (s Slot) Value(r *Request) string { return s.decode(s.Raw(r)) }

func (s Slot) decode(raw string) string {
	if s.Place == InJSON {
		var text string
		if json.Unmarshal([]byte(`"`+raw+`"`), &text) != nil {
			return raw
		}
		return text
	}
	return unescape(raw)
}

// encode is the inverse of decode.
func (s Slot) encode(value string) string {
	if s.Place == InJSON {
		b, err := json.Marshal(value)
		if err != nil { // a string always encodes
			return value
		}
		return string(b[1 : len(b)-1])
	}
	return url.QueryEscape(value)
}

// Put is a copy of the request with another value in the slot. Other slots of
// the request do not fit the copy.
func (s Slot) Put(r *Request, value string) *Request {
	c := *r
	if s.Place == InQuery {
		c.URL = r.URL[:s.Start] + s.encode(value) + r.URL[s.End:]
	} else {
		c.Body = r.Body[:s.Start] + s.encode(value) + r.Body[s.End:]
	}
	return &c
}

// Slots are the parameter values of a request: of its query, and of a body that
// is a form or JSON. In JSON only strings count.
func Slots(r *Request) []Slot {
	var slots []Slot
	if i := strings.IndexByte(r.URL, '?'); i >= 0 {
		end := len(r.URL)
		if j := strings.IndexByte(r.URL[i:], '#'); j >= 0 {
			end = i + j
		}
		slots = pairs(slots, InQuery, r.URL, i+1, end)
	}
	switch body := strings.TrimSpace(r.Body); {
	case body == "":
	case (body[0] == '{' || body[0] == '[') && json.Valid([]byte(r.Body)):
		slots = jsonStrings(slots, r.Body)
	case isForm(r):
		slots = pairs(slots, InForm, r.Body, 0, len(r.Body))
	}
	return slots
}

func isForm(r *Request) bool {
	return strings.Contains(strings.ToLower(r.Header("Content-Type")), "x-www-form-urlencoded")
}

// pairs appends the values of name=value pairs in text[from:to].
func pairs(slots []Slot, place Place, text string, from, to int) []Slot {
	for from < to {
		end := from + strings.IndexByte(text[from:to], '&')
		if end < from {
			end = to
		}
		if eq := strings.IndexByte(text[from:end], '='); eq >= 0 {
			slots = append(slots, Slot{place, unescape(text[from : from+eq]), from + eq + 1, end})
		}
		from = end + 1
	}
	return slots
}

// jsonStrings appends the strings of valid JSON that are values, not names.
func jsonStrings(slots []Slot, text string) []Slot {
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		start := i + 1
		for i++; text[i] != '"'; i++ {
			if text[i] == '\\' {
				i++
			}
		}
		rest := strings.TrimLeft(text[i+1:], " \t\r\n")
		if !strings.HasPrefix(rest, ":") {
			slots = append(slots, Slot{Place: InJSON, Start: start, End: i})
		}
	}
	return slots
}

// unescape undoes percent encoding and plus signs, leniently: a percent sign
// that starts no escape stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
