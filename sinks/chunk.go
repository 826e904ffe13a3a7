package sinks

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// HeaderTick marks a record that only carries time: it is no row.
const HeaderTick = "weir-tick"

// Reasons for which a record of a chunk is no row, beside schemas.Reason.
const (
	skipRerouted = "rerouted" // Config.Skip
	skipEarly    = "early"    // features of a window that is still open
)

// batchRows is how many decoded rows a chunk hands out at a time.
const batchRows = 512

// Bounds of the day that a row is filed under. Event times come from outside: a
// row whose day is further from the broker's time, or one more than maxDays of
// its chunk, goes to the day of the record instead, so that nobody can make a
// chunk open thousands of files or table partitions. The time itself is stored
// as it came.
const (
	maxDaysBefore = 400
	maxDaysAfter  = 1
	maxDays       = 32
)

// microsPerDay is a day in the unit of all times here.
const microsPerDay = int64(24 * time.Hour / time.Microsecond)

// Meta is what every row has: where it came from and the day it is filed under.
type Meta struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      int64 // the record's timestamp, microseconds since 1970
	Day       int32 // days since 1970, UTC

	topic []byte // Topic, converted once
}

// EventRow is one event. ID is the event's own or "topic/partition/offset",
// EventTime its own or the record's timestamp, Client the client key.
type EventRow struct {
	Meta
	Event     *schemas.Event
	ID        []byte
	EventTime int64 // microseconds since 1970
	Client    []byte
}

// FeatureRow is the final record of one client window.
type FeatureRow struct {
	Meta
	Features *schemas.ClientFeatures
}

// VerdictRow is one verdict; Document is its JSON as it came.
type VerdictRow struct {
	Meta
	Verdict  *schemas.Verdict
	Document []byte
}

// Chunk is a range of offsets of one partition and the records in it. Decoding
// happens while a Writer walks the rows, in offset order; it may walk them again.
type Chunk struct {
	Table     Table
	Topic     string
	Partition int32
	// First and End bound the offsets, [First, End). Offsets inside may have no
	// record.
	First, End int64
	// Recovered says that the range was read from an intent: an earlier attempt
	// may have written it already.
	Recovered bool
	// Since is when the range was decided, by the clock of whoever did; zero when
	// that is not known.
	Since time.Time

	records []*kgo.Record
	bytes   int64
	skip    func(*kgo.Record, *schemas.Event) bool
	skipped map[string]int64
	days    map[int32]struct{}

	topicText []byte
}

// NewChunk makes a chunk of records that lie in [first, end) of one partition,
// in offset order. Skip is Config.Skip and may be nil.
func NewChunk(table Table, topic string, partition int32, first, end int64, records []*kgo.Record,
	skip func(*kgo.Record, *schemas.Event) bool,
) *Chunk {
	c := &Chunk{
		Table: table, Topic: topic, Partition: partition, First: first, End: end,
		records: records, skip: skip,
	}
	for _, rec := range records {
		c.bytes += recordBytes(rec)
	}
	return c
}

// Token names the range: equal tokens mean equal rows.
func (c *Chunk) Token() string {
	return c.Topic + ":" + strconv.Itoa(int(c.Partition)) + ":" +
		strconv.FormatInt(c.First, 10) + "-" + strconv.FormatInt(c.End, 10)
}

// Records is how many records the chunk holds; not each is a row.
func (c *Chunk) Records() int { return len(c.records) }

// Bytes is the size of the records in memory, about.
func (c *Chunk) Bytes() int64 { return c.bytes }

// Skipped counts the records that the last complete walk left out, by reason.
func (c *Chunk) Skipped() map[string]int64 { return maps.Clone(c.skipped) }

// recordBytes is about what a record occupies, so that buffers can be bounded.
func recordBytes(rec *kgo.Record) int64 {
	const overhead = 192 // the struct and its slice headers
	n := overhead + len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

func header(rec *kgo.Record, key string) []byte {
	for i := range rec.Headers {
		if rec.Headers[i].Key == key {
			return rec.Headers[i].Value
		}
	}
	return nil
}

func isTick(rec *kgo.Record) bool {
	for i := range rec.Headers {
		if rec.Headers[i].Key == HeaderTick {
			return true
		}
	}
	return false
}

func (c *Chunk) begin() {
	c.skipped = make(map[string]int64)
	c.days = make(map[int32]struct{}, 2)
	c.topicText = []byte(c.Topic)
}

func (c *Chunk) meta(rec *kgo.Record, eventTime int64) Meta {
	m := Meta{
		Topic: c.Topic, Partition: c.Partition, Offset: rec.Offset,
		Time: clampMicros(rec.Timestamp.UnixMicro()), topic: c.topicText,
	}
	m.Day = c.day(clampMicros(eventTime), m.Time)
	return m
}

// day files a row. It depends on the records of the chunk alone, so a chunk that
// is formed again has the same days.
func (c *Chunk) day(eventTime, recordTime int64) int32 {
	// ClickHouse's Date ends in 2149, on day 65535.
	own, fallback := dayOf(eventTime), min(dayOf(recordTime), math.MaxUint16-maxDaysAfter)
	if own < fallback-maxDaysBefore || own > fallback+maxDaysAfter {
		own = fallback
	}
	if _, known := c.days[own]; !known {
		if len(c.days) >= maxDays {
			return fallback
		}
		c.days[own] = struct{}{}
	}
	return own
}

// dayOf takes a time at or after 1970.
func dayOf(micros int64) int32 {
	return int32(micros / microsPerDay)
}

// Events walks the rows of a chunk of TableEvents in batches of at most 512. The
// rows and all they point to are reused after yield returns. It ends at the
// first error of yield and returns that error.
func (c *Chunk) Events(yield func(rows []EventRow) error) error {
	c.begin()
	rows := make([]EventRow, 0, batchRows)
	events := make([]schemas.Event, batchRows)
	var ids, clients []byte
	for _, rec := range c.records {
		ev := &events[len(rows)]
		if err := decodeEvent(rec, ev); err != nil {
			c.skipped[string(schemas.ReasonOf(err))]++
			continue
		}
		if c.skip != nil && c.skip(rec, ev) {
			c.skipped[skipRerouted]++
			continue
		}
		row := EventRow{Event: ev, ID: ev.ID, EventTime: ev.Time}
		if row.EventTime == 0 {
			row.EventTime = clampMicros(rec.Timestamp.UnixMicro())
		}
		row.Meta = c.meta(rec, row.EventTime)
		if len(row.ID) == 0 {
			from := len(ids)
			ids = appendPosition(ids, c.Topic, c.Partition, rec.Offset)
			row.ID = ids[from:len(ids):len(ids)]
		}
		from := len(clients)
		clients = features.AppendClientKey(clients, ev)
		row.Client = clients[from:len(clients):len(clients)]
		if rows = append(rows, row); len(rows) == batchRows {
			if err := yield(rows); err != nil {
				return err
			}
			rows, ids, clients = rows[:0], ids[:0], clients[:0]
		}
	}
	return lastBatch(rows, yield)
}

// Features walks the final records of a chunk of TableFeatures; see Events.
func (c *Chunk) Features(yield func(rows []FeatureRow) error) error {
	c.begin()
	rows := make([]FeatureRow, 0, batchRows)
	values := make([]schemas.ClientFeatures, batchRows)
	for _, rec := range c.records {
		f := &values[len(rows)]
		if err := decodeFeatures(rec, f); err != nil {
			c.skipped[string(schemas.ReasonOf(err))]++
			continue
		}
		if !f.Final {
			c.skipped[skipEarly]++
			continue
		}
		rows = append(rows, FeatureRow{Meta: c.meta(rec, f.WindowStart), Features: f})
		if len(rows) == batchRows {
			if err := yield(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return lastBatch(rows, yield)
}

// Verdicts walks the rows of a chunk of TableVerdicts; see Events.
func (c *Chunk) Verdicts(yield func(rows []VerdictRow) error) error {
	c.begin()
	rows := make([]VerdictRow, 0, batchRows)
	for _, rec := range c.records {
		v := new(schemas.Verdict)
		if err := decodeVerdict(rec, v); err != nil {
			c.skipped[string(schemas.ReasonOf(err))]++
			continue
		}
		rows = append(rows, VerdictRow{
			Meta: c.meta(rec, v.WindowStart.UnixMicro()), Verdict: v,
			// Readers of Parquet refuse a file over one text that is not UTF-8.
			Document: bytes.ToValidUTF8(rec.Value, []byte("\uFFFD")),
		})
		if len(rows) == batchRows {
			if err := yield(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return lastBatch(rows, yield)
}

func lastBatch[R any](rows []R, yield func([]R) error) error {
	if len(rows) == 0 {
		return nil
	}
	return yield(rows)
}

func appendPosition(dst []byte, topic string, partition int32, offset int64) []byte {
	dst = append(dst, topic...)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(partition), 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, offset, 10)
}

func decodeEvent(rec *kgo.Record, ev *schemas.Event) error {
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaEvent); err != nil {
		return err
	}
	return ev.Decode(string(header(rec, schemas.HeaderContentType)), rec.Value)
}

func decodeFeatures(rec *kgo.Record, f *schemas.ClientFeatures) error {
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaFeatures); err != nil {
		return err
	}
	if len(rec.Value) == 0 {
		return &schemas.DecodeError{Reason: schemas.ReasonEmpty}
	}
	return f.DecodeProto(rec.Value)
}

func decodeVerdict(rec *kgo.Record, v *schemas.Verdict) error {
	if err := schemas.CheckSchemaHeader(header(rec, schemas.HeaderSchema), schemas.SchemaVerdict); err != nil {
		return err
	}
	if len(rec.Value) == 0 {
		return &schemas.DecodeError{Reason: schemas.ReasonEmpty}
	}
	if err := json.Unmarshal(rec.Value, v); err != nil {
		return &schemas.DecodeError{Reason: schemas.ReasonMalformedJSON}
	}
	return nil
}
