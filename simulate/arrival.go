package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// Record is an encoded event with its time, for tests and loads that reorder
// or replay events.
type Record struct {
	Time  int64  // event time, microseconds since 1970
	Key   []byte // as the caller of Collect made it
	Value []byte // canonical JSON
}

// Collect encodes up to limit events of src as JSON; a limit below zero takes
// all. key, which may be nil, appends the record key of an event to dst.
func Collect(src Source, limit int, key func(dst []byte, ev *schemas.Event) []byte) []Record {
	var out []Record
	ev := schemas.NewEvent()
	for (limit < 0 || len(out) < limit) && src.Next(ev) {
		r := Record{Time: ev.Time, Value: ev.AppendJSON(nil)}
		if key != nil {
			r.Key = key(nil, ev)
		}
		out = append(out, r)
	}
	return out
}

// Shuffle puts records into an order of arrival in which none is late by more
// than within: before any record only records have come whose times are less
// than its own plus within. The order depends on the seed and the input alone.
func Shuffle(records []Record, within time.Duration, seed uint64) {
	type arrival struct {
		at     int64
		record Record
	}
	var pcg rand.PCG
	seedPCG(&pcg, seed, domainShuffle, 0)
	r := rand.New(&pcg)
	late := within.Microseconds()
	all := make([]arrival, len(records))
	for i, rec := range records {
		all[i] = arrival{rec.Time, rec}
		if late > 0 {
			all[i].at += r.Int64N(late)
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for i := range all {
		records[i] = all[i].record
	}
}
