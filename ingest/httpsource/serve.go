package httpsource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/ingest/publish"
	"github.com/weir-dev/weir/schemas"
)

// sourceName stands for a topic on dead letters.
const sourceName = "http"

// maxListed is how many refusals an answer names.
const maxListed = 10

// answer is the body of every response.
type answer struct {
	Accepted     int       `json:"accepted"`
	Refused      []refusal `json:"refused,omitempty"`
	RefusedTotal int       `json:"refused_total"`
	Error        string    `json:"error,omitempty"`
}

type refusal struct {
	Index  int            `json:"index"` // of the record in the body, from 0
	Reason schemas.Reason `json:"reason"`
	Field  string         `json:"field,omitempty"`
}

// reader decodes the records of one request at a time.
type reader struct {
	adapter   ingest.Adapter
	sanitizer *ingest.Sanitizer // for Protobuf
	ev        *schemas.Event
	scrubbed  []byte
}

func newReader(format string, opts ingest.Options) (*reader, error) {
	r := &reader{ev: schemas.NewEvent()}
	var err error
	if r.adapter, err = ingest.New(format, opts); err != nil {
		return nil, err
	}
	if format == ingest.FormatCanonical {
		r.sanitizer, err = ingest.NewSanitizer(opts)
	}
	return r, err
}

func (r *reader) parse(record []byte, protobuf bool) error {
	r.ev.Reset()
	if !protobuf {
		return r.adapter.Parse(record, r.ev)
	}
	if err := r.ev.DecodeProto(record); err != nil {
		return err
	}
	return r.sanitizer.Apply(r.ev)
}

// serve answers one request: 202 if any record was accepted, 400 if none was, 413
// and 415 if the body was not looked at, 503 if Kafka did not take all of it.
// Events of a request that is answered 503 may have been written; sending it
// again writes them again.
func (s *Source) serve(w http.ResponseWriter, r *http.Request, format string) {
	shape, protobuf, ok := bodyShape(r.Header.Get("Content-Type"), format)
	if !ok {
		s.fail(w, http.StatusUnsupportedMediaType, "content type is none of application/json, application/x-ndjson, application/x-protobuf, text/plain")
		return
	}
	body, release, err := s.readBody(r)
	if err != nil {
		s.failBody(w, err)
		return
	}
	defer release()
	s.metrics.bytes.Add(float64(len(body)))
	if shape == shapeValues || shape == shapeLines {
		isJSON, _ := ingest.IsJSON(format)
		if trimmed := bytes.TrimLeft(body, " \t\r\n"); isJSON && len(trimmed) > 0 && trimmed[0] == '[' {
			shape, body = shapeArray, trimmed[1:]
		}
	}
	rd, ok := s.readers[format].Get().(*reader)
	if !ok {
		s.fail(w, http.StatusInternalServerError, "no reader for this format")
		return
	}
	defer s.readers[format].Put(rd)

	// A client that hangs up must not tear its records out of a half-sent batch.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.cfg.PublishTimeout)
	defer cancel()
	d := &delivery{source: s, format: format, reader: rd}
	records := splitter{rest: body, shape: shape}
	for record, ok := records.next(); ok; record, ok = records.next() {
		d.send(ctx, record, protobuf)
	}
	d.respond(w, d.wait(ctx))
}

// delivery is one request on its way to Kafka.
type delivery struct {
	source *Source
	format string
	reader *reader

	records     int
	deadLetters int
	pending     sync.WaitGroup

	mu       sync.Mutex // covers what follows: promises run on the producer's goroutine
	accepted int
	refusals answer // Refused and RefusedTotal
	err      error  // first record that Kafka did not take
}

func (d *delivery) send(ctx context.Context, record []byte, protobuf bool) {
	index := d.records
	d.records++
	if err := d.reader.parse(record, protobuf); err != nil {
		d.refuse(ctx, index, record, err)
		return
	}
	d.pending.Add(1)
	d.source.pub.Publish(ctx, d.reader.ev, func(err error) {
		defer d.pending.Done()
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case err == nil:
			d.accepted++
		case schemas.ReasonOf(err) == schemas.ReasonTooLarge:
			// No dead letter: it would be as large.
			d.count(refusal{Index: index, Reason: schemas.ReasonTooLarge})
		case d.err == nil:
			d.err = err
		}
	})
}

// wait returns when Kafka has answered for every record, or ctx ends: a producer
// may hold a record for longer than a client should wait. What it says later is
// dropped with d.
func (d *delivery) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		d.pending.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for Kafka: %w", ctx.Err())
	}
}

// count counts a refusal; d.mu is held.
func (d *delivery) count(r refusal) {
	d.refusals.RefusedTotal++
	if len(d.refusals.Refused) < maxListed {
		d.refusals.Refused = append(d.refusals.Refused, r)
	}
	d.source.metrics.refused.WithLabelValues(d.format, string(r.Reason)).Inc()
}

// refuse counts a record and sends it to the dead letters.
func (d *delivery) refuse(ctx context.Context, index int, record []byte, err error) {
	s := d.source
	r := refusal{Index: index, Reason: schemas.ReasonOf(err)}
	if de, ok := errors.AsType[*schemas.DecodeError](err); ok {
		r.Field = de.Field
	}
	d.mu.Lock()
	d.count(r)
	d.mu.Unlock()

	if d.deadLetters++; d.deadLetters > s.cfg.MaxDeadLetters {
		s.metrics.uncopied.Inc()
		return
	}
	d.pending.Add(1)
	d.reader.scrubbed = ingest.Scrub(d.reader.scrubbed[:0], record)
	s.pub.Refuse(ctx, publish.Refused{
		Raw: d.reader.scrubbed, Reason: r.Reason, Field: r.Field, Source: sourceName, Format: d.format,
	}, func(err error) {
		defer d.pending.Done()
		d.mu.Lock()
		defer d.mu.Unlock()
		if err != nil && d.err == nil {
			d.err = err
		}
	})
}

func (d *delivery) respond(w http.ResponseWriter, late error) {
	s := d.source
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = late
	}
	s.metrics.accepted.WithLabelValues(d.format).Add(float64(d.accepted))
	a := d.refusals
	// Later refusals append to the same array.
	a.Refused = slices.Clone(a.Refused)
	a.Accepted = d.accepted
	switch {
	case d.err != nil:
		s.log.Warn("events received over HTTP did not reach Kafka", "format", d.format, "accepted", d.accepted, "records", d.records, "error", d.err)
		a.Error = "not all records were written; send the request again"
		w.Header().Set("Retry-After", "5")
		s.respond(w, http.StatusServiceUnavailable, a)
	case d.records == 0:
		a.Error = "body holds no record"
		s.respond(w, http.StatusBadRequest, a)
	case d.accepted == 0:
		a.Error = "every record was refused"
		s.respond(w, http.StatusBadRequest, a)
	default:
		s.respond(w, http.StatusAccepted, a)
	}
}

// bodyShape tells from the content type how a body holds its records.
func bodyShape(contentType, format string) (sh shape, protobuf, ok bool) {
	if contentType == "" {
		return shapeLines, false, true
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, false, false
	}
	switch media {
	case schemas.ContentTypeJSON:
		if isJSON, _ := ingest.IsJSON(format); isJSON {
			return shapeValues, false, true
		}
		return shapeLines, false, true
	case schemas.ContentTypeProtobuf, "application/protobuf":
		return shapeOne, true, format == ingest.FormatCanonical
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain",
		"application/octet-stream", "application/x-www-form-urlencoded": // what curl --data-binary sends
		return shapeLines, false, true
	}
	return 0, false, false
}

func (s *Source) failBody(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errBomb):
		// The rest of the body is not worth reading.
		w.Header().Set("Connection", "close")
		s.fail(w, http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, errEncoding):
		s.fail(w, http.StatusUnsupportedMediaType, err.Error())
	case errors.Is(err, errNoMemory):
		w.Header().Set("Retry-After", "1")
		s.fail(w, http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, errUndecodable):
		s.fail(w, http.StatusBadRequest, errUndecodable.Error())
	default:
		s.fail(w, http.StatusBadRequest, "body could not be read")
	}
}

func (s *Source) fail(w http.ResponseWriter, code int, message string) {
	s.respond(w, code, answer{Error: message})
}

func (s *Source) respond(w http.ResponseWriter, code int, a answer) {
	s.metrics.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	w.Header().Set("Content-Type", schemas.ContentTypeJSON)
	w.WriteHeader(code)
	// A client that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(a)
}
