package ingest

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/weir-dev/weir/schemas"
)

// maxSample is the longest body sample and the longest unreadable request line
// kept, bytes.
const (
	maxSample      = 4096
	maxRequestLine = 256
)

// filler is what the parsers of all formats write an event through: it owns the
// scratch text, makes the pseudonyms, and settles at the end what could only be
// known when the whole record was read.
type filler struct {
	ev      *schemas.Event
	opts    Options
	hasher  *Hasher
	scratch []byte

	user     []byte // user name as logged, in clear: never leaves this struct
	credRank int    // rank of the credential taken so far
	// atEnd says that the time stamp was taken when the response was done, with
	// a precision that makes it worth going back to the request's arrival.
	atEnd bool
	// timeOptional says that the record may lack its time.
	timeOptional bool

	// The options' defaults as the events take them: shared and never written to.
	tenant, gateway, gatewayType, api []byte
}

// Text that events share and nobody writes to.
var (
	textDefault    = []byte(schemas.DefaultTenant)
	textToken      = []byte("token")
	textAPIKey     = []byte("api_key")
	textBasic      = []byte("basic")
	nameReferer    = []byte("referer")
	nameTargetHost = []byte("target_host")
	nameRequest    = []byte("request_line")
	nameRejected   = []byte("rejected_credential")
)

// Ranks of credentials: of several on one call the highest names the caller.
const (
	rankCookie = iota + 1
	rankAPIKey
	rankAuthorization
)

func (f *filler) begin(ev *schemas.Event) {
	f.ev = ev
	f.user, f.credRank, f.atEnd, f.timeOptional = nil, 0, false, false
}

// since is the scratch text from an earlier length of it on.
func (f *filler) since(from int) []byte {
	return f.scratch[from:len(f.scratch):len(f.scratch)]
}

// finish settles the event: identity, time, defaults.
func (f *filler) finish() error {
	ev := f.ev
	// A gateway logs the name and the secret that were sent, right or wrong.
	// Where they were turned down the call is not that user's: nobody is framed
	// by a failed login. Nor may a guesser look like a new caller at each guess.
	rejected := ev.Status == 401
	if len(f.user) > 0 {
		p := f.pseudonym(KindUser, f.user)
		if rejected {
			ev.LoginUser = p
		} else {
			ev.User = p
		}
	}
	if rejected && f.credRank > 0 {
		f.addAttr(nameRejected, ev.Credential)
		ev.Credential, ev.CredentialType = nil, nil
	}
	if f.atEnd && ev.DurationUS > 0 {
		ev.Time -= ev.DurationUS
	}
	if (ev.Time <= 0 || ev.Time > maxTime) && !(ev.Time == 0 && f.timeOptional) {
		return errBadTime
	}
	setDefault(&ev.GatewayType, f.gatewayType)
	setDefault(&ev.Tenant, f.tenant)
	setDefault(&ev.Gateway, f.gateway)
	setDefault(&ev.API, f.api)
	if len(ev.API) == 0 && len(ev.Host) == 0 {
		ev.API = textDefault
	}
	return nil
}

func setDefault(field *[]byte, value []byte) {
	if len(*field) == 0 {
		*field = value
	}
}

// pseudonym returns the pseudonym of a secret, in scratch.
func (f *filler) pseudonym(kind Kind, secret []byte) []byte {
	from := len(f.scratch)
	f.scratch = f.hasher.Append(f.scratch, kind, secret)
	return f.since(from)
}

// absent tells whether a logged value stands for none, or for a secret that the
// gateway blacked out: hashing that would make one client of all.
func absent(b []byte) bool {
	switch len(b) {
	case 0:
		return true
	case 1:
		return b[0] == '-'
	}
	return b[0] == '*' && bytes.Count(b, b[:1]) == len(b) ||
		bytes.EqualFold(bytes.Trim(b, "[]<>"), []byte(masked))
}

// setUser takes the name of the user that the gateway logged.
func (f *filler) setUser(name []byte) {
	if !absent(name) {
		f.user = name
	}
}

// setCredential takes a secret that names the caller.
func (f *filler) setCredential(kind []byte, rank int, secret []byte) {
	if absent(secret) || f.credRank >= rank {
		return
	}
	f.credRank = rank
	f.ev.Credential = f.pseudonym(KindCredential, secret)
	f.ev.CredentialType = kind
}

// setAuthorization reads an Authorization header.
func (f *filler) setAuthorization(value []byte) {
	value = bytes.TrimSpace(value)
	if absent(value) {
		return
	}
	scheme, rest, found := bytes.Cut(value, []byte(" "))
	rest = bytes.TrimSpace(rest)
	var folded [16]byte
	if found && len(scheme) > len(folded) {
		return
	}
	switch string(bytes.ToLower(append(folded[:0], scheme[:min(len(scheme), len(folded))]...))) {
	case "basic":
		f.setBasic(rest)
	case "digest":
		f.setUser(between(rest, `username="`, '"'))
	case "aws4-hmac-sha256":
		f.setCredential(textAPIKey, rankAuthorization, between(rest, "Credential=", '/'))
	case "bearer", "token", "apikey", "api-key", "key", "jwt", "dpop":
		f.setCredential(textToken, rankAuthorization, rest)
	default:
		// What other schemes send is a signature, new with every call: taken for
		// a credential it would make every call a client of its own.
		if !found {
			f.setCredential(textToken, rankAuthorization, value)
		}
	}
}

// between is what stands in b after a prefix and before a byte; nil if not found.
func between(b []byte, prefix string, end byte) []byte {
	i := bytes.Index(b, []byte(prefix))
	if i < 0 {
		return nil
	}
	b = b[i+len(prefix):]
	if i = bytes.IndexByte(b, end); i < 0 {
		return nil
	}
	return b[:i]
}

func (f *filler) setBasic(encoded []byte) {
	if absent(encoded) {
		return
	}
	f.setCredential(textBasic, rankAuthorization, encoded)
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(plain, encoded)
	if err != nil {
		return
	}
	if name, _, ok := bytes.Cut(plain[:n], []byte(":")); ok && len(f.user) == 0 {
		f.setUser(name)
	}
}

// setCookies takes the session id out of a Cookie header; the rest is dropped.
func (f *filler) setCookies(value []byte) {
	for len(value) > 0 {
		var pair []byte
		pair, value, _ = bytes.Cut(value, []byte(";"))
		name, id, ok := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
		if !ok || absent(id) || len(f.ev.Session) > 0 {
			continue
		}
		for _, want := range f.opts.SessionCookies {
			if len(want) == len(name) && bytes.EqualFold(name, []byte(want)) {
				f.ev.Session = f.pseudonym(KindSession, id)
				break
			}
		}
	}
}

func defaultSessionCookies() []string {
	return []string{
		"session", "sessionid", "session_id", "sid", "connect.sid", "JSESSIONID", "PHPSESSID",
		"ASP.NET_SessionId", ".AspNetCore.Session", "laravel_session", "_session_id", "SESSION",
	}
}

// text returns b as valid UTF-8: b itself, or a copy in scratch with U+FFFD for
// what is not.
func (f *filler) text(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	from := len(f.scratch)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		f.scratch = utf8.AppendRune(f.scratch, r)
		b = b[n:]
	}
	return f.since(from)
}

// urlText returns b as valid UTF-8 with stray bytes percent-encoded, which is
// what a client should have sent and means the same.
func (f *filler) urlText(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	const digits = "0123456789ABCDEF"
	from := len(f.scratch)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			f.scratch = append(f.scratch, '%', digits[b[0]>>4], digits[b[0]&15])
		} else {
			f.scratch = append(f.scratch, b[:n]...)
		}
		b = b[n:]
	}
	return f.since(from)
}

// setText sets a text field, unless the log says that there is none.
func (f *filler) setText(field *[]byte, b []byte) {
	if len(b) > 1 || len(b) == 1 && b[0] != '-' {
		*field = f.text(b)
	}
}

// setTarget splits a request target into path and query.
func (f *filler) setTarget(target []byte) {
	// A proxy request names a host of the client's own choosing, which must not
	// become the API's: it is kept as an attribute.
	if len(target) > 0 && target[0] != '/' {
		if i := bytes.Index(target, []byte("://")); i > 0 {
			authority, path := target[i+3:], []byte(nil)
			if j := bytes.IndexAny(authority, "/?"); j >= 0 {
				authority, path = authority[:j], authority[j:]
			}
			if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
				authority = authority[at+1:]
			}
			f.addAttr(nameTargetHost, authority)
			target = path
		}
	}
	path, query := target, []byte(nil)
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i+1:]
	}
	f.ev.Path = f.urlText(path)
	f.setQuery(query)
}

func (f *filler) setQuery(query []byte) {
	query, _ = f.maskQuery(f.urlText(query))
	f.ev.Query = query
}

// setVersion takes a protocol such as "HTTP/1.1".
func (f *filler) setVersion(proto []byte) {
	if v, ok := bytes.CutPrefix(proto, []byte("HTTP/")); ok {
		proto = v
	}
	f.setText(&f.ev.HTTPVersion, proto)
}

// addAttr adds an attribute, unless the log says that there is none. The name
// is shared by all events.
func (f *filler) addAttr(name, value []byte) {
	if !absent(value) {
		f.ev.Attrs = append(f.ev.Attrs, schemas.KV{Key: name, Value: f.text(value)})
	}
}

// addHeader is addAttr for request headers, named in lower case.
func (f *filler) addHeader(name, value []byte) {
	if !absent(value) {
		f.ev.Headers = append(f.ev.Headers, schemas.KV{Key: name, Value: f.text(value)})
	}
}
