package features

import (
	"cmp"

	"github.com/weir-dev/weir/internal/slab"
)

// residueTable remembers, in 16 bytes a client, the failures of clients that
// were evicted today: a client that comes back goes on where it left off, so
// that rotating identities does not wash failures away. It is a set-associative
// cache: 4 entries a set; the oldest day's gives way first, and of one day that
// with the fewest failures.
type residueTable struct {
	size int                         // sets, a power of two
	sets [][residueWays]residueEntry // nil until something has to be kept
}

const residueWays = 4

type residueEntry struct {
	tag           uint64
	day           uint16 // days since 1970, modulo 2^16
	requests      uint16
	logins        uint16
	loginFailures uint16
}

// newResidueTable makes room for about four times as many clients as have slots.
func newResidueTable(clients int) residueTable {
	n := 1
	for n < clients {
		n *= 2
	}
	return residueTable{size: n}
}

func (t *residueTable) set(k slab.Key) *[residueWays]residueEntry {
	if t.sets == nil {
		t.sets = make([][residueWays]residueEntry, t.size)
	}
	return &t.sets[(k.Lo>>32)%uint64(t.size)]
}

// keep remembers an evicted slot; one without failed logins is not worth it.
func (t *residueTable) keep(k slab.Key, s *slot) {
	if s.loginFailures == 0 {
		return
	}
	set := t.set(k)
	at := 0
	for i := range set {
		if set[i].tag == k.Hi {
			at = i
			break
		}
		if cmp.Or(cmp.Compare(set[i].day, set[at].day), cmp.Compare(set[i].loginFailures, set[at].loginFailures)) < 0 {
			at = i
		}
	}
	if set[at].tag != k.Hi && set[at].day > uint16(s.day) {
		return // what is left of an earlier day takes no room from today
	}
	cap16 := func(n uint32) uint16 { return uint16(min(n, 1<<16-1)) }
	set[at] = residueEntry{
		tag: k.Hi, day: uint16(s.day),
		requests: cap16(s.requests), logins: cap16(s.logins), loginFailures: cap16(s.loginFailures),
	}
}

// restore gives a new slot what is remembered of its client from the same day.
func (t *residueTable) restore(k slab.Key, s *slot, today int64) {
	if t.sets == nil {
		return
	}
	for i := range t.set(k) {
		if e := &t.set(k)[i]; e.tag == k.Hi && e.day == uint16(today) && e.loginFailures > 0 {
			s.day = today
			s.requests, s.logins, s.loginFailures = uint32(e.requests), uint32(e.logins), uint32(e.loginFailures)
			*e = residueEntry{}
			return
		}
	}
}
