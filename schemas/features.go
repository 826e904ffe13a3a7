package schemas

// ClientFeatures is what one client did on one API in one event-time window,
// with the slower measures of the same client as they stood at that point.
//
// A window is emitted early, each time its activity reaches a power of two or a
// notable failure happens (Final false), and once more when the watermark
// passes its end (Final true). An early record is provisional: it was computed
// from the events that had arrived by then. The final record is a pure function
// of the set of events in the window and before it, whatever order they came in.
//
// Text fields alias the decoded buffer, as in Event.
type ClientFeatures struct {
	Tenant []byte
	Client []byte // client key, "type:value"
	API    []byte

	WindowStart int64  // µs since 1970, inclusive
	WindowEnd   int64  // µs since 1970, exclusive
	Seq         uint32 // 1, 2, … of the early records of a window; 0 on the final one
	Final       bool
	LastEvent   int64 // event time of the newest event included, µs
	FirstSeen   int64 // event time of the client's first event on this API, µs

	// What the newest event of the window said of the caller.
	ClientIP  []byte
	UserAgent []byte
	Country   []byte
	ASN       int64 // Unknown when absent
	JA4       []byte
	TopRoute  []byte   // "METHOD template" of the newest event of the window
	EventIDs  [][]byte // up to 10 of the window's events, notable failures first

	// Counts of this window. Static resources of pages (style sheets, scripts,
	// images, fonts) are left out of all numbers.
	Requests     uint32
	Mutations    uint32 // methods other than GET, HEAD, OPTIONS, TRACE
	Status2xx    uint32
	Status3xx    uint32
	Status4xx    uint32
	Status5xx    uint32
	Unauthorized uint32 // 401
	Forbidden    uint32 // 403
	NotFound     uint32 // 404 and 410
	NoResponse   uint32 // status 0, unknown, or 429: the API itself did not answer

	LoginAttempts uint32
	LoginFailures uint32

	ObjectAccesses   uint32 // calls whose path or query names an object id
	ObjectDenied     uint32 // of those, 401, 403, 404 or 410
	ObjectNew        uint32 // of those, ids this client had not used today
	ObjectSequential uint32 // of those, ids at the previous id's stride
	WindowRoutes     uint32 // distinct routes in the window
	WindowObjects    uint32 // distinct object ids in the window, estimated

	ReqBytes  uint64 // bytes, known sizes only
	RespBytes uint64

	// DurationRatio is the mean of ln(duration / the route's norm) over the
	// calls of the window with a known duration and a known norm; 0 without one.
	DurationRatio float64

	// Exponentially decayed request counts with time constants of 1 minute,
	// 15 minutes and 6 hours, as of LastEvent.
	Decayed1m, Decayed15m, Decayed6h float64
	// Exponentially decayed response bytes, time constants 15 minutes and 6 hours.
	Bytes15m, Bytes6h float64

	// Since 00:00 UTC of the window's day.
	DayRequests          uint32
	DayRoutes            float64 // distinct, estimated
	DayObjects           float64 // distinct, estimated
	DayObjectAccesses    uint32
	DayLoginAttempts     uint32
	DayLoginFailures     uint32
	DayLoginUsers        float64 // distinct login names tried, estimated
	DayLoginSuccessUsers float64 // distinct login names that succeeded, estimated
	DayDevices           float64 // distinct JA4 + user agent, estimated
	DayNetworks          float64 // distinct /24 or /48, estimated
	DeviceChanges        uint32  // calls whose device differs from the previous call's
	NetworkChanges       uint32  // calls whose network differs from the previous call's
	Alternations         uint32  // returns to an earlier device within 60 s: concurrency
	HoursActive          uint32  // bit h set: active in hour h UTC today

	// Intervals of a second or more between state-changing calls (Mutations) to
	// one route, today: the route whose intervals are the most regular.
	Intervals       uint32  // number of intervals
	IntervalEntropy float64 // Shannon entropy of the half-octave histogram, bits
	IntervalLogSD   float64 // standard deviation of ln Δt
	IntervalMean    float64 // geometric mean, seconds

	// What the models of the API's knowledge say of the window's calls; zero where
	// the API is not known. See Knowledge of package features.
	Credential        []byte  // keyed hash of the newest event's credential
	Deletes           uint32  // calls with DELETE
	ObjectWrites      uint32  // state-changing calls, logins apart, that name an object id
	NormedCalls       uint32  // calls on routes whose norms are known
	SlowCalls         uint32  // of those, far slower than the route's norm
	LargeRequests     uint32  // of those, with a body far larger than the route's norm
	LargeResponses    uint32  // of those, answered with far more than the route's norm
	Duration15m       float64 // exponentially decayed seconds of response time, time constant 15 minutes
	ReqBytes15m       float64 // exponentially decayed request bytes, time constant 15 minutes
	DecoyHits         uint32  // calls of decoy routes
	DayDecoyHits      uint32  // calls of decoy routes since 00:00 UTC
	Decoy             []byte  // "METHOD template" of the window's last decoy call
	Steps             uint32  // steps between routes that the API's sequence model knows
	Surprise          float64 // log of the steps' likelihood ratio of wandering against the model, nats
	RareStep          []byte  // the least likely step, "METHOD a > METHOD b"
	RareStepP         float64 // its probability under the model
	Prerequisites     uint32  // calls of routes that others usually precede
	Skipped           uint32  // of those, calls without what precedes them
	SkippedStep       []byte  // the last such call, "METHOD b without METHOD a"
	SkippedStepP      float64 // share of sessions in which a precedes b
	PayloadCalls      uint32  // calls whose values were looked at for code
	PayloadHits       uint32  // of those, calls with a value that looks like an attack
	PayloadConfidence float64 // highest calibrated probability of an attack, 0..1
	PayloadClass      []byte  // what it looks like: sqli, xss, command, ...
	PayloadWhere      []byte  // where it stood: "query q"
	PayloadSpan       []byte  // its worst bytes, at most 48
	StructuredCalls   uint32  // calls of routes whose parameters are known
	Violations        uint32  // of those, calls that break the structure
	ViolationLogP     float64 // ln p of the worst of them
	ViolationWhere    []byte  // its parameter: "query page"
	ViolationKind     []byte  // unknown-parameter, type, length, ...
	LoginNewAttempts  uint32  // logins that tried a user name this client had not tried today
	LoginNewFailures  uint32  // of those, failed
	SkipSurprise      float64 // log likelihood ratio of leaving steps out against the model, nats
}

// Entity types of aggregates.
const (
	EntityIP         = "ip"
	EntityNetwork    = "network"
	EntityASN        = "asn"
	EntityJA4        = "ja4"
	EntityUser       = "user"
	EntityCredential = "credential"
	EntityAPI        = "api"
	// EntityCohort is the clients of one API that share a network and a
	// fingerprint, "ASN|JA4": "-" stands for an unknown part, "ua:" and the user
	// agent's family for a fingerprint where there is no JA4.
	EntityCohort = "cohort"
	// EntityRoute is one route of one API, "METHOD template".
	EntityRoute = "route"
)

// PerAPI tells whether entities of a type belong to one API each: two of one
// name on two APIs are then two, and their aggregates are keyed by the API.
func PerAPI(entityType []byte) bool {
	switch string(entityType) {
	case EntityAPI, EntityCohort, EntityRoute:
		return true
	}
	return false
}

// VerboseError is the body size from which an error reply counts as one that
// says too much, bytes: a stack trace, not a sentence.
const VerboseError = 4096

// Aggregate is the share that one source partition saw of one entity in one
// event-time window. It is cumulative for (tenant, entity, window, source), and
// the API too where PerAPI: a later record of the same replaces an earlier one,
// and the shares of the sources are summed (sketches: merged) in any order.
//
// A record with an empty EntityType is a mark: the source partition promises
// that it has emitted every aggregate of the windows that end at or before
// WindowEnd. Marks are written to every partition of the topic.
type Aggregate struct {
	Tenant     []byte
	EntityType []byte
	Entity     []byte
	API        []byte // the API the calls went to; empty on marks

	WindowStart int64 // µs since 1970
	WindowEnd   int64
	Source      int32  // source partition of the events topic
	Seq         uint32 // rises with each replacement

	Requests      uint64
	Status2xx     uint64
	Status4xx     uint64
	Status5xx     uint64
	AuthDenied    uint64 // 401 and 403
	NotFound      uint64
	LoginAttempts uint64
	LoginFailures uint64
	ReqBytes      uint64
	RespBytes     uint64

	// Clients and FailedClients are HyperLogLog registers (one byte each,
	// a power of two of them): distinct client keys, and those with a failed login or a
	// denied call. Empty when zero.
	Clients       []byte
	FailedClients []byte
	// LoginUsers are the registers of distinct login names that succeeded.
	LoginUsers []byte

	// Latency counts durations per log bucket: Latency[i] calls took between
	// 2^(i/2) and 2^((i+1)/2) µs. Trailing zeros are cut.
	Latency []uint32

	// NewClients are the registers of the clients whose first call on the API lies
	// less than an hour back; of APIs and cohorts only.
	NewClients     []byte
	LoginSuccesses uint64 // logins answered 2xx or 3xx

	// Of routes only.
	Identified uint64 // calls answered 2xx that named a user, consumer, credential or session
	Anonymous  uint64 // calls answered 2xx that named none
	Plain      uint64 // calls answered 2xx over http without TLS
	Errors     uint64 // calls answered 4xx or 5xx, 404 and 410 apart, with a known body size
	Verbose    uint64 // of those, with VerboseError bytes or more
}
