package parameters

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// compilePresence says how likely a parameter is to be absent or repeated.
func (r *routeState) compilePresence(out *routeModel, i int, p *paramState) {
	c := &out.params[i]
	group := 0
	switch c.loc {
	case Form:
		c.form, group = bodyForm, 1
	case JSON:
		c.form, group = bodyJSON, 1
	}
	present, absent := float64(p.present), p.absent.believed()
	c.missing = float32(math.Log((absent + eventStrength) / (present + absent + 2*eventStrength)))
	if c.known && c.loc != Header && c.loc != Path && c.missing < costly {
		out.required[group] |= 1 << i
	}
	repeated, _, odd := p.repeated.sums()
	if repeated == 0 {
		c.repeat = float32(math.Log((float64(odd) + eventStrength*repeatPrior) / (present + eventStrength)))
	}
}

// costly is the ln p above which nothing is noted: so much is common.
var costly = float32(math.Log(0.2))

// compileOrder finds the pairs of parameters that only ever come one way round.
func (r *routeState) compileOrder(out *routeModel) {
	var pairs [256]*bin
	for i := range r.order {
		pairs[r.order[i].key] = &r.order[i]
	}
	for k := range min(len(r.names), maxOrdered) {
		least := math.Inf(1)
		for o := range min(len(r.names), maxOrdered) {
			usual, reverse := pairs[k<<4|o], pairs[o<<4|k]
			if usual == nil || !usual.seen.enough() || reverse != nil && reverse.seen.enough() {
				continue
			}
			odd := 0.0
			if reverse != nil {
				odd = 1
			}
			out.after[k] |= 1 << o
			least = min(least, (float64(usual.count)+eventStrength)/(odd+eventStrength))
		}
		out.order[k] = -math.Log(least)
	}
}

// compileBody says which formats and sizes bodies have.
func (r *routeState) compileBody(out *routeModel) {
	odd, most := 0.0, uint32(0)
	for i := range r.formats {
		f := &r.formats[i]
		if !f.seen.enough() {
			odd++
			continue
		}
		out.formats = append(out.formats, xxhash.Sum64String(f.name))
		if f.count > most {
			most, out.example = f.count, f.name
		}
	}
	calls := float64(r.calls)
	out.format = math.Log((min(odd, calls) + eventStrength) / (calls + 2*eventStrength))
	votes, normal, unusual := r.sizes.sums()
	if votes == 0 {
		return
	}
	out.sized, out.smallest = true, 255
	for i := range r.sizes {
		if b := &r.sizes[i]; b.seen.enough() {
			out.smallest, out.largest = min(out.smallest, b.key), max(out.largest, b.key)
		}
	}
	strength := numberStrength*float64(normal) + float64(unusual)
	out.size = math.Log(strength / (votes + strength))
}
