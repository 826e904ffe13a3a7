package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/stream"
)

// badRecord is a record that must be refused.
type badRecord struct {
	name        string
	reason      string
	value       []byte
	headers     []kgo.RecordHeader
	compression kgo.CompressionCodec
	unread      bool // its dead letter has neither key nor value
}

func badRecords() []badRecord {
	now := time.Now().UTC()
	event := func(at time.Time, rest string) []byte {
		return fmt.Appendf(nil, `{"time":%q,"method":"GET","path":"/v1/accounts","status":200,"client_ip":%q,"api":"bank"%s}`,
			at.Format(time.RFC3339Nano), visitor, rest)
	}
	header := func(key, value string) []kgo.RecordHeader {
		return []kgo.RecordHeader{{Key: key, Value: []byte(value)}}
	}
	padding := strings.Repeat("x", 10<<20)
	return []badRecord{
		{name: "JSON that ends early", reason: string(schemas.ReasonMalformedJSON), value: []byte(`{"time":"2026-`)},
		{name: "Protobuf that ends early", reason: string(schemas.ReasonMalformedProtobuf), value: []byte("\x0a\xff")},
		{name: "status as text", reason: string(schemas.ReasonWrongType), value: event(now, `,"status":"200"`)},
		{name: "status out of range", reason: string(schemas.ReasonOutOfRange), value: event(now, `,"status":20000`)},
		{name: "invalid UTF-8", reason: string(schemas.ReasonInvalidUTF8), value: event(now, `,"user_agent":"`+"\xff\xfe"+`"`)},
		{name: "no time at all", reason: string(schemas.ReasonInvalidTime), value: event(now, `,"time":"yesterday"`)},
		{name: "nested too deep", reason: string(schemas.ReasonTooDeep), value: event(now, `,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))},
		{name: "10 MB", reason: string(schemas.ReasonTooLarge), value: event(now, `,"attrs":{"padding":"`+padding+`"}`)},
		{name: "gzip bomb", reason: string(schemas.ReasonTooLarge), value: make([]byte, 11<<20), compression: kgo.GzipCompression()},
		{name: "zstd bomb", reason: string(schemas.ReasonTooLarge), value: bytes.Repeat([]byte("{"), 11<<20), compression: kgo.ZstdCompression()},
		{name: "zstd bomb of 200 MB", reason: string(schemas.ReasonTooLarge), value: make([]byte, 200<<20), compression: kgo.ZstdCompression(), unread: true},
		{name: "a user's name of 100 KB", reason: string(schemas.ReasonTooLarge), value: event(now, `,"user":"`+padding[:100<<10]+`"`)},
		{name: "of the year 2099", reason: pipeline.ReasonFuture, value: event(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "")},
		{name: "an hour late", reason: string(schemas.ReasonLate), value: event(now.Add(-time.Hour), "")},
		{name: "a version from the future", reason: string(schemas.ReasonUnknownVersion), value: event(now, ""), headers: header(schemas.HeaderSchema, "event/99")},
		{name: "another schema", reason: string(schemas.ReasonUnknownSchema), value: event(now, ""), headers: header(schemas.HeaderSchema, "order/1")},
		{name: "another content type", reason: string(schemas.ReasonUnknownContentType), value: event(now, ""), headers: header(schemas.HeaderContentType, "text/html")},
		{name: "nothing", reason: string(schemas.ReasonEmpty), value: []byte{}},
	}
}

func TestBadInputOnEmbeddedBrokerIsSetAsideAndStopsNothing(t *testing.T) {
	t.Parallel()
	badInput(t, serve(t, nil, nil))
}

func TestBadInputOnRealKafkaIsSetAsideAndStopsNothing(t *testing.T) {
	t.Parallel()
	badInput(t, serve(t, services.Kafka(t), nil))
}

func badInput(t *testing.T, s *service) {
	// The clock of the visitor's partition has started, for what is late.
	strangersTraffic(t, s)
	eventually(t, "the first events to be extracted", minute, func() bool { return s.d.written(s.d.topics.Features) > 0 })

	bad := badRecords()
	reasons := map[string]int{}
	for _, b := range bad {
		s.d.produceBad(t, &b)
		reasons[b.reason]++
	}
	eventually(t, "all of it to be set aside", minute, func() bool {
		s.ended(t)
		return s.d.settled(s.d.topics.DeadLetter) >= len(bad)
	})
	dead := slices.Concat(s.d.read(s.d.topics.DeadLetter)...)
	for _, b := range bad {
		i := slices.IndexFunc(dead, func(r *kgo.Record) bool {
			from, _ := headerOf(r, stream.HeaderTopic)
			reason, _ := headerOf(r, stream.HeaderReason)
			return from == s.d.topics.Events && reason == b.reason && (b.unread && len(r.Key) == 0 || string(r.Key) == b.name)
		})
		if i < 0 {
			t.Errorf("%s: no dead letter with the reason %s", b.name, b.reason)
			continue
		}
		want := b.value[:min(len(b.value), 64<<10)]
		if b.unread {
			want = nil
		}
		if !bytes.Equal(dead[i].Value, want) {
			t.Errorf("%s: the dead letter has %d bytes, want the first %d of what came", b.name, len(dead[i].Value), len(want))
		}
		if size, _ := headerOf(dead[i], stream.HeaderSize); len(want) < len(b.value) && !b.unread && size != strconv.Itoa(len(b.value)) {
			t.Errorf("%s: the dead letter says that %q bytes came, want %d", b.name, size, len(b.value))
		}
	}
	if len(dead) != len(bad) {
		for _, r := range dead {
			reason, _ := headerOf(r, stream.HeaderReason)
			t.Logf("dead letter %q: %s, %d bytes", r.Key, reason, len(r.Value))
		}
		t.Errorf("%d dead letters, want %d", len(dead), len(bad))
	}
	for reason, n := range reasons {
		if got := s.metric(t, "weir_stream_dead_letters_total", `reason="`+reason+`"`); got != float64(n) {
			t.Errorf("%v refusals counted for %s, want %d", got, reason, n)
		}
	}

	bomb := gzipped(make([]byte, 256<<20))
	if code := s.post(t, bomb, "gzip"); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a bomb over HTTP was answered %d", code)
	}
	if got := s.metric(t, "weir_http_requests_total", `code="413"`); got != 1 {
		t.Errorf("%v requests counted with 413, want 1", got)
	}
	refused := s.d.settled(s.d.topics.DeadLetter)
	if code := s.post(t, []byte("{\"status\":\"200\"}\nnot JSON\n"), ""); code >= 500 {
		t.Errorf("bad events over HTTP were answered %d", code)
	}
	eventually(t, "bad events over HTTP to be set aside", minute, func() bool {
		return s.d.settled(s.d.topics.DeadLetter) == refused+2
	})

	// The largest event there may be, where it does not belong, is moved.
	largest := fmt.Appendf(nil, `{"time":%q,"client_ip":%q,"api":"bank","attrs":{"padding":"`, time.Now().UTC().Format(time.RFC3339Nano), visitor)
	largest = append(append(largest, bytes.Repeat([]byte("x"), 1<<20-len(largest)-3)...), `"}}`...)
	s.d.produceBad(t, &badRecord{name: "largest", value: largest})
	// All of it has hurt nobody: an attack that follows is blocked.
	before := s.d.written(s.d.topics.Features)
	began := time.Now()
	strangersTraffic(t, s)
	eventually(t, "the attacker to be refused", minute, func() bool {
		s.ended(t)
		code, _ := s.ask(attacker)
		return code == http.StatusForbidden && s.d.written(s.d.topics.Features) > before
	})
	if code, body := s.ask(visitor); code != http.StatusOK {
		t.Errorf("a visitor got %d: %s", code, body)
	}
	t.Logf("figures: %d kinds of bad records, each set aside with its reason and counted; "+
		"a gzip body of %d KB that would grow to 256 MB refused; the next attack blocked within %.1f s of its first call",
		len(bad), len(bomb)>>10, time.Since(began).Seconds())
	s.stop(t)
}

// produceBad writes a record as a producer without limits would.
func (d *deployment) produceBad(t *testing.T, b *badRecord) {
	t.Helper()
	codec := b.compression
	if codec == (kgo.CompressionCodec{}) {
		codec = kgo.NoCompression()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(d.brokers...), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(256<<20), kgo.BrokerMaxWriteBytes(300<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rec := &kgo.Record{Topic: d.topics.Events, Key: []byte(b.name), Value: b.value, Headers: b.headers}
	if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
}

// settled is the number of committed records in a topic.
func (d *deployment) settled(topic string) (n int) {
	for _, recs := range d.read(topic) {
		n += len(recs)
	}
	return n
}

// metric is the sum of a metric's samples whose labels contain a text.
func (s *service) metric(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	_, body := get("http://"+s.admin+"/metrics", nil)
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") || !strings.Contains(line, label) {
			continue
		}
		fields := strings.Fields(line)
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// post sends a body of events and returns the status.
func (s *service) post(t *testing.T, body []byte, encoding string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.intake+"/v1/events", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}
