package scoring

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/joint"
)

func testBehaviour() *Behaviour {
	return &Behaviour{
		Windows: 12_000, Clients: 800,
		Requests: Counts{Mean: 3, Between: 2, Size: 2}, Objects: Counts{Mean: 2, Between: 1, Size: 3},
		Volume: Moments{Mean: 2, Between: 0.5, Within: 0.5}, Bytes: Moments{Mean: 8, Between: 1, Within: 1},
		Entropy: Moments{Mean: 3, Between: 0.25, Within: 0.1},
		Load:    Moments{Mean: 1, Between: 0.5, Within: 0.5}, Uploads: Moments{Mean: 5, Between: 2, Within: 1}, Writes: Counts{Mean: 1.5, Between: 0.5, Size: 3},
		Bounds: Shares{
			ShareLogin: 0.35, ShareDenied: 0.1, ShareMissing: 0.15, ShareWalk: 0.2, ShareObjectDenied: 0.25,
			ShareSlow: 0.05, ShareLargeRequest: 0.03, ShareLargeResponse: 0.03, ShareSkipped: 0.05, ShareStructure: 0.03,
		},
		DayShift: 0.05, Novelty: [NumSeen]float64{SeenDevice: 0.02, SeenASN: 0.03, SeenCountry: 0.005, SeenNetwork: 0.1}, TokenMoves: 0.001,
		EntropyFloor: 2.2,
	}
}

// testCalibration is the layer of n client-days whose channels are independent
// exponentials: evidence is then about what the statistic says.
func testCalibration(n int, seed uint64) *Calibration {
	rng := rand.New(rand.NewPCG(seed, 1))
	days := func() []Scores {
		out := make([]Scores, n)
		for i := range out {
			for k := range out[i] {
				out[i][k] = rng.ExpFloat64()
			}
		}
		return out
	}
	return NewCalibration(days(), days())
}

// testLayer allows claims of one in 10,000.
var testLayer = sync.OnceValue(func() *Calibration { return testCalibration(40_000, 41) })

func testModel(t testing.TB) *Model {
	t.Helper()
	m := &Model{
		Name: "test", Strata: map[string]*Behaviour{Pooled: testBehaviour()},
		Calibration: map[string]*Calibration{Pooled: testLayer()},
	}
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m
}

// decisions is what a Scorer emitted, in order.
type decisions struct {
	verdicts []schemas.Verdict
	blocks   []published
}

type published struct {
	key   string
	entry *schemas.BlockEntry
}

func (d *decisions) Verdict(v *schemas.Verdict) { d.verdicts = append(d.verdicts, *v) }
func (d *decisions) Block(key string, e *schemas.BlockEntry) {
	if e != nil {
		own := *e
		e = &own
	}
	d.blocks = append(d.blocks, published{key, e})
}

func (d *decisions) String() string {
	var b strings.Builder
	for _, v := range d.verdicts {
		fmt.Fprintf(&b, "%s %s %s prov=%v withdrawn=%v %s\n", v.Time.Format(time.TimeOnly), v.Action, v.ID[:6], v.Provisional, v.Withdrawn, v.Attack)
	}
	return b.String()
}

// bench is a Scorer with its output.
type bench struct {
	*Scorer
	decisions
	offset int64
	// capture, where set, is told of each decision while the judgement behind it is
	// at hand, with the evidence that explains it.
	capture func(v *schemas.Verdict, j *judgement, view *Evidence)
}

// Verdict implements Emitter.
func (b *bench) Verdict(v *schemas.Verdict) {
	b.decisions.Verdict(v)
	if b.capture == nil || v.Withdrawn {
		return
	}
	view := &b.trial
	if !v.Provisional {
		f := b.judging.f
		view = b.evidence(f)
	}
	// Baselines are learnt after a decision: here they are still what was expected.
	b.capture(v, &b.judging, view)
}

// evidence is what is remembered of a record's client.
func (b *bench) evidence(f *schemas.ClientFeatures) *Evidence {
	hi, lo := siphash.Hash128(b.cfg.Seed.K0, b.cfg.Seed.K1, []byte(string(f.Tenant)+"\x00"+string(f.Client)+"\x00"+string(f.API)))
	return b.shards[lo%uint64(len(b.shards))].clients.Peek(slab.Key{Hi: hi, Lo: lo})
}

func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	cfg := Config{Model: testModel(t), Policy: DefaultPolicy(), Clients: 1000, Shards: 4, Seed: features.Seed{K0: 1, K1: 2}}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Scorer: s}
}

const (
	hopUS   = 10_000_000
	baseUS  = 1_790_000_000_000_000 / dayUS * dayUS // midnight
	address = "ip:203.0.113.7"
)

// record is the window of an ordinary client: index i since midnight.
func record(i int64, final bool, change func(*schemas.ClientFeatures)) *schemas.ClientFeatures {
	f := &schemas.ClientFeatures{
		Tenant: []byte("default"), Client: []byte(address), API: []byte("bank"), ClientIP: []byte("203.0.113.7"),
		WindowStart: baseUS + i*hopUS, WindowEnd: baseUS + (i+1)*hopUS, Final: final,
		LastEvent: baseUS + i*hopUS + hopUS/2, FirstSeen: baseUS + 1,
		Requests: 2, Status2xx: 2, Decayed15m: 5, Bytes15m: 2000, EventIDs: [][]byte{[]byte("e1"), []byte("e2")},
	}
	if change != nil {
		change(f)
	}
	return f
}

// logins makes a window of n refused logins.
func logins(n uint32) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) {
		f.Requests, f.Status2xx, f.Status4xx, f.Unauthorized = n, 0, n, n
		f.LoginAttempts, f.LoginFailures, f.Mutations = n, n, n
		f.LoginNewAttempts, f.LoginNewFailures = n, n
		f.DayLoginAttempts, f.DayLoginFailures, f.DayLoginUsers = n, n, float64(n)
	}
}

func (b *bench) feed(fs ...*schemas.ClientFeatures) {
	for _, f := range fs {
		b.Features(f, b.offset, b)
		b.offset++
	}
}

func (b *bench) take() decisions {
	d := b.decisions
	b.decisions = decisions{}
	return d
}

func actions(d decisions) (out []schemas.Action) {
	for _, v := range d.verdicts {
		out = append(out, v.Action)
	}
	return out
}

func TestOrdinaryClientIsNeverNamed(t *testing.T) {
	b := newBench(t, nil)
	for i := range int64(2000) {
		b.feed(record(i, false, nil), record(i, true, nil))
	}
	if len(b.verdicts) > 0 || len(b.blocks) > 0 {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
	if b.Clients() != 1 {
		t.Errorf("%d clients remembered", b.Clients())
	}
}

// One refused login every ten seconds climbs rung by rung, each rung once.
func TestEvidenceClimbsTheLadder(t *testing.T) {
	b := newBench(t, nil)
	for i := range int64(40) {
		b.feed(record(i, true, logins(1)))
	}
	if got, want := actions(b.decisions), []schemas.Action{schemas.ActionThrottle, schemas.ActionChallenge, schemas.ActionBlock}; !slices.Equal(got, want) {
		t.Fatalf("actions %v, want %v", got, want)
	}
	p := DefaultPolicy()
	alphas := []float64{p.AlphaThrottle, p.AlphaChallenge, p.AlphaBlock}
	for i, v := range b.verdicts {
		// Beyond the highest of the client-days the p-value is that of the tail.
		kind := Conformal
		if v.PValue < 1/40_001.0 {
			kind = Extrapolated
		}
		if v.Calibration != (schemas.Calibration{Kind: kind, N: 40_000, Stratum: Pooled, Alpha: alphas[i]}) {
			t.Errorf("%s rests on %+v", v.Action, v.Calibration)
		}
		if v.PValue > alphas[i] || v.Confidence != 1-v.PValue || i > 0 && v.PValue >= b.verdicts[i-1].PValue {
			t.Errorf("%s: p %v, confidence %v", v.Action, v.PValue, v.Confidence)
		}
		if v.Attack != schemas.AttackCredentialStuffing || v.Entity != (schemas.Entity{Type: "ip", Value: "203.0.113.7"}) || v.API != "bank" ||
			v.Tenant != "default" || !v.Enforced || v.Provisional || v.Withdrawn || len(v.Linked) > 0 ||
			v.Model != "test@"+b.cfg.Model.Version || !slices.Equal(v.EventIDs, []string{"e1", "e2"}) {
			t.Errorf("verdict %+v", v)
		}
		if !v.ExpiresAt.Equal(v.Time.Add(time.Hour)) || v.WindowEnd.Sub(v.WindowStart) != 10*time.Second || v.Time.Before(v.WindowStart) || !v.Time.Before(v.WindowEnd) {
			t.Errorf("times of %s: %v in %v..%v until %v", v.Action, v.Time, v.WindowStart, v.WindowEnd, v.ExpiresAt)
		}
		e := b.blocks[i]
		if e.key != "default/ip/203.0.113.7" || *e.entry != (schemas.BlockEntry{
			VerdictID: v.ID, Action: v.Action, Attack: v.Attack, Confidence: v.Confidence,
			Reason: v.Explanation.Text, Created: v.Time, ExpiresAt: v.ExpiresAt,
		}) {
			t.Errorf("published %q %+v", e.key, e.entry)
		}
	}
	// At a failure share of at most 35 %, 14 of 14 are M ≈ e^12.
	if at := b.verdicts[2].WindowStart.UnixMicro() - baseUS; at > 15*hopUS {
		t.Errorf("blocked after %d failures", at/hopUS+1)
	}
}

func TestVerdictIDNamesEntityWindowAndModel(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(3, true, logins(30)))
	h := sha256.New()
	fmt.Fprintf(h, "default\x00%s\x00bank\x00%s\x00", address, b.cfg.Model.Version)
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(baseUS+3*hopUS)))
	if got, want := b.verdicts[0].ID, hex.EncodeToString(h.Sum(nil)[:16]); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	seen := map[string]string{b.verdicts[0].ID: "the first"}
	for name, change := range map[string]func(*schemas.ClientFeatures){
		"another tenant": func(f *schemas.ClientFeatures) { f.Tenant = []byte("t2") },
		"another client": func(f *schemas.ClientFeatures) { f.Client = []byte("ip:203.0.113.8") },
		"another API":    func(f *schemas.ClientFeatures) { f.API = []byte("shop") },
		"another window": func(f *schemas.ClientFeatures) { f.WindowStart += hopUS; f.API = []byte("bank") },
	} {
		id := b.verdictID(record(3, true, change), record(3, true, change).WindowStart)
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[id] = name
	}
}

func TestProvisionalVerdictIsConfirmedUnderItsID(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, false, logins(20)), record(0, true, logins(22)))
	if len(b.verdicts) != 2 || b.verdicts[0].ID != b.verdicts[1].ID {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	if !b.verdicts[0].Provisional || b.verdicts[1].Provisional || b.verdicts[1].Action != schemas.ActionBlock || b.verdicts[1].Withdrawn {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
	if b.verdicts[0].PValue != b.verdicts[1].PValue && b.verdicts[0].PValue < b.verdicts[1].PValue {
		t.Error("the complete window says less than its part")
	}
	if len(b.blocks) != 2 || b.blocks[0].key != b.blocks[1].key || b.blocks[1].entry == nil {
		t.Errorf("published %+v", b.blocks)
	}
}

func TestVerdictThatTheClosedWindowDoesNotBearOutIsWithdrawn(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, false, logins(20)))
	said := b.take()
	b.feed(record(0, true, nil))
	if len(b.verdicts) != 1 || len(b.blocks) != 1 {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	v := b.verdicts[0]
	if v.ID != said.verdicts[0].ID || !v.Withdrawn || v.Action != schemas.ActionObserve || v.Provisional || !v.ExpiresAt.IsZero() ||
		v.PValue != 1 || v.Explanation.Text == "" || v.Calibration.Alpha != 1 {
		t.Errorf("withdrawn by %+v", v)
	}
	if b.blocks[0].key != said.blocks[0].key || b.blocks[0].entry != nil {
		t.Errorf("the block is not lifted: %+v", b.blocks[0])
	}
	// It left no trace: the next window is judged as if nothing had been said.
	b.take()
	b.feed(record(1, true, nil), record(2, false, logins(20)))
	if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{schemas.ActionBlock}) {
		t.Errorf("later decisions:\n%s", &b.decisions)
	}
}

func TestVerdictThatShrinksIsReplacedByTheLowerAction(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, false, logins(20)), record(0, true, logins(9)))
	if got, want := actions(b.decisions), []schemas.Action{schemas.ActionBlock, schemas.ActionThrottle}; !slices.Equal(got, want) || b.verdicts[0].ID != b.verdicts[1].ID {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
	if last := b.blocks[len(b.blocks)-1]; last.entry == nil || last.entry.Action != schemas.ActionThrottle {
		t.Errorf("published last: %+v", last.entry)
	}
}

func TestActionInForceIsPublishedAgainWhenALaterOneIsWithdrawn(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, logins(9)))
	throttled := b.take()
	if got := actions(throttled); !slices.Equal(got, []schemas.Action{schemas.ActionThrottle}) {
		t.Fatalf("decisions:\n%s", &throttled)
	}
	b.feed(record(1, false, logins(20)), record(1, true, nil))
	if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{schemas.ActionBlock, schemas.ActionObserve}) {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	e := b.blocks[len(b.blocks)-1].entry
	first := throttled.blocks[0].entry
	if e == nil || e.VerdictID != first.VerdictID || e.Action != schemas.ActionThrottle || !e.ExpiresAt.Equal(first.ExpiresAt) || e.Reason == "" {
		t.Errorf("published last %+v, in force is %+v", e, first)
	}
}

func TestEarlyRecordsSayEachRungOnce(t *testing.T) {
	b := newBench(t, nil)
	for n := range uint32(30) {
		b.feed(record(0, false, logins(n+1)))
	}
	if got, want := actions(b.decisions), []schemas.Action{schemas.ActionThrottle, schemas.ActionChallenge, schemas.ActionBlock}; !slices.Equal(got, want) {
		t.Fatalf("actions %v, want %v", got, want)
	}
	for _, v := range b.verdicts {
		if v.ID != b.verdicts[0].ID || !v.Provisional {
			t.Errorf("decisions:\n%s", &b.decisions)
		}
	}
	// A newer window repeats it while the older one is open …
	b.take()
	b.feed(record(1, false, logins(25)))
	if len(b.verdicts) != 0 {
		t.Errorf("said again of the next window:\n%s", &b.decisions)
	}
	// … but speaks for itself once that was withdrawn.
	b.feed(record(0, true, nil))
	b.take()
	b.feed(record(1, false, logins(25)))
	if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{schemas.ActionBlock}) {
		t.Errorf("actions %v", got)
	}
}

// An older window that is still open says what a newer one has said already:
// its own close could otherwise not confirm it first.
func TestOlderWindowMaySpeakAfterANewer(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(1, false, logins(20)), record(0, false, logins(20)))
	if len(b.verdicts) != 2 || b.verdicts[0].ID == b.verdicts[1].ID {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	b.take()
	b.feed(record(0, true, nil), record(1, true, nil))
	if len(b.verdicts) != 2 || !b.verdicts[0].Withdrawn || !b.verdicts[1].Withdrawn {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
}

// Only what is remembered can be withdrawn: with more open windows than places,
// the last one waits for its close.
func TestNothingIsSaidThatCouldNotBeWithdrawn(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(2, false, logins(20)), record(1, false, logins(20)), record(0, false, logins(20)))
	if len(b.verdicts) != 2 {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	b.feed(record(0, true, nil), record(1, true, nil), record(2, true, nil))
	lifted := 0
	for _, v := range b.verdicts[2:] {
		if v.Withdrawn {
			lifted++
		}
	}
	if lifted != 2 || len(b.verdicts) != 4 {
		t.Errorf("decisions:\n%s", &b.decisions)
	}
}

func TestBlockedClientIsNotJudged(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, logins(30)))
	b.take()
	for i := int64(1); i < 360; i++ {
		b.feed(record(i, false, logins(30)), record(i, true, logins(30)))
	}
	if len(b.verdicts) > 0 || len(b.blocks) > 0 {
		t.Errorf("decisions while blocked:\n%s", &b.decisions)
	}
}

// A window that was provisionally judged when the one before it closed with a
// block is taken back, and the block stands.
func TestPendingVerdictOfABlockedClientIsWithdrawnAndTheBlockStands(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(1, false, logins(9)), record(0, true, logins(30)))
	blocked := b.take()
	if got := actions(blocked); !slices.Equal(got, []schemas.Action{schemas.ActionThrottle, schemas.ActionBlock}) {
		t.Fatalf("decisions:\n%s", &blocked)
	}
	b.feed(record(1, true, logins(9)))
	if len(b.verdicts) != 1 || !b.verdicts[0].Withdrawn || b.verdicts[0].ID != blocked.verdicts[0].ID {
		t.Fatalf("decisions:\n%s", &b.decisions)
	}
	if e := b.blocks[0].entry; e == nil || e.Action != schemas.ActionBlock || e.VerdictID != blocked.verdicts[1].ID || !e.ExpiresAt.Equal(blocked.verdicts[1].ExpiresAt) {
		t.Errorf("published %+v", e)
	}
}

func TestEachBlockLastsTwiceAsLongUpToTheCap(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Policy.BlockTTL, c.Policy.MaxBlockTTL = time.Hour, 5*time.Hour })
	i := int64(0)
	for _, hours := range []int{1, 2, 4, 5, 5, 5} {
		want := time.Duration(hours) * time.Hour
		b.feed(record(i, true, logins(30)))
		d := b.take()
		if got := actions(d); !slices.Equal(got, []schemas.Action{schemas.ActionBlock}) {
			t.Fatalf("window %d: decisions:\n%s", i, &d)
		}
		v := d.verdicts[0]
		if got := v.ExpiresAt.Sub(v.Time); got != want {
			t.Errorf("blocked for %s, want %s", got, want)
		}
		if !strings.Contains(v.Explanation.Text, fmt.Sprintf("Blocked for %dh", hours)) {
			t.Errorf("text %q", v.Explanation.Text)
		}
		i += int64(hours) * 360
		// The last window before the end is still blocked.
		b.feed(record(i, true, logins(30)))
		if d := b.take(); len(d.verdicts) > 0 {
			t.Fatalf("window %d: decisions before the block ends:\n%s", i, &d)
		}
		i++
	}
}

// What a client did before and during a block is not held against it again.
func TestExpiredBlockStartsEvidenceAfresh(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, logins(30)))
	b.take()
	after := int64(361)
	b.feed(record(after, true, logins(5)))
	if len(b.verdicts) > 0 {
		t.Errorf("five failures after a block:\n%s", &b.decisions)
	}
	for i := range int64(12) {
		b.feed(record(after+1+i, true, logins(1)))
	}
	if got := actions(b.decisions); !slices.Contains(got, schemas.ActionBlock) {
		t.Errorf("seventeen failures after a block:\n%s", &b.decisions)
	}
}

func TestExpiredThrottleIsDecidedAgain(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, logins(9)))
	b.take()
	b.feed(record(300, true, nil))
	if len(b.verdicts) > 0 {
		t.Errorf("said again while in force:\n%s", &b.decisions)
	}
	b.feed(record(361, true, nil))
	if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{schemas.ActionThrottle}) {
		t.Errorf("after it expired: %v", got)
	}
}

func TestShadowModeDecidesAndEnforcesNothing(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"everywhere": func(c *Config) { c.Policy.Shadow = true },
		"one API":    func(c *Config) { c.Policy.ShadowAPIs = map[string]bool{"bank": true} },
	} {
		b := newBench(t, change)
		b.feed(record(0, false, logins(20)), record(0, true, nil), record(1, true, logins(30)))
		if len(b.blocks) > 0 {
			t.Errorf("%s: published %+v", name, b.blocks)
		}
		if len(b.verdicts) != 3 {
			t.Errorf("%s: decisions:\n%s", name, &b.decisions)
		}
		for _, v := range b.verdicts {
			if v.Enforced {
				t.Errorf("%s: enforced %+v", name, v)
			}
		}
	}
	b := newBench(t, func(c *Config) { c.Policy.ShadowAPIs = map[string]bool{"shop": true} })
	b.feed(record(0, true, logins(30)))
	if len(b.blocks) != 1 || !b.verdicts[0].Enforced {
		t.Error("shadow mode of one API reaches another")
	}
}

func TestSharedAddressIsChallengedAndNotBlocked(t *testing.T) {
	for _, tc := range []struct {
		client         string
		succeed, tried float64
		want           schemas.Action
	}{
		{address, 10, 15, schemas.ActionChallenge},
		{"device:j|chrome|203.0.113.0/24", 10, 15, schemas.ActionChallenge},
		{"session:s1", 10, 15, schemas.ActionBlock},
		{"user:u1", 10, 15, schemas.ActionBlock},
		{address, 7, 8, schemas.ActionBlock},
		{address, 10, 30, schemas.ActionBlock}, // most of those tried fail: guessing with some luck
	} {
		b := newBench(t, nil)
		b.feed(record(0, true, func(f *schemas.ClientFeatures) {
			logins(30)(f)
			f.Client, f.DayLoginSuccessUsers, f.DayLoginUsers = []byte(tc.client), tc.succeed, tc.tried
		}))
		if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{tc.want}) {
			t.Errorf("%s with %g of %g users: %v, want %s", tc.client, tc.succeed, tc.tried, got, tc.want)
			continue
		}
		if said := strings.Contains(b.verdicts[0].Explanation.Text, "many users share"); said != (tc.want == schemas.ActionChallenge) {
			t.Errorf("%s: text %q", tc.client, b.verdicts[0].Explanation.Text)
		}
	}
	b := newBench(t, func(c *Config) { c.Policy.SharedUsers = 0 })
	b.feed(record(0, true, func(f *schemas.ClientFeatures) { logins(30)(f); f.DayLoginSuccessUsers, f.DayLoginUsers = 90, 90 }))
	if got := actions(b.decisions); !slices.Equal(got, []schemas.Action{schemas.ActionBlock}) {
		t.Errorf("with sharing switched off: %v", got)
	}
}

func TestNarrowerEntityIsLinkedToItsAddress(t *testing.T) {
	b := newBench(t, nil)
	b.feed(record(0, true, func(f *schemas.ClientFeatures) { logins(30)(f); f.Client = []byte("user:u:1") }))
	v := b.verdicts[0]
	if v.Entity != (schemas.Entity{Type: "user", Value: "u:1"}) || !slices.Equal(v.Linked, []schemas.Entity{{Type: "ip", Value: "203.0.113.7"}}) {
		t.Errorf("entity %v linked to %v", v.Entity, v.Linked)
	}
	if b.blocks[0].key != "default/user/u:1" {
		t.Errorf("blocks %q: more than the client itself", b.blocks[0].key)
	}
}

// Evidence of a discrete statistic has atoms. A threshold on an atom must not
// fire for all client-days that share it.
func TestEvidenceAtTheThresholdIsNotAbove(t *testing.T) {
	at := 0.0
	watch := func(b *bench) {
		b.Observer = func(_ *schemas.ClientFeatures, combined float64, _ *Scores) { at = combined }
	}
	b := newBench(t, nil)
	watch(b)
	b.feed(record(0, true, logins(5)))
	if at <= 0 {
		t.Fatal("five failures are no evidence")
	}
	atoms := *testLayer()
	atoms.Top = slices.Repeat([]float64{at}, maxTop) // five of five is as far as anybody got
	tied := newBench(t, func(c *Config) { c.Model.Calibration[Pooled] = &atoms })
	tied.feed(record(0, true, logins(5)))
	if len(tied.verdicts) > 0 {
		t.Errorf("evidence that is usual among benign clients:\n%s", &tied.decisions)
	}
	tied.feed(record(1, true, logins(1)))
	if len(tied.verdicts) != 1 {
		t.Error("evidence above all of them is not found")
	}
}

func TestClientTypeIsHeldAgainstItsOwnLayer(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Model.Calibration[PooledPeople] = testCalibration(300, 5)
		c.Model.Calibration["session"] = testCalibration(300, 6)
	})
	for client, want := range map[string]string{
		"session": "session", "user": PooledPeople, "ip": PooledPeople, "consumer": Pooled, "": PooledPeople,
	} {
		if got := b.ladder([]byte(client), false).stratum; got != want {
			t.Errorf("client type %q is held against %q, want %q", client, got, want)
		}
	}
	if got := newBench(t, nil).ladder([]byte("user"), false).stratum; got != Pooled {
		t.Errorf("without other layers users are held against %q", got)
	}
	// On their first day clients are held against the first days of others, of the
	// wider stratum where their own has too few.
	b.Model().Calibration["session"+NewClients], b.Model().Calibration[PooledPeople+NewClients] = testCalibration(300, 7), testCalibration(300, 8)
	if err := b.SetModel(b.Model()); err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string]string{"session": "session" + NewClients, "user": PooledPeople + NewClients, "consumer": Pooled} {
		if got := b.ladder([]byte(client), true).stratum; got != want {
			t.Errorf("a new client of type %q is held against %q, want %q", client, got, want)
		}
	}
	// A layer too small for a rung skips it.
	l := b.ladder([]byte("session"), false)
	if l.at[RankBlock] < 1e300 || l.at[RankThrottle] > 1e300 {
		t.Errorf("300 client-days: thresholds %v", l.at)
	}
}

// A client teaches its own baseline what it usually does, and less the more
// unusual that is; under suspicion nothing.
func TestSuspectWindowsDoNotTeach(t *testing.T) {
	b := newBench(t, nil)
	own := func() Baseline {
		for i := range b.shards {
			for ev := range evidenceOf(&b.shards[i]) {
				return ev.Own[baseRequests]
			}
		}
		return Baseline{}
	}
	for i := range int64(50) {
		b.feed(record(i, true, nil))
	}
	if got := own(); got.N != 50 || got.Mean != 2 {
		t.Fatalf("own baseline %+v of 50 windows of 2 calls", got)
	}
	b.feed(record(50, true, logins(6))) // unusual, below any rung
	if got := own().N; got < 50+minTrust || got >= 51 {
		t.Errorf("an unusual window weighs %.2f", got-50)
	}
	before := own()
	b.feed(record(51, true, logins(30)))
	if got := own(); got != before {
		t.Errorf("a window that led to %v taught %+v", actions(b.decisions), got)
	}
	b.feed(record(52, false, nil))
	if got := own(); got != before {
		t.Errorf("an open window taught %+v", got)
	}
}

func evidenceOf(sh *scorerShard) func(func(*Evidence) bool) {
	return func(yield func(*Evidence) bool) {
		sh.clients.All(func(_ slab.Key, _ bool, ev *Evidence) bool { return yield(ev) })
	}
}

func TestObserverIsToldOfEveryJudgedWindow(t *testing.T) {
	b := newBench(t, nil)
	var finals, early int
	b.Observer = func(f *schemas.ClientFeatures, combined float64, scores *Scores) {
		if f.Final {
			finals++
		} else {
			early++
		}
		if combined < 0 || scores[ChannelOutcome] < 0 {
			t.Errorf("combined %v of %v", combined, *scores)
		}
	}
	b.feed(record(0, false, nil), record(0, true, nil), record(1, true, logins(30)), record(2, true, nil))
	if finals != 2 || early != 1 { // the last window belongs to a blocked client
		t.Errorf("told of %d closed and %d open windows", finals, early)
	}
}

func TestWindowWithoutVerdictAllocatesNothing(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Model.Joint = map[string]*joint.Model{Pooled: testJoint()}
		c.Policy.FDR, c.Policy.HoldOut = 0.1, 0.1
	})
	var fs []*schemas.ClientFeatures
	for c := range 50 {
		fs = append(fs, record(0, false, func(f *schemas.ClientFeatures) {
			f.Client = fmt.Appendf(nil, "user:u%d", c)
			spreadMix(f, float64(c%5)/2-1, 0.2, false)
			f.LoginNewAttempts = 1
			f.Steps, f.Surprise, f.Prerequisites, f.StructuredCalls, f.PayloadCalls = 4, -1, 2, 4, 3
			f.ObjectWrites, f.Duration15m, f.ReqBytes15m = 1, 3, 900
			f.Decayed15m = min(f.Decayed15m, 20)
			atHome(f)
		}))
	}
	i := int64(0)
	step := func() {
		i++
		for _, f := range fs {
			f.WindowStart, f.WindowEnd, f.LastEvent = baseUS+i*hopUS, baseUS+(i+1)*hopUS, baseUS+i*hopUS+5
			f.Final = i%2 == 0
			b.Features(f, 0, b)
		}
	}
	for range 20 {
		step()
	}
	if run := b.judging.context; run.Joint == nil || len(b.families) != len(families) {
		t.Fatal("not every family judges")
	}
	if n := testing.AllocsPerRun(50, step); n > 0 {
		t.Errorf("%g allocations for %d windows", n, len(fs))
	}
	if len(b.verdicts) > 0 {
		t.Fatalf("decisions:\n%s\n%+v", &b.decisions, b.verdicts[0].Explanation)
	}
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no model":                     func(c *Config) { c.Model = nil },
		"no shards":                    func(c *Config) { c.Shards = 0 },
		"no room":                      func(c *Config) { c.Clients = 1 },
		"no TTL":                       func(c *Config) { c.Policy.BlockTTL = 0 },
		"a cap below the TTL":          func(c *Config) { c.Policy.MaxBlockTTL = time.Minute },
		"no alpha":                     func(c *Config) { c.Policy.AlphaBlock = 0 },
		"block more often than others": func(c *Config) { c.Policy.AlphaBlock = 0.05 },
		"throttle everybody":           func(c *Config) { c.Policy.AlphaThrottle = 1 },
	} {
		cfg := Config{Model: testModel(t), Policy: DefaultPolicy(), Clients: 10, Shards: 2}
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v, want ErrConfig", name, err)
		}
	}
}
