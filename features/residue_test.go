package features

import (
	"fmt"
	"testing"

	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// An attacker who rotates identities to be evicted comes back to what it did.
func TestFailuresSurviveEvictionWithinTheDay(t *testing.T) {
	cfg := testConfig()
	cfg.Clients, cfg.Shards = 8, 1
	s := newStage(t, cfg)
	fail := func(at int64) {
		s.call("attacker", at, func(e *schemas.Event) { e.LoginUser, e.Status = []byte("l"), 403 })
	}
	crowd := func(at int64) {
		for i := range 40 {
			s.call(fmt.Sprintf("bystander%d", i), at+int64(i), nil)
		}
	}
	for i := range 5 {
		fail(start + int64(i))
	}
	crowd(start + second)
	if s.x.Stats.Evicted == 0 {
		t.Fatal("nobody was evicted")
	}
	fail(start + 60*second)
	s.x.Flush(s)
	last := func() *schemas.ClientFeatures {
		var f *schemas.ClientFeatures
		for _, r := range s.finals() {
			if string(r.Client) == "user:attacker" {
				f = r
			}
		}
		return f
	}
	if f := last(); f.DayLoginFailures != 6 || f.DayLoginAttempts != 6 || f.DayRequests != 6 {
		t.Errorf("after eviction %d failures of %d logins in %d calls, want 6 of each", f.DayLoginFailures, f.DayLoginAttempts, f.DayRequests)
	}
	// A day later nothing of it counts.
	crowd(start + 70*second)
	fail(start + day)
	s.x.Flush(s)
	if f := last(); f.DayLoginFailures != 1 {
		t.Errorf("a day later %d failures, want 1", f.DayLoginFailures)
	}
}

func failures(day int64, n uint32) *slot {
	return &slot{day: day, requests: n, logins: n, loginFailures: n}
}

// remembered restores a key of today's table and gives its failures.
func remembered(r *residueTable, k slab.Key, today int64) uint32 {
	var s slot
	r.restore(k, &s, today)
	return s.loginFailures
}

func TestResidueKeepsTheWorstOfToday(t *testing.T) {
	const today = 20_000
	key := func(i uint64) slab.Key { return slab.Key{Hi: i + 1} } // all in one set
	r := newResidueTable(1)
	for i := range uint64(6) {
		r.keep(key(i), failures(today, uint32(10-i)))
	}
	r.keep(key(9), failures(today, 0)) // nothing to remember
	for i, want := range []uint32{10, 9, 8, 0, 0, 5} {
		if got := remembered(&r, key(uint64(i)), today); got != want {
			t.Errorf("client %d: %d failures remembered, want %d", i, got, want)
		}
	}
}

func TestResidueOfAnEarlierDayGivesWayFirst(t *testing.T) {
	const today = 20_000
	key := func(i uint64) slab.Key { return slab.Key{Hi: i + 1} }
	r := newResidueTable(1)
	r.keep(key(0), failures(today-1, 500))
	r.keep(key(1), failures(today, 5))
	r.keep(key(2), failures(today, 3))
	r.keep(key(3), failures(today, 4))
	r.keep(key(4), failures(today, 2))
	for i, want := range []uint32{0, 5, 3, 4, 2} {
		var s slot
		k := key(uint64(i))
		if r.restore(k, &s, today); s.loginFailures != want {
			t.Errorf("client %d: %d failures remembered, want %d", i, s.loginFailures, want)
		} else if want > 0 {
			r.keep(k, &s)
		}
	}
	// A client last seen yesterday takes no room from today's.
	r.keep(key(5), failures(today-1, 900))
	if got := remembered(&r, key(4), today); got != 2 {
		t.Errorf("yesterday's failures pushed out today's: %d remembered", got)
	}
}

func TestResidueRestoresOnce(t *testing.T) {
	r := newResidueTable(100)
	k := slab.Key{Hi: 7, Lo: 9 << 32}
	r.keep(k, failures(5, 70_000))
	r.keep(k, failures(5, 80_000)) // replaces its own entry
	if got := remembered(&r, k, 5); got != 1<<16-1 {
		t.Errorf("%d failures remembered, want the most that 16 bits hold", got)
	}
	if got := remembered(&r, k, 5); got != 0 {
		t.Errorf("%d failures remembered twice", got)
	}
}
