package scoring

import (
	"time"

	"github.com/weir-dev/weir/schemas"
)

// slowInterval is the mean time between failures from which an attack counts as
// a slow one.
const slowInterval = 150 * time.Second

const (
	// corroborates is how many nats a second sign needs to give the attack its name.
	corroborates = 5
	// downloadBytes is from how many bytes a call a client takes documents rather
	// than reading pages.
	downloadBytes = 30_000
)

// nameAttack reads the attack's name off the channel that led and what else
// fired.
func nameAttack(leader int, evidence *Scores, f *schemas.ClientFeatures, c *Context, ev *Evidence) string {
	if hits := ev.Runs[runPayload].Observed; evidence[ChannelPayload] > corroborates &&
		(leader == ChannelStructure || leader == ChannelOutcome && hits*3 > ev.Taken[ShareMissing]+ev.Taken[ShareDenied]) {
		return schemas.AttackCodeInjection // refused or odd because of what its values hold
	}
	leader = moreSpecific(leader, evidence)
	switch leader {
	case ChannelPayload:
		return schemas.AttackCodeInjection
	case ChannelStructure:
		return schemas.AttackRequestManipulation
	case ChannelGuesses:
		if meanInterval(f, ev, ShareLogin) > slowInterval {
			return schemas.AttackSlowLogin
		}
		return schemas.AttackCredentialStuffing
	case ChannelOutcome:
		return nameRefused(evidence, f, c, ev)
	case ChannelWalk, ChannelObjectDenied, ChannelObjects:
		return nameObjects(leader, evidence, f, ev)
	case ChannelWrites:
		return schemas.AttackDataDestruction
	case ChannelTiming:
		return schemas.AttackIntervalAbuse
	case ChannelDrift:
		if above, _ := ev.shift(c); above > manyTimes {
			return schemas.AttackDataExfiltration
		}
		return schemas.AttackSlowExfiltration
	case ChannelSteps, ChannelSkipped:
		return schemas.AttackSequenceAbuse
	case ChannelIdentity:
		return schemas.AttackAccountTakeover
	case ChannelExcess:
		switch at, _ := ev.strongestShare(c, ShareSlow, ShareLargeRequest, ShareLargeResponse); at {
		case ShareLargeRequest:
			return schemas.AttackDataInjection
		case ShareLargeResponse:
			return schemas.AttackExcessiveExposure
		}
		return schemas.AttackExpensiveCalls
	case ChannelLoad:
		if momentTail(f.ReqBytes15m, c.Behaviour.Uploads, &ev.Own[baseUploads]) < momentTail(f.Duration15m, c.Behaviour.Load, &ev.Own[baseLoad]) {
			return schemas.AttackDataInjection
		}
		return schemas.AttackExpensiveCalls
	}
	return nameVolume(evidence, f)
}

// manyTimes is from how many nats above its habit, five times as much, what a
// client takes is not taken slowly.
const manyTimes = 1.6

// moreSpecific is the channel that names what a leader of little meaning shows: a
// client that wanders, or whose parameters are odd, does so on some errand.
func moreSpecific(leader int, evidence *Scores) int {
	var errands []int
	switch leader {
	case ChannelSteps, ChannelSkipped, ChannelJoint:
		errands = []int{
			ChannelPayload, ChannelStructure, ChannelExcess, ChannelObjectDenied, ChannelWalk, ChannelWrites, ChannelOutcome, ChannelTiming, ChannelDrift,
		}
	case ChannelStructure:
		errands = []int{ChannelExcess}
	}
	best := leader
	for _, c := range errands {
		if evidence[c] > errand && (best == leader || evidence[c] > evidence[best]) {
			best = c
		}
	}
	return best
}

// errand is from how many nats a channel counts as what a client is up to.
const errand = 3

// nameRefused names what is refused: logins, or calls of one kind or another.
func nameRefused(evidence *Scores, f *schemas.ClientFeatures, c *Context, ev *Evidence) string {
	kind, _ := ev.strongestShare(c, ShareLogin, ShareDenied, ShareMissing)
	slow := meanInterval(f, ev, kind) > slowInterval
	switch {
	case kind == ShareLogin && slow:
		return schemas.AttackSlowLogin
	case kind == ShareLogin:
		return schemas.AttackCredentialStuffing
	case ev.Taken[ShareObjectDenied] > 0.8*(ev.Taken[ShareDenied]+ev.Taken[ShareMissing]):
		if evidence[ChannelWrites] > corroborates {
			return schemas.AttackDataDestruction
		}
		// Refused again and again, with another id each time.
		return schemas.AttackObjectEnumeration
	case kind == ShareDenied:
		return schemas.AttackFunctionProbing
	case evidence[ChannelStructure] > corroborates:
		return schemas.AttackRequestManipulation
	case slow:
		return schemas.AttackSlowProbing
	}
	return schemas.AttackProbing
}

// nameObjects names what goes through objects.
func nameObjects(leader int, evidence *Scores, f *schemas.ClientFeatures, ev *Evidence) string {
	switch {
	case evidence[ChannelWrites] > corroborates:
		return schemas.AttackDataDestruction
	case leader == ChannelObjectDenied, ev.Taken[ShareObjectDenied]*20 > ev.Trials[ShareObjectDenied]:
		// Some of what it names is not its own.
		return schemas.AttackObjectEnumeration
	case bytesPerCall(f) > downloadBytes:
		return schemas.AttackDataExfiltration
	}
	return schemas.AttackScraping
}

// nameVolume names what is much of something.
func nameVolume(evidence *Scores, f *schemas.ClientFeatures) string {
	switch {
	case evidence[ChannelWrites] > corroborates:
		return schemas.AttackDataDestruction
	case bytesPerCall(f) > downloadBytes:
		return schemas.AttackDataExfiltration
	case f.Mutations*2 > f.Requests && evidence[ChannelLoad] > corroborates/2:
		return schemas.AttackDataInjection
	case f.WindowObjects*2 > f.Requests && f.Mutations == 0:
		return schemas.AttackScraping
	}
	return schemas.AttackExtremeClient
}

// bytesPerCall is what a call of the last quarter of an hour was answered with,
// about.
func bytesPerCall(f *schemas.ClientFeatures) float64 {
	return f.Bytes15m / max(f.Decayed15m, 1)
}

// meanInterval is the time today between the failures of a kind.
func meanInterval(f *schemas.ClientFeatures, ev *Evidence, kind int) time.Duration {
	failures := ev.Taken[kind]
	if kind == ShareLogin && f.DayLoginFailures > 0 {
		failures = float64(f.DayLoginFailures) // without those kept from before midnight
	}
	if failures < 1 {
		return 0
	}
	span := f.LastEvent - max(ev.FirstRefused, f.FirstSeen, f.WindowStart/dayUS*dayUS)
	return time.Duration(float64(span)*1e3/failures) * time.Nanosecond
}
