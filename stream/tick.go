package stream

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TickHeader is the record header that marks a tick; its value is the time of
// the tick in microseconds since 1970, decimal.
const TickHeader = "weir-tick"

// TickRecord returns a tick for one partition: a record without key and value
// that only says how late it is. Ticks move event time forward in a partition
// that receives nothing else; being part of the log, they do so in a replay
// too. A tick that is written twice changes nothing.
func TickRecord(topic string, partition int32, timeUS int64) *kgo.Record {
	return &kgo.Record{
		Topic:     topic,
		Partition: partition,
		Headers:   []kgo.RecordHeader{{Key: TickHeader, Value: strconv.AppendInt(nil, timeUS, 10)}},
	}
}

// TickTime returns the time of a tick in microseconds since 1970, and whether
// rec is one: it has no key and no value, and one header TickHeader with a
// non-negative decimal number.
func TickTime(rec *kgo.Record) (us int64, ok bool) {
	if len(rec.Key) != 0 || len(rec.Value) != 0 {
		return 0, false
	}
	for i := range rec.Headers {
		if rec.Headers[i].Key != TickHeader {
			continue
		}
		v := rec.Headers[i].Value
		if len(v) == 0 || len(v) > 18 {
			return 0, false
		}
		for _, c := range v {
			if c < '0' || c > '9' {
				return 0, false
			}
			us = us*10 + int64(c-'0')
		}
		return us, true
	}
	return 0, false
}
