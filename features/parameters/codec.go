package parameters

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// The encoding of a Learner: magic, version, unsigned varints and strings with
// their length before them, xxHash64 of all that. The memory of votes is not in
// it: after a restart a client may vote once more.
const (
	codecMagic   = "weirpar"
	codecVersion = 1
)

// ErrEncoding says that an encoded Learner cannot be read: torn, changed, out of
// bounds or of another version.
var ErrEncoding = errors.New("encoded parameters")

// Append appends the Learner's counts to dst. Equal counts give equal bytes.
func (l *Learner) Append(dst []byte) []byte {
	from := len(dst)
	dst = append(append(dst, codecMagic...), codecVersion)
	dst = binary.AppendUvarint(dst, uint64(len(l.apis)))
	for _, name := range sortedKeys(l.apis) {
		a := l.apis[name]
		dst = appendText(dst, name)
		dst = binary.AppendUvarint(dst, uint64(a.calls))
		dst = appendHistogram(appendHistogram(dst, a.missed), a.lost)
		dst = appendRoute(dst, a.headers)
		dst = binary.AppendUvarint(dst, uint64(len(a.routes)))
		for _, route := range sortedKeys(a.routes) {
			dst = appendRoute(appendText(dst, route), a.routes[route])
		}
	}
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[from:]))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendWitness writes how many clients there were, and which: unless they are
// enough, when it no longer matters.
func appendWitness(dst []byte, w *witness) []byte {
	n := w.count()
	dst = append(dst, byte(n))
	if n == minClients {
		return dst
	}
	for _, c := range w[:n] {
		dst = binary.LittleEndian.AppendUint32(dst, c)
	}
	return dst
}

func appendHistogram(dst []byte, h histogram) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(h)))
	for i := range h {
		dst = append(dst, h[i].key)
		dst = binary.AppendUvarint(dst, uint64(h[i].count))
		dst = appendWitness(dst, &h[i].seen)
	}
	return dst
}

func appendRoute(dst []byte, r *routeState) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.calls))
	dst = appendWitness(dst, &r.seen)
	for _, n := range r.byBody {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = appendHistogram(dst, r.lost)
	dst = binary.AppendUvarint(dst, uint64(len(r.formats)))
	for i := range r.formats {
		f := &r.formats[i]
		dst = binary.AppendUvarint(appendText(dst, f.name), uint64(f.count))
		dst = appendWitness(dst, &f.seen)
	}
	dst = appendHistogram(dst, r.sizes)
	dst = appendHistogram(dst, r.order)
	dst = binary.AppendUvarint(dst, uint64(len(r.names)))
	for _, n := range r.names {
		dst = r.params[n].append(appendText(dst, n))
	}
	return dst
}

func (p *paramState) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.present))
	dst = binary.AppendUvarint(dst, uint64(p.votes))
	dst = appendWitness(dst, &p.seen)
	for _, h := range [...]histogram{p.absent, p.repeated, p.types, p.lengths, p.numbers, p.chars} {
		dst = appendHistogram(dst, h)
	}
	for _, s := range [...]*valueSet{&p.values, &p.patterns} {
		dst = binary.AppendUvarint(dst, uint64(len(s.values)))
		for i := range s.values {
			v := &s.values[i]
			dst = binary.AppendUvarint(appendText(dst, v.text), uint64(v.count))
			dst = appendWitness(dst, &v.seen)
		}
		dst = binary.AppendUvarint(dst, uint64(s.spilled.count))
		dst = appendWitness(dst, &s.spilled.seen)
	}
	return dst
}

// DecodeLearner reads what Append wrote. The bounds of cfg hold for what is
// read; data is not kept.
func DecodeLearner(cfg Config, data []byte) (*Learner, error) {
	if len(data) < len(codecMagic)+1+8 || !bytes.HasPrefix(data, []byte(codecMagic)) {
		return nil, fmt.Errorf("%w: no such encoding", ErrEncoding)
	}
	if v := data[len(codecMagic)]; v != codecVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrEncoding, v, codecVersion)
	}
	body := data[:len(data)-8]
	if binary.LittleEndian.Uint64(data[len(body):]) != xxhash.Sum64(body) {
		return nil, fmt.Errorf("%w: checksum does not match", ErrEncoding)
	}
	l := NewLearner(cfg)
	d := decoder{b: body[len(codecMagic)+1:]}
	for range d.count(l.cfg.MaxAPIs) {
		name := d.text(maxRouteName)
		a := newAPI()
		a.calls = d.uint32()
		a.missed, a.lost = d.histogram(0), d.histogram(0)
		a.headers = d.route(l)
		for range d.count(maxRoutes) {
			route := d.text(maxRouteName)
			if a.routes[route] != nil {
				d.bad = true
			}
			a.routes[route] = d.route(l)
			if d.bad {
				break
			}
		}
		if d.bad || l.apis[name] != nil || bytes.IndexByte([]byte(name), 0) < 0 {
			return nil, fmt.Errorf("%w: torn or out of bounds", ErrEncoding)
		}
		l.apis[name] = a
	}
	if d.bad || len(d.b) > 0 || l.params > l.cfg.MaxParameters {
		return nil, fmt.Errorf("%w: torn or out of bounds", ErrEncoding)
	}
	return l, nil
}

// decoder reads; once bad, it reads zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > 1<<32-1 {
		d.bad = true
	}
	return uint32(v)
}

// count reads a number of things, at most limit and a byte of each.
func (d *decoder) count(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) || v > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(v)
}

func (d *decoder) take(n int) []byte {
	if len(d.b) < n {
		d.bad, d.b = true, nil
		return make([]byte, n)
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(limit int) string { return string(d.take(d.count(limit))) }

// witness reads clients: different ones.
func (d *decoder) witness() (w witness) {
	n := d.take(1)[0]
	if n == minClients {
		return fullWitness
	}
	if n > minClients {
		d.bad = true
		return w
	}
	for i := range n {
		w[i] = binary.LittleEndian.Uint32(d.take(4))
		if w[i] == 0 || i > 0 && w[i] == w[0] {
			d.bad = true
		}
	}
	return w
}

// histogram reads bins with rising keys up to most.
func (d *decoder) histogram(most uint8) histogram {
	n := d.count(int(most) + 1)
	h := make(histogram, 0, n)
	for i := range n {
		b := bin{key: d.take(1)[0], count: d.uint32()}
		b.seen = d.witness()
		if b.key > most || i > 0 && b.key <= h[i-1].key {
			d.bad = true
		}
		h = append(h, b)
	}
	return h
}

func (d *decoder) route(l *Learner) *routeState {
	r := newRoute()
	r.calls, r.seen = d.uint32(), d.witness()
	for i := range r.byBody {
		r.byBody[i] = d.uint32()
	}
	r.lost = d.histogram(0)
	for range d.count(maxFormats) {
		f := format{name: d.text(2 * maxNameBytes), count: d.uint32()}
		f.seen = d.witness()
		r.formats = append(r.formats, f)
	}
	r.sizes, r.order = d.histogram(63), d.histogram(255)
	n := d.count(maxParams)
	for range n {
		name := d.text(maxNameBytes + 1)
		if len(name) == 0 || name[0] < byte(Query) || name[0] > byte(Header) || r.params[name] != nil {
			d.bad = true
		}
		if d.bad {
			return r
		}
		p := d.param()
		p.ordinal = uint8(len(r.names))
		r.params[name] = p
		r.names = append(r.names, name)
		l.params++
	}
	return r
}

func (d *decoder) param() *paramState {
	p := &paramState{present: d.uint32(), votes: d.uint32(), seen: d.witness()}
	p.absent = d.histogram(0)
	p.repeated, p.types = d.histogram(0), d.histogram(uint8(numTypes)-1)
	p.lengths, p.numbers = d.histogram(numLengths-1), d.histogram(numNumbers-1)
	p.chars = d.histogram(numClasses - 1)
	for _, s := range [...]*valueSet{&p.values, &p.patterns} {
		for range d.count(maxValues) {
			v := value{text: d.text(maxValueBytes), count: d.uint32()}
			v.seen = d.witness()
			s.values = append(s.values, v)
		}
		s.spilled = bin{count: d.uint32(), seen: d.witness()}
	}
	for i := range p.patterns.values {
		if len(p.patterns.values[i].text) != 8 {
			d.bad = true
		}
	}
	return p
}
