package features

import (
	"slices"

	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/schemas"
)

// compare counts how a call stands against what is known of its route.
func (s *slot) compare(o *observation) {
	const known = hasNorms | isDecoy | isInspected | isStructured
	if o.flags&known == 0 {
		return
	}
	w := &s.hop
	if o.flags&hasNorms != 0 {
		w.normed++
		w.slow += bit(o.flags, isSlow)
		w.largeRequests += bit(o.flags, isLargeRequest)
		w.largeResponses += bit(o.flags, isLargeResponse)
	}
	if o.flags&isDecoy != 0 {
		w.decoys++
		s.decoyHits = saturate(s.decoyHits)
	}
	w.inspected += bit(o.flags, isInspected)
	w.payloadHits += bit(o.flags, isPayloadHit)
	w.structured += bit(o.flags, isStructured)
	w.violations += bit(o.flags, isViolation)
}

func bit(flags, which uint32) uint32 {
	if flags&which != 0 {
		return 1
	}
	return 0
}

// step judges the way from the client's last route to this one. A repeated read
// is no step, and neither is one to or from a route that was not learnt.
func (s *slot) step(o *observation, m *sequence.Model) {
	if m == nil {
		return
	}
	if o.time-s.last > sequence.SessionGap {
		s.before, s.lastRoute, s.recent = 0, 0, [sequence.Recent]uint32{}
	}
	if o.route == s.lastRoute && o.flags&isMutation == 0 {
		return
	}
	if s.lastRoute == 0 {
		s.lastRoute = sequence.Start
	}
	w := &s.hop
	if m.Knows(o.route) {
		if m.Knows(s.lastRoute) {
			p := m.P(s.before, s.lastRoute, o.route)
			w.steps++
			w.surprise += m.Gain(p)
			if w.rare.p == 0 || p < w.rare.p {
				w.rare = rareStep{s.lastRoute, o.route, p}
			}
		}
		if first, share, needed := m.Missing(o.route, s.recent[:]); needed {
			w.prerequisites++
			w.skipSurprise += sequence.SkipGain(share, first != 0)
			if first != 0 {
				w.skipped++
				w.missed = missedStep{o.route, first, share}
			}
		}
	}
	s.before, s.lastRoute = s.lastRoute, o.route
	short := sequence.Short(o.route)
	if slices.Contains(s.recent[:], short) {
		return
	}
	n := slices.Index(s.recent[:], 0)
	if n < 0 {
		n = copy(s.recent[:], s.recent[1:])
	}
	s.recent[n] = short
}

// fillKnown writes what the API's models say of the window into a record. Text
// is appended to buf, which is returned.
func (s *slot) fillKnown(f *schemas.ClientFeatures, m *sequence.Model, buf []byte) []byte {
	w := &s.hop
	f.Deletes, f.ObjectWrites = w.deletes, w.objectWrites
	f.NormedCalls, f.SlowCalls, f.LargeRequests, f.LargeResponses = w.normed, w.slow, w.largeRequests, w.largeResponses
	f.Duration15m, f.ReqBytes15m = float64(s.duration), float64(s.uploads)
	f.DecoyHits, f.DayDecoyHits = w.decoys, uint32(s.decoyHits)
	f.PayloadCalls, f.PayloadHits = w.inspected, w.payloadHits
	f.StructuredCalls, f.Violations = w.structured, w.violations
	f.Steps, f.Surprise = w.steps, w.surprise
	f.Prerequisites, f.Skipped, f.SkipSurprise = w.prerequisites, w.skipped, w.skipSurprise
	if w.rare.p > 0 {
		f.RareStepP = w.rare.p
		from := len(buf)
		buf = append(append(append(buf, m.Name(w.rare.from)...), " > "...), m.Name(w.rare.to)...)
		f.RareStep = buf[from:]
	}
	if w.missed.then != 0 {
		f.SkippedStepP = w.missed.share
		from := len(buf)
		buf = append(append(append(buf, m.Name(w.missed.then)...), " without "...), m.Name(w.missed.first)...)
		f.SkippedStep = buf[from:]
	}
	return buf
}
