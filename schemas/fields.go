package schemas

import "math"

// Limits of an Event. Records beyond them are refused, never cut.
const (
	MaxEventBytes      = 1 << 20 // encoded size, either encoding
	MaxDepth           = 16      // JSON nesting, the record itself being 1
	MaxMapEntries      = 256     // entries of headers, and of attrs, repeated keys included
	MaxBodySampleBytes = 4096
)

// Field numbers of Event in weir.proto. They double as the index by which the
// JSON decoder finds a field's place.
const (
	fieldTime           = 1
	fieldID             = 2
	fieldAPI            = 3
	fieldMethod         = 4
	fieldPath           = 5
	fieldStatus         = 6
	fieldDurationUS     = 7
	fieldReqBytes       = 8
	fieldRespBytes      = 9
	fieldClientIP       = 10
	fieldUserAgent      = 11
	fieldRoute          = 12
	fieldHost           = 13
	fieldGateway        = 14
	fieldUser           = 15
	fieldTenant         = 16
	fieldGatewayType    = 17
	fieldAPIVersion     = 18
	fieldScheme         = 19
	fieldQuery          = 20
	fieldHTTPVersion    = 21
	fieldContentType    = 22
	fieldUpstreamUS     = 23
	fieldClientPort     = 24
	fieldPeerIP         = 25
	fieldXFF            = 26
	fieldConsumer       = 27
	fieldCredential     = 28
	fieldCredentialType = 29
	fieldSession        = 30
	fieldLoginUser      = 31
	fieldJA4            = 32
	fieldCountry        = 33
	fieldASN            = 34
	fieldHeaders        = 35
	fieldBodySample     = 36
	fieldTraceID        = 37
	fieldAttrs          = 38
)

// eventNames are the JSON names by field number. The Protobuf names are the
// same but for time, which is time_us there.
var eventNames = [...]string{
	fieldTime: "time", fieldID: "id", fieldAPI: "api", fieldMethod: "method",
	fieldPath: "path", fieldStatus: "status", fieldDurationUS: "duration_us",
	fieldReqBytes: "req_bytes", fieldRespBytes: "resp_bytes",
	fieldClientIP: "client_ip", fieldUserAgent: "user_agent", fieldRoute: "route",
	fieldHost: "host", fieldGateway: "gateway", fieldUser: "user",
	fieldTenant: "tenant", fieldGatewayType: "gateway_type",
	fieldAPIVersion: "api_version", fieldScheme: "scheme", fieldQuery: "query",
	fieldHTTPVersion: "http_version", fieldContentType: "content_type",
	fieldUpstreamUS: "upstream_us", fieldClientPort: "client_port",
	fieldPeerIP: "peer_ip", fieldXFF: "xff", fieldConsumer: "consumer",
	fieldCredential: "credential", fieldCredentialType: "credential_type",
	fieldSession: "session", fieldLoginUser: "login_user", fieldJA4: "ja4",
	fieldCountry: "country", fieldASN: "asn", fieldHeaders: "headers",
	fieldBodySample: "body_sample", fieldTraceID: "trace_id", fieldAttrs: "attrs",
}

// eventField is the number of the field with a JSON name, 0 for none. The
// compiler turns the switch into a search by length and content, without
// hashing and without a copy of the key.
func eventField(name []byte) int {
	switch string(name) {
	case "time":
		return fieldTime
	case "id":
		return fieldID
	case "api":
		return fieldAPI
	case "method":
		return fieldMethod
	case "path":
		return fieldPath
	case "status":
		return fieldStatus
	case "duration_us":
		return fieldDurationUS
	case "req_bytes":
		return fieldReqBytes
	case "resp_bytes":
		return fieldRespBytes
	case "client_ip":
		return fieldClientIP
	case "user_agent":
		return fieldUserAgent
	case "route":
		return fieldRoute
	case "host":
		return fieldHost
	case "gateway":
		return fieldGateway
	case "user":
		return fieldUser
	case "tenant":
		return fieldTenant
	case "gateway_type":
		return fieldGatewayType
	case "api_version":
		return fieldAPIVersion
	case "scheme":
		return fieldScheme
	case "query":
		return fieldQuery
	case "http_version":
		return fieldHTTPVersion
	case "content_type":
		return fieldContentType
	case "upstream_us":
		return fieldUpstreamUS
	case "client_port":
		return fieldClientPort
	case "peer_ip":
		return fieldPeerIP
	case "xff":
		return fieldXFF
	case "consumer":
		return fieldConsumer
	case "credential":
		return fieldCredential
	case "credential_type":
		return fieldCredentialType
	case "session":
		return fieldSession
	case "login_user":
		return fieldLoginUser
	case "ja4":
		return fieldJA4
	case "country":
		return fieldCountry
	case "asn":
		return fieldASN
	case "headers":
		return fieldHeaders
	case "body_sample":
		return fieldBodySample
	case "trace_id":
		return fieldTraceID
	case "attrs":
		return fieldAttrs
	}
	return 0
}

// text is the place of a text field, nil if the number is not one.
func (e *Event) text(num int) *[]byte {
	switch num {
	case fieldID:
		return &e.ID
	case fieldAPI:
		return &e.API
	case fieldMethod:
		return &e.Method
	case fieldPath:
		return &e.Path
	case fieldClientIP:
		return &e.ClientIP
	case fieldUserAgent:
		return &e.UserAgent
	case fieldRoute:
		return &e.Route
	case fieldHost:
		return &e.Host
	case fieldGateway:
		return &e.Gateway
	case fieldUser:
		return &e.User
	case fieldTenant:
		return &e.Tenant
	case fieldGatewayType:
		return &e.GatewayType
	case fieldAPIVersion:
		return &e.APIVersion
	case fieldScheme:
		return &e.Scheme
	case fieldQuery:
		return &e.Query
	case fieldHTTPVersion:
		return &e.HTTPVersion
	case fieldContentType:
		return &e.ContentType
	case fieldPeerIP:
		return &e.PeerIP
	case fieldXFF:
		return &e.XFF
	case fieldConsumer:
		return &e.Consumer
	case fieldCredential:
		return &e.Credential
	case fieldCredentialType:
		return &e.CredentialType
	case fieldSession:
		return &e.Session
	case fieldLoginUser:
		return &e.LoginUser
	case fieldJA4:
		return &e.JA4
	case fieldCountry:
		return &e.Country
	case fieldBodySample:
		return &e.BodySample
	case fieldTraceID:
		return &e.TraceID
	}
	return nil
}

// integer is the place of an integer field and its largest value, nil if the
// number is not one. Every integer field has the range 0..limit.
func (e *Event) integer(num int) (place *int64, limit int64) {
	switch num {
	case fieldStatus:
		return &e.Status, maxStatus
	case fieldDurationUS:
		return &e.DurationUS, math.MaxInt64
	case fieldReqBytes:
		return &e.ReqBytes, math.MaxInt64
	case fieldRespBytes:
		return &e.RespBytes, math.MaxInt64
	case fieldUpstreamUS:
		return &e.UpstreamUS, math.MaxInt64
	case fieldClientPort:
		return &e.ClientPort, maxPort
	case fieldASN:
		return &e.ASN, math.MaxUint32
	}
	return nil, 0
}

const (
	maxStatus = 999 // three digits, as HTTP writes it
	maxPort   = math.MaxUint16
)

// entries is the place of a map field, nil if the number is not one.
func (e *Event) entries(num int) *[]KV {
	switch num {
	case fieldHeaders:
		return &e.Headers
	case fieldAttrs:
		return &e.Attrs
	}
	return nil
}

// putEntry sets a key of a map field: the last of several values wins and keeps
// the place of the first, so that order does not depend on the repetition.
func putEntry(kvs []KV, key, value []byte) []KV {
	for i := range kvs {
		if string(kvs[i].Key) == string(key) {
			kvs[i].Value = value
			return kvs
		}
	}
	return append(kvs, KV{key, value})
}
