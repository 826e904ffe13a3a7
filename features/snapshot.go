package features

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/weir-dev/weir/internal/slab"
)

// snapshotVersion rises with every change of what a snapshot holds.
const snapshotVersion = 2

// ErrSnapshot says that a snapshot cannot be read: torn, or of another version.
var ErrSnapshot = errors.New("features snapshot")

// codec walks a value in one order for both directions, so that what is written
// and what is read cannot drift apart.
type codec struct {
	buf     []byte
	reading bool
	bad     bool
}

func (c *codec) take(n int) []byte {
	if n < 0 || len(c.buf) < n {
		c.bad = true
		c.buf = nil
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

func (c *codec) u64(v *uint64) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

func (c *codec) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

func (c *codec) f64(v *float64) {
	u := math.Float64bits(*v)
	c.u64(&u)
	*v = math.Float64frombits(u)
}

func (c *codec) f32(v *float32) {
	u := math.Float32bits(*v)
	uv(c, &u)
	*v = math.Float32frombits(u)
}

// uv is for numbers that are mostly small.
func uv[T uint8 | uint16 | uint32 | int32 | uint64 | bitmap64](c *codec, v *T) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, uint64(*v))
		return
	}
	u, n := binary.Uvarint(c.buf)
	if n <= 0 {
		c.take(-1)
		return
	}
	c.buf = c.buf[n:]
	*v = T(u)
}

// length writes or reads an element count; a read one is at most what the rest
// of the buffer could hold.
func (c *codec) length(n int) int {
	u := uint64(n)
	uv(c, &u)
	if c.reading && u > uint64(len(c.buf)) {
		c.take(-1)
		return 0
	}
	return int(u)
}

func (c *codec) raw(b []byte) {
	if !c.reading {
		c.buf = append(c.buf, b...)
		return
	}
	copy(b, c.take(len(b)))
}

func (c *codec) bytes(b *[]byte) {
	n := c.length(len(*b))
	if !c.reading {
		c.buf = append(c.buf, *b...)
		return
	}
	*b = append((*b)[:0], c.take(n)...)
}

func (c *codec) flag(v *bool) {
	var u uint8
	if *v {
		u = 1
	}
	uv(c, &u)
	*v = u != 0
}

func (s *slot) code(c *codec) {
	c.i64(&s.first)
	c.i64(&s.last)
	c.i64(&s.day)
	s.hop.code(c)
	for i := range s.decayed {
		c.f32(&s.decayed[i])
	}
	for i := range s.bytes {
		c.f32(&s.bytes[i])
	}
	c.f32(&s.duration)
	c.f32(&s.uploads)
	uv(c, &s.requests)
	uv(c, &s.objectAccesses)
	uv(c, &s.logins)
	uv(c, &s.loginFailures)
	uv(c, &s.hours)
	for i := range s.routes {
		uv(c, &s.routes[i])
	}
	c.sparse(s.objects[:])
	for i := range s.loginUsers {
		uv(c, &s.loginUsers[i])
	}
	uv(c, &s.loginSuccesses)
	uv(c, &s.devices)
	uv(c, &s.networks)
	for i := range s.usedObjects {
		uv(c, &s.usedObjects[i])
	}
	uv(c, &s.deviceChanges)
	uv(c, &s.networkChanges)
	uv(c, &s.alternations)
	uv(c, &s.decoyHits)
	uv(c, &s.before)
	uv(c, &s.lastRoute)
	for i := range s.recent {
		uv(c, &s.recent[i])
	}
	uv(c, &s.lastDevice)
	uv(c, &s.earlierDevice)
	c.i64(&s.earlierDeviceSeen)
	uv(c, &s.lastNetwork)
	c.i64(&s.lastObject)
	c.i64(&s.stride)
	for i := range s.tracks {
		t := &s.tracks[i]
		used := t.route != 0
		c.flag(&used)
		if !used {
			continue
		}
		c.u64(&t.route)
		c.i64(&t.last)
		uv(c, &t.intervals)
		c.f32(&t.sumLog)
		c.f32(&t.sumLogSq)
		c.sparse(t.histogram[:])
	}
}

// sparse writes a block of bytes as one zero byte where all are zero.
func (c *codec) sparse(b []byte) {
	any := false
	for _, v := range b {
		any = any || v != 0
	}
	c.flag(&any)
	if any {
		c.raw(b)
	} else if c.reading {
		clear(b)
	}
}

func (w *window) code(c *codec) {
	c.i64(&w.start)
	for _, v := range []*uint32{
		&w.requests, &w.mutations, &w.unauthorized, &w.forbidden, &w.notFound, &w.logins, &w.loginFailures,
		&w.objectAccesses, &w.objectDenied, &w.objectNew, &w.objectSeq, &w.durations,
		&w.newLogins, &w.newLoginFailures, &w.deletes, &w.objectWrites, &w.decoys, &w.normed, &w.slow, &w.largeRequests, &w.largeResponses,
		&w.inspected, &w.payloadHits, &w.structured, &w.violations, &w.steps, &w.prerequisites, &w.skipped,
	} {
		uv(c, v)
	}
	for i := range w.status {
		uv(c, &w.status[i])
	}
	uv(c, &w.routes)
	for i := range w.objects {
		uv(c, &w.objects[i])
	}
	uv(c, &w.reqBytes)
	uv(c, &w.respBytes)
	c.f64(&w.durationRatio)
	c.f64(&w.surprise)
	c.f64(&w.skipSurprise)
	uv(c, &w.rare.from)
	uv(c, &w.rare.to)
	c.f64(&w.rare.p)
	uv(c, &w.missed.then)
	uv(c, &w.missed.first)
	c.f64(&w.missed.share)
}

func (o *observation) code(c *codec) {
	c.i64(&o.time)
	c.u64(&o.tie)
	c.u64(&o.route)
	c.u64(&o.object)
	c.i64(&o.objectNum)
	c.u64(&o.loginUser)
	c.u64(&o.device)
	c.u64(&o.network)
	c.i64(&o.reqBytes)
	c.i64(&o.respBytes)
	c.i64(&o.duration)
	c.f64(&o.norm)
	status := int64(o.status)
	c.i64(&status)
	o.status = int32(status)
	uv(c, &o.flags)
	if o.time < 0 {
		c.take(-1) // before 1970: hours and hops would be negative
	}
}

func (h *openHop) code(c *codec) {
	c.i64(&h.start)
	n := c.length(len(h.calls))
	if c.reading {
		h.calls = make([]observation, n)
	}
	for i := range h.calls {
		h.calls[i].code(c)
	}
	uv(c, &h.folded)
	uv(c, &h.notables)
	uv(c, &h.seq)
	h.newest.code(c)
	for _, b := range []*[]byte{&h.ip, &h.ua, &h.ja4, &h.route, &h.land, &h.credential, &h.decoy} {
		c.bytes(b)
	}
	c.i64(&h.asn)
	h.decoyAt.code(c)
	h.worst.code(c)
	if !c.reading {
		h.compactIDs()
	}
	n = c.length(len(h.ids))
	if c.reading {
		h.ids = make([]eventID, n)
	}
	for i := range h.ids {
		id := &h.ids[i]
		c.flag(&id.notable)
		c.i64(&id.time)
		uv(c, &id.from)
		uv(c, &id.to)
		if id.from < 0 || id.to < id.from {
			c.take(-1)
		}
	}
	c.bytes(&h.idText)
	for _, id := range h.ids {
		if int(id.to) > len(h.idText) {
			c.take(-1)
		}
	}
}

func (c *openClient) code(to *codec) {
	to.u64(&c.key.Hi)
	to.u64(&c.key.Lo)
	to.bytes(&c.tenant)
	to.bytes(&c.client)
	to.bytes(&c.api)
	c.base.code(to)
	to.flag(&c.stale)
	n := to.length(len(c.hops))
	if to.reading {
		c.hops = make([]*openHop, n)
		for i := range c.hops {
			c.hops[i] = new(openHop)
		}
	}
	for _, h := range c.hops {
		h.code(to)
	}
}

func (c *entityCell) code(to *codec) {
	to.u64(&c.key.key.Hi)
	to.u64(&c.key.key.Lo)
	to.i64(&c.key.hop)
	uv(to, &c.key.kind)
	if int(c.key.kind) >= len(entityTypes) {
		to.take(-1)
		c.key.kind = 0
	}
	p := &c.partial
	p.EntityType = entityTypes[c.key.kind]
	for _, b := range []*[]byte{&p.Tenant, &p.Entity, &p.API, &p.Clients, &p.FailedClients, &p.LoginUsers, &p.NewClients} {
		to.bytes(b)
	}
	to.i64(&p.WindowStart)
	to.i64(&p.WindowEnd)
	for _, v := range []*uint64{
		&p.Requests, &p.Status2xx, &p.Status4xx, &p.Status5xx, &p.AuthDenied, &p.NotFound,
		&p.LoginAttempts, &p.LoginFailures, &p.LoginSuccesses, &p.ReqBytes, &p.RespBytes,
		&p.Identified, &p.Anonymous, &p.Plain, &p.Errors, &p.Verbose,
	} {
		uv(to, v)
	}
	n := to.length(len(p.Latency))
	if to.reading {
		p.Latency = make([]uint32, n)
	}
	for i := range p.Latency {
		uv(to, &p.Latency[i])
	}
	sizes := &sketchSizes[c.key.kind]
	if len(p.Clients) != sizes.clients || len(p.FailedClients) != sizes.failed ||
		len(p.LoginUsers) != sizes.users || len(p.NewClients) != sizes.fresh {
		to.take(-1)
	}
}

// AppendSnapshot appends one shard's state to dst. It changes nothing that any
// output depends on.
func (x *Extractor) AppendSnapshot(dst []byte, shardIndex int) []byte {
	sh := x.shards[shardIndex]
	sh.sweep()
	c := &codec{buf: append(dst, snapshotVersion)}
	c.i64(&x.newest)
	c.i64(&x.closed)
	c.i64(&x.marked)
	c.length(sh.slots.Len())
	sh.slots.All(func(k slab.Key, isProtected bool, s *clientState) bool {
		c.u64(&k.Hi)
		c.u64(&k.Lo)
		c.flag(&isProtected)
		s.slot.code(c)
		return true
	})
	c.length(len(sh.open))
	for _, oc := range sh.open {
		oc.code(c)
	}
	c.length(len(sh.entities.cells))
	for _, ec := range sh.entities.cells {
		ec.code(c)
	}
	sh.residue.code(c)
	return c.buf
}

func (t *residueTable) code(c *codec) {
	n := 0
	for s := range t.sets {
		for w := range t.sets[s] {
			if t.sets[s][w].loginFailures > 0 {
				n++
			}
		}
	}
	n = c.length(n)
	if c.reading {
		if n > 0 {
			t.sets = make([][residueWays]residueEntry, t.size)
		}
		for range n {
			var at uint32
			uv(c, &at)
			if c.bad || int(at) >= len(t.sets)*residueWays {
				c.take(-1)
				return
			}
			t.sets[at/residueWays][at%residueWays].code(c)
		}
		return
	}
	for s := range t.sets {
		for w := range t.sets[s] {
			if e := &t.sets[s][w]; e.loginFailures > 0 {
				at := uint32(s*residueWays + w)
				uv(c, &at)
				e.code(c)
			}
		}
	}
}

func (e *residueEntry) code(c *codec) {
	c.u64(&e.tag)
	uv(c, &e.day)
	uv(c, &e.requests)
	uv(c, &e.logins)
	uv(c, &e.loginFailures)
}

// RestoreSnapshot loads one shard into an Extractor of the same Config. Events
// at offsets below resume are in it already: Apply leaves this shard alone for
// them. Restore every shard before the first Apply. The error is ErrSnapshot.
func (x *Extractor) RestoreSnapshot(shardIndex int, data []byte, resume int64) error {
	if len(data) == 0 || data[0] != snapshotVersion {
		return fmt.Errorf("%w: shard %d: want version %d", ErrSnapshot, shardIndex, snapshotVersion)
	}
	c := &codec{buf: data[1:], reading: true}
	var newest, closed, marked int64
	c.i64(&newest)
	c.i64(&closed)
	c.i64(&marked)
	sh := newShard(x.cfg)
	sh.resume = resume
	for range c.length(0) {
		var k slab.Key
		var isProtected bool
		c.u64(&k.Hi)
		c.u64(&k.Lo)
		c.flag(&isProtected)
		var s slot
		s.code(c)
		if c.bad = c.bad || sh.slots.Peek(k) != nil; c.bad {
			break
		}
		sh.slots.Put(k, nil).slot = s
		if isProtected {
			sh.slots.Promote(k)
		}
	}
	for range c.length(0) {
		oc := new(openClient)
		oc.code(c)
		if c.bad {
			break
		}
		oc.steps = x.cfg.Knowledge.sequence(oc.api, oc.client)
		state := sh.slots.Peek(oc.key)
		if state == nil || state.open != nil || len(oc.hops) == 0 {
			c.bad = true
			break
		}
		state.open = oc
		sh.open = append(sh.open, oc)
	}
	for range c.length(0) {
		ec := new(entityCell)
		ec.code(c)
		if c.bad {
			break
		}
		ec.partial.Source = x.cfg.Source
		sh.entities.index[ec.key] = int32(len(sh.entities.cells))
		sh.entities.cells = append(sh.entities.cells, ec)
	}
	sh.residue.code(c)
	if c.bad || len(c.buf) > 0 {
		return fmt.Errorf("%w: shard %d is torn", ErrSnapshot, shardIndex)
	}
	x.shards[shardIndex] = sh
	// Time restarts where the oldest shard stands, and at the beginning while one
	// is missing; the records that follow bring it forward again.
	if x.restored == 0 || newest < x.oldest.newest {
		x.oldest = progress{newest, closed, marked}
	}
	if x.restored++; x.restored == len(x.shards) {
		x.progress = x.oldest
	}
	return nil
}
