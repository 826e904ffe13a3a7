package features

import (
	"math/bits"
	"slices"
	"sort"

	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// An open hop keeps its calls until the watermark passes its end. Until then
// the client's slot is speculative: it holds the calls in arrival order. A call
// that arrives out of order only marks the slot stale; it is rebuilt from base
// when it is next read. On close the hop's calls are folded into base in their
// canonical order, so what is final never depends on the order of arrival.

const (
	maxEventIDs = 10
	// foldAt is how many calls of one open hop are kept before those that the
	// watermark has passed are folded into base: it bounds what one client can
	// make an extractor remember, and changes no result, because no call can
	// arrive before them any more.
	foldAt = 1024
	// everyFailure is how many failures of a client in a day are each judged at
	// once; after that only powers of two are.
	everyFailure = 64
)

// openClient is a client with at least one open hop.
type openClient struct {
	key    slab.Key
	tenant []byte
	client []byte
	api    []byte
	base   slot // the slot before every call in hops
	stale  bool // the slot in the slab is not base plus hops in order
	hops   []*openHop
	dead   bool // evicted; still listed until the list is swept
	steps  *sequence.Model
}

// openHop is one hop of one client.
type openHop struct {
	start    int64
	calls    []observation // in canonical order
	folded   uint32        // calls already folded into base
	notables uint32        // notable calls seen
	seq      uint32        // emissions so far

	newest observation // the canonically last call, which the text below is of
	ip     []byte
	ua     []byte
	ja4    []byte
	route  []byte
	land   []byte
	asn    int64
	// credential is of the newest call, decoy the route of the last decoy called.
	credential []byte
	decoy      []byte
	decoyAt    observation
	worst      finding
	ids        []eventID // up to maxEventIDs, notable first, then oldest first
	idText     []byte
}

type eventID struct {
	notable  bool
	time     int64
	from, to int32
}

func (x *Extractor) observe(sh *shard, key slab.Key, e *schemas.Event, o *observation, tenant, api []byte, out Emitter) {
	state := sh.slots.Get(key)
	if state == nil {
		state = sh.slots.Put(key, func(k slab.Key, victim *clientState) { x.evict(sh, k, victim, out) })
		sh.residue.restore(key, &state.slot, o.time/day)
	}
	if state.slot.requests >= 3 && state.slot.first/x.cfg.Hop != o.time/x.cfg.Hop {
		// Seen in two hops: a client, not a key that was used once.
		sh.slots.Promote(key)
	}
	c := state.open
	if c == nil {
		c = sh.newOpen(key, tenant, x.client, api)
		c.steps = x.cfg.Knowledge.sequence(api, x.client)
		c.base = state.slot
		state.open = c
		sh.open = append(sh.open, c)
	}
	h := c.hop(sh, o.time-o.time%x.cfg.Hop)
	last := h == c.hops[len(c.hops)-1]
	inOrder := h.insert(o) && last
	if inOrder && !c.stale {
		state.slot.apply(o, x.cfg.Hop, c.steps)
	} else {
		c.stale = true
	}
	h.remember(e, o, x.call.template)
	h.keep(o, &x.inspector.found)
	if len(h.calls) >= foldAt && h == c.hops[0] {
		c.fold(h, x.Watermark(), x.cfg.Hop)
	}

	total := uint32(len(h.calls)) + h.folded
	due := total > 1 && bits.OnesCount32(total) == 1
	if o.notable() {
		h.notables++
		n := max(state.slot.loginFailures, h.notables)
		due = due || n > 1 && (n <= everyFailure || bits.OnesCount32(n) == 1)
	}
	if due && last && !x.cfg.FinalOnly {
		if c.stale {
			c.rebuild(&state.slot, x.cfg.Hop)
		}
		x.Stats.Early++
		x.emit(c, h, &state.slot, false, out)
	}
}

// insert puts a call in its place; it tells whether that was the end.
func (h *openHop) insert(o *observation) bool {
	n := len(h.calls)
	if n == 0 || h.calls[n-1].compare(o) <= 0 {
		h.calls = append(h.calls, *o)
		return true
	}
	i := sort.Search(n, func(i int) bool { return h.calls[i].compare(o) >= 0 })
	h.calls = slices.Insert(h.calls, i, *o)
	return false
}

// remember keeps what explains the hop: the text of its newest call and the ids
// of the calls that count most.
func (h *openHop) remember(e *schemas.Event, o *observation, template []byte) {
	if h.newest.time == 0 || h.newest.compare(o) <= 0 {
		h.newest = *o
		h.ip = append(h.ip[:0], e.ClientIP...)
		h.ua = append(h.ua[:0], e.UserAgent[:min(len(e.UserAgent), 256)]...)
		h.ja4 = append(h.ja4[:0], e.JA4[:min(len(e.JA4), 64)]...)
		h.land = append(h.land[:0], e.Country[:min(len(e.Country), 8)]...)
		h.route = append(h.route[:0], template...)
		h.asn = e.ASN
		h.credential = append(h.credential[:0], e.Credential[:min(len(e.Credential), 128)]...)
	}
	if o.flags&isDecoy != 0 && (h.decoyAt.time == 0 || h.decoyAt.compare(o) <= 0) {
		h.decoyAt = *o
		h.decoy = append(h.decoy[:0], template...)
	}
	if len(e.ID) == 0 || len(e.ID) > 256 {
		return
	}
	id := eventID{notable: o.notable(), time: o.time}
	at := len(h.ids)
	for at > 0 && h.idBefore(&id, e.ID, &h.ids[at-1]) {
		at--
	}
	if at == maxEventIDs {
		return
	}
	if len(h.ids) == maxEventIDs {
		h.ids = h.ids[:maxEventIDs-1]
	}
	if len(h.idText) > 8192 {
		h.compactIDs()
	}
	id.from = int32(len(h.idText))
	h.idText = append(h.idText, e.ID...)
	id.to = int32(len(h.idText))
	h.ids = slices.Insert(h.ids, at, id)
}

// idBefore orders ids: notable first, then by time, then by text.
func (h *openHop) idBefore(a *eventID, text []byte, b *eventID) bool {
	if a.notable != b.notable {
		return a.notable
	}
	if a.time != b.time {
		return a.time < b.time
	}
	return string(text) < string(h.idText[b.from:b.to])
}

// compactIDs drops the text of ids that are no longer kept.
func (h *openHop) compactIDs() {
	size := 0
	for _, id := range h.ids {
		size += int(id.to - id.from)
	}
	if size == len(h.idText) {
		return
	}
	text := make([]byte, 0, size)
	for i := range h.ids {
		from := int32(len(text))
		text = append(text, h.idText[h.ids[i].from:h.ids[i].to]...)
		h.ids[i].from, h.ids[i].to = from, int32(len(text))
	}
	h.idText = text
}

// hop returns the client's open hop that starts at start, opening it if needed.
func (c *openClient) hop(sh *shard, start int64) *openHop {
	i := len(c.hops)
	for i > 0 && c.hops[i-1].start > start {
		i--
	}
	if i > 0 && c.hops[i-1].start == start {
		return c.hops[i-1]
	}
	h := sh.newHop()
	h.start = start
	c.hops = slices.Insert(c.hops, i, h)
	return h
}

// rebuild brings a stale slot up to date.
func (c *openClient) rebuild(s *slot, hop int64) {
	*s = c.base
	for _, h := range c.hops {
		for i := range h.calls {
			s.apply(&h.calls[i], hop, c.steps)
		}
	}
	c.stale = false
}

// fold moves the calls before the watermark into base.
func (c *openClient) fold(h *openHop, watermark, hop int64) {
	n := 0
	for n < len(h.calls) && h.calls[n].time < watermark {
		c.base.apply(&h.calls[n], hop, c.steps)
		n++
	}
	h.folded += uint32(n)
	h.calls = append(h.calls[:0], h.calls[n:]...)
}

// closeClients emits the final record of every hop that ends at or before end.
func (x *Extractor) closeClients(sh *shard, end int64, out Emitter) {
	sh.sweep()
	kept := sh.open[:0]
	for _, c := range sh.open {
		for len(c.hops) > 0 && c.hops[0].start+x.cfg.Hop <= end {
			x.closeHop(sh, c, out)
		}
		if len(c.hops) > 0 {
			kept = append(kept, c)
			continue
		}
		state := sh.slots.Peek(c.key)
		state.slot, state.open = c.base, nil
		sh.freeClient(c)
	}
	clear(sh.open[len(kept):])
	sh.open = kept
}

// closeHop folds a client's oldest open hop into base and emits it.
func (x *Extractor) closeHop(sh *shard, c *openClient, out Emitter) {
	h := c.hops[0]
	for i := range h.calls {
		c.base.apply(&h.calls[i], x.cfg.Hop, c.steps)
	}
	x.Stats.Final++
	x.emit(c, h, &c.base, true, out)
	c.hops = append(c.hops[:0], c.hops[1:]...)
	sh.freeHops(h)
}

// evict makes room: the client's open hops are emitted as they stand, and what
// must not be forgotten goes to the residue.
func (x *Extractor) evict(sh *shard, key slab.Key, state *clientState, out Emitter) {
	x.Stats.Evicted++
	s := &state.slot
	if c := state.open; c != nil {
		for len(c.hops) > 0 {
			x.closeHop(sh, c, out)
		}
		s = &c.base
		c.dead = true
		if sh.dead++; sh.dead > len(sh.open)/2 {
			sh.sweep()
		}
	}
	sh.residue.keep(key, s)
}

// sweep takes evicted clients off the list of open ones. It runs as soon as
// they are the majority, so that a flood of keys cannot grow the list.
func (sh *shard) sweep() {
	kept := sh.open[:0]
	for _, c := range sh.open {
		if c.dead {
			sh.freeClient(c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(sh.open[len(kept):])
	sh.open, sh.dead = kept, 0
}

// emit builds and sends the record of a hop from a slot that ends in it.
func (x *Extractor) emit(c *openClient, h *openHop, s *slot, final bool, out Emitter) {
	f := &x.record
	ids := f.EventIDs[:0]
	for _, id := range h.ids {
		ids = append(ids, h.idText[id.from:id.to])
	}
	seq := uint32(0) // how many early records came before depends on arrival
	if !final {
		h.seq++
		seq = h.seq
	}
	*f = schemas.ClientFeatures{
		Tenant: c.tenant, Client: c.client, API: c.api,
		WindowStart: h.start, WindowEnd: h.start + x.cfg.Hop, Seq: seq, Final: final,
		ClientIP: h.ip, UserAgent: h.ua, Country: h.land, ASN: h.asn, JA4: h.ja4,
		TopRoute: h.route, EventIDs: ids, Credential: h.credential, Decoy: h.decoy,
	}
	s.fill(f)
	x.text = s.fillKnown(f, c.steps, x.text[:0])
	h.worst.fill(f)
	out.Features(f)
}

func (sh *shard) newOpen(key slab.Key, tenant, client, api []byte) *openClient {
	var c *openClient
	if n := len(sh.freeOpen); n > 0 {
		c, sh.freeOpen = sh.freeOpen[n-1], sh.freeOpen[:n-1]
	} else {
		c = new(openClient)
	}
	c.key, c.stale, c.dead = key, false, false
	c.tenant = append(c.tenant[:0], tenant...)
	c.client = append(c.client[:0], client...)
	c.api = append(c.api[:0], api...)
	c.hops = c.hops[:0]
	return c
}

// maxFree bounds what the free lists keep of a burst.
const maxFree = 1024

func (sh *shard) freeClient(c *openClient) {
	if len(sh.freeOpen) < maxFree {
		sh.freeOpen = append(sh.freeOpen, c)
	}
}

func (sh *shard) newHop() *openHop {
	if n := len(sh.freeHop); n > 0 {
		h := sh.freeHop[n-1]
		sh.freeHop = sh.freeHop[:n-1]
		return h
	}
	return new(openHop)
}

func (sh *shard) freeHops(h *openHop) {
	if len(sh.freeHop) >= maxFree || cap(h.calls) > foldAt {
		return
	}
	h.worst.reset()
	*h = openHop{
		calls: h.calls[:0], ids: h.ids[:0], idText: h.idText[:0],
		ip: h.ip[:0], ua: h.ua[:0], ja4: h.ja4[:0], route: h.route[:0], land: h.land[:0],
		credential: h.credential[:0], decoy: h.decoy[:0], worst: h.worst,
	}
	sh.freeHop = append(sh.freeHop, h)
}
