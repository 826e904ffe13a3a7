package ingest

// newTraefik reads Traefik's access log in JSON. Its durations are nanoseconds;
// request headers are there only where the operator keeps them.
func newTraefik(*Options) (parser, error) {
	return newFieldMap([]field{
		{path: "ClientHost", apply: text(toClientIP), must: true},
		{path: "ClientPort", apply: number(toClientPort, 0)},
		{path: "ClientUsername", apply: textual((*filler).setUser)},
		{path: "DownstreamContentSize", apply: number(toRespBytes, 0)},
		{path: "DownstreamStatus", apply: status, must: true},
		{path: "Duration", apply: number(toDuration, -3)},
		{path: "OriginDuration", apply: number(toUpstream, -3)},
		{path: "RequestContentSize", apply: number(toReqBytes, 0)},
		{path: "RequestHost", apply: text(toHost)},
		{path: "RequestMethod", apply: textual(method)},
		{path: "RequestPath", apply: textual((*filler).setTarget)},
		{path: "RequestProtocol", apply: textual((*filler).setVersion)},
		{path: "RequestScheme", apply: text(toScheme)},
		{path: "RouterName", apply: attr("router")},
		{path: "ServiceAddr", apply: attr("upstream_addr")},
		{path: "ServiceName", apply: text(toAPI)},
		{path: "StartUTC", apply: timestamp(6, false), must: true},
		{path: "TLSVersion", apply: attr("tls_version")},
		{path: "TraceId", apply: text(toTraceID)},
		{path: "entryPointName", apply: attr("entry_point")},
		{path: "request_User-Agent", apply: text(toUserAgent)},
		{path: "request_Content-Type", apply: text(toContentType)},
		{path: "request_Referer", apply: textual(referer)},
		{path: "request_X-Forwarded-For", apply: text(toXFF)},
		{path: "request_Authorization", apply: textual((*filler).setAuthorization)},
		{path: "request_X-Api-Key", apply: textual(apiKey)},
		{path: "request_Cookie", apply: textual((*filler).setCookies)},
	}, nil)
}
