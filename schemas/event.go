// Package schemas defines every record that crosses a process border: their
// Go shapes, their encodings, the version headers that name them, and the
// Kafka topics that carry them. FORMAT.md describes the same for readers of
// other languages.
package schemas

// Unknown marks an integer field that the gateway did not report. Absent means
// unknown, never zero: a response of zero bytes is evidence, a missing size is
// not.
const Unknown = -1

// KV is one entry of an Event's Headers or Attrs, in the order received.
type KV struct{ Key, Value []byte }

// Event is one API call as a gateway saw it.
//
// Text fields are byte slices so that a decoder can let them alias the record
// they came from: they stay valid only as long as that buffer does, and a
// consumer that keeps one must copy it. A nil or empty slice means unknown.
// Integer fields hold Unknown (-1) when absent; call Reset, or start from
// NewEvent, before filling an Event by hand.
type Event struct {
	ID          []byte // unique per call; empty: derived from topic, partition and offset
	Time        int64  // microseconds since 1970 UTC, request arrival at the gateway; 0 when unknown
	Tenant      []byte // empty: "default"
	Gateway     []byte // instance id
	GatewayType []byte // kong, nginx, envoy, …

	API         []byte // API or service name; empty: Host
	APIVersion  []byte
	Route       []byte // path template if the gateway knows it; empty: learnt
	Method      []byte
	Scheme      []byte
	Host        []byte
	Path        []byte
	Query       []byte // without the leading '?'
	HTTPVersion []byte
	ContentType []byte

	Status     int64 // response status; 0: no response
	ReqBytes   int64 // request body size, bytes
	RespBytes  int64 // response body size, bytes
	DurationUS int64 // total, microseconds
	UpstreamUS int64 // backend, microseconds

	ClientIP   []byte // the address the gateway trusts
	ClientPort int64
	PeerIP     []byte
	XFF        []byte // never trusted by itself

	Consumer       []byte // authenticated application
	User           []byte // authenticated user, a pseudonym
	Credential     []byte // keyed hash, never the secret
	CredentialType []byte // token, api_key, cookie, basic, mtls
	Session        []byte // keyed hash
	LoginUser      []byte // keyed hash of the user name tried

	UserAgent []byte
	JA4       []byte
	Country   []byte // ISO 3166-1 alpha-2
	ASN       int64

	Headers    []KV
	BodySample []byte // at most 4 KiB
	TraceID    []byte
	Attrs      []KV

	// UnknownFields counts fields that the decoder kept out because the schema
	// does not name them.
	UnknownFields int

	// scratch backs text that had to be unescaped; it is reused by Reset.
	scratch []byte
}

// NewEvent returns an Event with every field unknown.
func NewEvent() *Event {
	e := new(Event)
	e.Reset()
	return e
}

// Reset makes every field unknown and keeps the buffers for reuse. Slices that
// a previous decode returned are invalid afterwards.
func (e *Event) Reset() {
	*e = Event{
		Status: Unknown, ReqBytes: Unknown, RespBytes: Unknown,
		DurationUS: Unknown, UpstreamUS: Unknown, ClientPort: Unknown, ASN: Unknown,
		Headers: e.Headers[:0], Attrs: e.Attrs[:0], scratch: e.scratch[:0],
	}
}
