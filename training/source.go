package training

import (
	"fmt"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// Events yields API calls in event-time order, the same on every call. Events
// are valid during the call only.
type Events func(yield func(*schemas.Event)) error

// Extract turns events into a Source, through one Extractor.
func Extract(events Events, cfg features.Config) Source {
	return func(yield func(*schemas.ClientFeatures)) error {
		x, err := features.New(cfg)
		if err != nil {
			return fmt.Errorf("making an extractor: %w", err)
		}
		out := onlyFeatures(yield)
		offset := int64(0)
		err = events(func(e *schemas.Event) {
			x.Apply(e, e.Time, offset, out)
			offset++
		})
		if err != nil {
			return err
		}
		x.Flush(out)
		return nil
	}
}

type onlyFeatures func(*schemas.ClientFeatures)

func (y onlyFeatures) Features(f *schemas.ClientFeatures) { y(f) }
func (onlyFeatures) Aggregate(*schemas.Aggregate)         {}

// Learn learns a model from events: first what extraction needs to know of the
// APIs, then, with that, what Train learns. It reads the events five times.
func Learn(events Events, cfg features.Config, o Options) (*scoring.Model, error) {
	learnt, err := Knowledge(events)
	if err != nil {
		return nil, err
	}
	if cfg.Knowledge, err = features.NewKnowledge(learnt, nil); err != nil {
		return nil, fmt.Errorf("using what was learnt: %w", err)
	}
	o.Learnt = *learnt
	return Train(Extract(events, cfg), o)
}

// Knowledge learns what extraction needs to know of the APIs: the templates of
// their routes in a first pass over the events, the rest in a second.
func Knowledge(events Events) (*features.Learnt, error) {
	routes := features.NewRouteLearner()
	if err := events(routes.Observe); err != nil {
		return nil, fmt.Errorf("learning routes: %w", err)
	}
	l := features.NewKnowledgeLearner(routes.Rules())
	if err := events(l.Observe); err != nil {
		return nil, fmt.Errorf("learning routes' norms: %w", err)
	}
	learnt := l.Learnt()
	return &learnt, nil
}

// Chain yields several sources one after the other.
func Chain(sources ...Source) Source {
	return func(yield func(*schemas.ClientFeatures)) error {
		for _, s := range sources {
			if err := s(yield); err != nil {
				return err
			}
		}
		return nil
	}
}
