package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/parquet-go/parquet-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
)

func TestEndToEndOnRealKafkaAndClickHouse(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	dsn, conn := clickHouseDatabase(t)
	s := serve(t, brokers, map[string]string{"WEIR_SINK_CLICKHOUSE_DSN": dsn})
	endToEnd(t, s, func() (rows, ids int) {
		var n, distinct uint64
		err := conn.QueryRow(t.Context(), "SELECT count(), uniqExact(id) FROM api_events").Scan(&n, &distinct)
		if err != nil {
			return 0, 0 // the table is not there yet
		}
		return int(n), int(distinct)
	})
}

func TestEndToEndOnEmbeddedBroker(t *testing.T) {
	t.Parallel()
	endToEnd(t, serve(t, nil, nil), nil)
}

// service is one weir with all roles, serving real time.
type service struct {
	*process
	d                   *deployment
	auth, admin, intake string
	dataDir             string
	reach               []string // the flags with which commands find it
}

// serve runs all roles, on its own broker if there are none, and returns when
// all of them are ready.
func serve(t testing.TB, brokers []string, env map[string]string, extra ...string) *service {
	t.Helper()
	s := &service{auth: freeAddress(t), admin: freeAddress(t), intake: freeAddress(t), dataDir: t.TempDir()}
	prefix := fmt.Sprintf("e2e-%x.", rand.Uint64())
	s.reach = []string{"--kafka.topic-prefix", prefix, "--kafka.group-prefix", prefix}
	if len(brokers) > 0 {
		s.reach = append(s.reach, "--brokers", strings.Join(brokers, ","))
	} else {
		brokers = []string{freeAddress(t)}
		s.reach = append(s.reach, "--listen.kafka", brokers[0])
	}
	args := append([]string{
		"run", "--listen.auth", s.auth, "--listen.admin", s.admin, "--listen.events", s.intake,
		"--data-dir", s.dataDir, "--kafka.partitions", "4", "--sink.chunk-interval", "500ms", "--log.level", "warn",
	}, s.reach...)
	exe, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(args, extra...)...)
	cmd.Env = cleanEnvironment()
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	s.process = start(t, "weir", cmd)
	eventually(t, "weir to be ready", minute, func() bool {
		s.ended(t)
		code, _ := get("http://"+s.admin+"/readyz", nil)
		return code == http.StatusOK
	})
	s.d = deploy(t, brokers, prefix, 4) // the topics exist by now
	return s
}

// get returns the status and the body, or status 0 if there was no answer.
func get(url string, header http.Header) (int, string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	if header != nil {
		req.Header = header
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// ask is what a gateway does before it lets a call of an address pass.
func (s *service) ask(ip string) (int, string) {
	return get("http://"+s.auth+"/auth", http.Header{"X-Real-Ip": {ip}})
}

const (
	attacker = "203.0.113.77"
	visitor  = "198.51.100.20"
)

// strangersTraffic is a gateway that knows nothing of weir's client library: it
// writes plain JSON, with no key or a key of its own, as calls happen. An
// address tries 40 names with wrong passwords while 20 users do what they do.
// It returns the number of events.
func strangersTraffic(t *testing.T, s *service) int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.d.brokers...), kgo.DefaultProduceTopic(s.d.topics.Events), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	n := 0
	var failed error
	call := func(format string, args ...any) {
		rec := kgo.StringRecord(fmt.Sprintf(`{"id":"call-%d","time":%q,"api":"bank","gateway":"front-1","gateway_type":"nginx",`+format+`}`,
			append([]any{n, time.Now().UTC().Format(time.RFC3339Nano)}, args...)...))
		if n++; n%2 == 0 {
			rec.Key = []byte("request-" + fmt.Sprint(n))
		}
		cl.Produce(t.Context(), rec, func(_ *kgo.Record, err error) {
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for i := range 40 {
		<-pace.C
		call(`"method":"POST","path":"/v1/login","route":"/v1/login","status":401,"client_ip":%q,"user_agent":"python-requests/2.32","login_user":"name-%d","duration_us":90000`, attacker, i)
		if i%2 == 0 {
			call(`"method":"GET","path":"/v1/accounts","route":"/v1/accounts","status":200,"client_ip":%q,"user":"user-%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0","duration_us":30000,"resp_bytes":2100`, visitor, i)
		}
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatal(failed)
	}
	return n
}

// endToEnd follows an attack from a stranger's event to the gateway's refusal
// and on to history. clickHouse counts the rows there, and the distinct ids.
func endToEnd(t *testing.T, s *service, clickHouse func() (rows, ids int)) {
	if code, _ := s.ask(attacker); code != http.StatusOK {
		t.Fatalf("a caller nobody knows got %d", code)
	}
	sent := strangersTraffic(t, s)
	began := time.Now()

	var reason string
	eventually(t, "the attacker to be refused", minute, func() bool {
		s.ended(t)
		var code int
		code, reason = s.ask(attacker)
		return code == http.StatusForbidden
	})
	took := time.Since(began)
	if !strings.Contains(reason, attacker) || !strings.Contains(reason, "login") {
		t.Errorf("the refusal does not say why: %s", reason)
	}
	if code, body := s.ask(visitor); code != http.StatusOK {
		t.Errorf("a visitor got %d: %s", code, body)
	}

	entry := s.blockEntry(t, "default/ip/"+attacker)
	if entry.Action != schemas.ActionBlock || entry.Attack != schemas.AttackCredentialStuffing || !entry.ExpiresAt.After(time.Now()) || entry.Reason == "" {
		t.Errorf("blocklist entry %+v", entry)
	}
	var listed []struct {
		Scope, Value string
		schemas.BlockEntry
	}
	s.printed(t, &listed, "blocklist", "list", "-o", "json")
	if len(listed) != 1 || listed[0].Scope != "ip" || listed[0].Value != attacker || listed[0].VerdictID != entry.VerdictID {
		t.Errorf("weir blocklist list printed %+v", listed)
	}

	if _, err := run(t, append([]string{"allow", "add", "ip", attacker}, s.reach...)...); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the allowance to be followed", 30*time.Second, func() bool {
		code, _ := s.ask(attacker)
		return code == http.StatusOK
	})

	eventually(t, "every group to have read everything", minute, func() bool {
		var lags []struct {
			Group   string
			Records int64
		}
		s.printed(t, &lags, "lag", "-o", "json")
		groups, behind := map[string]bool{}, int64(0)
		for _, l := range lags {
			groups[strings.TrimPrefix(l.Group, s.d.prefix)] = true
			behind += l.Records
		}
		// Ticks arrive every second, and a sink commits with its chunks.
		return behind < 20 && groups[config.RoleExtract] && groups[config.RoleScore] && groups["sink-parquet"]
	})
	history := func(of func() (int, int)) {
		t.Helper()
		var rows, ids int
		if !poll(t.Context(), 30*time.Second, func() bool {
			rows, ids = of()
			return ids >= sent
		}) || rows != sent || ids != sent {
			t.Errorf("history has %d rows of %d events, want %d", rows, ids, sent)
		}
	}
	parquetRows := func() (int, int) { return parquetEvents(t, filepath.Join(s.dataDir, "history", "events")) }
	history(parquetRows)
	if clickHouse != nil {
		history(clickHouse)
	}

	moved, dead := 0, 0
	for _, recs := range s.d.read(s.d.topics.Events) {
		for _, r := range recs {
			if _, ok := headerOf(r, pipeline.HeaderRerouted); ok {
				moved++
			}
		}
	}
	for _, recs := range s.d.read(s.d.topics.DeadLetter) {
		dead += len(recs)
	}
	stopped := s.stop(t)
	if rows, _ := parquetRows(); rows != sent {
		t.Errorf("%d rows in Parquet after the end, want %d", rows, sent)
	}
	t.Logf("figures: %d events from a stranger's client, %d of them moved to the right partition, %d dead letters; "+
		"refused %.0f ms after the last of 40 failures; stopped in %s", sent, moved, dead, took.Seconds()*1e3, stopped.Round(time.Millisecond))
}

// blockEntry reads the entry of a key as any consumer would.
func (s *service) blockEntry(t *testing.T, key string) (entry schemas.BlockEntry) {
	t.Helper()
	for _, recs := range s.d.read(s.d.topics.Blocklist) {
		for _, r := range recs {
			if string(r.Key) == key {
				if err := json.Unmarshal(r.Value, &entry); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return entry
}

// printed runs a command against the service and decodes what it prints.
func (s *service) printed(t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := run(t, append(args, s.reach...)...)
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// parquetEvents counts rows, and distinct ids among them.
func parquetEvents(t *testing.T, dir string) (rows, ids int) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		recs, err := parquet.ReadFile[struct {
			ID string `parquet:"id"`
		}](path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		for _, r := range recs {
			rows++
			seen[r.ID] = true
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return rows, len(seen)
}

// clickHouseDatabase is a database of this test's own on the real engine.
func clickHouseDatabase(t *testing.T) (dsn string, conn driver.Conn) {
	t.Helper()
	base := services.ClickHouse(t)
	open := func(dsn string) driver.Conn {
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
	name := fmt.Sprintf("e2e_%x", rand.Uint64())
	admin := open(base)
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
	return u.String(), open(u.String())
}
