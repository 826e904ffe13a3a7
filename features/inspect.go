package features

import (
	"github.com/cespare/xxhash/v2"
	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/features/payload"
	"github.com/weir-dev/weir/schemas"
)

const (
	// violationLogP is from which ln p on a call breaks the structure of its
	// route's parameters: one in 150.
	violationLogP = -5
	maxSpan       = 48
)

// inspector is the working memory of one Extractor for looking into calls.
type inspector struct {
	values     payload.Scratch
	parameters *parameters.Scratch
	found      finding
	// agents holds hashes of user agents that were found harmless: the same few
	// come with nearly every call.
	agents [1024]uint64
	place  []byte
	seed   Seed // so that nobody can make a user agent that is taken for another
}

// finding is what a look into one call found, or the worst of a hop. Its text
// is the holder's own.
type finding struct {
	confidence         float64
	class, where, span []byte
	payloadAt          observation

	logP        float64
	param, kind []byte
	violationAt observation
}

// inspect looks into a call's values and their structure and notes on the
// observation what it found; the text is in found until the next call.
func (k *Knowledge) inspect(in *inspector, o *observation, e *schemas.Event, api, route []byte) {
	f := &in.found
	f.confidence, f.logP = 0, 0
	if o.flags&isStatic != 0 {
		return
	}
	if k.payload != nil {
		agent := siphash.Hash(in.seed.K0, in.seed.K1, e.UserAgent)
		known, kept := &in.agents[agent%uint64(len(in.agents))], e.UserAgent
		if *known == agent {
			e.UserAgent = nil
		}
		v, where, name, ok := k.payload.Request(&in.values, e)
		e.UserAgent = kept
		// Every call counts as looked at, whether its agent was looked up or judged.
		o.flags |= isInspected
		if !ok || v.Confidence < k.threshold {
			*known = agent
		}
		if ok && v.Confidence >= k.threshold {
			f.where = appendWhere(f.where[:0], where.String(), name)
			ok = !k.noisy(api, route, f.where, &in.place)
		}
		if ok && v.Confidence >= k.threshold {
			o.flags |= isPayloadHit
			f.confidence = v.Confidence
			f.class = append(f.class[:0], v.Class...)
			f.span = appendSpan(f.span[:0], v.Decoded, v.SpanStart, v.SpanEnd)
		}
	}
	if k.structure != nil {
		// A known path called by another method has no parameters that are known.
		if r := k.structure.Judge(in.parameters, e, route); r.Known || r.Worst.Kind == parameters.KindMethod {
			o.flags |= isStructured
			if r.LogP < violationLogP && breaks(&r.Worst) {
				o.flags |= isViolation
				f.logP = r.LogP
				f.param = appendWhere(f.param[:0], r.Worst.Location.String(), r.Worst.Name)
				f.kind = append(f.kind[:0], r.Worst.Kind.String()...)
			}
		}
	}
}

// noisy tells whether a place of a route is one whose ordinary values look like
// code.
func (k *Knowledge) noisy(api, route, where []byte, buf *[]byte) bool {
	a := k.apis[string(api)]
	if a == nil || len(a.noisy) == 0 {
		return false
	}
	*buf = appendPlace((*buf)[:0], route, where)
	return a.noisy[xxhash.Sum64(*buf)]
}

func appendPlace(dst, route, where []byte) []byte {
	return append(append(append(dst, route...), ' '), where...)
}

// breaks tells whether a violation says anything of the caller. Which program
// calls is its own affair, however few have it; and ids in a path grow.
func breaks(v *parameters.Violation) bool {
	switch v.Location {
	case parameters.Header:
		return string(v.Name) != "user-agent"
	case parameters.Path:
		return v.Kind != parameters.KindRange && v.Kind != parameters.KindLength && v.Kind != parameters.KindEnum
	}
	return true
}

func appendWhere(dst []byte, location string, name []byte) []byte {
	dst = append(dst, location...)
	if len(name) > 0 {
		dst = append(append(dst, ' '), name[:min(len(name), 64)]...)
	}
	return dst
}

// appendSpan is the span and what stands around it, as much as fits.
func appendSpan(dst, value []byte, from, to int) []byte {
	if from < 0 || to > len(value) || from > to {
		return dst
	}
	room := max(maxSpan-(to-from), 0) / 2
	from, to = max(from-room, 0), min(to+room, len(value))
	return append(dst, value[from:min(to, from+maxSpan)]...)
}

// keep takes over the worse of two findings, the earlier of two as bad.
func (h *openHop) keep(o *observation, in *finding) {
	w := &h.worst
	if o.flags&isPayloadHit != 0 && (in.confidence > w.confidence || in.confidence == w.confidence && o.compare(&w.payloadAt) < 0) {
		w.confidence, w.payloadAt = in.confidence, *o
		w.class = append(w.class[:0], in.class...)
		w.where = append(w.where[:0], in.where...)
		w.span = append(w.span[:0], in.span...)
	}
	if o.flags&isViolation != 0 && (in.logP < w.logP || in.logP == w.logP && o.compare(&w.violationAt) < 0) {
		w.logP, w.violationAt = in.logP, *o
		w.param = append(w.param[:0], in.param...)
		w.kind = append(w.kind[:0], in.kind...)
	}
}

func (w *finding) fill(f *schemas.ClientFeatures) {
	f.PayloadConfidence, f.PayloadClass, f.PayloadWhere, f.PayloadSpan = w.confidence, w.class, w.where, w.span
	f.ViolationLogP, f.ViolationWhere, f.ViolationKind = w.logP, w.param, w.kind
}

func (w *finding) reset() {
	*w = finding{class: w.class[:0], where: w.where[:0], span: w.span[:0], param: w.param[:0], kind: w.kind[:0]}
}

func (w *finding) code(c *codec) {
	c.f64(&w.confidence)
	c.f64(&w.logP)
	for _, b := range []*[]byte{&w.class, &w.where, &w.span, &w.param, &w.kind} {
		c.bytes(b)
	}
	w.payloadAt.code(c)
	w.violationAt.code(c)
}
