package parameters

import (
	"fmt"
	"math"

	"github.com/weir-dev/weir/features/payload"
	"github.com/weir-dev/weir/schemas"
)

// Inspector judges a request by what it is made of and by what its values say.
// Either part may be nil. It is immutable and safe for concurrent use.
type Inspector struct {
	Model   *Model
	Payload *payload.Detector
}

// InspectScratch is the working memory of one caller of Inspect.
type InspectScratch struct {
	structure *Scratch
	payload   payload.Scratch
}

// NewInspectScratch returns working memory for Inspect.
func NewInspectScratch() *InspectScratch { return &InspectScratch{structure: NewScratch()} }

// Inspection is what an Inspector found in one request.
type Inspection struct {
	// Score is the probability that the request is an attack, were attacks as
	// frequent as benign requests, 0..1.
	Score float64
	// Structure is what the Model says.
	Structure Result
	// Finding is the worst value, at Where and Name; Judged is false where no
	// value could carry code, and the Finding then zero.
	Finding payload.Finding
	Where   payload.Location
	Name    []byte
	Judged  bool
	// Code tells that the values weigh more in the score than the structure.
	Code bool
}

// Inspect judges one request, given its route ("METHOD template"). What it
// returns aliases the event and the scratch.
func (in *Inspector) Inspect(s *InspectScratch, e *schemas.Event, route []byte) Inspection {
	var out Inspection
	structure := 0.0
	if in.Model != nil {
		out.Structure = in.Model.Judge(s.structure, e, route)
		structure = out.Structure.LogP
	}
	if in.Payload != nil {
		out.Finding, out.Where, out.Name, out.Judged = in.Payload.Request(&s.payload, e)
	}
	judged := out.Structure.Known || out.Structure.Worst.Kind != KindNone
	out.Score, out.Code = combineScores(structure, judged, out.Finding.Confidence)
	return out
}

// The likelihood of what is seen of an attack, against that of a benign
// request, where the structure is entirely usual (p = 1). Attacks by code do
// come in fields that take any text; a manipulated request seldom looks usual.
const (
	codeInUsual         = 0.2
	manipulationInUsual = 0.02
)

// combineScores weighs two kinds of attack against a benign request: code in a
// value, whose structure may be odd besides, and a manipulated structure, about
// which the values say nothing. A p-value is worth at most 1/(-e p ln p) to the
// alternative (T. Sellke, M. Bayarri and J. Berger, "Calibration of p values for
// testing precise null hypotheses", The American Statistician 55, 2001).
func combineScores(logP float64, known bool, confidence float64) (score float64, code bool) {
	if !known {
		return confidence, confidence > 0
	}
	values := confidence / max(1-confidence, 1e-9)
	byCode := values * bound(logP, codeInUsual) / 2
	byStructure := bound(logP, manipulationInUsual) / 2
	ratio := byCode + byStructure
	return ratio / (1 + ratio), byCode > byStructure
}

// bound is the most that a p-value is worth; between p = 1/e, where that is 1,
// and p = 1 it falls to usual.
func bound(logP, usual float64) float64 {
	if logP < -1 {
		return 1 / (-math.E * math.Exp(max(logP, -100)) * max(logP, -100))
	}
	p := math.Exp(logP)
	return 1 - (1-usual)*(p-1/math.E)/(1-1/math.E)
}

// Reason says in a sentence what the score is made of. The inspection must be
// of this Inspector, and what it aliases must still hold.
func (in *Inspector) Reason(i *Inspection) string {
	if i.Code {
		f := &i.Finding
		span := f.Decoded
		if 0 <= f.SpanStart && f.SpanStart <= f.SpanEnd && f.SpanEnd <= len(span) {
			span = span[f.SpanStart:f.SpanEnd]
		}
		where := i.Where.String()
		if len(i.Name) > 0 {
			where += " " + quote(i.Name)
		}
		return fmt.Sprintf("%s looks like %s (confidence %.3f): %s", where, i.Finding.Class, i.Finding.Confidence, quote(span))
	}
	if in.Model == nil {
		return ""
	}
	return in.Model.Explain(i.Structure.Worst)
}
