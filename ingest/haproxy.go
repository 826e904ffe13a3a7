package ingest

import "bytes"

// newHAProxy reads a JSON log-format of HAProxy with the documented member
// names. Times are milliseconds; sizes count headers too.
func newHAProxy(*Options) (parser, error) {
	return newFieldMap([]field{
		{path: "ts", apply: timestamp(3, false), must: true},
		{path: "client_ip", apply: text(toClientIP), must: true},
		{path: "client_port", apply: number(toClientPort, 0)},
		{path: "frontend", apply: attr("frontend"), must: true},
		{path: "backend", apply: text(toAPI)},
		{path: "server", apply: attr("upstream_server")},
		{path: "method", apply: textual(method)},
		{path: "scheme", apply: text(toScheme)},
		{path: "host", apply: text(toHost)},
		{path: "path", apply: textual(haproxyPath)},
		{path: "query", apply: textual(haproxyQuery)},
		{path: "proto", apply: textual((*filler).setVersion)},
		{path: "status", apply: status, must: true},
		{path: "bytes_read", apply: number(toRespBytes, 0)},
		{path: "bytes_uploaded", apply: number(toReqBytes, 0)},
		{path: "Ta", apply: number(toDuration, 3)},
		{path: "Tr", apply: number(toUpstream, 3)},
		{path: "term", apply: attr("termination")},
		{path: "ua", apply: text(toUserAgent)},
		{path: "xff", apply: text(toXFF)},
		{path: "referer", apply: textual(referer)},
		{path: "content_type", apply: text(toContentType)},
		{path: "ja4", apply: text(toJA4)},
		{path: "unique_id", apply: text(toID)},
		{path: "authorization", apply: textual((*filler).setAuthorization)},
		{path: "api_key", apply: textual(apiKey)},
		{path: "cookie", apply: textual((*filler).setCookies)},
		{path: "user", apply: textual((*filler).setUser)},
	}, nil)
}

// haproxyPath may carry the query too, depending on the sample that the
// operator logs.
func haproxyPath(f *filler, b []byte) {
	if absent(b) {
		return
	}
	query := f.ev.Query
	f.setTarget(b)
	if len(f.ev.Query) == 0 {
		f.ev.Query = query
	}
}

func haproxyQuery(f *filler, b []byte) {
	if b = bytes.TrimPrefix(b, []byte("?")); len(b) > 0 && len(f.ev.Query) == 0 {
		f.setQuery(b)
	}
}
