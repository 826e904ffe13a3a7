package httpsource

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/ingest/publish"
	"github.com/weir-dev/weir/schemas"
)

// fakePublisher keeps what it is given and answers each record from another
// goroutine, as a producer does.
type fakePublisher struct {
	fail error // answer to every record; nil for success

	mu      sync.Mutex
	events  []string
	refused []publish.Refused
}

func (p *fakePublisher) Publish(_ context.Context, ev *schemas.Event, done func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, string(ev.AppendJSON(nil)))
	go done(p.fail)
}

func (p *fakePublisher) Refuse(_ context.Context, r publish.Refused, done func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Raw = bytes.Clone(r.Raw)
	p.refused = append(p.refused, r)
	go done(p.fail)
}

func newSource(t *testing.T, cfg Config, pub publish.Publisher) *Source {
	t.Helper()
	key, err := ingest.NewKey([]byte("a key that only the tests know"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Options.Key = key
	s, err := New(cfg, pub, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post sends one request; header is pairs of name and value.
func post(t *testing.T, h http.Handler, path string, body []byte, header ...string) (int, answer, http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var a answer
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("answer %s: %v", w.Body, err)
		}
	}
	return w.Code, a, w.Header()
}

const (
	good1 = `{"time":"2026-03-02T09:15:01Z","path":"/a","status":200,"client_ip":"198.51.100.7"}`
	good2 = `{"time":"2026-03-02T09:15:02Z","path":"/b","query":"token=s3cr3t","status":200,"client_ip":"198.51.100.8"}`
	bad   = `{"time":"2026-03-02T09:15:03Z","status":"200"}`
)

func TestEveryBodyShapeIsTaken(t *testing.T) {
	event := schemas.NewEvent()
	event.Time, event.Path, event.Query = 1772442901000000, []byte("/a"), []byte("password=s3cr3t")
	f := func(name, path, contentType, body string, code, accepted int, refused string) {
		t.Helper()
		pub := &fakePublisher{}
		s := newSource(t, Config{}, pub)
		gotCode, a, _ := post(t, s.Handler(), path, []byte(body), "Content-Type", contentType)
		if gotCode != code || a.Accepted != accepted || fmt.Sprint(a.Refused) != refused {
			t.Errorf("%s: %d %+v, want %d, %d accepted, refused %s", name, gotCode, a, code, accepted, refused)
		}
		if len(pub.events) != accepted || len(pub.refused) != a.RefusedTotal {
			t.Errorf("%s: %d events and %d dead letters published", name, len(pub.events), len(pub.refused))
		}
		if all := fmt.Sprintf("%s %s", pub.events, pub.refused); strings.Contains(all, "s3cr3t") {
			t.Errorf("%s: a secret got through: %s", name, all)
		}
	}
	const events, js, nd = "/v1/events", "application/json", "application/x-ndjson"
	f("object", events, js, good1, 202, 1, "[]")
	f("object on many lines", events, js, strings.ReplaceAll(good1, ",", ",\n  "), 202, 1, "[]")
	f("objects after each other", events, js, good1+" "+good2+"\n"+good1, 202, 3, "[]")
	f("array", events, js, "[ "+good1+" ,\n"+good2+"]", 202, 2, "[]")
	f("array in the wrong type", events, nd, "["+good1+","+good2+"]", 202, 2, "[]")
	f("array with refusals", events, js, "["+bad+",5,"+good1+",\"x\",[1]]", 202, 1, "[{0 wrong_type status} {1 malformed_json } {3 malformed_json } {4 malformed_json }]")
	f("array with something after it", events, js, "["+good1+"] x", 202, 1, "[{1 malformed_json }]")
	f("array never closed", events, js, "["+good1+`,{"a":"`, 202, 1, "[{1 malformed_json }]")
	f("lines", events, nd, good1+"\r\n\n"+bad+"\n"+good2, 202, 2, "[{1 wrong_type status}]")
	f("no content type", events, "", good1+"\n"+good2+"\n", 202, 2, "[]")
	f("all refused", events, nd, bad+"\n"+bad, 400, 0, "[{0 wrong_type status} {1 wrong_type status}]")
	f("empty", events, js, " \n", 400, 0, "[]")
	f("empty array", events, js, "[]", 400, 0, "[]")
	f("protobuf", events, "application/x-protobuf", string(event.AppendProto(nil)), 202, 1, "[]")
	f("bad protobuf", events, "application/x-protobuf", "\xff\xff", 400, 0, "[{0 malformed_protobuf }]")
	f("xml", events, "text/xml", "<a/>", 415, 0, "[]")
	f("combined", "/v1/ingest/combined", "text/plain",
		"198.51.100.7 - s3cr3t [02/Mar/2026:09:15:01 +0000] \"GET /a?key=s3cr3t HTTP/1.1\" 200 5\nnope key=s3cr3t\n"+
			"198.51.100.7 - s3cr3t [nonsense] \"GET /a?key=s3cr3t HTTP/1.1\" 200 5", 202, 1, "[{1 no_match } {2 invalid_time time}]")
	f("alias", "/v1/ingest/common", "", "198.51.100.7 - - [02/Mar/2026:09:15:01 +0000] \"GET /a HTTP/1.1\" 200 5", 202, 1, "[]")
	f("haproxy array", "/v1/ingest/haproxy-json", js, `[{"ts":"1772442901153","client_ip":"198.51.100.7","frontend":"fe","status":200,"api_key":"s3cr3t"},{"api_key":"s3cr3t","authorization":"Bearer s3cr3t"}]`, 202, 1, "[{1 missing_field ts}]")
	f("unknown format", "/v1/ingest/nope", "", good1, 404, 0, "[]")
	f("no protobuf in logs", "/v1/ingest/combined", "application/x-protobuf", "x", 415, 0, "[]")
}

// counted is the value of a counter.
func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func gzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t *testing.T, body []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(body, nil)
}

func TestCompressedBodies(t *testing.T) {
	body := []byte(strings.Repeat(good1+"\n", 1000))
	for encoding, data := range map[string][]byte{"gzip": gzipped(t, body), "zstd": zstded(t, body), "identity": body} {
		pub := &fakePublisher{}
		code, a, _ := post(t, newSource(t, Config{}, pub).Handler(), "/v1/events", data, "Content-Encoding", encoding)
		if code != 202 || a.Accepted != 1000 {
			t.Errorf("%s: %d %+v", encoding, code, a)
		}
	}
	h := newSource(t, Config{}, &fakePublisher{}).Handler()
	if code, _, _ := post(t, h, "/v1/events", body, "Content-Encoding", "br"); code != 415 {
		t.Errorf("unknown encoding: %d", code)
	}
	if code, _, _ := post(t, h, "/v1/events", body, "Content-Encoding", "gzip"); code != 400 {
		t.Errorf("not gzip: %d", code)
	}
	if code, _, _ := post(t, h, "/v1/events", gzipped(t, body)[:50], "Content-Encoding", "gzip"); code != 400 {
		t.Errorf("cut gzip: %d", code)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestOversizeBodiesAndBombsAreRefusedWhole(t *testing.T) {
	// 1 GiB of zeros as 64 members of 16 MiB, which decompress as one.
	part := make([]byte, 16<<20)
	gz, zs := bytes.Repeat(gzipped(t, part), 64), bytes.Repeat(zstded(t, part), 64)
	lines := []byte(strings.Repeat(good1+"\n", 40))
	f := func(name string, cfg Config, body []byte, header ...string) {
		t.Helper()
		pub := &fakePublisher{}
		s := newSource(t, cfg, pub)
		code, a, _ := post(t, s.Handler(), "/v1/events", body, header...)
		if code != 413 || len(pub.events)+len(pub.refused) > 0 {
			t.Errorf("%s: %d %+v, %d published", name, code, a, len(pub.events))
		}
		// All memory went back.
		if !s.memory.TryAcquire(s.cfg.Memory) {
			t.Errorf("%s: memory is still held", name)
		}
	}
	f("1 GiB of zeros, gzip", Config{}, gz, "Content-Encoding", "gzip")
	f("1 GiB of zeros, zstd", Config{}, zs, "Content-Encoding", "zstd")
	f("plain body", Config{MaxBody: 1000}, lines)
	f("decompressed body", Config{MaxBody: 1000}, gzipped(t, lines), "Content-Encoding", "gzip")
	f("compressed body", Config{MaxCompressed: 50}, gzipped(t, lines), "Content-Encoding", "gzip")

	s := newSource(t, Config{MaxBody: int64(len(lines))}, &fakePublisher{})
	if code, a, _ := post(t, s.Handler(), "/v1/events", lines); code != 202 {
		t.Errorf("body of exactly the limit: %d %+v", code, a)
	}
	// The length may be unknown until the end.
	r := httptest.NewRequest(http.MethodPost, "/v1/events", io.LimitReader(zeros{}, 1<<20))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("body of unknown length: %d", w.Code)
	}
	s = newSource(t, Config{Memory: 1000}, &fakePublisher{})
	if code, _, header := post(t, s.Handler(), "/v1/events", lines); code != 503 || header.Get("Retry-After") == "" {
		t.Errorf("no memory left: %d", code)
	}
}

func TestFailureToPublishAsksForTheRequestAgain(t *testing.T) {
	h := newSource(t, Config{}, &fakePublisher{fail: errors.New("no broker")}).Handler()
	for _, body := range []string{good1, bad} {
		code, a, header := post(t, h, "/v1/events", []byte(body))
		if code != 503 || header.Get("Retry-After") == "" || a.Accepted != 0 {
			t.Errorf("%s: %d %+v", body, code, a)
		}
	}
	// A record that can never be written is refused instead.
	h = newSource(t, Config{}, &fakePublisher{fail: &schemas.DecodeError{Reason: schemas.ReasonTooLarge}}).Handler()
	if code, a, _ := post(t, h, "/v1/events", []byte(good1)); code != 400 || fmt.Sprint(a.Refused) != "[{0 too_large }]" {
		t.Errorf("oversize event: %d %+v", code, a)
	}
}

// stuckPublisher never answers.
type stuckPublisher struct{ fakePublisher }

func (*stuckPublisher) Publish(context.Context, *schemas.Event, func(error)) {}

func TestPublisherThatNeverAnswersIsGivenUp(t *testing.T) {
	h := newSource(t, Config{PublishTimeout: time.Millisecond}, &stuckPublisher{}).Handler()
	if code, a, _ := post(t, h, "/v1/events", []byte(good1+bad), "Content-Type", "application/json"); code != 503 || a.Accepted != 0 {
		t.Errorf("%d %+v", code, a)
	}
}

func TestTokenIsAskedForWhenConfigured(t *testing.T) {
	h := newSource(t, Config{Token: "right"}, &fakePublisher{}).Handler()
	for header, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer rightx": 401, "Basic right": 401, "Bearer right": 202, "bearer right": 202} {
		code, _, got := post(t, h, "/v1/events", []byte(good1), "Authorization", header)
		if code != want || (code == 401) != (got.Get("WWW-Authenticate") != "") {
			t.Errorf("%q: %d, want %d", header, code, want)
		}
	}
}

func TestRefusalsAreCountedAndListedUpToTheLimits(t *testing.T) {
	pub := &fakePublisher{}
	s := newSource(t, Config{MaxDeadLetters: 15}, pub)
	code, a, _ := post(t, s.Handler(), "/v1/events", []byte(strings.Repeat(bad+"\n", 40)+good1))
	if code != 202 || a.RefusedTotal != 40 || len(a.Refused) != maxListed || len(pub.refused) != 15 {
		t.Errorf("%d %+v, %d dead letters", code, a, len(pub.refused))
	}
	if got := counted(t, s.metrics.refused.WithLabelValues("canonical", "wrong_type")); got != 40 {
		t.Errorf("%v refusals counted", got)
	}
	if got := counted(t, s.metrics.uncopied); got != 25 {
		t.Errorf("%v refusals without a dead letter counted", got)
	}
	if got := counted(t, s.metrics.accepted.WithLabelValues("canonical")); got != 1 {
		t.Errorf("%v events counted", got)
	}
	r := pub.refused[0]
	if r.Source != "http" || r.Reason != schemas.ReasonWrongType || r.Field != "status" || r.Format != "canonical" || string(r.Raw) != bad {
		t.Errorf("dead letter %+v", r)
	}
}

func TestServeAnswersOverTCPAndStops(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(t, Config{}, &fakePublisher{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Post("http://"+ln.Addr().String()+"/v1/events", "application/json", strings.NewReader(good1))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 202 {
		t.Errorf("status %d", res.StatusCode)
	}
	if res, err = client.Get("http://" + ln.Addr().String() + "/v1/events"); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 405 {
		t.Errorf("GET: status %d", res.StatusCode)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// FuzzSplitter: every byte of a body that is not a separator is in one record,
// in order, and cutting ends.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte(good1+"\n"+bad), uint8(shapeLines))
	f.Add([]byte(good1+good2), uint8(shapeValues))
	f.Add([]byte(good1+","+good2+"]"), uint8(shapeArray))
	f.Add([]byte(`}],{"a\"":[1,"]"]} x`), uint8(shapeArray))
	f.Fuzz(func(t *testing.T, body []byte, sh uint8) {
		s := splitter{rest: body, shape: shape(sh % 4)}
		from := 0
		for n := 0; ; n++ {
			record, ok := s.next()
			if !ok {
				break
			}
			if len(record) == 0 || n > len(body) {
				t.Fatalf("record %d of %q is empty or one too many", n, body)
			}
			i := bytes.Index(body[from:], record)
			if i < 0 {
				t.Fatalf("record %q is not in the rest of %q", record, body)
			}
			if skipped := body[from : from+i]; len(bytes.Trim(skipped, " \t\r\n,]")) > 0 {
				t.Fatalf("%q was lost from %q", skipped, body)
			}
			from += i + len(record)
		}
		if len(bytes.Trim(body[from:], " \t\r\n,]")) > 0 {
			t.Fatalf("%q was lost from the end of %q", body[from:], body)
		}
	})
}
