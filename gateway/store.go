package gateway

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	shardBits  = 6
	shardCount = 1 << shardBits
)

// store holds the entries of one tenant in memory.
//
// Entries stand in hash tables keyed by the entity itself, one set of tables per
// scope, each split into shards with a lock of their own. An immutable snapshot
// behind one pointer would read without a lock but has to be copied for every
// change; with shards a change locks out a 64th of one scope's lookups, for the
// time of one assignment.
//
// Networks are few, every caller is matched against them, and no shard fits a
// prefix search: they are an immutable snapshot, replaced when they change.
//
// Writers must be serialised by the caller; readers need nothing.
type store struct {
	seed     maphash.Seed
	blocks   [numScopes]table // scopeNetwork is unused
	allows   [numScopes]table
	networks [2]networkSet // blocks, allows
	text     atomic.Int64  // bytes of packed entries

	spellings spellings // writers only
}

// table is one scope's entries.
type table struct {
	count  atomic.Int64 // lets a lookup skip an empty scope without a lock
	shards [shardCount]shard
}

type shard struct {
	mu      sync.RWMutex // covers entries against readers
	entries flat
	_       [72]byte // two cache lines, so that neighbours do not contend
}

func newStore() *store { return &store{seed: maphash.MakeSeed()} }

func (s *store) table(sc scope, allow bool) *table {
	if allow {
		return &s.allows[sc]
	}
	return &s.blocks[sc]
}

func (s *store) set(allow bool) *networkSet {
	if allow {
		return &s.networks[1]
	}
	return &s.networks[0]
}

// get finds an entry, expired or not. Networks are found by their exact prefix.
func (s *store) get(sc scope, allow bool, value []byte) (packed, bool) {
	if sc == scopeNetwork {
		prefix, err := parseNetwork(string(value))
		if err != nil {
			return "", false
		}
		t := s.set(allow).live.Load()
		if t == nil {
			return "", false
		}
		p, ok := t.entries[prefix]
		return p, ok
	}
	t := s.table(sc, allow)
	if t.count.Load() == 0 {
		return "", false
	}
	if sc == scopeIP {
		var buf [64]byte
		value = appendAddr(buf[:0], value)
	}
	hash := maphash.Bytes(s.seed, value)
	sh := t.shard(hash)
	sh.mu.RLock()
	p, ok := sh.entries.get(tagOf(hash), value)
	sh.mu.RUnlock()
	return p, ok
}

// put stores an entry and returns the one of the same spelling that it replaces.
// An entry of scopeNetwork becomes visible at the next publish; its id is a
// canonical prefix.
func (s *store) put(sc scope, allow bool, p packed) (old packed) {
	shown := s.show(sc, allow, p)
	old = s.spellings.put(sc, allow, p, shown)
	s.text.Add(int64(len(p) - len(old)))
	return old
}

// show makes an entry the one that lookups see and returns the one that they saw.
func (s *store) show(sc scope, allow bool, p packed) (shown packed) {
	if sc == scopeNetwork {
		prefix, err := parseNetwork(p.id())
		if err != nil {
			return ""
		}
		return s.set(allow).put(prefix, p)
	}
	t := s.table(sc, allow)
	hash := maphash.String(s.seed, p.id())
	sh := t.shard(hash)
	sh.mu.Lock()
	shown = sh.entries.put(tagOf(hash), p)
	sh.mu.Unlock()
	if shown == "" {
		t.count.Add(1)
	}
	return shown
}

func (t *table) shard(hash uint64) *shard { return &t.shards[hash>>(64-shardBits)] }

// remove deletes the entry of exactly this spelling and returns it, "" when
// there was none.
func (s *store) remove(sc scope, allow bool, value []byte) (old packed) {
	old = s.standing(sc, allow, value)
	if old == "" {
		return ""
	}
	s.text.Add(-int64(len(old)))
	var buf [64]byte
	id, prefix, _ := identify(buf[:0], sc, value)
	if next := s.spellings.remove(sc, allow, id, string(value)); next != "" {
		s.show(sc, allow, next)
		return old
	}
	if sc == scopeNetwork {
		s.set(allow).remove(prefix)
		return old
	}
	t := s.table(sc, allow)
	hash := maphash.Bytes(s.seed, id)
	sh := t.shard(hash)
	sh.mu.Lock()
	removed := sh.entries.remove(tagOf(hash), id)
	sh.mu.Unlock()
	if removed {
		t.count.Add(-1)
	}
	return old
}

// standing is the entry of exactly this spelling, "" without one. It sees
// network entries before they are published; writers only.
func (s *store) standing(sc scope, allow bool, value []byte) packed {
	var buf [64]byte
	id, prefix, ok := identify(buf[:0], sc, value)
	if !ok {
		return ""
	}
	if p, several := s.spellings.get(sc, allow, id, value); several {
		return p
	}
	var p packed
	if sc == scopeNetwork {
		p = s.set(allow).entries[prefix]
	} else {
		p, _ = s.get(sc, allow, id)
	}
	if p == "" || p.value() != string(value) {
		return ""
	}
	return p
}

// publish makes the network changes since the last publish visible.
func (s *store) publish() {
	for i := range s.networks {
		s.networks[i].publish()
	}
}

// contains finds the most severe network entry that holds all of inner and
// expires after now(), of equals the narrowest. The clock is asked only when
// something matched.
func (s *store) contains(allow bool, inner netip.Prefix, now func() int64) (packed, bool) {
	t := s.set(allow).live.Load()
	if t == nil {
		return "", false
	}
	var best packed
	lengths := t.lengths4
	if inner.Addr().Is6() {
		lengths = t.lengths6
	}
	for _, bits := range lengths {
		prefix, err := inner.Addr().Prefix(int(bits))
		if err != nil || int(bits) > inner.Bits() {
			continue
		}
		p, ok := t.entries[prefix]
		if ok && p.expires() > now() &&
			(best == "" || p.action().Severity() > best.action().Severity()) {
			best = p
		}
	}
	return best, best != ""
}

// each calls f for every entry, one shard at a time. f may be called while
// readers and writers go on; it sees each shard as it stood at one moment.
func (s *store) each(f func(sc scope, allow bool, p packed) bool) {
	var batch []packed
	for _, allow := range [...]bool{false, true} {
		for sc := range scopeNetwork {
			t := s.table(sc, allow)
			for i := range t.shards {
				batch = t.shards[i].collect(batch[:0])
				for _, p := range batch {
					if !f(sc, allow, p) {
						return
					}
				}
			}
		}
		if t := s.set(allow).live.Load(); t != nil {
			for _, p := range t.entries {
				if !f(scopeNetwork, allow, p) {
					return
				}
			}
		}
	}
}

func (sh *shard) collect(dst []packed) []packed {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.entries.appendAll(dst)
}

// len counts entries, expired ones included.
func (s *store) len(allow bool) (n int) {
	for sc := range scopeNetwork {
		n += int(s.table(sc, allow).count.Load())
	}
	return n + s.networksLen(allow)
}

func (s *store) networksLen(allow bool) int {
	if t := s.set(allow).live.Load(); t != nil {
		return len(t.entries)
	}
	return 0
}
