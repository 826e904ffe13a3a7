package ingest

import "github.com/weir-dev/weir/schemas"

// newCaddy reads Caddy's structured access log. Caddy blacks out Authorization
// and Cookie unless told otherwise, and other headers not at all.
func newCaddy(*Options) (parser, error) {
	return newFieldMap([]field{
		{path: "ts", apply: timestamp(6, true), must: true},
		{path: "request>remote_ip", apply: text(toPeerIP)},
		{path: "request>remote_port", apply: number(toClientPort, 0)},
		{path: "request>client_ip", apply: text(toClientIP)},
		{path: "request>proto", apply: textual((*filler).setVersion)},
		{path: "request>method", apply: textual(method), must: true},
		{path: "request>host", apply: text(toHost)},
		{path: "request>uri", apply: textual((*filler).setTarget)},
		{path: "request>headers>User-Agent", apply: text(toUserAgent)},
		{path: "request>headers>Content-Type", apply: text(toContentType)},
		{path: "request>headers>Referer", apply: textual(referer)},
		{path: "request>headers>X-Forwarded-For", apply: text(toXFF)},
		{path: "request>headers>Traceparent", apply: textual(traceparent)},
		{path: "request>headers>Authorization", apply: textual((*filler).setAuthorization)},
		{path: "request>headers>X-Api-Key", apply: textual(apiKey)},
		{path: "request>headers>Apikey", apply: textual(apiKey)},
		{path: "request>headers>Cookie", apply: textual((*filler).setCookies)},
		{path: "request>tls", apply: secure},
		{path: "bytes_read", apply: number(toReqBytes, 0)},
		{path: "user_id", apply: textual((*filler).setUser)},
		{path: "duration", apply: number(toDuration, 6)},
		{path: "size", apply: number(toRespBytes, 0)},
		{path: "status", apply: status, must: true},
	}, caddyFinish)
}

// secure says https where a member describes the TLS connection.
func secure(f *filler, kind jsonKind, _ []byte) *fault {
	if kind != jsonObject {
		return faultType
	}
	f.ev.Scheme = textHTTPS
	return nil
}

var (
	textHTTP  = []byte("http")
	textHTTPS = []byte("https")
)

// traceparent takes the trace id out of "00-<trace id>-<span id>-<flags>".
func traceparent(f *filler, b []byte) {
	if len(b) > 35 && b[2] == '-' && b[35] == '-' {
		f.ev.TraceID = f.text(b[3:35])
	}
}

// caddyFinish: before 2.5 Caddy named only the peer.
func caddyFinish(f *filler) error {
	ev := f.ev
	if len(ev.ClientIP) == 0 {
		ev.ClientIP = ev.PeerIP
	}
	if string(ev.ClientIP) != string(ev.PeerIP) {
		// The port is the peer's, which is then a proxy.
		ev.ClientPort = schemas.Unknown
	}
	setDefault(&ev.Scheme, textHTTP)
	return nil
}
