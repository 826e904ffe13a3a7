package parquetsink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

const topic = "weir.events"

// eventRow is what a reader of the files declares; it is written down apart from
// the column table, so that neither can change alone.
type eventRow struct {
	ID             string            `parquet:"id"`
	Time           time.Time         `parquet:"time,timestamp(microsecond)"`
	Tenant         string            `parquet:"tenant"`
	Gateway        *string           `parquet:"gateway,optional"`
	GatewayType    *string           `parquet:"gateway_type,optional"`
	API            *string           `parquet:"api,optional"`
	APIVersion     *string           `parquet:"api_version,optional"`
	Route          *string           `parquet:"route,optional"`
	Method         *string           `parquet:"method,optional"`
	Scheme         *string           `parquet:"scheme,optional"`
	Host           *string           `parquet:"host,optional"`
	Path           *string           `parquet:"path,optional"`
	Query          *string           `parquet:"query,optional"`
	HTTPVersion    *string           `parquet:"http_version,optional"`
	ContentType    *string           `parquet:"content_type,optional"`
	Status         *int64            `parquet:"status,optional"`
	ReqBytes       *int64            `parquet:"req_bytes,optional"`
	RespBytes      *int64            `parquet:"resp_bytes,optional"`
	DurationUS     *int64            `parquet:"duration_us,optional"`
	UpstreamUS     *int64            `parquet:"upstream_us,optional"`
	ClientIP       *string           `parquet:"client_ip,optional"`
	ClientPort     *int64            `parquet:"client_port,optional"`
	PeerIP         *string           `parquet:"peer_ip,optional"`
	XFF            *string           `parquet:"xff,optional"`
	Consumer       *string           `parquet:"consumer,optional"`
	User           *string           `parquet:"user,optional"`
	Credential     *string           `parquet:"credential,optional"`
	CredentialType *string           `parquet:"credential_type,optional"`
	Session        *string           `parquet:"session,optional"`
	LoginUser      *string           `parquet:"login_user,optional"`
	UserAgent      *string           `parquet:"user_agent,optional"`
	JA4            *string           `parquet:"ja4,optional"`
	Country        *string           `parquet:"country,optional"`
	ASN            *int64            `parquet:"asn,optional"`
	Headers        map[string]string `parquet:"headers"`
	BodySample     *string           `parquet:"body_sample,optional"`
	TraceID        *string           `parquet:"trace_id,optional"`
	Attrs          map[string]string `parquet:"attrs"`
	Client         string            `parquet:"client"`
	Topic          string            `parquet:"kafka_topic"`
	Partition      int64             `parquet:"kafka_partition"`
	Offset         int64             `parquet:"kafka_offset"`
	KafkaTime      time.Time         `parquet:"kafka_time,timestamp(microsecond)"`
}

func fullEvent() *schemas.Event {
	ev := schemas.NewEvent()
	for _, f := range []struct {
		field *[]byte
		value string
	}{
		{&ev.ID, "e1"}, {&ev.Tenant, "acme"}, {&ev.Gateway, "gw-1"}, {&ev.GatewayType, "kong"}, {&ev.API, "shop"},
		{&ev.APIVersion, "v2"}, {&ev.Route, "/orders/{id}"}, {&ev.Method, "POST"}, {&ev.Scheme, "https"},
		{&ev.Host, "shop.example"}, {&ev.Path, "/orders/7"}, {&ev.Query, "a=1&b=%20"}, {&ev.HTTPVersion, "2"},
		{&ev.ContentType, "application/json"}, {&ev.ClientIP, "192.0.2.7"}, {&ev.PeerIP, "10.0.0.1"},
		{&ev.XFF, "192.0.2.7, 10.0.0.9"}, {&ev.Consumer, "mobile"}, {&ev.User, "u-1"}, {&ev.Credential, "c0ffee"},
		{&ev.CredentialType, "token"}, {&ev.Session, "s-1"}, {&ev.LoginUser, "l-1"}, {&ev.UserAgent, `curl/8 "x" é`},
		{&ev.JA4, "t13d"}, {&ev.Country, "DE"}, {&ev.BodySample, "{\"a\":\"\\u0041\"}"}, {&ev.TraceID, "00-ab"},
	} {
		*f.field = []byte(f.value)
	}
	ev.Time = time.Date(2026, 5, 1, 10, 0, 0, 123_456_000, time.UTC).UnixMicro()
	ev.Status, ev.ReqBytes, ev.RespBytes = 201, 0, 512
	ev.DurationUS, ev.UpstreamUS, ev.ClientPort, ev.ASN = 1500, 900, 443, 64500
	ev.Headers = []schemas.KV{{Key: []byte("accept"), Value: []byte("*/*")}, {Key: []byte("x-id"), Value: []byte("1")}}
	ev.Attrs = []schemas.KV{{Key: []byte("plan"), Value: []byte("")}}
	return ev
}

func record(offset int64, at time.Time, rec *kgo.Record) *kgo.Record {
	rec.Topic, rec.Partition, rec.Offset, rec.Timestamp = topic, 3, offset, at
	return rec
}

func newWriter(t testing.TB) (*Writer, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "history")
	w, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

// files lists what is under dir, as paths relative to it.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAnEventComesBackWithEveryFieldAndUnknownAsNull(t *testing.T) {
	w, dir := newWriter(t)
	at := time.Date(2026, 5, 1, 10, 0, 2, 0, time.UTC)
	bare := schemas.NewEvent()
	recs := []*kgo.Record{
		record(40, at, kafkatest.Event("", 0, fullEvent())),
		record(41, at, kafkatest.EventProto("", 0, fullEvent())),
		record(43, at, kafkatest.Event("", 0, bare)),
	}
	written, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableEvents, topic, 3, 40, 45, recs, nil))
	if err != nil {
		t.Fatal(err)
	}
	const name = "events/dt=2026-05-01/weir.events-3-40-44.parquet"
	if got := files(t, dir); !slices.Equal(got, []string{name}) {
		t.Fatalf("files %v, want %s", got, name)
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || written != (sinks.Written{Rows: 3, Bytes: info.Size()}) || info.Mode().Perm() != 0o644 {
		t.Errorf("written %+v, file %v %v", written, info, err)
	}
	rows, err := parquet.ReadFile[eventRow](filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	s, n := func(s string) *string { return &s }, func(n int64) *int64 { return &n }
	full := eventRow{
		ID: "e1", Time: time.UnixMicro(fullEvent().Time).UTC(), Tenant: "acme", Gateway: s("gw-1"), GatewayType: s("kong"),
		API: s("shop"), APIVersion: s("v2"), Route: s("/orders/{id}"), Method: s("POST"), Scheme: s("https"),
		Host: s("shop.example"), Path: s("/orders/7"), Query: s("a=1&b=%20"), HTTPVersion: s("2"),
		ContentType: s("application/json"), Status: n(201), ReqBytes: n(0), RespBytes: n(512), DurationUS: n(1500),
		UpstreamUS: n(900), ClientIP: s("192.0.2.7"), ClientPort: n(443), PeerIP: s("10.0.0.1"),
		XFF: s("192.0.2.7, 10.0.0.9"), Consumer: s("mobile"), User: s("u-1"), Credential: s("c0ffee"),
		CredentialType: s("token"), Session: s("s-1"), LoginUser: s("l-1"), UserAgent: s(`curl/8 "x" é`), JA4: s("t13d"),
		Country: s("DE"), ASN: n(64500), Headers: map[string]string{"accept": "*/*", "x-id": "1"},
		BodySample: s("{\"a\":\"\\u0041\"}"), TraceID: s("00-ab"), Attrs: map[string]string{"plan": ""},
		Client: "user:u-1", Topic: topic, Partition: 3, Offset: 40, KafkaTime: at,
	}
	second := full
	second.Offset = 41
	empty := eventRow{
		ID: "weir.events/3/43", Time: at, Tenant: "default", Client: "ip:unknown", Topic: topic, Partition: 3,
		Offset: 43, KafkaTime: at, Headers: map[string]string{}, Attrs: map[string]string{},
	}
	if diff := cmp.Diff([]eventRow{full, second, empty}, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestColumnsKeepTheirOrderInTheFile(t *testing.T) {
	w, dir := newWriter(t)
	recs := []*kgo.Record{record(0, time.Unix(1_767_225_600, 0), kafkatest.Event("", 0, fullEvent()))}
	if _, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 1, recs, nil)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, files(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	pf, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, field := range pf.Schema().Fields() {
		got = append(got, field.Name())
	}
	for _, c := range sinks.EventColumns() {
		want = append(want, c.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns %v\nwant %v", got, want)
	}
}

func TestFeaturesAndVerdictsComeBack(t *testing.T) {
	w, dir := newWriter(t)
	start := time.Date(2026, 5, 1, 23, 59, 50, 0, time.UTC)
	f := schemas.ClientFeatures{
		Client: []byte("user:u"), API: []byte("shop"), Final: true, ASN: schemas.Unknown,
		WindowStart: start.UnixMicro(), WindowEnd: start.Add(10 * time.Second).UnixMicro(), Requests: 12,
		EventIDs: [][]byte{[]byte("a"), []byte("b")}, IntervalLogSD: 0.25, ReqBytes: 7,
	}
	early := f
	early.Final = false
	recs := []*kgo.Record{
		record(0, start, &kgo.Record{Value: early.AppendProto(nil)}),
		record(1, start, &kgo.Record{Value: f.AppendProto(nil)}),
	}
	if written, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableFeatures, "weir.features", 3, 0, 2, recs, nil)); err != nil || written.Rows != 1 {
		t.Fatalf("features: %+v %v", written, err)
	}
	doc := `{"id":"v1","time":"2026-05-02T00:00:01Z","entity":{"type":"user","value":"u"},"linked":[{"type":"ip","value":"192.0.2.1"}],` +
		`"attack":"probing","action":"block","enforced":true,"p_value":0.001,"calibration":{"kind":"conformal","n":9},` +
		`"event_ids":["a"],"window_start":"2026-05-01T23:59:50Z","window_end":"2026-05-02T00:00:00Z","x":1}`
	recs = []*kgo.Record{record(0, start, &kgo.Record{Value: []byte(doc)})}
	if written, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableVerdicts, "weir.verdicts", 3, 0, 1, recs, nil)); err != nil || written.Rows != 1 {
		t.Fatalf("verdicts: %+v %v", written, err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{
		"features/dt=2026-05-01/weir.features-3-0-1.parquet", "verdicts/dt=2026-05-01/weir.verdicts-3-0-0.parquet",
	}) {
		t.Fatalf("files %v", got)
	}
	type featureRow struct {
		Client        string    `parquet:"client"`
		WindowStart   time.Time `parquet:"window_start,timestamp(microsecond)"`
		ASN           *int64    `parquet:"asn,optional"`
		EventIDs      []string  `parquet:"event_ids,list"`
		Requests      int64     `parquet:"requests"`
		ReqBytes      int64     `parquet:"req_bytes"`
		IntervalLogSD float64   `parquet:"interval_log_sd"`
		Offset        int64     `parquet:"kafka_offset"`
	}
	rows, err := parquet.ReadFile[featureRow](filepath.Join(dir, "features/dt=2026-05-01/weir.features-3-0-1.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]featureRow{{"user:u", start, nil, []string{"a", "b"}, 12, 7, 0.25, 1}}, rows); diff != "" {
		t.Errorf("features differ (-want +got):\n%s", diff)
	}
	type verdictRow struct {
		ID        string     `parquet:"id"`
		Linked    []string   `parquet:"linked,list"`
		Action    *string    `parquet:"action,optional"`
		Enforced  bool       `parquet:"enforced"`
		Withdrawn bool       `parquet:"withdrawn"`
		PValue    float64    `parquet:"p_value"`
		N         int64      `parquet:"calibration_n"`
		ExpiresAt *time.Time `parquet:"expires_at,optional,timestamp(microsecond)"`
		Document  string     `parquet:"document"`
	}
	block := "block"
	verdicts, err := parquet.ReadFile[verdictRow](filepath.Join(dir, "verdicts/dt=2026-05-01/weir.verdicts-3-0-0.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]verdictRow{{"v1", []string{"ip:192.0.2.1"}, &block, true, false, 0.001, 9, nil, doc}}, verdicts); diff != "" {
		t.Errorf("verdicts differ (-want +got):\n%s", diff)
	}
}

// A chunk around midnight has rows of two days in turns, and a gateway's broken
// clock must not open files without end.
func TestRowsAreFiledByDayAndAbsurdDaysByTheBrokers(t *testing.T) {
	w, dir := newWriter(t)
	at := time.Date(2026, 5, 2, 0, 0, 1, 0, time.UTC)
	var recs []*kgo.Record
	add := func(eventTime time.Time) {
		ev := schemas.NewEvent()
		ev.Time = eventTime.UnixMicro()
		recs = append(recs, record(int64(len(recs)), at, kafkatest.EventProto("", 0, ev)))
	}
	for i := range 1000 {
		add(at.Add(-time.Duration(i%3) * time.Second))
	}
	add(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC))
	add(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	for i := range 300 {
		add(at.AddDate(0, 0, -i))
	}
	if _, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableEvents, topic, 3, 0, int64(len(recs)), recs, nil)); err != nil {
		t.Fatal(err)
	}
	names := files(t, dir)
	if len(names) != 32 {
		t.Errorf("%d files, want the limit of 32 days", len(names))
	}
	total := 0
	for _, name := range names {
		rows, err := parquet.ReadFile[eventRow](filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += len(rows)
		if !slices.IsSortedFunc(rows, func(a, b eventRow) int { return int(a.Offset - b.Offset) }) {
			t.Errorf("%s is not in offset order", name)
		}
		if strings.Contains(name, "dt=2026-05-01") && len(rows) != 1000/3+1 {
			t.Errorf("%s has %d rows, want %d", name, len(rows), 1000/3+1)
		}
	}
	if total != len(recs) {
		t.Errorf("%d rows in all files, want %d", total, len(recs))
	}
}

func TestARepeatedChunkReplacesItsFiles(t *testing.T) {
	w, dir := newWriter(t)
	recs := []*kgo.Record{record(0, time.Unix(1_767_225_600, 0), kafkatest.Event("", 0, fullEvent()))}
	var first []byte
	for range 3 {
		if _, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 1, recs, nil)); err != nil {
			t.Fatal(err)
		}
		names := files(t, dir)
		if len(names) != 1 {
			t.Fatalf("files %v, want one", names)
		}
		content, err := os.ReadFile(filepath.Join(dir, names[0]))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = content
		}
		if !slices.Equal(first, content) {
			t.Error("the same chunk gave another file")
		}
	}
}

func TestAChunkWithoutRowsWritesNoFile(t *testing.T) {
	w, dir := newWriter(t)
	recs := []*kgo.Record{record(0, time.Now(), &kgo.Record{Value: []byte("{")})}
	c := sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 1, recs, nil)
	if written, err := w.WriteChunk(t.Context(), c); err != nil || written != (sinks.Written{}) {
		t.Fatalf("written %+v, %v", written, err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files %v", got)
	}
	if want := map[string]int64{"malformed_json": 1}; !maps.Equal(c.Skipped(), want) {
		t.Errorf("skipped %v, want %v", c.Skipped(), want)
	}
}

func TestPrepareRemovesUnfinishedFilesOnly(t *testing.T) {
	w, dir := newWriter(t)
	day := filepath.Join(dir, "events", "dt=2026-05-01")
	if err := os.MkdirAll(day, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".weir.events-0-0-9.parquet.123.tmp", "weir.events-0-0-9.parquet", "notes.tmp", ".hidden"} {
		if err := os.WriteFile(filepath.Join(day, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{".hidden", "notes.tmp", "weir.events-0-0-9.parquet"}
	for i := range want {
		want[i] = filepath.Join("events", "dt=2026-05-01", want[i])
	}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestErrorsAreClassed(t *testing.T) {
	f := func(err error, code string) {
		t.Helper()
		again, ok := errors.AsType[*sinks.RetryError](classed(fmt.Errorf("writing: %w", err)))
		if ok != (code != "") || ok && again.Code != code {
			t.Errorf("%v classed as %+v, want %q", err, again, code)
		}
	}
	f(&fs.PathError{Op: "write", Err: syscall.ENOSPC}, "disk_full")
	f(syscall.EDQUOT, "disk_full")
	f(&os.LinkError{Op: "rename", Err: syscall.ENOENT}, "vanished")
	f(syscall.EIO, "")
	f(fs.ErrPermission, "")
	if _, err := New(""); !errors.Is(err, ErrDir) {
		t.Errorf("New without a directory: %v", err)
	}
	w, dir := newWriter(t)
	if err := os.WriteFile(filepath.Join(dir, "events"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	recs := []*kgo.Record{record(0, time.Now(), kafkatest.Event("", 0, fullEvent()))}
	if _, err := w.WriteChunk(t.Context(), sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 1, recs, nil)); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file where the table's directory belongs: %v", err)
	}
}

func TestACancelledChunkLeavesNoFile(t *testing.T) {
	w, dir := newWriter(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	recs := []*kgo.Record{record(0, time.Now(), kafkatest.Event("", 0, fullEvent()))}
	if _, err := w.WriteChunk(ctx, sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 1, recs, nil)); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}
