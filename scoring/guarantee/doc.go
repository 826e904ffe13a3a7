// Package guarantee holds what stands between a score and a block: how often a
// threshold may err and with what confidence, what lies beyond the calibration,
// how many of the blocks may be false, whether the outside world still agrees,
// and a brake for when all of that was wrong.
//
// Everything here is a pure function of what it is given: time is event time,
// chance is a keyed hash, and state has a fixed size and can be put away in a
// snapshot.
package guarantee

import "errors"

var (
	// ErrTooFew says that there are too few observations for what is asked.
	ErrTooFew = errors.New("too few observations")
	// ErrConfig says that a configuration makes no sense.
	ErrConfig = errors.New("guarantee configuration")
	// ErrSnapshot says that a snapshot cannot be read: torn, or of another version.
	ErrSnapshot = errors.New("guarantee snapshot")
)
