package gateway

import (
	"maps"
	"net/netip"
	"sync/atomic"
)

// networkSet is the network entries of one kind: the writer's own map, and the
// snapshot that readers see.
type networkSet struct {
	entries map[netip.Prefix]packed
	dirty   bool
	live    atomic.Pointer[networkTable]
}

// networkTable is immutable. lengths are the prefix lengths in use, so a lookup
// costs one map access per length rather than one per network.
type networkTable struct {
	entries            map[netip.Prefix]packed
	lengths4, lengths6 []uint8
}

func (n *networkSet) put(prefix netip.Prefix, p packed) (old packed) {
	if n.entries == nil {
		n.entries = make(map[netip.Prefix]packed)
	}
	old = n.entries[prefix]
	n.entries[prefix] = p
	n.dirty = true
	return old
}

func (n *networkSet) remove(prefix netip.Prefix) (old packed) {
	old, ok := n.entries[prefix]
	if ok {
		delete(n.entries, prefix)
		n.dirty = true
	}
	return old
}

func (n *networkSet) publish() {
	if !n.dirty {
		return
	}
	n.dirty = false
	if len(n.entries) == 0 {
		n.live.Store(nil)
		return
	}
	t := &networkTable{entries: maps.Clone(n.entries)}
	var used4, used6 [129]bool
	for prefix := range t.entries {
		if prefix.Addr().Is4() {
			used4[prefix.Bits()] = true
		} else {
			used6[prefix.Bits()] = true
		}
	}
	for bits := 128; bits >= 0; bits-- {
		if used4[bits] {
			t.lengths4 = append(t.lengths4, uint8(bits))
		}
		if used6[bits] {
			t.lengths6 = append(t.lengths6, uint8(bits))
		}
	}
	n.live.Store(t)
}
