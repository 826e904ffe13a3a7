package gateway

import "time"

// ChangeKind tells what happened to an entry.
type ChangeKind uint8

// Kinds of change.
const (
	ChangeAdded    ChangeKind = iota + 1 // an entry where there was none
	ChangeReplaced                       // a newer entry for the same entity
	ChangeRemoved                        // lifted by a tombstone
	ChangeExpired                        // freed after its expiry
	ChangeRebuilt                        // the whole list was read again; take a new snapshot
)

// String is the kind in lower case.
func (k ChangeKind) String() string {
	switch k {
	case ChangeAdded:
		return "added"
	case ChangeReplaced:
		return "replaced"
	case ChangeRemoved:
		return "removed"
	case ChangeExpired:
		return "expired"
	case ChangeRebuilt:
		return "rebuilt"
	}
	return "unknown"
}

// Change is one difference between two moments of the list.
type Change struct {
	Kind ChangeKind
	// Item is the new entry for added and replaced, the old one for removed and
	// expired, and zero for rebuilt.
	Item Item
	// Written is the timestamp of the record behind the change; zero for
	// expired and rebuilt. Now minus Written is the apply latency.
	Written time.Time
}

// Subscribe calls f for every change after Ready, once it is visible to lookups,
// in log order for any one entity. Changes while the list is read for the first
// time are not reported: subscribe, wait for Ready, take All, and apply the
// changes that came meanwhile on top; none is missed, and one seen twice says
// the same twice.
//
// f runs in the follower and must return at once; it may look entries up, and
// must not call Subscribe, Sweep or the function returned here. The function
// returned ends the subscription: f is not called after it returns.
func (b *Blocklist) Subscribe(f func(Change)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.next
	b.next++
	b.subs[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, id)
	}
}

// queue keeps a change until its batch is visible. The caller holds mu.
func (b *Blocklist) queue(c Change) {
	if len(b.subs) > 0 {
		b.changes = append(b.changes, c)
	}
}

// queueRemoval keeps the removal of p from s, which has happened. Where the log
// spells the entity in another way too, that entry stands now, and is announced.
func (b *Blocklist) queueRemoval(s *store, kind ChangeKind, sc scope, allow bool, p packed, written time.Time) {
	if len(b.subs) == 0 {
		return
	}
	b.queue(Change{Kind: kind, Item: item(sc, allow, p), Written: written})
	if len(s.spellings) == 0 {
		return
	}
	for _, next := range s.all(sc, allow, []byte(p.value())) {
		b.queue(Change{Kind: ChangeAdded, Item: item(sc, allow, next), Written: written})
	}
}

// deliverChanges calls the subscribers. The caller holds mu.
func (b *Blocklist) deliverChanges() {
	if len(b.changes) == 0 {
		return
	}
	for _, f := range b.subs {
		for _, c := range b.changes {
			f(c)
		}
	}
	clear(b.changes)
	b.changes = b.changes[:0]
}
