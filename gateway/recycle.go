package gateway

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordPool hands the record slices of large batches round. Reading a million
// records from the start otherwise leaves a few hundred bytes of garbage for
// each, while the collector is busy with a growing heap.
//
// Small batches, which is what arrives afterwards, are not pooled: the client
// clears a slice to its capacity, and a large one would cost each of them more
// than an allocation.
type recordPool struct{ pool sync.Pool }

const pooledRecords = 256

// GetRecords implements kgo.PoolRecords.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if n >= pooledRecords {
		if s, ok := p.pool.Get().(*[]kgo.Record); ok && cap(*s) >= n && cap(*s) <= 4*n {
			return (*s)[:0]
		}
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords implements kgo.PoolRecords.
func (p *recordPool) PutRecords(s []kgo.Record) {
	if cap(s) >= pooledRecords {
		p.pool.Put(&s)
	}
}
