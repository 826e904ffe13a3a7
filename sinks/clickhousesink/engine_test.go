package clickhousesink

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks/internal/kafkatest"
)

const topic = "weir.events"

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// database creates a database of the test's own on the real engine.
func database(t *testing.T) (dsn string, conn driver.Conn) {
	t.Helper()
	base := services.ClickHouse(t)
	name := fmt.Sprintf("sinks_%x", rand.Uint64())
	admin := open(t, base)
	if err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := admin.Exec(ctx, "DROP DATABASE "+name); err != nil {
			t.Errorf("dropping the database: %v", err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String(), open(t, u.String())
}

func open(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newWriter(t *testing.T, dsn string) *Writer {
	t.Helper()
	w, err := New(Config{DSN: dsn, Logger: quiet(), InsertTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func prepared(t *testing.T, dsn string) *Writer {
	t.Helper()
	w := newWriter(t, dsn)
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// number is the single number that a query gives.
func number(t *testing.T, conn driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Ways in which the network between the sink and the server can behave.
const (
	passes  int32 = iota
	refuses       // connections end before the request reaches the server
	drops         // inserts reach the server, the answers are lost
)

// network is a reverse proxy before the engine.
type network struct {
	dsn     string
	mode    atomic.Int32
	refused atomic.Int64
	dropped atomic.Int64
}

func newNetwork(t *testing.T, dsn string) *network {
	t.Helper()
	backend, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend.Host})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		mode := n.mode.Load()
		if mode == refuses {
			n.refused.Add(1)
			hangUp(t, rw)
			return
		}
		if mode == drops && strings.HasPrefix(req.URL.Query().Get("query"), "INSERT") {
			n.dropped.Add(1)
			proxy.ServeHTTP(httptest.NewRecorder(), req)
			hangUp(t, rw)
			return
		}
		proxy.ServeHTTP(rw, req)
	}))
	t.Cleanup(server.Close)
	u := *backend
	u.Host = strings.TrimPrefix(server.URL, "http://")
	n.dsn = u.String()
	return n
}

func hangUp(t *testing.T, rw http.ResponseWriter) {
	conn, _, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		t.Errorf("hijacking: %v", err)
		return
	}
	_ = conn.Close()
}

// produce appends n events to each partition, all in one minute, and returns how
// many there are.
func produce(t *testing.T, c *kafkatest.Cluster, partitions int32, n int) int {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Minute)
	var recs []*kgo.Record
	for i := range n {
		for p := range partitions {
			ev := schemas.NewEvent()
			ev.ID = fmt.Appendf(nil, "e-%d-%d", p, i)
			ev.Time = at.Add(time.Duration(i%60) * time.Second).UnixMicro()
			ev.API, ev.Status, ev.RespBytes = []byte("shop"), 200, 10
			rec := kafkatest.Event(topic, p, ev)
			if i%2 == 0 {
				rec = kafkatest.EventProto(topic, p, ev)
			}
			recs = append(recs, rec)
		}
	}
	c.Produce(t, recs...)
	return len(recs)
}
