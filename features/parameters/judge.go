package parameters

import (
	"bytes"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

// violationLogP is where a Violation is counted.
var violationLogP = math.Log(0.01)

// judgement is a Result being made.
type judgement struct {
	Result
	route uint64
	best  float64 // least weighted ln p
	next  float64 // the second least, of another subject
	of    int     // what best is about
	value []byte  // and its value, if it has one
	this  float64 // the least of the parameter at hand
	worst float64 // the weighted ln p of what Worst has
	held  bool    // Worst is of the parameter at hand
	count int     // things judged
}

// Subjects of judgement besides the parameters of the route, which go by their
// place, and those of the headers. What concerns one subject is not independent:
// a new version of a client brings several new names, the elements of a list are
// alike.
const (
	ofUnknown = -1 - iota
	ofMissing
	ofRoute
	ofBody
	ofHeaders = 1000
)

// done ends what is judged of a subject at one place. Parameters that repeat one
// value (a search and what was typed for it, a password and its confirmation)
// are one subject.
func (j *judgement) done(subject int, value []byte) {
	if j.this < violationLogP {
		j.Violations++
	}
	if j.this < 0 {
		same := subject == j.of || len(value) > 0 && bytes.EqualFold(value, j.value)
		switch {
		case j.this >= j.best:
			if !same {
				j.next = min(j.next, j.this)
			}
		case same:
			j.best = j.this
		default:
			j.best, j.next, j.of, j.value = j.this, j.best, subject, value
		}
	}
	j.this, j.held = 0, false
}

// combine is ln p of the request.
func (j *judgement) combine() float64 {
	n := min(j.count, len(logs)-1)
	return min(min(j.best+logs[n][0], 2*j.next+logs[n][1])+math.Ln2, 0)
}

// logs are ln n and ln(n(n-1)/2).
var logs = makeLogs()

func makeLogs() (t [maxItems + 2][2]float64) {
	for n := range t {
		t[n] = [2]float64{math.Log(float64(n)), math.Log(float64(n) * float64(n-1) / 2)}
	}
	t[1][1] = math.Inf(1) // there are no two of one
	return t
}

// tellingMargin is by how many nats a less telling kind must be less probable.
const tellingMargin = 2

func (j *judgement) note(kind Kind, logP float64, it *item, param int) {
	weight := kindWeight[kind]
	if it != nil && it.loc == Header {
		weight = headerWeight
	}
	weighted := logP - weight
	j.this = min(j.this, weighted)
	bar := j.worst
	if j.held {
		// What is judged first says more: a value that is no member is also longer.
		bar -= tellingMargin
	}
	if weighted >= bar {
		return
	}
	j.worst, j.held = weighted, true
	v := &j.Worst
	*v = Violation{Kind: kind, LogP: logP, Expected: Expected{route: j.route, param: int16(param)}}
	if it != nil {
		v.Name, v.Location, v.Value = it.name, it.loc, it.value
	}
}

// Judge tells how probable a request is, given its route ("METHOD template").
// It allocates nothing. The Result aliases the event and the Scratch.
func (m *Model) Judge(s *Scratch, e *schemas.Event, route []byte) Result {
	j := judgement{}
	api := apiHash(e)
	a := m.apis[api]
	if a == nil {
		return j.Result
	}
	s.read(e, route)
	j.route = routeHash(api, route)
	j.count = 1
	r := m.routes[j.route]
	if r == nil || !r.familiar {
		kind := KindRoute
		if r == nil {
			if _, ok := m.paths[routeHash(api, pathOf(route))]; ok {
				kind = KindMethod
			}
		}
		j.route = api
		j.note(kind, a.newRoute, nil, -1)
		j.done(ofRoute, nil)
		if kind == KindRoute {
			j.Worst.Value = e.Path
		} else {
			j.Worst.Value = e.Method
		}
	} else {
		j.Known = r.known
		r.judge(&j, s, e)
	}
	if a.headers != nil && s.params < len(s.items) {
		j.route = api
		a.headers.judgeItems(&j, s.items[s.params:], ofHeaders)
	}
	j.Values = j.count - 1
	j.LogP = j.combine()
	return j.Result
}

func (r *routeModel) judge(j *judgement, s *Scratch, e *schemas.Event) {
	present := r.judgeItems(j, s.items[:s.params], 0)
	r.judgeMissing(j, s, present)
	if s.body != bodyNone || len(e.ContentType) > 0 {
		f := s.format(e.ContentType)
		if !contains(r.formats, xxhash.Sum64(f)) {
			j.note(KindContentType, r.format, nil, -1)
			j.done(ofBody, nil)
			if j.Worst.Kind == KindContentType {
				j.Worst.Value = f
			}
		}
	}
	if r.sized && e.ReqBytes > 0 {
		// Twice as large as ever is no wonder, of a body that has lists.
		b := sizeBin(e.ReqBytes)
		if d := max(int(r.smallest)-int(b), int(b)-int(r.largest)); d > 1 {
			j.note(KindSize, r.size-octaveDecay*float64(d-2), nil, -1)
			j.done(ofBody, nil)
		}
	}
}

// judgeItems judges parameters and returns which there were.
// The subjects that they are start at first.
func (r *routeModel) judgeItems(j *judgement, items []item, first int) (present uint64) {
	hint := 0
	var met uint16
	j.count += len(items)
	for i := range items {
		it := &items[i]
		k := r.find(it, hint)
		if k < 0 || !r.params[k].known {
			j.note(KindUnknown, r.unknown, it, k)
			j.done(ofUnknown, it.value)
			continue
		}
		p := &r.params[k]
		hint = k + 1
		if present>>k&1 == 1 {
			if it.loc != JSON && p.repeat < 0 {
				j.note(KindDuplicate, float64(p.repeat), it, k)
			}
		} else if k < maxOrdered && ordered(it.loc) {
			if met&r.after[k] != 0 {
				j.note(KindOrder, r.order[k], it, k)
			}
			met |= 1 << k
		}
		present |= 1 << k
		p.judge(j, it, k)
		j.done(first+k, it.value)
	}
	return present
}

// find looks for a parameter, first where it stands when all come in the usual
// order.
func (r *routeModel) find(it *item, hint int) int {
	h := it.loc.hash(it.name)
	for k := hint; k < len(r.hashes); k++ {
		if r.hashes[k] == h {
			return k
		}
	}
	for k := range min(hint, len(r.hashes)) {
		if r.hashes[k] == h {
			return k
		}
	}
	return -1
}

func (r *routeModel) judgeMissing(j *judgement, s *Scratch, present uint64) {
	missing := r.required[0]
	if s.complete && !s.malformed {
		missing |= r.required[1]
	}
	missing &^= present
	for k := 0; missing != 0; k, missing = k+1, missing>>1 {
		p := &r.params[k]
		if missing&1 == 0 || p.form != bodyNone && p.form != s.body {
			continue
		}
		j.note(KindMissing, float64(p.missing), nil, k)
		j.done(ofMissing, nil)
		if j.Worst.Kind == KindMissing && j.Worst.Expected.param == int16(k) {
			j.Worst.Name, j.Worst.Location = r.info[k].name, p.loc
		}
	}
}

// judge judges one value.
func (p *paramModel) judge(j *judgement, it *item, k int) {
	sh := &it.shape
	if sh.typ == TypeEmpty {
		// No value says no more than that there is none.
		if lp := p.types[TypeEmpty]; lp < 0 {
			j.note(KindType, float64(lp), it, k)
		}
		return
	}
	number := sh.typ == TypeInt || sh.typ == TypeFloat
	if len(p.members) > 0 && !contains(p.members, xxhash.Sum64(it.value)) {
		j.note(KindEnum, float64(p.value), it, k)
	}
	if lp := p.types[sh.typ]; lp < 0 {
		j.note(KindType, float64(lp), it, k)
	}
	if p.numbers && number && (sh.number < p.low || sh.number > p.high) {
		j.note(KindRange, p.outside(sh.number), it, k)
	}
	if odd := sh.chars & p.rare; odd != 0 {
		least := float32(0)
		for ; odd != 0; odd &= odd - 1 {
			least = min(least, p.chars[odd.first()])
		}
		j.note(KindCharacters, float64(least), it, k)
	}
	if lp := p.lengths[sh.length]; lp < 0 {
		j.note(KindLength, float64(lp), it, k)
	}
	if len(p.patterns) > 0 && !contains(p.patterns, sh.pattern) {
		j.note(KindPattern, float64(p.pattern), it, k)
	}
}

// outside is ln p of a number bin out of the range. Zero stands for "none" so
// often that it is never far away.
func (p *paramModel) outside(b uint8) float64 {
	var octaves int
	if b < p.low {
		octaves = int(p.low) - int(b)
		if b < binZero && p.low >= binZero {
			octaves += signOctaves
		}
	} else {
		octaves = int(b) - int(p.high)
		if b > binZero && p.high <= binZero {
			octaves += signOctaves
		}
	}
	if b == binZero {
		octaves = min(octaves, signOctaves)
	}
	return float64(p.number) - octaveDecay*float64(min(octaves, maxOctaves)-1)
}

func contains(hashes []uint64, h uint64) bool {
	for _, x := range hashes {
		if x == h {
			return true
		}
	}
	return false
}
