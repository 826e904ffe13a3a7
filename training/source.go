package training

import (
	"fmt"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
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
