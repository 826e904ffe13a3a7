package scoring

import (
	"time"

	"github.com/weir-dev/weir/schemas"
)

// slowInterval is the mean time between failures from which an attack counts as
// a slow one.
const slowInterval = 150 * time.Second

// nameAttack reads the attack's name off the channel that led and the features
// that fired.
func nameAttack(leader int, f *schemas.ClientFeatures, c *Context, ev *Evidence) string {
	switch leader {
	case ChannelOutcome:
		kind := strongestOutcome(c, ev)
		slow := meanInterval(f, ev, kind) > slowInterval
		switch {
		case kind == outcomeLogin && slow:
			return schemas.AttackSlowLogin
		case kind == outcomeLogin:
			return schemas.AttackCredentialStuffing
		case f.ObjectDenied*2 > f.Unauthorized+f.Forbidden+f.NotFound && f.WindowRoutes <= 2:
			// Refused again and again on one route, with another id each time.
			return schemas.AttackObjectEnumeration
		case kind == outcomeDenied:
			return schemas.AttackFunctionProbing
		case slow:
			return schemas.AttackSlowProbing
		}
		return schemas.AttackProbing
	case ChannelSequence, ChannelObjectDenied:
		return schemas.AttackObjectEnumeration
	case ChannelObjects:
		if ev.ObjectDenied*20 > ev.ObjectTrials {
			// Some of what it names is not its own.
			return schemas.AttackObjectEnumeration
		}
		return schemas.AttackScraping
	case ChannelTiming:
		return schemas.AttackIntervalAbuse
	}
	requests, volume, bytes := rate{}.tails(f, c, ev)
	switch {
	case bytes < requests && bytes < volume:
		return schemas.AttackDataExfiltration
	case f.WindowObjects*2 > f.Requests && f.Mutations == 0:
		return schemas.AttackScraping
	}
	return schemas.AttackExtremeClient
}

// meanInterval is the time today between the failures of a kind.
func meanInterval(f *schemas.ClientFeatures, ev *Evidence, kind int) time.Duration {
	if kind < 0 || ev.Failures[kind] < 1 {
		return 0
	}
	failures := ev.Failures[kind]
	if kind == outcomeLogin && f.DayLoginFailures > 0 {
		failures = float64(f.DayLoginFailures) // without those kept from before midnight
	}
	span := f.LastEvent - max(f.FirstSeen, f.WindowStart/dayUS*dayUS)
	return time.Duration(float64(span)*1e3/failures) * time.Nanosecond
}
