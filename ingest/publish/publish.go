// Package publish puts events on the events topic: the one place that decides
// their key, encoding and headers, for every source that takes events in.
package publish

import (
	"context"

	"github.com/weir-dev/weir/schemas"
)

// Publisher takes what a source received. Both methods copy what they need
// before they return, so that the caller may reuse its buffers, block while the
// buffers of the publisher are full, and call done exactly once, from any
// goroutine, when the record is safe or lost. Done must not block.
type Publisher interface {
	// Publish sends one event. For one that is too large for a reader or for
	// the broker done gets a *schemas.DecodeError with ReasonTooLarge: sending
	// it again is no use, as it is after any other error.
	Publish(ctx context.Context, ev *schemas.Event, done func(error))
	// Refuse sends a record that was refused to the dead letters.
	Refuse(ctx context.Context, r Refused, done func(error))
}

// Refused is a record that a source could not read.
type Refused struct {
	Raw    []byte // as it came, without its secrets
	Reason schemas.Reason
	Field  string // field at fault; empty: the record as a whole
	Source string // where it came from, instead of a topic: "http"
	Format string // as which it was read
}
