package payload

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/features/payload"
	"github.com/weir-dev/weir/schemas"
)

// ErrNothingToLearn says that rows to learn from hold no value.
var ErrNothingToLearn = errors.New("nothing to learn from")

const (
	// learnAlpha is the share of benign requests that may be flagged for their
	// values, and the share that may be for their structure.
	learnAlpha = 1e-3
	// minValues is the fewest distinct values that the detector is taught by.
	minValues = 100
	// holdEvery is how often a request is held back to set the thresholds.
	holdEvery = 5
)

// Shipped is the payload detector with the prior that is part of the program.
// What it learns from benign requests is both what their values look like and
// how they are structured; then whichever of the two is odder counts.
func Shipped() (*Subject, error) {
	d, err := payload.Prior()
	if err != nil {
		return nil, fmt.Errorf("loading the payload prior: %w", err)
	}
	return Detector("weir", d), nil
}

// Detector is a payload detector by itself.
func Detector(name string, d *payload.Detector) *Subject { return subject(name, d, nil) }

func subject(name string, d *payload.Detector, s *structure) *Subject {
	out := &Subject{
		Name: name, Threshold: d.DefaultThreshold(),
		New: func() (Scorer, error) {
			return &inspector{detector: d, structure: s, parameters: parameters.NewScratch(), event: schemas.NewEvent()}, nil
		},
		Learn: func(benign []*Request) (*Subject, error) { return learn(name, d, benign) },
	}
	if s == nil {
		out.Prior = 0.5 // what the detector's confidence is stated for
	} else {
		out.Threshold = s.threshold
	}
	return out
}

// learn returns the detector taught by the values of benign rows, with a model
// of the structure of those that are requests. Every fifth request is kept from
// the detector, to set the thresholds.
func learn(name string, d *payload.Detector, benign []*Request) (*Subject, error) {
	seen := map[string]bool{}
	var distinct [][]byte
	value := func(v string) {
		if v != "" && !seen[v] {
			seen[v] = true
			distinct = append(distinct, []byte(v))
		}
	}
	var requests []*Request
	for _, r := range benign {
		if r.Bare() {
			value(r.Payload)
		} else {
			requests = append(requests, r)
		}
	}
	most, held := hold(requests, holdEvery)
	for _, r := range most {
		for _, s := range Slots(r) {
			value(s.Raw(r))
		}
		value(r.Header("User-Agent"))
		value(r.Header("Referer"))
	}
	if len(requests) == 0 && len(distinct) == 0 {
		return nil, ErrNothingToLearn
	}
	// Too few values leave the detector as it is: the structure of even ten
	// requests is of use.
	if len(distinct) >= minValues {
		var err error
		if d, err = d.Learn(slices.Values(distinct)); err != nil {
			return nil, fmt.Errorf("learning values: %w", err)
		}
	}
	if len(requests) == 0 {
		return subject(name+learntSuffix, d, nil), nil
	}
	s := newStructure(requests)
	s.limit = newStructure(most).limitOf(held)
	s.threshold = thresholdOf(d, held)
	return subject(name+learntSuffix, d, s), nil
}

// hold keeps every n-th row from the others.
func hold(rows []*Request, n int) (most, held []*Request) {
	for i, r := range rows {
		if i%n == n-1 {
			held = append(held, r)
		} else {
			most = append(most, r)
		}
	}
	return most, held
}

// thresholdOf is the detector's threshold, raised where more of the held-back
// requests reach it than may.
func thresholdOf(d *payload.Detector, held []*Request) float64 {
	i := &inspector{detector: d, event: schemas.NewEvent()}
	scores := make([]float64, len(held))
	for k, r := range held {
		scores[k] = i.Score(r)
	}
	threshold := d.DefaultThreshold()
	if len(held) > 0 {
		threshold = max(threshold, Threshold(scores, learnAlpha))
	}
	return min(threshold, 1)
}

// inspector scores rows by the payload detector, and by structure where that was
// learnt.
type inspector struct {
	detector   *payload.Detector
	structure  *structure // may be nil
	payload    payload.Scratch
	parameters *parameters.Scratch
	event      *schemas.Event
}

// Score is the higher of the detector's confidence and of the oddity of the
// structure.
func (i *inspector) Score(r *Request) float64 {
	if r.Bare() {
		return i.detector.Value(&i.payload, []byte(r.Payload)).Confidence
	}
	r.Event(i.event)
	found, _, _, _ := i.detector.Request(&i.payload, i.event)
	if i.structure == nil {
		return found.Confidence
	}
	surprise := i.structure.surprise(i.parameters, i.event)
	return max(found.Confidence, i.structure.oddity(surprise))
}

// structure is what the requests of an API look like, and how odd is too odd.
type structure struct {
	model     *parameters.Model
	routes    *features.RouteTable
	limit     float64 // surprise that benign requests exceed as often as learnAlpha
	threshold float64 // score of a request at the limit
}

// newStructure learns from requests that somebody vouches for, so that each
// counts, whoever sent it. It has no limit yet.
func newStructure(requests []*Request) *structure {
	s := &structure{routes: features.NewRouteTable(features.RouteRules{})}
	l := parameters.NewLearner(parameters.Config{Vouched: true})
	e := schemas.NewEvent()
	for _, r := range requests {
		r.Event(e)
		l.Add(e, s.route(e), nil)
	}
	s.model = l.Model()
	return s
}

// leastLimit is the surprise that is never too odd: p = 0.2.
const leastLimit = 1.6

// limitOf is the limit by benign requests that were not learnt from. Beyond the
// largest surprise among too few of them the model's own probability is taken at
// its word.
func (s *structure) limitOf(held []*Request) float64 {
	scratch, e := parameters.NewScratch(), schemas.NewEvent()
	surprises := make([]float64, len(held))
	for i, r := range held {
		r.Event(e)
		surprises[i] = s.surprise(scratch, e)
	}
	limit := math.Log(1 / learnAlpha)
	if len(held) > 0 {
		limit = max(Threshold(surprises, learnAlpha), 0) + max(0, math.Log(1/learnAlpha/float64(len(held)+1)))
	}
	return max(limit, leastLimit)
}

func (s *structure) route(e *schemas.Event) []byte {
	return append(append(append([]byte(nil), e.Method...), ' '), s.routes.Template(e.Path)...)
}

// surprise is -ln p of a request.
func (s *structure) surprise(scratch *parameters.Scratch, e *schemas.Event) float64 {
	return -s.model.Judge(scratch, e, s.route(e)).LogP
}

// oddity maps a surprise to 0..1 so that the limit becomes the threshold.
func (s *structure) oddity(surprise float64) float64 {
	if math.IsInf(surprise, 1) {
		return 1
	}
	t := min(max(s.threshold, 0.01), 0.99)
	return surprise / (surprise + s.limit*(1-t)/t)
}
