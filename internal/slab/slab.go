// Package slab keeps a bounded number of fixed-size values by 128-bit key, with
// segmented least-recently-used eviction.
//
// New keys enter a probation segment and move to the protected segment when
// their owner says so; eviction takes from probation first. A flood of keys that
// are seen once therefore turns over the probation segment alone, and leaves
// what long-standing keys have accumulated untouched.
//
// Values live in chunks that never move, so a *V stays valid until its key is
// evicted or removed. A Slab has one owner and no locks.
package slab

// Key is a 128-bit keyed hash: wide enough that no two live keys share it.
type Key struct{ Hi, Lo uint64 }

const (
	chunkSize = 64
	none      = int32(-1)

	probation = 0
	protected = 1
)

type entry[V any] struct {
	key        Key
	prev, next int32
	segment    uint8
	used       bool
	value      V
}

type list struct {
	head, tail int32 // head is the least recently used
	size       int
}

// Slab maps keys to values. The zero Slab is not usable; call New.
type Slab[V any] struct {
	index    map[Key]int32
	chunks   [][]entry[V]
	free     []int32
	segments [2]list
	capacity int
	quota    int // probation keeps at most this many while the slab is full
}

// New returns a Slab that holds at most capacity values (at least 4), a quarter
// of them in probation when full.
func New[V any](capacity int) *Slab[V] {
	capacity = max(capacity, 4)
	return &Slab[V]{
		index:    make(map[Key]int32),
		segments: [2]list{{none, none, 0}, {none, none, 0}},
		capacity: capacity,
		quota:    max(capacity/4, 1),
	}
}

// Len is the number of values held.
func (s *Slab[V]) Len() int { return len(s.index) }

// Cap is the number of values that New allowed.
func (s *Slab[V]) Cap() int { return s.capacity }

func (s *Slab[V]) at(i int32) *entry[V] { return &s.chunks[i/chunkSize][i%chunkSize] }

// Get returns the value of a key and marks it as just used, or nil.
func (s *Slab[V]) Get(k Key) *V {
	i, ok := s.index[k]
	if !ok {
		return nil
	}
	e := s.at(i)
	s.unlink(i)
	s.pushBack(i, int(e.segment))
	return &e.value
}

// Peek is Get without marking the key as used.
func (s *Slab[V]) Peek(k Key) *V {
	if i, ok := s.index[k]; ok {
		return &s.at(i).value
	}
	return nil
}

// Put returns a zero value for a key that Get did not find. When the slab is
// full, evict is called with the least recently used key and its value, which
// are gone when it returns; evict must not call back into the Slab.
func (s *Slab[V]) Put(k Key, evict func(Key, *V)) *V {
	for len(s.index) >= s.capacity {
		s.evictOne(evict)
	}
	i := s.alloc()
	e := s.at(i)
	var zero V
	e.key, e.value, e.used = k, zero, true
	s.index[k] = i
	s.pushBack(i, probation)
	return &e.value
}

// Promote moves a key to the protected segment. When that is over its share,
// its own least recently used key falls back to probation.
func (s *Slab[V]) Promote(k Key) {
	i, ok := s.index[k]
	if !ok || s.at(i).segment == protected {
		return
	}
	s.unlink(i)
	s.pushBack(i, protected)
	for s.segments[protected].size > s.capacity-s.quota {
		oldest := s.segments[protected].head
		s.unlink(oldest)
		s.pushBack(oldest, probation)
	}
}

// Remove drops a key without calling any evict function.
func (s *Slab[V]) Remove(k Key) {
	if i, ok := s.index[k]; ok {
		s.release(i)
	}
}

// All calls yield for every key from the least to the most recently used,
// probation first, until it returns false. The order, with isProtected, is all
// that a copy needs to evict as this Slab would.
func (s *Slab[V]) All(yield func(k Key, isProtected bool, v *V) bool) {
	for seg := range s.segments {
		for i := s.segments[seg].head; i != none; {
			e := s.at(i)
			next := e.next
			if !yield(e.key, seg == protected, &e.value) {
				return
			}
			i = next
		}
	}
}

func (s *Slab[V]) evictOne(evict func(Key, *V)) {
	seg := probation
	if s.segments[probation].size == 0 {
		seg = protected
	}
	i := s.segments[seg].head
	e := s.at(i)
	if evict != nil {
		evict(e.key, &e.value)
	}
	s.release(i)
}

func (s *Slab[V]) release(i int32) {
	e := s.at(i)
	delete(s.index, e.key)
	s.unlink(i)
	e.used = false
	s.free = append(s.free, i)
}

func (s *Slab[V]) alloc() int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	n := len(s.index)
	if n == len(s.chunks)*chunkSize {
		s.chunks = append(s.chunks, make([]entry[V], chunkSize))
	}
	return int32(n)
}

func (s *Slab[V]) unlink(i int32) {
	e := s.at(i)
	l := &s.segments[e.segment]
	if e.prev == none {
		l.head = e.next
	} else {
		s.at(e.prev).next = e.next
	}
	if e.next == none {
		l.tail = e.prev
	} else {
		s.at(e.next).prev = e.prev
	}
	l.size--
}

func (s *Slab[V]) pushBack(i int32, segment int) {
	e := s.at(i)
	l := &s.segments[segment]
	e.segment, e.prev, e.next = uint8(segment), l.tail, none
	if l.tail == none {
		l.head = i
	} else {
		s.at(l.tail).next = i
	}
	l.tail = i
	l.size++
}
