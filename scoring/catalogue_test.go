package scoring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestAttackIsNamedByWhatLedAndWhatFired(t *testing.T) {
	share := func(kind int, n float64) Evidence {
		var ev Evidence
		ev.Trials[kind], ev.Taken[kind] = n, n
		return ev
	}
	shares := func(a int, n float64, b int, m float64) Evidence {
		ev := share(a, n)
		ev.Trials[b], ev.Taken[b] = m, m
		return ev
	}
	shifted := func(nats float64) Evidence {
		ev := Evidence{Today: Baseline{N: 20, Mean: 8 + nats}}
		ev.Own[baseTaken] = Baseline{N: 100, Mean: 8, M2: 30}
		return ev
	}
	code := func(ev Evidence, hits float64) Evidence {
		ev.Runs[runPayload].Observed = hits
		return ev
	}
	hours := func(f *schemas.ClientFeatures) {
		f.LastEvent = baseUS + 10*3600*1_000_000
		f.WindowStart = f.LastEvent / hopUS * hopUS
	}
	heavy := func(f *schemas.ClientFeatures) { f.Decayed15m, f.Bytes15m = 10, 10*downloadBytes+1 }
	fired := func(channels ...int) (s Scores) {
		for _, c := range channels {
			s[c] = corroborates + 1
		}
		return s
	}
	for _, tc := range []struct {
		name   string
		leader int
		also   Scores
		ev     Evidence
		change func(*schemas.ClientFeatures)
		want   string
	}{
		{"logins within seconds", ChannelOutcome, Scores{}, share(ShareLogin, 20), logins(20), schemas.AttackCredentialStuffing},
		{"logins over hours", ChannelOutcome, Scores{}, share(ShareLogin, 20), func(f *schemas.ClientFeatures) { logins(20)(f); hours(f) }, schemas.AttackSlowLogin},
		{"logins by the hour, a night's failures kept", ChannelOutcome, Scores{}, share(ShareLogin, 40), func(f *schemas.ClientFeatures) {
			logins(1)(f)
			f.DayLoginFailures, f.LastEvent = 2, baseUS+1800*1_000_000
			f.FirstSeen = baseUS - dayUS
		}, schemas.AttackSlowLogin},
		{"guesses of one name", ChannelGuesses, Scores{}, share(ShareLogin, 30), logins(30), schemas.AttackCredentialStuffing},
		{"guesses of one name over hours", ChannelGuesses, Scores{}, share(ShareLogin, 30), func(f *schemas.ClientFeatures) { logins(30)(f); hours(f) }, schemas.AttackSlowLogin},
		{"denied on many routes", ChannelOutcome, Scores{}, share(ShareDenied, 20), func(f *schemas.ClientFeatures) { f.Forbidden, f.WindowRoutes = 20, 9 }, schemas.AttackFunctionProbing},
		{"denied, another id each time", ChannelOutcome, Scores{}, shares(ShareDenied, 20, ShareObjectDenied, 19), nil, schemas.AttackObjectEnumeration},
		{"the same with writes", ChannelOutcome, fired(ChannelWrites), shares(ShareDenied, 20, ShareObjectDenied, 19), nil, schemas.AttackDataDestruction},
		{"denied with some ids", ChannelOutcome, Scores{}, shares(ShareDenied, 20, ShareObjectDenied, 9), nil, schemas.AttackFunctionProbing},
		{"missing within seconds", ChannelOutcome, Scores{}, share(ShareMissing, 20), func(f *schemas.ClientFeatures) { f.NotFound = 20 }, schemas.AttackProbing},
		{"missing over hours", ChannelOutcome, Scores{}, share(ShareMissing, 20), func(f *schemas.ClientFeatures) { f.NotFound = 1; hours(f) }, schemas.AttackSlowProbing},
		{"bad requests of another structure", ChannelOutcome, fired(ChannelStructure), share(ShareMissing, 20), func(f *schemas.ClientFeatures) { f.NotFound = 20 }, schemas.AttackRequestManipulation},
		{"bad requests with code in them", ChannelOutcome, fired(ChannelStructure, ChannelPayload), code(share(ShareMissing, 20), 9), nil, schemas.AttackCodeInjection},
		{"bad requests, few with code in them", ChannelOutcome, fired(ChannelPayload), code(share(ShareMissing, 20), 3), nil, schemas.AttackProbing},
		{"ids in sequence, all its own", ChannelWalk, Scores{}, share(ShareWalk, 20), nil, schemas.AttackScraping},
		{"ids in sequence, some denied", ChannelWalk, Scores{}, shares(ShareWalk, 20, ShareObjectDenied, 3), nil, schemas.AttackObjectEnumeration},
		{"objects denied", ChannelObjectDenied, Scores{}, share(ShareObjectDenied, 9), nil, schemas.AttackObjectEnumeration},
		{"objects in sequence that are changed", ChannelWalk, fired(ChannelWrites), Evidence{}, nil, schemas.AttackDataDestruction},
		{"many objects", ChannelObjects, Scores{}, Evidence{Trials: Shares{ShareObjectDenied: 100}, Taken: Shares{ShareObjectDenied: 2}}, nil, schemas.AttackScraping},
		{"many objects, some denied", ChannelObjects, Scores{}, Evidence{Trials: Shares{ShareObjectDenied: 100}, Taken: Shares{ShareObjectDenied: 10}}, nil, schemas.AttackObjectEnumeration},
		{"many documents", ChannelObjects, Scores{}, Evidence{}, heavy, schemas.AttackDataExfiltration},
		{"writes", ChannelWrites, Scores{}, Evidence{}, nil, schemas.AttackDataDestruction},
		{"regular intervals", ChannelTiming, Scores{}, Evidence{}, nil, schemas.AttackIntervalAbuse},
		{"more every hour", ChannelDrift, Scores{}, Evidence{}, nil, schemas.AttackSlowExfiltration},
		{"much more at once", ChannelDrift, Scores{}, shifted(manyTimes + 0.1), nil, schemas.AttackDataExfiltration},
		{"a little more each time", ChannelDrift, Scores{}, shifted(manyTimes - 0.1), nil, schemas.AttackSlowExfiltration},
		{"an odd way, with code in the values", ChannelSteps, fired(ChannelPayload), Evidence{}, nil, schemas.AttackCodeInjection},
		{"an odd mix, by the clock", ChannelJoint, fired(ChannelTiming), Evidence{}, nil, schemas.AttackIntervalAbuse},
		{"an odd mix of slow calls", ChannelJoint, fired(ChannelExcess), share(ShareSlow, 9), nil, schemas.AttackExpensiveCalls},
		{"odd parameters of slow calls", ChannelStructure, fired(ChannelExcess), share(ShareSlow, 9), nil, schemas.AttackExpensiveCalls},
		{"an odd mix", ChannelJoint, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.Mutations = 1 }, schemas.AttackExtremeClient},
		{"an odd way", ChannelSteps, Scores{}, Evidence{}, nil, schemas.AttackSequenceAbuse},
		{"steps left out", ChannelSkipped, Scores{}, Evidence{}, nil, schemas.AttackSequenceAbuse},
		{"a stranger", ChannelIdentity, Scores{}, Evidence{}, nil, schemas.AttackAccountTakeover},
		{"code", ChannelPayload, Scores{}, Evidence{}, nil, schemas.AttackCodeInjection},
		{"broken parameters", ChannelStructure, Scores{}, Evidence{}, nil, schemas.AttackRequestManipulation},
		{"broken parameters with code", ChannelStructure, fired(ChannelPayload), Evidence{}, nil, schemas.AttackCodeInjection},
		{"slow calls", ChannelExcess, Scores{}, share(ShareSlow, 20), nil, schemas.AttackExpensiveCalls},
		{"large bodies", ChannelExcess, Scores{}, share(ShareLargeRequest, 20), nil, schemas.AttackDataInjection},
		{"large responses", ChannelExcess, Scores{}, share(ShareLargeResponse, 20), nil, schemas.AttackExcessiveExposure},
		{"much time", ChannelLoad, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.Duration15m = 5000 }, schemas.AttackExpensiveCalls},
		{"many uploads", ChannelLoad, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.ReqBytes15m = 1e12 }, schemas.AttackDataInjection},
		{"many calls", ChannelBurst, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.Mutations = 500, 500 }, schemas.AttackExtremeClient},
		{"many calls for a while", ChannelSustained, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.Mutations = 30, 1 }, schemas.AttackExtremeClient},
		{"many calls that change objects", ChannelBurst, fired(ChannelWrites), Evidence{}, nil, schemas.AttackDataDestruction},
		{"many calls that create", ChannelSustained, fired(ChannelLoad), Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.Mutations = 30, 30 }, schemas.AttackDataInjection},
		{"many reads of objects", ChannelBurst, Scores{}, Evidence{}, func(f *schemas.ClientFeatures) { f.Requests, f.WindowObjects = 200, 190 }, schemas.AttackScraping},
		{"much data", ChannelVolume, Scores{}, Evidence{}, heavy, schemas.AttackDataExfiltration},
		{"nothing in particular", ChannelOutcome, Scores{}, Evidence{}, nil, schemas.AttackCredentialStuffing},
	} {
		f := record(1, true, tc.change)
		if got := nameAttack(tc.leader, &tc.also, f, &Context{Behaviour: testBehaviour()}, &tc.ev); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
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
			if familyOf(c).Name() != f.Name() {
				t.Errorf("channel %d is said to be of %q", c, familyOf(c).Name())
			}
		}
	}
	if len(owner) != NumChannels {
		t.Errorf("%d of %d channels have a family", len(owner), NumChannels)
	}
}

// attackNames are the values of the Attack constants of package schemas.
func attackNames(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../schemas/verdict.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Attack") {
			return true
		}
		s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		names[s] = true
		return true
	})
	if len(names) < 20 {
		t.Fatalf("found only %d attacks in package schemas", len(names))
	}
	return names
}

func TestCatalogueHoldsEveryAttackOnce(t *testing.T) {
	names := attackNames(t)
	seen, titles := map[string]bool{}, map[string]bool{}
	for _, a := range Catalogue() {
		if seen[a.Name] || titles[a.Title] {
			t.Errorf("%s (%s) is there twice", a.Name, a.Title)
		}
		seen[a.Name], titles[a.Title] = true, true
		if !names[a.Name] {
			t.Errorf("%s is no attack of package schemas", a.Name)
		}
		if a.Title == "" || a.Seen == "" || a.Evidence == "" || !strings.HasSuffix(a.Remedy, ".") || !strings.HasSuffix(a.Seen, ".") {
			t.Errorf("%s is not described: %+v", a.Name, a)
		}
		if len(a.OWASP) == 0 || len(a.MITRE) == 0 || len(a.PingIntelligence) == 0 && a.Name != schemas.AttackMisconfiguration {
			t.Errorf("%s has no ids: %+v", a.Name, a)
		}
		checkIDs(t, &a)
	}
	for name := range names {
		if !seen[name] {
			t.Errorf("the catalogue misses %s", name)
		}
	}
}

// checkIDs checks the form of the ids of other catalogues.
func checkIDs(t *testing.T, a *Attack) {
	t.Helper()
	digits := func(s string, from, to int) bool {
		n, err := strconv.Atoi(s)
		return err == nil && from <= n && n <= to
	}
	for _, id := range a.OWASP {
		n, ok := strings.CutSuffix(strings.TrimPrefix(id, "API"), ":2023")
		if !ok || !digits(n, 1, 10) {
			t.Errorf("%s: OWASP id %q", a.Name, id)
		}
	}
	for _, id := range a.MITRE {
		technique, sub, hasSub := strings.Cut(strings.TrimPrefix(id, "T"), ".")
		if len(technique) != 4 || !digits(technique, 1001, 1999) || hasSub && (len(sub) != 3 || !digits(sub, 1, 20)) {
			t.Errorf("%s: MITRE id %q", a.Name, id)
		}
	}
	for _, id := range a.PingIntelligence {
		if !digits(id, 1, 101) {
			t.Errorf("%s: PingIntelligence id %q", a.Name, id)
		}
	}
}
