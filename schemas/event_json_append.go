package schemas

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends e as one JSON object, without white space, to dst and
// returns the longer slice; it allocates only to grow dst. Unknown fields are
// left out and the order of fields is fixed, so equal events give equal bytes.
// It repairs and leaves out the same as AppendProto.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	dst = jsonText(dst, fieldID, e.ID)
	if e.Time > 0 && e.Time <= maxTime {
		dst = append(jsonKey(dst, fieldTime), '"')
		dst = append(appendTime(dst, e.Time), '"', ',')
	}
	dst = jsonText(dst, fieldTenant, e.Tenant)
	dst = jsonText(dst, fieldGateway, e.Gateway)
	dst = jsonText(dst, fieldGatewayType, e.GatewayType)
	dst = jsonText(dst, fieldAPI, e.API)
	dst = jsonText(dst, fieldAPIVersion, e.APIVersion)
	dst = jsonText(dst, fieldRoute, e.Route)
	dst = jsonText(dst, fieldMethod, e.Method)
	dst = jsonText(dst, fieldScheme, e.Scheme)
	dst = jsonText(dst, fieldHost, e.Host)
	dst = jsonText(dst, fieldPath, e.Path)
	dst = jsonText(dst, fieldQuery, e.Query)
	dst = jsonText(dst, fieldHTTPVersion, e.HTTPVersion)
	dst = jsonText(dst, fieldContentType, e.ContentType)
	dst = jsonInt(dst, fieldStatus, e.Status, maxStatus)
	dst = jsonInt(dst, fieldReqBytes, e.ReqBytes, math.MaxInt64)
	dst = jsonInt(dst, fieldRespBytes, e.RespBytes, math.MaxInt64)
	dst = jsonInt(dst, fieldDurationUS, e.DurationUS, math.MaxInt64)
	dst = jsonInt(dst, fieldUpstreamUS, e.UpstreamUS, math.MaxInt64)
	dst = jsonText(dst, fieldClientIP, e.ClientIP)
	dst = jsonInt(dst, fieldClientPort, e.ClientPort, maxPort)
	dst = jsonText(dst, fieldPeerIP, e.PeerIP)
	dst = jsonText(dst, fieldXFF, e.XFF)
	dst = jsonText(dst, fieldConsumer, e.Consumer)
	dst = jsonText(dst, fieldUser, e.User)
	dst = jsonText(dst, fieldCredential, e.Credential)
	dst = jsonText(dst, fieldCredentialType, e.CredentialType)
	dst = jsonText(dst, fieldSession, e.Session)
	dst = jsonText(dst, fieldLoginUser, e.LoginUser)
	dst = jsonText(dst, fieldUserAgent, e.UserAgent)
	dst = jsonText(dst, fieldJA4, e.JA4)
	dst = jsonText(dst, fieldCountry, e.Country)
	dst = jsonInt(dst, fieldASN, e.ASN, math.MaxUint32)
	dst = jsonEntries(dst, fieldHeaders, e.Headers)
	dst = jsonText(dst, fieldBodySample, cutText(e.BodySample, MaxBodySampleBytes))
	dst = jsonText(dst, fieldTraceID, e.TraceID)
	dst = jsonEntries(dst, fieldAttrs, e.Attrs)
	if len(dst) == start {
		return append(dst, '}')
	}
	dst[len(dst)-1] = '}' // in place of the last comma
	return dst
}

// Each of these writes a member and a comma, or nothing if it is unknown.

func jsonKey(dst []byte, num int) []byte {
	dst = append(dst, '"')
	dst = append(dst, eventNames[num]...)
	return append(dst, '"', ':')
}

func jsonText(dst []byte, num int, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return append(appendQuoted(jsonKey(dst, num), b), ',')
}

func jsonInt(dst []byte, num int, v, limit int64) []byte {
	if v < 0 || v > limit {
		return dst
	}
	return append(strconv.AppendInt(jsonKey(dst, num), v, 10), ',')
}

func jsonEntries(dst []byte, num int, kvs []KV) []byte {
	if len(kvs) == 0 {
		return dst
	}
	dst = append(jsonKey(dst, num), '{')
	for _, kv := range kvs[:min(len(kvs), MaxMapEntries)] {
		dst = append(appendQuoted(dst, kv.Key), ':')
		dst = append(appendQuoted(dst, kv.Value), ',')
	}
	dst[len(dst)-1] = '}'
	return append(dst, ',')
}

// appendQuoted writes b as a JSON string. Only what JSON demands is escaped:
// the topics are not HTML.
func appendQuoted(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // b[from:i] needs no change
	for i := 0; i < len(b); {
		c := b[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, b[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(append(dst, b[from:i]...), '\\')
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\b':
			dst = append(dst, 'b')
		case '\f':
			dst = append(dst, 'f')
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, b[from:]...), '"')
}
