package ingest

import (
	"bytes"

	"github.com/weir-dev/weir/schemas"
)

// canonical reads events that are in the project's own JSON already. Their
// producers were to make the pseudonyms; what an adapter can see to be a secret
// is taken out all the same.
type canonical struct{ hashAll bool }

func newCanonical(o *Options) (parser, error) { return &canonical{hashAll: o.HashCanonical}, nil }

func (c *canonical) parse(line []byte, f *filler) error {
	if err := f.ev.DecodeJSON(line); err != nil {
		return err
	}
	f.sanitize(c.hashAll)
	return nil
}

// sanitize takes secrets out of a decoded canonical event.
func (f *filler) sanitize(hashAll bool) {
	ev := f.ev
	f.timeOptional = true
	ev.Query, _ = f.maskQuery(ev.Query)
	for i := range ev.Headers {
		h := &ev.Headers[i]
		switch {
		case secretHeader(h.Key):
			if !isPseudonym(h.Value) && !absent(h.Value) {
				h.Value = f.pseudonym(KindCredential, h.Value)
			}
		case bytes.EqualFold(h.Key, nameReferer):
			h.Value = f.maskURL(h.Value)
		}
	}
	if !f.opts.BodySamples {
		ev.BodySample = nil
	}
	if hashAll {
		f.hashField(&ev.User, KindUser)
		f.hashField(&ev.LoginUser, KindUser)
		f.hashField(&ev.Credential, KindCredential)
		f.hashField(&ev.Session, KindSession)
	}
}

func (f *filler) hashField(field *[]byte, kind Kind) {
	if len(*field) > 0 {
		*field = f.pseudonym(kind, *field)
	}
}

// secretHeader tells whether a header of this name carries a secret.
func secretHeader(name []byte) bool {
	if len(name) > 24 {
		return false
	}
	switch string(bytes.ToLower(name)) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey",
		"x-auth-token", "x-access-token", "x-amz-security-token", "x-csrf-token", "x-xsrf-token":
		return true
	}
	return false
}

// isPseudonym tells whether b has the form of a pseudonym.
func isPseudonym(b []byte) bool {
	if len(b) != PseudonymLen {
		return false
	}
	for _, c := range b {
		if hexDigit(c) > 15 {
			return false
		}
	}
	return true
}

// Sanitizer does for decoded canonical events what the canonical adapter does
// for lines, for sources that receive Protobuf. It is not safe for concurrent use.
type Sanitizer struct {
	fill    filler
	hashAll bool
}

// NewSanitizer takes the same options as New.
func NewSanitizer(opts Options) (*Sanitizer, error) {
	a, err := newAdapter(FormatCanonical, opts)
	if err != nil {
		return nil, err
	}
	return &Sanitizer{fill: a.fill, hashAll: opts.HashCanonical}, nil
}

// Apply takes secrets out of ev and fills in the options' defaults. Text of ev
// may alias the Sanitizer until the next call. The error is a
// *schemas.DecodeError.
func (s *Sanitizer) Apply(ev *schemas.Event) error {
	s.fill.scratch = s.fill.scratch[:0]
	s.fill.begin(ev)
	s.fill.sanitize(s.hashAll)
	return s.fill.finish()
}
