package clickhousefront_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/weir-dev/weir/internal/services"
)

// connect opens the client with a database of the test's own.
func connect(t *testing.T, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	dsn := services.ClickHouse(t)
	open := func(database string, change func(*clickhouse.Options)) driver.Conn {
		opts, err := clickhouse.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if database != "" {
			opts.Auth.Database = database
		}
		if change != nil {
			change(opts)
		}
		conn, err := clickhouse.Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
		return conn
	}
	admin := open("", nil)
	database := "front_" + strings.ToLower(rand.Text()[:10])
	if err := admin.Exec(t.Context(), "CREATE DATABASE "+database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Exec(context.Background(), "DROP DATABASE "+database); err != nil {
			t.Error(err)
		}
	})
	return open(database, change)
}

func mustExec(t *testing.T, conn driver.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func count(t *testing.T, conn driver.Conn, table string) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// columns holds rows as the columnar interface takes them.
type columns struct {
	ID     []uint64
	Tenant []string
	At     []time.Time
	Event  []uuid.UUID
	IP     []netip.Addr
	Tags   [][]string
	Attrs  []map[string]string
	Status []uint16
}

func sampleColumns(rows int) columns {
	var c columns
	start := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	for i := range rows {
		c.ID = append(c.ID, uint64(i))
		c.Tenant = append(c.Tenant, fmt.Sprintf("tenant-%d", i%300))
		c.At = append(c.At, start.Add(time.Duration(i)*time.Millisecond+time.Duration(i%1000)*time.Microsecond))
		c.Event = append(c.Event, uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)))
		if i%2 == 0 {
			c.IP = append(c.IP, netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 15: byte(i)}))
		} else {
			c.IP = append(c.IP, netip.AddrFrom16(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).As16()))
		}
		tags := []string{}
		for n := range i % 4 {
			tags = append(tags, fmt.Sprintf("tag-%d", n))
		}
		c.Tags = append(c.Tags, tags)
		attrs := map[string]string{}
		for n := range i % 3 {
			attrs[fmt.Sprintf("key-%d", n)] = strings.Repeat("v", i%50)
		}
		c.Attrs = append(c.Attrs, attrs)
		c.Status = append(c.Status, uint16(200+i%400))
	}
	return c
}

const createEvents = `CREATE TABLE events (
	id UInt64, tenant LowCardinality(String), at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)), event UUID,
	ip IPv6, tags Array(String), attrs Map(LowCardinality(String), String), status UInt16
) ENGINE = MergeTree PARTITION BY toDate(at) ORDER BY (tenant, id)
SETTINGS non_replicated_deduplication_window = 1000`

func insert(ctx context.Context, conn driver.Conn, c columns) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO events (id, tenant, at, event, ip, tags, attrs, status)")
	if err != nil {
		return err
	}
	for i, v := range []any{c.ID, c.Tenant, c.At, c.Event, ips(c.IP), c.Tags, c.Attrs, c.Status} {
		if err := batch.Column(i).Append(v); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return batch.Send()
}

// ips is for the client, which takes addresses as text or net.IP by column.
func ips(list []netip.Addr) []string {
	out := make([]string, len(list))
	for i, ip := range list {
		out[i] = ip.String()
	}
	return out
}

func selectColumns(t *testing.T, conn driver.Conn) columns {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT id, tenant, at, event, ip, tags, attrs, status FROM events ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	var c columns
	for rows.Next() {
		var (
			id     uint64
			tenant string
			at     time.Time
			event  uuid.UUID
			ip     netip.Addr
			tags   []string
			attrs  map[string]string
			status uint16
		)
		if err := rows.Scan(&id, &tenant, &at, &event, &ip, &tags, &attrs, &status); err != nil {
			t.Fatal(err)
		}
		c.ID = append(c.ID, id)
		c.Tenant = append(c.Tenant, tenant)
		c.At = append(c.At, at)
		c.Event = append(c.Event, event)
		c.IP = append(c.IP, netip.AddrFrom16(ip.As16()))
		c.Tags = append(c.Tags, tags)
		c.Attrs = append(c.Attrs, attrs)
		c.Status = append(c.Status, status)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestColumnarInsertComesBackUnchanged(t *testing.T) {
	services.ClickHouse(t)
	for _, c := range []struct {
		name   string
		rows   int
		change func(*clickhouse.Options)
	}{
		{"plain", 10_000, nil},
		{"lz4 blocks", 10_000, compressed(clickhouse.CompressionLZ4)},
		{"zstd blocks", 1000, compressed(clickhouse.CompressionZSTD)},
		{"gzip", 1000, compressed(clickhouse.CompressionGZIP)},
		{"deflate", 1000, compressed(clickhouse.CompressionDeflate)},
		{"brotli", 1000, compressed(clickhouse.CompressionBrotli)},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := connect(t, c.change)
			mustExec(t, conn, createEvents)
			want := sampleColumns(c.rows)
			if err := insert(t.Context(), conn, want); err != nil {
				t.Fatal(err)
			}
			got := selectColumns(t, conn)
			if !reflect.DeepEqual(want, got) {
				t.Errorf("rows changed on the way (-want +got):\n%.2000s", cmp.Diff(want, got, cmp.Comparer(sameAddr)))
			}
		})
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func compressed(method clickhouse.CompressionMethod) func(*clickhouse.Options) {
	return func(o *clickhouse.Options) {
		o.Compression = &clickhouse.Compression{Method: method, Level: 3}
		o.Settings = clickhouse.Settings{"enable_http_compression": 1}
	}
}

// The engine hands results out in blocks of at most 65k rows; each carries its
// own dictionary.
func TestResultOfManyBlocksIsComplete(t *testing.T) {
	conn := connect(t, nil)
	rows, err := conn.Query(t.Context(),
		"SELECT number, toLowCardinality(toString(number % 1000)), [toLowCardinality(toString(number % 7))] FROM numbers(150000) ORDER BY number")
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for rows.Next() {
		var (
			n    uint64
			s    string
			list []string
		)
		if err := rows.Scan(&n, &s, &list); err != nil {
			t.Fatal(err)
		}
		if n != next || s != strconv.FormatUint(n%1000, 10) || len(list) != 1 || list[0] != strconv.FormatUint(n%7, 10) {
			t.Fatalf("row %d: got %d %q %q", next, n, s, list)
		}
		next++
	}
	if err := rows.Err(); err != nil || next != 150_000 {
		t.Errorf("got %d rows, err %v", next, err)
	}
}

// Each expression has a layout of its own in Native format; a wrong length
// would shift everything behind it, so a marker follows.
func TestEveryColumnLayoutIsReadable(t *testing.T) {
	conn := connect(t, nil)
	for _, expr := range []string{
		"toNullable(1)", "CAST(NULL AS Nullable(String))", "CAST([1, NULL] AS Array(Nullable(UInt8)))",
		"[[1, 2], []]::Array(Array(UInt16))", "[]::Array(LowCardinality(String))", "[['a'], ['b', 'a']]::Array(Array(LowCardinality(String)))",
		"toLowCardinality(toNullable('x'))", "CAST(NULL AS LowCardinality(Nullable(String)))", "toLowCardinality(toFixedString('abc', 3))",
		"map('a', 1, 'b', 2)", "map('a', map('b', [1, 2]))", "map()::Map(LowCardinality(String), Array(LowCardinality(String)))",
		"tuple(1, 'a', [2.5])", "CAST((1, 'x') AS Tuple(a UInt8, b LowCardinality(String)))",
		"toDecimal32('1.5', 2)", "toDecimal64('1.5', 4)", "toDecimal128('1.5', 6)", "toDecimal256('1.5', 6)",
		"toInt128(-5)", "toUInt256(5)", "toDate('2026-01-02')", "toDate32('1950-01-02')", "now()", "now64(9)",
		"CAST('a' AS Enum8('a' = 1, 'b, (c)' = 2))", "CAST('a' AS Enum16('a' = -1000))", "toFixedString('abcde', 5)", "true",
		"toIPv4('192.0.2.1')", "toIPv6('2001:db8::1')", "generateUUIDv4()", "toFloat32(1.5)", "toIntervalDay(3)",
		"CAST((1., 2.) AS Point)", "CAST([[(0., 0.), (1., 1.)]] AS Polygon)",
	} {
		rows, err := conn.Query(t.Context(), "SELECT "+expr+" AS value, 'marker' AS marker, number FROM numbers(3)")
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		n := uint64(0)
		for rows.Next() {
			var (
				value  = reflect.New(rows.ColumnTypes()[0].ScanType()).Interface()
				marker string
				number uint64
			)
			if err := rows.Scan(value, &marker, &number); err != nil {
				t.Errorf("%s: %v", expr, err)
				break
			}
			if marker != "marker" || number != n {
				t.Errorf("%s: row %d ends with %q, %d", expr, n, marker, number)
			}
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 3 {
			t.Errorf("%s: %d rows, err %v", expr, n, err)
		}
	}
}

func TestRetriedInsertIsDeduplicatedByToken(t *testing.T) {
	conn := connect(t, nil)
	mustExec(t, conn, createEvents)
	send := func(token string, rows columns) {
		t.Helper()
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token": token, "async_insert": 0,
		}))
		if err := insert(ctx, conn, rows); err != nil {
			t.Fatal(err)
		}
	}
	send("events:0:0-99", sampleColumns(100))
	send("events:0:0-99", sampleColumns(100))
	if got := count(t, conn, "events"); got != 100 {
		t.Errorf("after a retry with the same token: %d rows, want 100", got)
	}
	send("events:0:100-199", sampleColumns(100))
	if got := count(t, conn, "events"); got != 200 {
		t.Errorf("after the same rows with another token: %d rows, want 200", got)
	}
}

func TestMaterializedViewAggregatesInsertsOnce(t *testing.T) {
	conn := connect(t, nil)
	mustExec(t, conn, createEvents,
		`CREATE TABLE per_tenant (tenant LowCardinality(String), requests SimpleAggregateFunction(sum, UInt64),
			statuses AggregateFunction(uniq, UInt16)) ENGINE = AggregatingMergeTree ORDER BY tenant
			SETTINGS non_replicated_deduplication_window = 1000`,
		`CREATE MATERIALIZED VIEW per_tenant_mv TO per_tenant AS
			SELECT tenant, count() AS requests, uniqState(status) AS statuses FROM events GROUP BY tenant`)
	for _, token := range []string{"a", "b", "b"} {
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token, "async_insert": 0}))
		if err := insert(ctx, conn, sampleColumns(600)); err != nil {
			t.Fatal(err)
		}
	}
	var requests, statuses uint64
	row := conn.QueryRow(t.Context(), "SELECT sum(requests), uniqMerge(statuses) FROM per_tenant WHERE tenant = 'tenant-7'")
	if err := row.Scan(&requests, &statuses); err != nil {
		t.Fatal(err)
	}
	// Rows 7 and 307 of two batches; their statuses are 207 and 507.
	if requests != 4 || statuses != 2 {
		t.Errorf("view has %d requests with %d statuses, want 4 and 2", requests, statuses)
	}
}

func TestEngineErrorKeepsItsCode(t *testing.T) {
	conn := connect(t, nil)
	mustExec(t, conn, "CREATE TABLE small (n UInt8, CONSTRAINT low CHECK n < 10) ENGINE = MergeTree ORDER BY n")
	for _, c := range []struct {
		name string
		run  func() error
		code int32
		text string
	}{
		{"unknown table", func() error { return conn.Exec(t.Context(), "SELECT * FROM nowhere") }, 60, "nowhere"},
		{"unknown table in batch", func() error {
			_, err := conn.PrepareBatch(t.Context(), "INSERT INTO nowhere")
			return err
		}, 60, "nowhere"},
		{"syntax", func() error { return conn.Exec(t.Context(), "SELEC 1") }, 62, "Syntax error"},
		{"unknown setting", func() error {
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 1}))
			return conn.Exec(ctx, "SELECT 1")
		}, 115, "no_such_setting"},
		{"constraint", func() error {
			batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO small")
			if err != nil {
				return err
			}
			if err := batch.Append(uint8(200)); err != nil {
				return err
			}
			return batch.Send()
		}, 469, "low"},
		{"unsendable type", func() error {
			_, err := conn.Query(t.Context(), "SELECT uniqState(number) FROM numbers(3)")
			return err
		}, 48, "AggregateFunction"},
	} {
		err := c.run()
		var exception *clickhouse.Exception
		if !errors.As(err, &exception) {
			t.Errorf("%s: got %v, want a *clickhouse.Exception", c.name, err)
			continue
		}
		if exception.Code != c.code || !strings.Contains(exception.Message, c.text) {
			t.Errorf("%s: got code %d %q, want %d and %q", c.name, exception.Code, exception.Message, c.code, c.text)
		}
	}
	if got := count(t, conn, "small"); got != 0 {
		t.Errorf("a refused insert left %d rows", got)
	}
}

func TestQueryParametersReachTheEngine(t *testing.T) {
	conn := connect(t, nil)
	text := "it's\ta \\ \"test\"\nline"
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"n": "41"}))
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT {n:UInt32} + 1").Scan(&n); err != nil || n != 42 {
		t.Errorf("got %d, %v; want 42", n, err)
	}
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT {s:String}", clickhouse.Named("s", text)).Scan(&got); err != nil || got != text {
		t.Errorf("got %q, %v; want %q", got, err, text)
	}
	if err := conn.QueryRow(t.Context(), "SELECT ?", text).Scan(&got); err != nil || got != text {
		t.Errorf("bound on the client: got %q, %v; want %q", got, err, text)
	}
}

func TestSettingsLastForOneRequest(t *testing.T) {
	conn := connect(t, nil)
	threads := func(ctx context.Context) uint64 {
		t.Helper()
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := threads(t.Context())
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 777}))
	if got := threads(ctx); got != 777 {
		t.Errorf("with the setting: %d, want 777", got)
	}
	if got := threads(t.Context()); got != before {
		t.Errorf("after the request with the setting: %d, want %d", got, before)
	}
	mustExec(t, conn, "SET max_block_size = 778")
	if got := threads(t.Context()); got != before {
		t.Errorf("after a SET in another request: %d, want %d", got, before)
	}
	bad := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 779, "no_such_setting": 1}))
	if err := conn.Exec(bad, "SELECT 1"); err == nil {
		t.Error("an unknown setting was accepted")
	}
	if got := threads(t.Context()); got != before {
		t.Errorf("after a refused request: %d, want %d", got, before)
	}
}

func TestConcurrentClientsDoNotMixDatabases(t *testing.T) {
	const clients, inserts = 4, 5
	var wg sync.WaitGroup
	for i := range clients {
		conn := connect(t, nil)
		mustExec(t, conn, createEvents)
		wg.Go(func() {
			for n := range inserts {
				ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": fmt.Sprint(n)}))
				if err := insert(ctx, conn, sampleColumns(10*(i+1))); err != nil {
					t.Error(err)
				}
			}
			if got, want := count(t, conn, "events"), uint64(inserts*10*(i+1)); got != want {
				t.Errorf("client %d sees %d rows, want %d", i, got, want)
			}
		})
	}
	wg.Wait()
}
