package crowd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// snapshotVersion rises with every change of what a snapshot holds.
const snapshotVersion = 1

// ErrSnapshot says that a snapshot cannot be read: torn, or of another version.
var ErrSnapshot = errors.New("crowd snapshot")

// codec walks a value in one order for both directions, so that what is written
// and what is read cannot drift apart.
type codec struct {
	buf     []byte
	reading bool
	bad     bool
}

func (c *codec) take(n int) []byte {
	if n < 0 || len(c.buf) < n {
		c.bad, c.buf = true, nil
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

func (c *codec) u64(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	u, n := binary.Uvarint(c.buf)
	if n <= 0 {
		c.take(-1)
		return
	}
	c.buf, *v = c.buf[n:], u
}

func (c *codec) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

func (c *codec) f64s(vs ...*float64) {
	for _, v := range vs {
		if !c.reading {
			c.buf = binary.LittleEndian.AppendUint64(c.buf, math.Float64bits(*v))
		} else if b := c.take(8); b != nil {
			*v = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	}
}

func (c *codec) flag(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.u64(&u)
	*v = u != 0
}

// length writes or reads an element count; a read one is at most what the rest
// of the buffer could hold.
func (c *codec) length(n int) int {
	u := uint64(n)
	c.u64(&u)
	if c.reading && u > uint64(len(c.buf)) {
		c.take(-1)
		return 0
	}
	return int(u)
}

func (c *codec) bytes(v *[]byte) {
	n := c.length(len(*v))
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	*v = append((*v)[:0], c.take(n)...)
}

func (c *codec) text(v *string) {
	b := []byte(*v)
	c.bytes(&b)
	*v = string(b)
}

// each walks the elements of a map in the order of their keys.
func each[V any](c *codec, m map[string]*V, code func(name string, v *V)) {
	keys := slices.Sorted(maps.Keys(m))
	for i := range c.length(len(keys)) {
		var name string
		var v *V
		if c.reading {
			v = new(V)
		} else {
			name = keys[i]
			v = m[name]
		}
		c.text(&name)
		code(name, v)
		if c.bad {
			return
		}
		if c.reading {
			m[name] = v
		}
	}
}

// list walks the elements of a slice.
func list[V any](c *codec, s *[]*V, code func(*V)) {
	n := c.length(len(*s))
	for i := range n {
		if c.reading {
			*s = append(*s, new(V))
		}
		code((*s)[i])
		if c.bad {
			return
		}
	}
}

func (s *sums) code(c *codec) {
	c.i64(&s.at)
	c.f64s(&s.weight, &s.calls, &s.clients, &s.logins, &s.failures, &s.succeses)
}

func (r *running) code(c *codec) {
	c.i64(&r.n)
	c.f64s(&r.mean, &r.vari)
}

func (l *level) code(c *codec) {
	c.i64(&l.learnt)
	c.f64s(&l.fast, &l.slow, &l.spread)
	for i := range l.hours {
		c.f64s(&l.hours[i].sum, &l.hours[i].n)
	}
}

func (k *cohort) code(c *codec) {
	k.sums.code(c)
	c.f64s(&k.cusum)
	c.i64(&k.last)
	c.i64(&k.waiting)
	r := &k.login
	c.f64s(&r.cusum)
	if r.cusum > 0 {
		c.i64(&r.since)
		c.i64(&r.last)
		c.f64s(&r.logins, &r.failures, &r.successes, &r.clients, &r.windows)
		c.bytes(&r.failed)
		c.bytes(&r.fresh)
	}
}

func (b *block) code(c *codec) {
	dim := uint64(b.dim)
	c.u64(&dim)
	if b.dim = int(dim); dim >= numDims {
		c.take(-1)
	}
	for _, s := range []*string{&b.name, &b.value, &b.attack, (*string)(&b.action), &b.id, &b.reason} {
		c.text(s)
	}
	c.f64s(&b.confidence, &b.benign, &b.peak)
	for _, v := range []*int64{&b.created, &b.until, &b.quiet, &b.relapse, &b.ended} {
		c.i64(v)
	}
}

func (t *tally) code(c *codec) {
	for _, v := range []*uint64{
		&t.requests, &t.status2xx, &t.status5xx, &t.logins, &t.failures, &t.successes,
		&t.identified, &t.anonymous, &t.plain, &t.errors, &t.bad,
	} {
		c.u64(v)
	}
	c.bytes(&t.clients)
	c.bytes(&t.failed)
	c.bytes(&t.fresh)
	n := c.length(len(t.latency))
	if c.reading {
		t.latency = make([]uint32, n)
	}
	for i := range t.latency {
		u := uint64(t.latency[i])
		c.u64(&u)
		t.latency[i] = uint32(u)
	}
}

func (w *window) code(c *codec) {
	c.i64(&w.start)
	c.i64(&w.end)
	if c.reading {
		w.entities = map[string]*entity{}
	}
	each(c, w.entities, func(_ string, e *entity) {
		c.text(&e.kind)
		c.text(&e.name)
		n := c.length(len(e.shares))
		if c.reading {
			e.shares = make([]share, n)
		}
		for i := range e.shares {
			s := &e.shares[i]
			source, seq := uint64(s.source), uint64(s.seq)
			c.u64(&source)
			c.u64(&seq)
			s.source, s.seq = int32(source), uint32(seq)
			s.tally.code(c)
		}
	})
}

func (p *api) code(c *codec) {
	for _, v := range []*int64{&p.next, &p.index, &p.silent, &p.untaught, &p.loginUntaught, &p.postureDay} {
		c.i64(v)
	}
	list(c, &p.pending, func(w *window) { w.code(c) })
	p.level.code(c)
	for _, r := range []*running{&p.fresh, &p.broken, &p.slow, &p.strange} {
		r.code(c)
	}
	c.f64s(&p.recent, &p.loginCUSUM, &p.loginExcess)
	for i := range p.cusum {
		c.f64s(&p.cusum[i])
	}
	c.flag(&p.reported)
	c.flag(&p.loginReported)
	p.usual.code(c)
	for d := range p.cohorts {
		each(c, p.cohorts[d], func(_ string, k *cohort) { k.code(c) })
	}
	list(c, &p.blocks, func(b *block) { b.code(c) })
	each(c, p.posture, func(_ string, r *posture) {
		for _, v := range []*uint64{&r.requests, &r.identified, &r.anonymous, &r.plain, &r.errors, &r.verbose, &r.logins, &r.settled} {
			c.u64(v)
		}
		c.flag(&r.opened)
	})
	found := slices.Sorted(maps.Keys(p.postureChecked))
	for i := range c.length(len(found)) {
		var id string
		if !c.reading {
			id = found[i]
		}
		c.text(&id)
		p.postureChecked[id] = true
	}
}

// AppendSnapshot appends one shard's state to dst.
func (c *Crowd) AppendSnapshot(dst []byte, shardIndex int) []byte {
	sh := &c.shards[shardIndex]
	to := &codec{buf: append(dst, snapshotVersion)}
	to.length(len(sh.marks))
	for i := range sh.marks {
		to.i64(&sh.marks[i])
	}
	to.i64(&sh.barrier)
	to.length(len(sh.order))
	for _, p := range sh.order {
		to.text(&p.tenant)
		to.text(&p.name)
		p.code(to)
	}
	return to.buf
}

// RestoreSnapshot loads one shard into a Crowd of the same Config; records at
// offsets below resume are in it. The error is ErrSnapshot.
func (c *Crowd) RestoreSnapshot(shardIndex int, data []byte, resume int64) error {
	if len(data) == 0 || data[0] != snapshotVersion {
		return fmt.Errorf("%w: shard %d: want version %d", ErrSnapshot, shardIndex, snapshotVersion)
	}
	from := &codec{buf: data[1:], reading: true}
	sh := shard{resume: resume, marks: make([]int64, c.cfg.Sources), apis: map[string]*api{}}
	if n := from.length(0); n != c.cfg.Sources {
		return fmt.Errorf("%w: shard %d is of %d sources, want %d", ErrSnapshot, shardIndex, n, c.cfg.Sources)
	}
	for i := range sh.marks {
		from.i64(&sh.marks[i])
	}
	from.i64(&sh.barrier)
	for range from.length(0) {
		var tenant, name string
		from.text(&tenant)
		from.text(&name)
		p := newAPI(tenant+"\x00"+name, tenant, name)
		p.code(from)
		if from.bad || sh.apis[p.key] != nil {
			from.bad = true
			break
		}
		sh.insert(p)
	}
	if from.bad || len(from.buf) > 0 {
		return fmt.Errorf("%w: shard %d is torn", ErrSnapshot, shardIndex)
	}
	c.shards[shardIndex] = sh
	return nil
}
