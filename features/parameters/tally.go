package parameters

import "slices"

// minClients is how many different clients make something normal. Two
// accounts are cheap to come by; the third one costs as much again.
const minClients = 3

// witness remembers up to minClients different clients, by hash.
type witness [minClients]uint32

// see takes a client in.
func (w *witness) see(client uint32) {
	for i, c := range w {
		if c == client {
			return
		}
		if c == 0 {
			w[i] = client
			return
		}
	}
}

// fullWitness stands for enough clients, whichever.
var fullWitness = witness{1, 3, 5}

// count tells how many clients were seen, minClients at most.
func (w *witness) count() (n int) {
	for n < minClients && w[n] != 0 {
		n++
	}
	return n
}

// enough tells whether minClients were seen.
func (w *witness) enough() bool { return w[minClients-1] != 0 }

func (w *witness) merge(o *witness) {
	for _, c := range o {
		if c != 0 {
			w.see(c)
		}
	}
}

// bin is one value of a histogram.
type bin struct {
	key   uint8
	count uint32
	seen  witness
}

// histogram counts small integers, sparsely, in the order of the keys.
type histogram []bin

func (h *histogram) add(key uint8, client uint32) {
	b := h.at(key)
	b.count = saturate(b.count, 1)
	b.seen.see(client)
}

func (h *histogram) at(key uint8) *bin {
	i, ok := slices.BinarySearchFunc(*h, key, func(b bin, k uint8) int { return int(b.key) - int(k) })
	if !ok {
		*h = slices.Insert(*h, i, bin{key: key})
	}
	return &(*h)[i]
}

func (h *histogram) merge(o histogram) {
	for i := range o {
		b := h.at(o[i].key)
		b.count = saturate(b.count, o[i].count)
		b.seen.merge(&o[i].seen)
	}
}

// sums tells the votes for what is normal, how many values are normal, and how
// many clients had others: a client that makes up many counts once.
func (h histogram) sums() (votes float64, normal, odd int) {
	strangers := crowd{}
	for i := range h {
		if h[i].seen.enough() {
			votes += float64(h[i].count)
			normal++
		} else {
			strangers.add(&h[i].seen)
		}
	}
	return votes, normal, len(strangers)
}

// believed is the count of the only bin of a histogram, or, of too few clients,
// no more than one each: what few clients do often is still what few do.
func (h histogram) believed() float64 {
	if len(h) == 0 {
		return 0
	}
	if h[0].seen.enough() {
		return float64(h[0].count)
	}
	return min(float64(h[0].count), float64(h[0].seen.count()))
}

// crowd counts different clients.
type crowd map[uint32]struct{}

func (c crowd) add(w *witness) {
	for _, client := range w[:w.count()] {
		c[client] = struct{}{}
	}
}

// saturate adds without wrapping around.
func saturate(a, b uint32) uint32 {
	if s := a + b; s >= a {
		return s
	}
	return 1<<32 - 1
}

// Values kept of one parameter.
const (
	maxValues     = 16
	maxValueBytes = 64
)

// value is one member of what may be an enumeration.
type value struct {
	text  string
	count uint32
	seen  witness
}

// valueSet keeps the commonest values of a parameter, after A. Metwally et al.,
// "Efficient computation of frequent and top-k elements in data streams" (ICDT
// 2005), but that a value which is normal is never replaced: what one client
// makes up must not push an enumeration out.
type valueSet struct {
	values  []value
	spilled bin // votes for values that found no room
}

func (s *valueSet) add(v []byte, count uint32, seen *witness) {
	victim := -1
	for i := range s.values {
		if s.values[i].text == string(v) {
			s.values[i].count = saturate(s.values[i].count, count)
			s.values[i].seen.merge(seen)
			return
		}
		if !s.values[i].seen.enough() && (victim < 0 || s.values[i].count < s.values[victim].count) {
			victim = i
		}
	}
	switch {
	case len(v) > maxValueBytes:
		s.spill(count, seen)
	case len(s.values) < maxValues:
		s.values = append(s.values, value{text: string(v), count: count, seen: *seen})
	case victim < 0:
		s.spill(count, seen)
	default:
		// The newcomer inherits the count of the value it replaces (an upper bound
		// of its own), not its witnesses.
		old := &s.values[victim]
		s.spill(0, &old.seen)
		*old = value{text: string(v), count: saturate(old.count, count), seen: *seen}
	}
}

func (s *valueSet) spill(count uint32, seen *witness) {
	s.spilled.count = saturate(s.spilled.count, count)
	s.spilled.seen.merge(seen)
}

// open tells that many clients sent more values than are kept.
func (s *valueSet) open() bool { return s.spilled.seen.enough() }

func (s *valueSet) merge(o *valueSet) {
	s.spill(o.spilled.count, &o.spilled.seen)
	for i := range o.values {
		s.add([]byte(o.values[i].text), o.values[i].count, &o.values[i].seen)
	}
}
