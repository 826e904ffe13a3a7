package clickhousesink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	ddl "github.com/weir-dev/weir/schemas/clickhouse"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

func TestMigrationsMatchTheColumnsAndMayRunAgain(t *testing.T) {
	dsn, conn := database(t)
	for range 3 {
		prepared(t, dsn)
	}
	columns := func(table string) []string {
		rows, err := conn.Query(t.Context(), "SELECT name, comment FROM system.columns WHERE database = currentDatabase() AND table = ? ORDER BY position", table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var names []string
		for rows.Next() {
			var name, comment string
			if err := rows.Scan(&name, &comment); err != nil {
				t.Fatal(err)
			}
			if comment == "" {
				t.Errorf("%s.%s has no comment", table, name)
			}
			if name != "day" && name != "ingested_at" {
				names = append(names, name)
			}
		}
		return names
	}
	names := func(n int, name func(int) string) []string {
		var all []string
		for i := range n {
			all = append(all, name(i))
		}
		return all
	}
	ev, f, v := sinks.EventColumns(), sinks.FeatureColumns(), sinks.VerdictColumns()
	for table, want := range map[string][]string{
		ddl.TableEvents:   names(len(ev), func(i int) string { return ev[i].Name }),
		ddl.TableFeatures: names(len(f), func(i int) string { return f[i].Name }),
		ddl.TableVerdicts: names(len(v), func(i int) string { return v[i].Name }),
	} {
		if diff := cmp.Diff(want, columns(table)); diff != "" {
			t.Errorf("%s (-described +created):\n%s", table, diff)
		}
	}
}

func record(table string, offset int64, value []byte) *kgo.Record {
	return &kgo.Record{Topic: table, Partition: 3, Offset: offset, Timestamp: time.Date(2026, 11, 1, 10, 0, 2, 0, time.UTC), Value: value}
}

// young is a chunk that was decided now, so that only its token protects it.
func young(table sinks.Table, topic string, first, end int64, recs ...*kgo.Record) *sinks.Chunk {
	c := sinks.NewChunk(table, topic, 3, first, end, recs, nil)
	c.Since = time.Now()
	return c
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	dsn, conn := database(t)
	w := prepared(t, dsn)
	// Whatever the server's TTL: the rows are of this month.
	now := time.Now().UTC().Truncate(time.Microsecond)
	ev := schemas.NewEvent()
	ev.ID, ev.User, ev.UserAgent, ev.Path = []byte("e1"), []byte("u-1"), []byte("curl/8 é"), []byte("/a\x00b")
	ev.Time, ev.Status, ev.ReqBytes, ev.ASN = now.UnixMicro(), 201, 0, 64500
	ev.Headers = []schemas.KV{{Key: []byte("b"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}}
	recs := []*kgo.Record{record(topic, 7, ev.AppendProto(nil)), record(topic, 8, schemas.NewEvent().AppendProto(nil))}
	recs[1].Value = []byte(`{}`)
	recs[1].Timestamp = now
	if got, err := w.WriteChunk(t.Context(), young(sinks.TableEvents, topic, 7, 9, recs...)); err != nil || got.Rows != 2 {
		t.Fatalf("events: %+v, %v", got, err)
	}
	type row struct {
		ID, Tenant, Path, UserAgent, Client string
		Time                                time.Time
		Status                              *uint16
		ReqBytes, RespBytes                 *uint64
		ASN                                 *uint32
		Headers                             string
		Offset                              uint64
	}
	var rows []row
	result, err := conn.Query(t.Context(), "SELECT id, tenant, path, user_agent, client, time, status, req_bytes, resp_bytes, asn, toString(headers), kafka_offset FROM api_events ORDER BY kafka_offset")
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		var r row
		if err := result.Scan(&r.ID, &r.Tenant, &r.Path, &r.UserAgent, &r.Client, &r.Time, &r.Status, &r.ReqBytes, &r.RespBytes, &r.ASN, &r.Headers, &r.Offset); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	status, zero, asn := uint16(201), uint64(0), uint32(64500)
	want := []row{
		{"e1", "default", "/a\x00b", "curl/8 é", "user:u-1", now, &status, &zero, nil, &asn, "{'b':'1','a':'2'}", 7},
		{"weir.events/3/8", "default", "", "", "ip:unknown", now, nil, nil, nil, nil, "{}", 8},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	f := schemas.ClientFeatures{Client: []byte("user:u"), Final: true, ASN: schemas.Unknown, WindowStart: now.UnixMicro(), WindowEnd: now.UnixMicro() + 10, Requests: 12, IntervalLogSD: 0.25, EventIDs: [][]byte{[]byte("a"), []byte("b")}}
	if got, err := w.WriteChunk(t.Context(), young(sinks.TableFeatures, "weir.features", 0, 1, record("weir.features", 0, f.AppendProto(nil)))); err != nil || got.Rows != 1 {
		t.Fatalf("features: %+v, %v", got, err)
	}
	if n := number(t, conn, "SELECT count() FROM client_features WHERE client = 'user:u' AND requests = 12 AND interval_log_sd = 0.25 AND event_ids = ['a', 'b'] AND isNull(asn) AND window_start = toDateTime64('"+now.Format("2006-01-02 15:04:05.000000")+"', 6, 'UTC')"); n != 1 {
		t.Errorf("%d features match, want 1", n)
	}

	// The second verdict replaces the first; one without times must not stop the sink.
	stamp := now.Format(time.RFC3339Nano)
	v := func(action string) []byte {
		return fmt.Appendf(nil, `{"id":"v1","entity":{"type":"user","value":"u"},"linked":[{"type":"ip","value":"192.0.2.1"}],"action":%q,"window_start":%q,"time":%q}`, action, stamp, stamp)
	}
	got, err := w.WriteChunk(t.Context(), young(sinks.TableVerdicts, "weir.verdicts", 0, 3,
		record("weir.verdicts", 0, v("block")), record("weir.verdicts", 1, v("observe")), record("weir.verdicts", 2, []byte(`{"id":"v0"}`))))
	if err != nil || got.Rows != 3 {
		t.Fatalf("verdicts: %+v, %v", got, err)
	}
	if n := number(t, conn, "SELECT count() FROM verdicts FINAL WHERE id = 'v1' AND action = 'observe' AND linked = ['ip:192.0.2.1'] AND isNull(expires_at)"); n != 1 {
		t.Errorf("%d verdicts hold, want 1", n)
	}
	if n := number(t, conn, "SELECT count() FROM verdicts FINAL"); n != 2 {
		t.Errorf("%d verdicts, want 2", n)
	}
}

func events(n int) []*kgo.Record {
	recs := make([]*kgo.Record, n)
	for i := range recs {
		ev := schemas.NewEvent()
		ev.API, ev.Time = []byte("shop"), time.Now().UnixMicro()
		recs[i] = kafkatest.Event(topic, 3, ev)
		recs[i].Offset, recs[i].Timestamp = int64(i), time.Now()
	}
	return recs
}

func TestARepeatedTokenAddsNothingToTheTableNorToTheRollUp(t *testing.T) {
	dsn, conn := database(t)
	w := prepared(t, dsn)
	recs := events(2000)
	for range 3 {
		if _, err := w.WriteChunk(t.Context(), young(sinks.TableEvents, topic, 0, 2000, recs...)); err != nil {
			t.Fatal(err)
		}
	}
	if n := number(t, conn, "SELECT count() FROM api_events"); n != 2000 {
		t.Errorf("%d rows, want 2000", n)
	}
	if n := number(t, conn, "SELECT toUInt64(sum(requests)) FROM api_1m"); n != 2000 {
		t.Errorf("%d requests in the roll-up, want 2000", n)
	}
}

// The server has forgotten the token of a chunk that was decided long ago.
func TestAnOldChunkIsNotDoubledWithoutItsToken(t *testing.T) {
	dsn, conn := database(t)
	w := prepared(t, dsn)
	recs := events(100)
	if err := conn.Exec(t.Context(), "ALTER TABLE api_events MODIFY SETTING non_replicated_deduplication_window = 0"); err != nil {
		t.Fatal(err)
	}
	write := func(since time.Time) {
		t.Helper()
		c := sinks.NewChunk(sinks.TableEvents, topic, 3, 0, 100, recs, nil)
		c.Since = since
		if got, err := w.WriteChunk(t.Context(), c); err != nil || got.Rows != 100 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	write(time.Now().Add(-time.Hour))
	write(time.Now().Add(-time.Hour))
	write(time.Time{})
	if n := number(t, conn, "SELECT count() FROM api_events"); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	write(time.Now())
	if n := number(t, conn, "SELECT count() FROM api_events"); n != 200 {
		t.Errorf("%d rows after an unprotected repetition, want 200: the test proves nothing", n)
	}
}

func TestAColumnOfAnotherTypeStopsTheSink(t *testing.T) {
	dsn, conn := database(t)
	w := prepared(t, dsn)
	for _, s := range []string{"ALTER TABLE api_events DROP COLUMN trace_id", "ALTER TABLE api_events ADD COLUMN trace_id UUID"} {
		if err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.WriteChunk(t.Context(), young(sinks.TableEvents, topic, 0, 1, events(1)...))
	if _, again := errors.AsType[*sinks.RetryError](err); err == nil || again || !strings.Contains(err.Error(), "trace_id") {
		t.Errorf("error %v, want a final one that names the column", err)
	}
	if err := conn.Exec(t.Context(), "DROP TABLE api_events"); err != nil {
		t.Fatal(err)
	}
	_, err = w.WriteChunk(t.Context(), young(sinks.TableEvents, topic, 0, 1, events(1)...))
	if _, again := errors.AsType[*sinks.RetryError](err); err == nil || again {
		t.Errorf("error %v for a missing table, want a final one", err)
	}
}

func TestOutagesAndLostAnswersNeitherLoseNorDouble(t *testing.T) {
	dsn, conn := database(t)
	n := newNetwork(t, dsn)
	const partitions = 3
	c := kafkatest.New(t, partitions, topic)
	total := produce(t, c, partitions, 800)

	reg := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	cfg := sinks.Config{
		Opts:   append(slices.Clone(c.Opts), kgo.FetchMaxBytes(16<<10), kgo.FetchMaxPartitionBytes(4<<10)),
		Topics: sinks.Topics{Events: topic}, Group: "clickhouse", Name: "clickhouse", Writer: newWriter(t, n.dsn),
		ChunkRows: 60, ChunkInterval: 20 * time.Millisecond, BufferBytes: 64 << 10,
		RetryMin: 2 * time.Millisecond, RetryMax: 20 * time.Millisecond, Logger: quiet(), Registerer: reg,
	}
	n.mode.Store(refuses) // the server is not even up when the sink starts
	go func() { done <- sinks.Run(ctx, cfg) }()
	kafkatest.Until(t, "the start was refused often", func() bool { return n.refused.Load() > 5 })
	n.mode.Store(drops)
	kafkatest.Until(t, "answers were lost", func() bool { return n.dropped.Load() > 10 })
	n.mode.Store(refuses)
	before := n.refused.Load()
	kafkatest.Until(t, "an outage lasted", func() bool { return n.refused.Load() > before+20 })
	if held := metric(t, reg, "weir_sink_buffered_bytes"); held > 320<<10 {
		// What the client had fetched already comes on top of the bound; all
		// records together are more than 700 KiB.
		t.Errorf("%.0f bytes held during the outage, want about 64 KiB", held)
	}
	n.mode.Store(passes)
	kafkatest.Until(t, "all rows are stored", func() bool {
		return number(t, conn, "SELECT count() FROM api_events") >= uint64(total)
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Run: %v", err)
	}
	if got := number(t, conn, "SELECT count() FROM api_events"); got != uint64(total) {
		t.Errorf("%d rows, want %d", got, total)
	}
	if got := number(t, conn, "SELECT uniqExact(id) FROM api_events"); got != uint64(total) {
		t.Errorf("%d distinct rows, want %d", got, total)
	}
	if got := number(t, conn, "SELECT toUInt64(sum(requests)) FROM api_1m"); got != uint64(total) {
		t.Errorf("%d requests in the roll-up, want %d", got, total)
	}
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				total += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return total
}

// Without an engine: what a server or the network answers, and how it is classed.
func TestFailuresAreClassed(t *testing.T) {
	f := func(name, want string, handler http.HandlerFunc) {
		t.Helper()
		server := httptest.NewServer(handler)
		defer server.Close()
		w := newWriter(t, server.URL+"/default")
		w.cfg.InsertTimeout = 300 * time.Millisecond
		_, err := w.WriteChunk(t.Context(), young(sinks.TableEvents, topic, 0, 1, events(1)...))
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		got := ""
		if again, ok := errors.AsType[*sinks.RetryError](err); ok {
			got = again.Code
		}
		if got != want {
			t.Errorf("%s: class %q, want %q: %v", name, got, want, err)
		}
	}
	exception := func(code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
			rw.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(rw, "Code: %d. DB::Exception: something. (SOMETHING)", code)
		}
	}
	for code := range transient {
		f(fmt.Sprintf("exception %d", code), fmt.Sprint(code), exception(int(code)))
	}
	for _, code := range []int{60, 16, 53, 516, 62} {
		f(fmt.Sprintf("exception %d", code), "", exception(code))
	}
	f("gateway", "http_503", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	f("forbidden", "", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) })
	f("hang up", "network", func(rw http.ResponseWriter, _ *http.Request) { hangUp(t, rw) })
	f("silence", "timeout", func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := classed(ctx, io.EOF); err != io.EOF {
		t.Errorf("an error after the end of the chunk's context is classed as %v", err)
	}
}

func TestAServerThatIsAwayIsRetriedAndABadDSNIsNot(t *testing.T) {
	for _, scheme := range []string{"http", "clickhouse"} {
		server := httptest.NewServer(http.NotFoundHandler())
		addr := server.Listener.Addr().String()
		server.Close()
		w := newWriter(t, scheme+"://"+addr+"/default")
		err := w.Prepare(t.Context())
		if again, ok := errors.AsType[*sinks.RetryError](err); !ok || again.Code != "network" {
			t.Errorf("%s: %v, want a network error that is retried", scheme, err)
		}
	}
	for _, dsn := range []string{"", "localhost", "clickhouse://u:secret@host:x/db", "http://u:se cret@/db"} {
		if _, err := New(Config{DSN: dsn}); !errors.Is(err, ErrDSN) || strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%q) returned %v, want ErrDSN without the password", dsn, err)
		}
	}
}
