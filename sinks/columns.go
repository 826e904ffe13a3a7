package sinks

import (
	"math"

	"github.com/weir-dev/weir/schemas"
)

// Kind is what a column's values are.
type Kind uint8

// Kinds of columns, and how an absent value of an Optional one looks to its
// getter. Maps and lists are empty where there is nothing.
const (
	KindText  Kind = iota // UTF-8; absent: empty
	KindInt               // 64-bit; absent: negative
	KindFloat             // 64-bit; never optional
	KindBool              // never optional
	KindTime              // microseconds since 1970 UTC; absent: 0
	KindMap               // text to text, in the order received
	KindList              // of texts
)

// Column describes one column of a table and how to get its value out of a row
// of type R. Exactly the getter of its kind is set; KindTime uses Int. Slices
// that getters return live as long as the row.
type Column[R any] struct {
	Name     string
	Kind     Kind
	Optional bool // the value may be unknown, which is not the same as zero
	Few      bool // few distinct values: a dictionary pays

	Text  func(*R) []byte
	Int   func(*R) int64
	Float func(*R) float64
	Bool  func(*R) bool
	Map   func(*R) []schemas.KV
	List  func(*R) [][]byte
}

func text[R any](name string, get func(*R) []byte) Column[R] {
	return Column[R]{Name: name, Kind: KindText, Optional: true, Text: get}
}

func few[R any](name string, get func(*R) []byte) Column[R] {
	return Column[R]{Name: name, Kind: KindText, Optional: true, Few: true, Text: get}
}

func integer[R any](name string, get func(*R) int64) Column[R] {
	return Column[R]{Name: name, Kind: KindInt, Int: get}
}

func known[R any](name string, get func(*R) int64) Column[R] {
	return Column[R]{Name: name, Kind: KindInt, Optional: true, Int: get}
}

func count[R any](name string, get func(*R) uint32) Column[R] {
	return Column[R]{Name: name, Kind: KindInt, Int: func(r *R) int64 { return int64(get(r)) }}
}

func float[R any](name string, get func(*R) float64) Column[R] {
	return Column[R]{Name: name, Kind: KindFloat, Float: get}
}

func boolean[R any](name string, get func(*R) bool) Column[R] {
	return Column[R]{Name: name, Kind: KindBool, Bool: get}
}

func instant[R any](name string, get func(*R) int64) Column[R] {
	return Column[R]{Name: name, Kind: KindTime, Int: func(r *R) int64 { return clampMicros(get(r)) }}
}

// maxMicros is the last microsecond whose nanoseconds fit 64 bits, in 2262:
// every store and reader has it.
const maxMicros = math.MaxInt64 / 1000

// clampMicros keeps a record with an absurd time from stopping the sink: a store
// refuses a whole chunk for one value that its type cannot hold.
func clampMicros(t int64) int64 { return min(max(t, 0), maxMicros) }

func textMap[R any](name string, get func(*R) []schemas.KV) Column[R] {
	return Column[R]{Name: name, Kind: KindMap, Map: get}
}

func textList[R any](name string, get func(*R) [][]byte) Column[R] {
	return Column[R]{Name: name, Kind: KindList, List: get}
}

// metaColumns are the last columns of every table: with them history is read
// back in the order of the log, and a row is told from its repetition.
func metaColumns[R any](meta func(*R) *Meta) []Column[R] {
	return []Column[R]{
		{Name: "kafka_topic", Kind: KindText, Few: true, Text: func(r *R) []byte { return meta(r).topic }},
		integer("kafka_partition", func(r *R) int64 { return int64(meta(r).Partition) }),
		integer("kafka_offset", func(r *R) int64 { return meta(r).Offset }),
		instant("kafka_time", func(r *R) int64 { return meta(r).Time }),
	}
}

// tenantOr names the default tenant where a record names none.
func tenantOr(tenant []byte) []byte {
	if len(tenant) == 0 {
		return []byte(schemas.DefaultTenant)
	}
	return tenant
}

// EventColumns describes the table of events: the fields of the Event record
// under their own names, then the client key and the position in the log.
func EventColumns() []Column[EventRow] {
	type r = EventRow
	return append([]Column[r]{
		{Name: "id", Kind: KindText, Text: func(r *r) []byte { return r.ID }},
		instant("time", func(r *r) int64 { return r.EventTime }),
		{Name: "tenant", Kind: KindText, Few: true, Text: func(r *r) []byte { return tenantOr(r.Event.Tenant) }},
		few("gateway", func(r *r) []byte { return r.Event.Gateway }),
		few("gateway_type", func(r *r) []byte { return r.Event.GatewayType }),
		few("api", func(r *r) []byte { return r.Event.API }),
		few("api_version", func(r *r) []byte { return r.Event.APIVersion }),
		few("route", func(r *r) []byte { return r.Event.Route }),
		few("method", func(r *r) []byte { return r.Event.Method }),
		few("scheme", func(r *r) []byte { return r.Event.Scheme }),
		few("host", func(r *r) []byte { return r.Event.Host }),
		text("path", func(r *r) []byte { return r.Event.Path }),
		text("query", func(r *r) []byte { return r.Event.Query }),
		few("http_version", func(r *r) []byte { return r.Event.HTTPVersion }),
		few("content_type", func(r *r) []byte { return r.Event.ContentType }),
		known("status", func(r *r) int64 { return r.Event.Status }),
		known("req_bytes", func(r *r) int64 { return r.Event.ReqBytes }),
		known("resp_bytes", func(r *r) int64 { return r.Event.RespBytes }),
		known("duration_us", func(r *r) int64 { return r.Event.DurationUS }),
		known("upstream_us", func(r *r) int64 { return r.Event.UpstreamUS }),
		text("client_ip", func(r *r) []byte { return r.Event.ClientIP }),
		known("client_port", func(r *r) int64 { return r.Event.ClientPort }),
		few("peer_ip", func(r *r) []byte { return r.Event.PeerIP }),
		text("xff", func(r *r) []byte { return r.Event.XFF }),
		few("consumer", func(r *r) []byte { return r.Event.Consumer }),
		text("user", func(r *r) []byte { return r.Event.User }),
		text("credential", func(r *r) []byte { return r.Event.Credential }),
		few("credential_type", func(r *r) []byte { return r.Event.CredentialType }),
		text("session", func(r *r) []byte { return r.Event.Session }),
		text("login_user", func(r *r) []byte { return r.Event.LoginUser }),
		few("user_agent", func(r *r) []byte { return r.Event.UserAgent }),
		few("ja4", func(r *r) []byte { return r.Event.JA4 }),
		few("country", func(r *r) []byte { return r.Event.Country }),
		known("asn", func(r *r) int64 { return r.Event.ASN }),
		textMap("headers", func(r *r) []schemas.KV { return r.Event.Headers }),
		text("body_sample", func(r *r) []byte { return r.Event.BodySample }),
		text("trace_id", func(r *r) []byte { return r.Event.TraceID }),
		textMap("attrs", func(r *r) []schemas.KV { return r.Event.Attrs }),
		{Name: "client", Kind: KindText, Text: func(r *r) []byte { return r.Client }},
	}, metaColumns(func(r *r) *Meta { return &r.Meta })...)
}

// FeatureColumns describes the table of client windows: the fields of the
// ClientFeatures record without "final", which is always true here.
func FeatureColumns() []Column[FeatureRow] {
	type r = FeatureRow
	return append([]Column[r]{
		{Name: "tenant", Kind: KindText, Few: true, Text: func(r *r) []byte { return tenantOr(r.Features.Tenant) }},
		{Name: "client", Kind: KindText, Text: func(r *r) []byte { return r.Features.Client }},
		few("api", func(r *r) []byte { return r.Features.API }),
		instant("window_start", func(r *r) int64 { return r.Features.WindowStart }),
		instant("window_end", func(r *r) int64 { return r.Features.WindowEnd }),
		count("seq", func(r *r) uint32 { return r.Features.Seq }),
		instant("last_event", func(r *r) int64 { return r.Features.LastEvent }),
		instant("first_seen", func(r *r) int64 { return r.Features.FirstSeen }),
		text("client_ip", func(r *r) []byte { return r.Features.ClientIP }),
		few("user_agent", func(r *r) []byte { return r.Features.UserAgent }),
		few("country", func(r *r) []byte { return r.Features.Country }),
		known("asn", func(r *r) int64 { return r.Features.ASN }),
		few("ja4", func(r *r) []byte { return r.Features.JA4 }),
		few("top_route", func(r *r) []byte { return r.Features.TopRoute }),
		textList("event_ids", func(r *r) [][]byte { return r.Features.EventIDs }),
		count("requests", func(r *r) uint32 { return r.Features.Requests }),
		count("mutations", func(r *r) uint32 { return r.Features.Mutations }),
		count("status_2xx", func(r *r) uint32 { return r.Features.Status2xx }),
		count("status_3xx", func(r *r) uint32 { return r.Features.Status3xx }),
		count("status_4xx", func(r *r) uint32 { return r.Features.Status4xx }),
		count("status_5xx", func(r *r) uint32 { return r.Features.Status5xx }),
		count("unauthorized", func(r *r) uint32 { return r.Features.Unauthorized }),
		count("forbidden", func(r *r) uint32 { return r.Features.Forbidden }),
		count("not_found", func(r *r) uint32 { return r.Features.NotFound }),
		count("no_response", func(r *r) uint32 { return r.Features.NoResponse }),
		count("login_attempts", func(r *r) uint32 { return r.Features.LoginAttempts }),
		count("login_failures", func(r *r) uint32 { return r.Features.LoginFailures }),
		count("object_accesses", func(r *r) uint32 { return r.Features.ObjectAccesses }),
		count("object_denied", func(r *r) uint32 { return r.Features.ObjectDenied }),
		count("object_new", func(r *r) uint32 { return r.Features.ObjectNew }),
		count("object_sequential", func(r *r) uint32 { return r.Features.ObjectSequential }),
		count("window_routes", func(r *r) uint32 { return r.Features.WindowRoutes }),
		count("window_objects", func(r *r) uint32 { return r.Features.WindowObjects }),
		integer("req_bytes", func(r *r) int64 { return int64(r.Features.ReqBytes) }),
		integer("resp_bytes", func(r *r) int64 { return int64(r.Features.RespBytes) }),
		float("duration_ratio", func(r *r) float64 { return r.Features.DurationRatio }),
		float("decayed_1m", func(r *r) float64 { return r.Features.Decayed1m }),
		float("decayed_15m", func(r *r) float64 { return r.Features.Decayed15m }),
		float("decayed_6h", func(r *r) float64 { return r.Features.Decayed6h }),
		float("bytes_15m", func(r *r) float64 { return r.Features.Bytes15m }),
		float("bytes_6h", func(r *r) float64 { return r.Features.Bytes6h }),
		count("day_requests", func(r *r) uint32 { return r.Features.DayRequests }),
		float("day_routes", func(r *r) float64 { return r.Features.DayRoutes }),
		float("day_objects", func(r *r) float64 { return r.Features.DayObjects }),
		count("day_object_accesses", func(r *r) uint32 { return r.Features.DayObjectAccesses }),
		count("day_login_attempts", func(r *r) uint32 { return r.Features.DayLoginAttempts }),
		count("day_login_failures", func(r *r) uint32 { return r.Features.DayLoginFailures }),
		float("day_login_users", func(r *r) float64 { return r.Features.DayLoginUsers }),
		float("day_login_success_users", func(r *r) float64 { return r.Features.DayLoginSuccessUsers }),
		float("day_devices", func(r *r) float64 { return r.Features.DayDevices }),
		float("day_networks", func(r *r) float64 { return r.Features.DayNetworks }),
		count("device_changes", func(r *r) uint32 { return r.Features.DeviceChanges }),
		count("network_changes", func(r *r) uint32 { return r.Features.NetworkChanges }),
		count("alternations", func(r *r) uint32 { return r.Features.Alternations }),
		count("hours_active", func(r *r) uint32 { return r.Features.HoursActive }),
		count("intervals", func(r *r) uint32 { return r.Features.Intervals }),
		float("interval_entropy", func(r *r) float64 { return r.Features.IntervalEntropy }),
		float("interval_log_sd", func(r *r) float64 { return r.Features.IntervalLogSD }),
		float("interval_mean", func(r *r) float64 { return r.Features.IntervalMean }),
		text("credential", func(r *r) []byte { return r.Features.Credential }),
		count("deletes", func(r *r) uint32 { return r.Features.Deletes }),
		count("object_writes", func(r *r) uint32 { return r.Features.ObjectWrites }),
		count("normed_calls", func(r *r) uint32 { return r.Features.NormedCalls }),
		count("slow_calls", func(r *r) uint32 { return r.Features.SlowCalls }),
		count("large_requests", func(r *r) uint32 { return r.Features.LargeRequests }),
		count("large_responses", func(r *r) uint32 { return r.Features.LargeResponses }),
		float("duration_15m", func(r *r) float64 { return r.Features.Duration15m }),
		float("req_bytes_15m", func(r *r) float64 { return r.Features.ReqBytes15m }),
		count("decoy_hits", func(r *r) uint32 { return r.Features.DecoyHits }),
		count("day_decoy_hits", func(r *r) uint32 { return r.Features.DayDecoyHits }),
		few("decoy", func(r *r) []byte { return r.Features.Decoy }),
		count("steps", func(r *r) uint32 { return r.Features.Steps }),
		float("surprise", func(r *r) float64 { return r.Features.Surprise }),
		few("rare_step", func(r *r) []byte { return r.Features.RareStep }),
		float("rare_step_p", func(r *r) float64 { return r.Features.RareStepP }),
		count("prerequisites", func(r *r) uint32 { return r.Features.Prerequisites }),
		count("skipped", func(r *r) uint32 { return r.Features.Skipped }),
		few("skipped_step", func(r *r) []byte { return r.Features.SkippedStep }),
		float("skipped_step_p", func(r *r) float64 { return r.Features.SkippedStepP }),
		count("payload_calls", func(r *r) uint32 { return r.Features.PayloadCalls }),
		count("payload_hits", func(r *r) uint32 { return r.Features.PayloadHits }),
		float("payload_confidence", func(r *r) float64 { return r.Features.PayloadConfidence }),
		few("payload_class", func(r *r) []byte { return r.Features.PayloadClass }),
		few("payload_where", func(r *r) []byte { return r.Features.PayloadWhere }),
		text("payload_span", func(r *r) []byte { return r.Features.PayloadSpan }),
		count("structured_calls", func(r *r) uint32 { return r.Features.StructuredCalls }),
		count("violations", func(r *r) uint32 { return r.Features.Violations }),
		float("violation_log_p", func(r *r) float64 { return r.Features.ViolationLogP }),
		few("violation_where", func(r *r) []byte { return r.Features.ViolationWhere }),
		few("violation_kind", func(r *r) []byte { return r.Features.ViolationKind }),
		count("login_new_attempts", func(r *r) uint32 { return r.Features.LoginNewAttempts }),
		count("login_new_failures", func(r *r) uint32 { return r.Features.LoginNewFailures }),
		float("skip_surprise", func(r *r) float64 { return r.Features.SkipSurprise }),
	}, metaColumns(func(r *r) *Meta { return &r.Meta })...)
}

// VerdictColumns describes the table of verdicts: what is asked for often, and
// the whole record as JSON in "document".
func VerdictColumns() []Column[VerdictRow] {
	type r = VerdictRow
	b := func(s string) []byte { return []byte(s) }
	return append([]Column[r]{
		{Name: "id", Kind: KindText, Text: func(r *r) []byte { return b(r.Verdict.ID) }},
		instant("time", func(r *r) int64 { return r.Verdict.Time.UnixMicro() }),
		{Name: "tenant", Kind: KindText, Few: true, Text: func(r *r) []byte { return tenantOr(b(r.Verdict.Tenant)) }},
		{Name: "entity_type", Kind: KindText, Few: true, Text: func(r *r) []byte { return b(r.Verdict.Entity.Type) }},
		{Name: "entity", Kind: KindText, Text: func(r *r) []byte { return b(r.Verdict.Entity.Value) }},
		textList("linked", func(r *r) [][]byte {
			var linked [][]byte
			for _, e := range r.Verdict.Linked {
				linked = append(linked, b(e.String()))
			}
			return linked
		}),
		few("api", func(r *r) []byte { return b(r.Verdict.API) }),
		few("attack", func(r *r) []byte { return b(r.Verdict.Attack) }),
		few("action", func(r *r) []byte { return b(string(r.Verdict.Action)) }),
		boolean("enforced", func(r *r) bool { return r.Verdict.Enforced }),
		boolean("withdrawn", func(r *r) bool { return r.Verdict.Withdrawn }),
		boolean("provisional", func(r *r) bool { return r.Verdict.Provisional }),
		float("confidence", func(r *r) float64 { return r.Verdict.Confidence }),
		float("p_value", func(r *r) float64 { return r.Verdict.PValue }),
		few("calibration_kind", func(r *r) []byte { return b(r.Verdict.Calibration.Kind) }),
		integer("calibration_n", func(r *r) int64 { return int64(r.Verdict.Calibration.N) }),
		few("calibration_stratum", func(r *r) []byte { return b(r.Verdict.Calibration.Stratum) }),
		float("calibration_alpha", func(r *r) float64 { return r.Verdict.Calibration.Alpha }),
		text("explanation", func(r *r) []byte { return b(r.Verdict.Explanation.Text) }),
		textList("event_ids", func(r *r) [][]byte {
			var ids [][]byte
			for _, id := range r.Verdict.EventIDs {
				ids = append(ids, b(id))
			}
			return ids
		}),
		few("model", func(r *r) []byte { return b(r.Verdict.Model) }),
		instant("window_start", func(r *r) int64 { return r.Verdict.WindowStart.UnixMicro() }),
		instant("window_end", func(r *r) int64 { return r.Verdict.WindowEnd.UnixMicro() }),
		{Name: "expires_at", Kind: KindTime, Optional: true, Int: func(r *r) int64 {
			if r.Verdict.ExpiresAt.IsZero() {
				return 0
			}
			return clampMicros(r.Verdict.ExpiresAt.UnixMicro())
		}},
		{Name: "document", Kind: KindText, Text: func(r *r) []byte { return r.Document }},
	}, metaColumns(func(r *r) *Meta { return &r.Meta })...)
}
