package scoring

import (
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestWindowsShares(t *testing.T) {
	for _, tc := range []struct {
		name          string
		f             schemas.ClientFeatures
		trials, taken Shares
	}{
		{"nothing", schemas.ClientFeatures{}, Shares{}, Shares{}},
		{
			"logins refused with 401",
			schemas.ClientFeatures{Requests: 6, LoginAttempts: 4, LoginFailures: 3, LoginNewAttempts: 4, LoginNewFailures: 3, Unauthorized: 3, Status4xx: 3},
			Shares{ShareLogin: 4, ShareDenied: 2, ShareMissing: 2}, Shares{ShareLogin: 3},
		},
		{
			"logins refused with 404",
			schemas.ClientFeatures{Requests: 4, LoginAttempts: 4, LoginFailures: 3, LoginNewAttempts: 4, LoginNewFailures: 3, NotFound: 3, Status4xx: 3},
			Shares{ShareLogin: 4}, Shares{ShareLogin: 3},
		},
		{
			"names tried before say nothing new",
			schemas.ClientFeatures{Requests: 5, LoginAttempts: 5, LoginFailures: 5, LoginNewAttempts: 1, LoginNewFailures: 1, Unauthorized: 5, Status4xx: 5},
			Shares{ShareLogin: 1}, Shares{ShareLogin: 1},
		},
		{
			"logins refused and calls denied",
			schemas.ClientFeatures{Requests: 9, LoginAttempts: 4, LoginFailures: 3, LoginNewAttempts: 4, LoginNewFailures: 3, Unauthorized: 3, Forbidden: 2, Status4xx: 6},
			Shares{ShareLogin: 4, ShareDenied: 5, ShareMissing: 5}, Shares{ShareLogin: 3, ShareDenied: 2, ShareMissing: 1},
		},
		{"more logins than calls", schemas.ClientFeatures{Requests: 1, LoginAttempts: 4, LoginNewAttempts: 4}, Shares{ShareLogin: 4}, Shares{}},
		{"bad requests", schemas.ClientFeatures{Requests: 9, Status4xx: 5, NotFound: 2, Forbidden: 1}, Shares{ShareDenied: 9, ShareMissing: 9}, Shares{ShareDenied: 1, ShareMissing: 4}},
		{
			"a walk over new ids alone", // ids that come back are no steps, even at one stride
			schemas.ClientFeatures{ObjectAccesses: 8, ObjectNew: 3, ObjectSequential: 7},
			Shares{ShareWalk: 3, ShareObjectDenied: 8}, Shares{ShareWalk: 3},
		},
		{"more new ids than accesses", schemas.ClientFeatures{ObjectAccesses: 2, ObjectNew: 3, ObjectSequential: 1}, Shares{ShareWalk: 2, ShareObjectDenied: 2}, Shares{ShareWalk: 1}},
		{"denied objects", schemas.ClientFeatures{ObjectAccesses: 8, ObjectDenied: 5}, Shares{ShareObjectDenied: 8}, Shares{ShareObjectDenied: 5}},
		{
			"beyond the norms",
			schemas.ClientFeatures{NormedCalls: 7, SlowCalls: 1, LargeRequests: 2, LargeResponses: 3},
			Shares{ShareSlow: 7, ShareLargeRequest: 7, ShareLargeResponse: 7}, Shares{ShareSlow: 1, ShareLargeRequest: 2, ShareLargeResponse: 3},
		},
		{"steps left out", schemas.ClientFeatures{Prerequisites: 5, Skipped: 2}, Shares{ShareSkipped: 5}, Shares{ShareSkipped: 2}},
		{"parameters", schemas.ClientFeatures{StructuredCalls: 6, Violations: 4}, Shares{ShareStructure: 6}, Shares{ShareStructure: 4}},
	} {
		if trials, taken := WindowShares(&tc.f); trials != tc.trials || taken != tc.taken {
			t.Errorf("%s: %v of %v, want %v of %v", tc.name, taken, trials, tc.taken, tc.trials)
		}
	}
}

func TestEveryShareIsNamedAndBounded(t *testing.T) {
	seen := map[string]bool{}
	for i, name := range shareNames {
		if name == "" || seen[name] {
			t.Errorf("share %d is named %q", i, name)
		}
		seen[name] = true
		if r := ShareBounds[i]; !(0 < r.Low && r.Low < r.High && r.High < 1) {
			t.Errorf("%s is bounded by %+v", name, r)
		}
	}
}

// misses makes windows of ten calls, some of them to nowhere.
func misses(n uint32) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Status4xx, f.NotFound = 10, 10-n, n, n
	}
}

// bounds feeds days of windows and returns the bound of a share at the end.
func bounds(t *testing.T, share int, days, windows int64, change func(*schemas.ClientFeatures)) (bound float64, suspected bool) {
	t.Helper()
	b := newBench(t, nil)
	for d := range days {
		for i := range windows {
			b.feed(record(d*8640+i*60, true, change))
		}
	}
	b.feed(record(days*8640, true, nil))
	for i := range b.shards {
		for ev := range evidenceOf(&b.shards[i]) {
			bound = ev.bound(share, &b.judging.context)
		}
	}
	for _, v := range b.verdicts {
		suspected = suspected || v.Action.Severity() > schemas.ActionThrottle.Severity()
	}
	return bound, suspected
}

func TestHabitRaisesTheBoundOfWhoIsNotSuspected(t *testing.T) {
	kind := testBehaviour().Bounds
	now, suspected := bounds(t, ShareMissing, 1, 40, misses(2))
	if suspected {
		t.Fatal("the habit itself is suspected")
	}
	if want := 80. / (400 + habitDoubt); math.Abs(now-want) > 1e-12 || now <= kind[ShareMissing] {
		t.Errorf("bound %v after a day of 80 in 400, want %v", now, want)
	}
	if later, _ := bounds(t, ShareMissing, 6, 40, misses(2)); later <= now || later > 0.2 {
		t.Errorf("bound %v after six days of a share of 0.2, after one %v", later, now)
	}
	// A few chances a day make no habit of what was done once or twice.
	if few, _ := bounds(t, ShareMissing, 3, 1, misses(5)); few > kind[ShareMissing]+0.1 {
		t.Errorf("bound %v after days of next to no calls", few)
	}
}

func TestSuspectsHaveNoHabits(t *testing.T) {
	got, suspected := bounds(t, ShareMissing, 1, 6, misses(9))
	if !suspected || got != testBehaviour().Bounds[ShareMissing] {
		t.Errorf("bound %v of a client that is suspected: %v", got, suspected)
	}
}

func TestNobodyMakesAHabitOfFailingLogins(t *testing.T) {
	got, _ := bounds(t, ShareLogin, 5, 6, func(f *schemas.ClientFeatures) {
		f.LoginAttempts, f.LoginNewAttempts, f.LoginFailures, f.LoginNewFailures = 4, 4, 1, 1
	})
	if want := testBehaviour().Bounds[ShareLogin]; got != want {
		t.Errorf("bound %v after days of failing logins, want %v", got, want)
	}
}

func TestWhatAClientAlwaysDoesIsNoEvidence(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := &Evidence{Trials: Shares{ShareMissing: 50}, Taken: Shares{ShareMissing: 50}}
	if ev.share(ShareMissing, c) <= 0 {
		t.Error("fifty of fifty by a newcomer are nothing")
	}
	if ev.Habits[ShareMissing] = (maxHabit + 1) / 2; ev.share(ShareMissing, c) != 0 {
		t.Errorf("fifty of fifty as ever are %v nats", ev.share(ShareMissing, c))
	}
}

func TestGuessesAreFailuresOfNamesTriedBefore(t *testing.T) {
	ev := new(Evidence)
	c := &Context{Behaviour: testBehaviour()}
	var scores Scores
	fold := func(failed, fresh uint32) float64 {
		f := record(0, true, func(f *schemas.ClientFeatures) { f.LoginFailures, f.LoginNewFailures = failed, fresh })
		outcome{}.Fold(f, c, ev, &scores)
		return scores[ChannelGuesses]
	}
	for i, step := range []struct {
		failed, fresh uint32
		want          float64
	}{{5, 1, 4}, {0, 0, 4}, {2, 2, 4}, {3, 0, 7}, {1, 4, 7}} {
		if got := fold(step.failed, step.fresh); got != step.want {
			t.Errorf("step %d: %v guesses, want %v", i, got, step.want)
		}
	}
	ev.Day = 5
	ev.newDay(7)
	if ev.Guesses != 7.0/4 {
		t.Errorf("%v guesses two midnights later", ev.Guesses)
	}
}

// The strongest of several shares is what the channel says.
func TestStrongestShareLeads(t *testing.T) {
	c := &Context{Behaviour: testBehaviour()}
	ev := &Evidence{
		Trials: Shares{ShareSlow: 10, ShareLargeRequest: 10, ShareLargeResponse: 10},
		Taken:  Shares{ShareSlow: 2, ShareLargeRequest: 6, ShareLargeResponse: 4},
	}
	at, nats := ev.strongestShare(c, ShareSlow, ShareLargeRequest, ShareLargeResponse)
	if want := logBernoulliEvidence(10, 6, 0.03); at != ShareLargeRequest || nats != want {
		t.Errorf("share %d with %v nats, want %d with %v", at, nats, ShareLargeRequest, want)
	}
	if at, nats := new(Evidence).strongestShare(c, ShareSlow, ShareLargeResponse); at != ShareSlow || nats != 0 {
		t.Errorf("of nothing: share %d with %v nats", at, nats)
	}
}

// What no benign client does half of the time is found by how often it is tried,
// not by how fast.
func TestSharesAreFoundAtAnyPace(t *testing.T) {
	for name, every := range map[string]int64{"at once": 0, "a minute apart": 6, "an hour apart": 360} {
		b := newBench(t, nil)
		n := 0
		for ; len(b.blocks) == 0 || b.blocks[len(b.blocks)-1].entry.Action != schemas.ActionBlock; n++ {
			if n > 40 {
				t.Fatalf("%s: not blocked after 40 slow calls", name)
			}
			b.feed(record(int64(n)*max(every, 1), true, func(f *schemas.ClientFeatures) { f.NormedCalls, f.SlowCalls = 1, 1 }))
		}
		if n > 8 {
			t.Errorf("%s: blocked after %d slow calls", name, n)
		}
	}
}
