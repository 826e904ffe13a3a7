package scoring

import (
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestAttackIsNamedByWhatLedAndWhatFired(t *testing.T) {
	failures := func(kind int, n float64) Evidence {
		var ev Evidence
		ev.Trials[kind], ev.Failures[kind] = n, n
		return ev
	}
	hours := func(f *schemas.ClientFeatures) {
		f.LastEvent = baseUS + 10*3600*1_000_000
		f.WindowStart = f.LastEvent / hopUS * hopUS
	}
	for _, tc := range []struct {
		name   string
		leader int
		ev     Evidence
		change func(*schemas.ClientFeatures)
		want   string
	}{
		{"logins within seconds", ChannelOutcome, failures(outcomeLogin, 20), logins(20), schemas.AttackCredentialStuffing},
		{"logins over hours", ChannelOutcome, failures(outcomeLogin, 20), func(f *schemas.ClientFeatures) { logins(20)(f); hours(f) }, schemas.AttackSlowLogin},
		{"logins by the hour, a night's failures kept", ChannelOutcome, failures(outcomeLogin, 40), func(f *schemas.ClientFeatures) {
			logins(1)(f)
			f.DayLoginFailures, f.LastEvent = 2, baseUS+1800*1_000_000
			f.FirstSeen = baseUS - dayUS
		}, schemas.AttackSlowLogin},
		{"denied on many routes", ChannelOutcome, failures(outcomeDenied, 20), func(f *schemas.ClientFeatures) { f.Forbidden, f.WindowRoutes = 20, 9 }, schemas.AttackFunctionProbing},
		{"denied on one route, another id each time", ChannelOutcome, failures(outcomeDenied, 20), func(f *schemas.ClientFeatures) {
			f.Forbidden, f.ObjectDenied, f.WindowRoutes = 20, 20, 1
		}, schemas.AttackObjectEnumeration},
		{"denied ids on many routes", ChannelOutcome, failures(outcomeDenied, 20), func(f *schemas.ClientFeatures) {
			f.Forbidden, f.ObjectDenied, f.WindowRoutes = 20, 20, 8
		}, schemas.AttackFunctionProbing},
		{"missing within seconds", ChannelOutcome, failures(outcomeMissing, 20), func(f *schemas.ClientFeatures) { f.NotFound = 20 }, schemas.AttackProbing},
		{"missing over hours", ChannelOutcome, failures(outcomeMissing, 20), func(f *schemas.ClientFeatures) { f.NotFound = 1; hours(f) }, schemas.AttackSlowProbing},
		{"ids in sequence", ChannelSequence, Evidence{}, nil, schemas.AttackObjectEnumeration},
		{"objects denied", ChannelObjectDenied, Evidence{}, nil, schemas.AttackObjectEnumeration},
		{"many objects", ChannelObjects, Evidence{ObjectTrials: 100, ObjectDenied: 2}, nil, schemas.AttackScraping},
		{"many objects, some denied", ChannelObjects, Evidence{ObjectTrials: 100, ObjectDenied: 10}, nil, schemas.AttackObjectEnumeration},
		{"regular intervals", ChannelTiming, Evidence{}, nil, schemas.AttackIntervalAbuse},
		{"many calls", ChannelBurst, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.Mutations = 500, 500 }, schemas.AttackExtremeClient},
		{"many calls for a while", ChannelSustained, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.Mutations = 30, 1 }, schemas.AttackExtremeClient},
		{"many reads of objects", ChannelBurst, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.WindowObjects = 200, 190 }, schemas.AttackScraping},
		{"much data", ChannelVolume, Evidence{}, func(f *schemas.ClientFeatures) { f.Bytes15m = 1e12 }, schemas.AttackDataExfiltration},
		{"nothing in particular", ChannelOutcome, Evidence{}, nil, schemas.AttackProbing},
	} {
		f := record(1, true, tc.change)
		if got := nameAttack(tc.leader, f, &Context{Behaviour: testBehaviour()}, &tc.ev); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestRefusedLoginsCountAsThatAlone(t *testing.T) {
	for _, tc := range []struct {
		name             string
		f                schemas.ClientFeatures
		trials, failures [NumOutcomes]float64
	}{
		{"nothing", schemas.ClientFeatures{}, [3]float64{}, [3]float64{}},
		{"refused with 401", schemas.ClientFeatures{Requests: 6, LoginAttempts: 4, LoginFailures: 3, Unauthorized: 3, Status4xx: 3}, [3]float64{4, 2, 2}, [3]float64{3, 0, 0}},
		{"refused with 404", schemas.ClientFeatures{Requests: 4, LoginAttempts: 4, LoginFailures: 3, NotFound: 3, Status4xx: 3}, [3]float64{4, 0, 0}, [3]float64{3, 0, 0}},
		{"and denied elsewhere", schemas.ClientFeatures{Requests: 9, LoginAttempts: 4, LoginFailures: 3, Unauthorized: 3, Forbidden: 2, Status4xx: 6}, [3]float64{4, 5, 5}, [3]float64{3, 2, 1}},
		{"more logins than calls", schemas.ClientFeatures{Requests: 1, LoginAttempts: 4}, [3]float64{4, 0, 0}, [3]float64{}},
		{"bad requests", schemas.ClientFeatures{Requests: 9, Status4xx: 5, NotFound: 2, Forbidden: 1}, [3]float64{0, 9, 9}, [3]float64{0, 1, 4}},
	} {
		trials, failures := OutcomeCounts(&tc.f)
		if trials != tc.trials || failures != tc.failures {
			t.Errorf("%s: %v of %v, want %v of %v", tc.name, failures, trials, tc.failures, tc.trials)
		}
	}
}

func TestFamiliesOwnEveryChannelOnce(t *testing.T) {
	owner := map[int]string{}
	names := map[string]bool{}
	for _, f := range families {
		if names[f.Name()] {
			t.Errorf("two families are named %q", f.Name())
		}
		names[f.Name()] = true
		for _, c := range f.Channels() {
			if owner[c] != "" {
				t.Errorf("channel %d belongs to %q and %q", c, owner[c], f.Name())
			}
			owner[c] = f.Name()
		}
	}
	if len(owner) != NumChannels {
		t.Errorf("%d of %d channels have a family", len(owner), NumChannels)
	}
}
