package sinks

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// topicPartition keys the partitions of a runner.
type topicPartition struct {
	topic     string
	partition int32
}

// unknownOffset stands where nothing is committed and nothing was read yet.
const unknownOffset = -1

// partition is what the runner holds of one assigned partition. The runner's
// mutex guards every field but ctx, cancel and idle's channel.
type partition struct {
	topicPartition
	table Table

	// ctx ends when the partition is taken away or the sink stops for good.
	ctx    context.Context
	cancel context.CancelFunc

	fetched bool  // the committed offset is known; no chunk is formed before
	start   int64 // the next chunk starts here; unknownOffset at first
	next    int64 // one beyond the last offset read; unknownOffset at first
	hwm     int64 // end of the partition as the last fetch told it

	// intended is the chunk that an earlier owner decided, if end > 0.
	intended intent

	buf      []*kgo.Record
	bufBytes int64
	since    time.Time // when the oldest offset in [start, next) was read

	busy   *Chunk        // the chunk in flight
	idle   chan struct{} // closed while no chunk is in flight
	oldest time.Time     // timestamp of the first record in flight
}

// add takes a record whose offset is at or above next.
func (p *partition) add(rec *kgo.Record, now time.Time) int64 {
	if p.start == unknownOffset {
		p.start = rec.Offset
	}
	if p.since.IsZero() {
		p.since = now
	}
	p.next = rec.Offset + 1
	if isTick(rec) {
		// The offset counts, the record is no row.
		return 0
	}
	n := recordBytes(rec)
	p.buf = append(p.buf, rec)
	p.bufBytes += n
	return n
}

// limits of a chunk.
type limits struct {
	rows     int
	bytes    int64
	interval time.Duration
}

// cut takes the next chunk out of the buffer, or nil if none is due. An intended
// range is due once it is complete and is never cut otherwise.
func (p *partition) cut(l limits, now time.Time, force bool) *Chunk {
	if p.busy != nil || !p.fetched || p.start == unknownOffset || p.next <= p.start {
		return nil
	}
	c := &Chunk{Table: p.table, Topic: p.topic, Partition: p.partition, First: p.start}
	n := 0
	if p.intended.End > 0 {
		if p.next < p.intended.End {
			return nil
		}
		for ; n < len(p.buf) && p.buf[n].Offset < p.intended.End; n++ {
			c.bytes += recordBytes(p.buf[n])
		}
		c.End, c.Recovered, c.Since = p.intended.End, true, p.intended.since()
	} else {
		full := len(p.buf) >= l.rows || p.bufBytes >= l.bytes
		if !full && !force && now.Sub(p.since) < l.interval {
			return nil
		}
		for n < len(p.buf) && n < l.rows && (n == 0 || c.bytes < l.bytes) {
			c.bytes += recordBytes(p.buf[n])
			n++
		}
		c.End, c.Since = p.next, now
		if n < len(p.buf) {
			c.End = p.buf[n-1].Offset + 1
		}
	}
	p.intended = intent{}
	c.records = p.buf[:n:n]
	// A copy, so that the records of the chunk are freed with the chunk.
	p.buf = append([]*kgo.Record(nil), p.buf[n:]...)
	p.bufBytes -= c.bytes
	p.since = time.Time{}
	if c.End < p.next {
		p.since = now
	}
	p.busy = c
	p.idle = make(chan struct{})
	if n > 0 {
		p.oldest = c.records[0].Timestamp
	}
	return c
}
