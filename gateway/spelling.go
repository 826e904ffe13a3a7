package gateway

import (
	"net/netip"
	"strings"
)

// identify is what an entry is stored under: an address or a network in its
// canonical form, any other value as it is. The result may be appended to dst or
// be value itself. False: the value is no network.
func identify(dst []byte, sc scope, value []byte) (id []byte, prefix netip.Prefix, ok bool) {
	switch sc {
	case scopeIP:
		return appendAddr(dst, value), netip.Prefix{}, true
	case scopeNetwork:
		prefix, err := parseNetwork(string(value))
		if err != nil {
			return nil, prefix, false
		}
		return prefix.AppendTo(dst), prefix, true
	}
	return value, netip.Prefix{}, true
}

// spellings remembers the entries of entities that the log spells in more than
// one way: an address behind a dual-stack
// socket is "::ffff:192.0.2.7" to one gateway and "192.0.2.7" to the next. Each
// spelling is a key of its own in the log, lifted on its own, while a lookup
// must find the client under any. The newest is the one that lookups see.
type spellings map[spelled]map[string]packed

type spelled struct {
	sc    scope
	allow bool
	id    string
}

// put notes an entry that has just replaced shown in the store, and returns the
// entry of the same spelling that it replaces. The common entity, with one
// spelling, costs nothing.
func (m *spellings) put(sc scope, allow bool, p, shown packed) (old packed) {
	known := (*m)[spelled{sc, allow, p.id()}]
	if known == nil {
		if shown == "" || shown != "" && shown.value() == p.value() {
			return shown
		}
		known = map[string]packed{shown.value(): shown}
		if *m == nil {
			*m = make(spellings)
		}
		(*m)[spelled{sc, allow, strings.Clone(p.id())}] = known
	}
	old = known[p.value()]
	known[p.value()] = p
	return old
}

// remove forgets a spelling and returns the newest of those that remain, ""
// when none does.
func (m spellings) remove(sc scope, allow bool, id []byte, value string) (next packed) {
	known := m[spelled{sc, allow, string(id)}]
	if known == nil {
		return ""
	}
	delete(known, value)
	for _, p := range known {
		if next == "" || p.offset() > next.offset() {
			next = p
		}
	}
	if next == "" {
		delete(m, spelled{sc, allow, string(id)})
	}
	return next
}

// get finds the entry of one spelling; several is false when the entity has only
// the entry that lookups see.
func (m spellings) get(sc scope, allow bool, id, value []byte) (p packed, several bool) {
	known, several := m[spelled{sc, allow, string(id)}]
	return known[string(value)], several
}

// all lists the spellings under which the log holds an entity.
func (s *store) all(sc scope, allow bool, value []byte) (ps []packed) {
	var buf [64]byte
	id, prefix, ok := identify(buf[:0], sc, value)
	if !ok {
		return nil
	}
	if known := s.spellings[spelled{sc, allow, string(id)}]; known != nil {
		for _, p := range known {
			ps = append(ps, p)
		}
		return ps
	}
	var p packed
	if sc == scopeNetwork {
		p = s.set(allow).entries[prefix]
	} else {
		p, _ = s.get(sc, allow, id)
	}
	if p != "" {
		ps = append(ps, p)
	}
	return ps
}
