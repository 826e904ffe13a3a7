package gateway

// flat is a hash table of packed entries, keyed by their id. It is a set with
// open addressing: the key is inside the entry, so a slot is the entry's string
// header and 32 bits of its hash, 24 bytes instead of the 33 of a Go map from
// string to string; growing touches no entry, and finding one takes two cache
// misses, the slot's and the entry's. The hash is seeded, since the keys are
// chosen by whoever is being blocked.
//
// The zero value is an empty table. Not safe for concurrent use.
type flat struct {
	slots []flatSlot
	n     int
}

type flatSlot struct {
	tag uint32 // low half of the hash, 0 for a free slot
	p   packed
}

const flatMin = 8

// tagOf is the part of a hash that flat keeps; never 0.
func tagOf(hash uint64) uint32 { return max(1, uint32(hash)) }

// find is the slot of a key, or the free slot where it belongs. The table must
// have a free slot, which put sees to.
func (f *flat) find(tag uint32, key []byte) (i int, ok bool) {
	mask := len(f.slots) - 1
	for i = int(tag) & mask; ; i = (i + 1) & mask {
		switch f.slots[i].tag {
		case tag:
			if f.slots[i].p.id() == string(key) {
				return i, true
			}
		case 0:
			return i, false
		}
	}
}

// get finds an entry.
func (f *flat) get(tag uint32, key []byte) (packed, bool) {
	if f.n == 0 {
		return "", false
	}
	i, ok := f.find(tag, key)
	if !ok {
		return "", false
	}
	return f.slots[i].p, true
}

// put stores an entry and returns the one with the same key that it replaces.
func (f *flat) put(tag uint32, p packed) (old packed) {
	// At most three quarters full, so that a search for what is not there ends
	// soon.
	if 4*(f.n+1) > 3*len(f.slots) {
		f.resize(max(flatMin, 2*len(f.slots)))
	}
	mask, id := len(f.slots)-1, p.id()
	i := int(tag) & mask
	for ; f.slots[i].tag != 0; i = (i + 1) & mask {
		if f.slots[i].tag == tag && f.slots[i].p.id() == id {
			old, f.slots[i].p = f.slots[i].p, p
			return old
		}
	}
	f.slots[i] = flatSlot{tag, p}
	f.n++
	return ""
}

// remove deletes an entry, and tells whether there was one.
func (f *flat) remove(tag uint32, key []byte) bool {
	if f.n == 0 {
		return false
	}
	i, ok := f.find(tag, key)
	if !ok {
		return false
	}
	// What follows is moved up over the hole, as far as its own place allows:
	// a search stops at the first free slot.
	mask := len(f.slots) - 1
	for j := (i + 1) & mask; f.slots[j].tag != 0; j = (j + 1) & mask {
		home := int(f.slots[j].tag) & mask
		if (j-home)&mask >= (j-i)&mask {
			f.slots[i] = f.slots[j]
			i = j
		}
	}
	f.slots[i] = flatSlot{}
	f.n--
	if len(f.slots) > 1024 && f.n < len(f.slots)/8 {
		f.resize(len(f.slots) / 4)
	}
	return true
}

// resize moves the entries to a table of n slots, a power of two above f.n.
func (f *flat) resize(n int) {
	slots := make([]flatSlot, n)
	mask := n - 1
	for _, s := range f.slots {
		if s.tag == 0 {
			continue
		}
		j := int(s.tag) & mask
		for slots[j].tag != 0 {
			j = (j + 1) & mask
		}
		slots[j] = s
	}
	f.slots = slots
}

// appendAll appends every entry to dst.
func (f *flat) appendAll(dst []packed) []packed {
	for _, s := range f.slots {
		if s.tag != 0 {
			dst = append(dst, s.p)
		}
	}
	return dst
}
