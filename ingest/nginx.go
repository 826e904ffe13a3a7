package ingest

import "bytes"

// newNginx reads nginx's access log written by a log_format with escape=json
// whose members are named after nginx's own variables, or as the documented
// format names them.
func newNginx(*Options) (parser, error) {
	return newFieldMap([]field{
		{path: "time", apply: coarseTime},
		{path: "time_iso8601", apply: coarseTime},
		{path: "msec", apply: timestamp(6, true)},
		{path: "request_id", apply: text(toID)},
		{path: "remote_addr", apply: text(toClientIP), must: true},
		{path: "remote_port", apply: number(toClientPort, 0)},
		{path: "xff", apply: text(toXFF)},
		{path: "http_x_forwarded_for", apply: text(toXFF)},
		{path: "method", apply: textual(method)},
		{path: "request_method", apply: textual(method)},
		{path: "scheme", apply: text(toScheme)},
		{path: "host", apply: text(toHost)},
		{path: "http_host", apply: fallback(toHost)},
		{path: "server_name", apply: fallback(toHost)},
		{path: "request", apply: textual((*filler).setRequestLine)},
		{path: "uri", apply: textual(nginxURI)},
		{path: "request_uri", apply: textual(nginxURI)},
		{path: "path", apply: textual(nginxPath)},
		{path: "args", apply: textual(nginxArgs)},
		{path: "status", apply: status, must: true},
		// nginx counts the whole request, request line and headers included.
		{path: "request_length", apply: number(toReqBytes, 0)},
		{path: "body_bytes_sent", apply: number(toRespBytes, 0)},
		{path: "request_time", apply: number(toDuration, 6)},
		{path: "upstream_addr", apply: attr("upstream_addr")},
		{path: "upstream_status", apply: attr("upstream_status")},
		{path: "upstream_response_time", apply: textual(nginxUpstream)},
		{path: "user_agent", apply: text(toUserAgent)},
		{path: "http_user_agent", apply: text(toUserAgent)},
		{path: "referer", apply: textual(referer)},
		{path: "http_referer", apply: textual(referer)},
		{path: "proto", apply: textual((*filler).setVersion)},
		{path: "server_protocol", apply: textual((*filler).setVersion)},
		{path: "tls", apply: attr("tls_version")},
		{path: "ssl_protocol", apply: attr("tls_version")},
		{path: "ja4", apply: text(toJA4)},
		{path: "api_key", apply: textual(apiKey)},
		{path: "http_x_api_key", apply: textual(apiKey)},
		{path: "authorization", apply: textual((*filler).setAuthorization)},
		{path: "http_authorization", apply: textual((*filler).setAuthorization)},
		{path: "cookie", apply: textual((*filler).setCookies)},
		{path: "http_cookie", apply: textual((*filler).setCookies)},
		{path: "content_type", apply: text(toContentType)},
		{path: "remote_user", apply: textual((*filler).setUser)},
	}, nil)
}

// coarseTime is the time stamp of whole seconds, for a log without msec.
func coarseTime(f *filler, kind jsonKind, b []byte) *fault {
	if f.ev.Time != 0 {
		return nil
	}
	return timestamp(6, false)(f, kind, b)
}

// nginxURI is the target as received, which wins over the path that nginx
// decoded and normalised.
func nginxURI(f *filler, b []byte) {
	if !absent(b) {
		f.setTarget(b)
	}
}

func nginxPath(f *filler, b []byte) {
	if len(f.ev.Path) == 0 {
		f.setText(&f.ev.Path, b)
	}
}

func nginxArgs(f *filler, b []byte) {
	if len(f.ev.Query) == 0 && !absent(b) {
		f.setQuery(b)
	}
}

// nginxUpstream adds up the times of all backends tried: "0.010, 0.002 : 0.001".
func nginxUpstream(f *filler, b []byte) {
	var sum int64
	known := false
	for len(b) > 0 {
		i := bytes.IndexAny(b, ",:")
		part := b
		if i >= 0 {
			part, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if us, ok := parseScaled(bytes.TrimSpace(part), 6); ok && us >= 0 {
			sum, known = sum+us, true
		}
	}
	if known {
		f.ev.UpstreamUS = sum
	}
}
