// Package scoring judges windows of client features against models of behaviour
// learnt without labels, and decides: observe, throttle, challenge or block. It
// is pure: no Kafka, no clock, no randomness. The same features give the same
// verdicts.
//
// Each family of evidence turns a window into a statistic in nats. What counts
// is how high the families climb within a client's day, compared with how high
// benign clients' days climbed in calibration; that comparison, and not any
// family's own p-value, carries the false-block guarantee.
package scoring

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

const dayUS = 24 * 3600 * 1_000_000

// Ranks of the ladder.
const (
	RankObserve Rank = iota
	RankThrottle
	RankChallenge
	RankBlock
)

var rankActions = [...]schemas.Action{schemas.ActionObserve, schemas.ActionThrottle, schemas.ActionChallenge, schemas.ActionBlock}

// Policy is what an operator decides. Alphas are false-action rates per benign
// client-day.
type Policy struct {
	AlphaThrottle, AlphaChallenge, AlphaBlock float64
	// BlockTTL is how long the first action lasts; each later one lasts twice
	// the one before, up to MaxBlockTTL.
	BlockTTL, MaxBlockTTL time.Duration
	// Shadow decides and explains, and enforces nothing; ShadowAPIs does so for
	// single APIs.
	Shadow     bool
	ShadowAPIs map[string]bool
	// SharedUsers is from how many distinct users with a successful login today
	// an address or device counts as shared by many: it is challenged, never
	// blocked, while at least half of the users tried there succeed.
	SharedUsers float64
	// FDR is which share of blocks may be false, controlled over client-days by
	// decaying-memory LORD; 0 does not control it. What it refuses is challenged.
	FDR float64
	// HoldOut is which share of blocks is decided and not enforced, picked by a
	// keyed hash, to learn in the field how many were right; 0 holds none out.
	HoldOut float64
	// MaxBlocksPerMinute and MaxBlockedShare, of the clients active on a day, are
	// how many blocks are believed: beyond it nothing is enforced until it has been
	// quiet again. They are of one partition. 0 stands for any number.
	MaxBlocksPerMinute int
	MaxBlockedShare    float64
}

// DefaultPolicy throttles at one benign client-day in 100, challenges at one in
// 1,000 and blocks at one in 10,000, for an hour at first.
func DefaultPolicy() Policy {
	return Policy{
		AlphaThrottle: 1e-2, AlphaChallenge: 1e-3, AlphaBlock: 1e-4,
		BlockTTL: time.Hour, MaxBlockTTL: 24 * time.Hour, SharedUsers: 8,
		MaxBlocksPerMinute: 1000, MaxBlockedShare: 0.25,
	}
}

// Config sizes a Scorer.
type Config struct {
	Model   *Model
	Policy  Policy
	Clients int // clients remembered; beyond it the least recently judged are forgotten
	Shards  int // parts that are snapshotted one at a time
	Seed    features.Seed
	// Without names families that are left out: to see what each is worth.
	Without []string
}

// Emitter receives decisions. The verdict is valid only during the call; a nil
// entry lifts the block of key.
type Emitter interface {
	Verdict(*schemas.Verdict)
	Block(key string, entry *schemas.BlockEntry)
}

// Scorer is the evidence of one partition's clients. It has one owner and no
// locks.
type Scorer struct {
	cfg      Config
	shards   []scorerShard
	layers   layers
	key      []byte
	judging  judgement // of the window at hand
	trial    Evidence  // of the open window at hand
	families []Family
	guard    *guard
	mix      mixScratch
	// Observer, where set, is told the combined evidence of every judged window,
	// provisional ones included; calibration collects daily maxima with it.
	Observer func(f *schemas.ClientFeatures, combined float64, scores *Scores)
}

type scorerShard struct {
	resume  int64
	clients *slab.Slab[Evidence]
}

// ladder holds a stratum's thresholds by rank; an unreachable rung is +Inf.
type ladder struct {
	calibration *Calibration
	stratum     string
	kind        [RankBlock + 1]string
	at          [RankBlock + 1]float64
	alpha       [RankBlock + 1]float64
}

// ErrConfig says that a Scorer's Config cannot work.
var ErrConfig = errors.New("scoring configuration")

// New returns a Scorer without any evidence.
func New(cfg Config) (*Scorer, error) {
	p := cfg.Policy
	if !(0 < p.AlphaBlock && p.AlphaBlock <= p.AlphaChallenge && p.AlphaChallenge <= p.AlphaThrottle && p.AlphaThrottle < 1) {
		return nil, fmt.Errorf("%w: alphas must rise from block to throttle and lie in (0, 1)", ErrConfig)
	}
	if cfg.Model == nil || cfg.Shards <= 0 || cfg.Clients < cfg.Shards || p.BlockTTL <= 0 || p.MaxBlockTTL < p.BlockTTL {
		return nil, fmt.Errorf("%w: needs a model, room for clients and a TTL", ErrConfig)
	}
	s := &Scorer{cfg: cfg, shards: make([]scorerShard, cfg.Shards)}
	for _, f := range families {
		if !slices.Contains(cfg.Without, f.Name()) {
			s.families = append(s.families, f)
		}
	}
	var err error
	if s.guard, err = newGuard(&p); err != nil {
		return nil, err
	}
	for i := range s.shards {
		s.shards[i].clients = slab.New[Evidence](cfg.Clients / cfg.Shards)
	}
	s.layers = layersOf(cfg.Model, &p)
	return s, nil
}

// ladder is the narrowest layer that judges a client of a type: new ones, on
// their first day, apart from those with days of their own behind them.
func (s *Scorer) ladder(stratum []byte, isNew bool) *ladder {
	l := &s.layers
	at, ok := l.byType[string(stratum)]
	if !ok {
		at = l.people
		if string(stratum) == features.ClientConsumer {
			at = l.pooled
		}
	}
	if isNew {
		return at[1]
	}
	return at[0]
}

// layers finds a client's ladder without making names: each has one for clients
// that are known and one for new ones.
type layers struct {
	byType         map[string][2]*ladder
	people, pooled [2]*ladder
}

func layersOf(m *Model, p *Policy) (out layers) {
	all := laddersOf(m, p)
	pick := func(names ...string) *ladder {
		for _, n := range names {
			if l := all[n]; l != nil {
				return l
			}
		}
		return all[Pooled]
	}
	const fresh = NewClients
	out.byType = map[string][2]*ladder{}
	out.pooled = [2]*ladder{pick(Pooled), pick(Pooled + fresh)}
	out.people = [2]*ladder{pick(PooledPeople), pick(PooledPeople+fresh, Pooled+fresh, PooledPeople)}
	for name := range m.Calibration {
		t := strings.TrimSuffix(name, fresh)
		if t == Pooled || t == PooledPeople {
			continue
		}
		wider := PooledPeople
		if t == features.ClientConsumer {
			wider = Pooled
		}
		out.byType[t] = [2]*ladder{pick(t, wider), pick(t+fresh, wider+fresh, Pooled+fresh, t)}
	}
	return out
}

// Clients is the number of clients remembered.
func (s *Scorer) Clients() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].clients.Len()
	}
	return n
}

// Features judges one record, read at the given log offset.
func (s *Scorer) Features(f *schemas.ClientFeatures, offset int64, out Emitter) {
	s.key = append(append(s.key[:0], f.Tenant...), 0)
	s.key = append(append(s.key, f.Client...), 0)
	s.key = append(s.key, f.API...)
	hi, lo := siphash.Hash128(s.cfg.Seed.K0, s.cfg.Seed.K1, s.key)
	key := slab.Key{Hi: hi, Lo: lo}
	sh := &s.shards[lo%uint64(len(s.shards))]
	if offset < sh.resume {
		return
	}
	ev := sh.clients.Get(key)
	if ev == nil {
		ev = sh.clients.Put(key, nil)
	} else if f.WindowStart > f.FirstSeen {
		sh.clients.Promote(key)
	}

	stratum := f.Client[:max(bytes.IndexByte(f.Client, ':'), 0)]
	b, learnt := s.cfg.Model.behaviour(f.API, stratum)
	j := &s.judging
	*j = judgement{
		f: f, context: Context{Behaviour: b, Learnt: learnt, Joint: s.cfg.Model.jointOf(stratum), mix: &s.mix},
		ladder: s.ladder(stratum, ev.Known.Days == 0), stratum: stratum,
	}
	if f.Final {
		s.final(j, ev, out)
	} else {
		s.early(j, ev, out)
	}
}

// judgement is one window being judged.
type judgement struct {
	f        *schemas.ClientFeatures
	context  Context
	ladder   *ladder
	stratum  []byte
	scores   Scores
	evidence Scores // tail evidence by channel
	combined float64
	rank     Rank
	shared   bool // capped because many share the entity
	decoy    bool // the rule on decoys decides, not the evidence
}

// judge folds a window into ev and ranks it.
func (s *Scorer) judge(j *judgement, ev *Evidence) {
	if day := j.f.WindowStart / dayUS; day != ev.Day {
		ev.newDay(day)
		j.ladder = s.ladder(j.stratum, ev.Known.Days == 0)
	}
	ev.addShares(j.f)
	for _, family := range s.families {
		family.Fold(j.f, &j.context, ev, &j.scores)
	}
	j.combined = j.ladder.calibration.combine(&j.scores, &j.evidence)
	for r := RankBlock; r > RankObserve; r-- {
		// Above, not at: benign evidence has atoms, such as five failures of five,
		// and a threshold on one would fire for all that share it.
		if j.combined > j.ladder.at[r] {
			j.rank = r
			break
		}
	}
	if j.f.DecoyHits > 0 && j.rank < RankBlock {
		// Nobody calls by accident what nobody is told of. One who also calls what
		// everybody does has a place to lose; one who does not may be lost.
		j.decoy, j.rank = true, RankChallenge
		if j.f.DayRequests > j.f.DayDecoyHits {
			j.rank = RankBlock
		}
	}
	if j.rank == RankBlock && !j.decoy && j.onlyLooks() {
		j.rank = RankChallenge
	}
	if j.rank == RankBlock && s.isShared(j.f) {
		j.rank, j.shared = RankChallenge, true
	}
	if s.Observer != nil {
		s.Observer(j.f, j.combined, &j.scores)
	}
}

// isShared tells whether many people stand behind an address or a device.
func (s *Scorer) isShared(f *schemas.ClientFeatures) bool {
	return s.cfg.Policy.SharedUsers > 0 && f.DayLoginSuccessUsers >= s.cfg.Policy.SharedUsers &&
		f.DayLoginSuccessUsers*2 >= f.DayLoginUsers &&
		(bytes.HasPrefix(f.Client, []byte(features.ClientIP+":")) || bytes.HasPrefix(f.Client, []byte(features.ClientDevice+":")))
}

// expire ends an action whose time is over; a block that ends starts the client
// afresh, because the calls it made meanwhile were refused by us.
func (ev *Evidence) expire(windowStart int64) {
	if ev.Blocked == RankObserve || windowStart < ev.BlockedUntil {
		return
	}
	if ev.Blocked == RankBlock {
		*ev = Evidence{Day: ev.Day, Own: ev.Own, Habits: ev.Habits, Regular: ev.Regular, Today: ev.Today, Minute: ev.Minute,
			MinuteBytes: ev.MinuteBytes, Drifts: ev.Drifts, Known: ev.Known, Repeats: ev.Repeats, Pending: ev.Pending}
	}
	ev.Blocked = RankObserve
}

// early judges an open window on a copy: only its verdict remains.
func (s *Scorer) early(j *judgement, ev *Evidence, out Emitter) {
	trial := &s.trial // on the heap once, not per window: families take its address
	*trial = *ev
	trial.expire(j.f.WindowStart)
	if trial.Blocked == RankBlock {
		return
	}
	s.judge(j, trial)
	if j.rank <= trial.Blocked || j.leader() == ChannelIdentity {
		// Whoever the stranger is, the call before may have been the client's own:
		// the closed window decides.
		return
	}
	at := -1
	for i, p := range ev.Pending {
		switch {
		case p.Rank >= j.rank && p.Window <= j.f.WindowStart:
			// Already said, of this window or of one that is still open before it.
			return
		case p.Window == j.f.WindowStart || p.Rank == RankObserve:
			at = i
		}
	}
	for i, p := range ev.Pending {
		if p.Window == j.f.WindowStart && p.Rank > RankObserve {
			at = i
		}
	}
	if at < 0 {
		return // what is not remembered could not be withdrawn
	}
	ev.Pending[at] = Pending{j.f.WindowStart, j.rank}
	s.decide(j, ev, trial, true, out)
}

// final judges a closed window and commits it.
func (s *Scorer) final(j *judgement, ev *Evidence, out Emitter) {
	said := ev.settle(j.f.WindowStart)
	ev.expire(j.f.WindowStart)
	if ev.Blocked == RankBlock && ev.BlockedToken != 0 && ev.BlockedToken != tokenOf(j.f) {
		// The stolen token is what is blocked; its owner calls with another one.
		ev.Blocked, ev.BlockedToken = RankObserve, 0
	}
	if ev.Blocked == RankBlock {
		if said > RankObserve {
			s.withdraw(j, ev, out)
		}
		return
	}
	day := j.f.WindowStart / dayUS
	s.guard.window(j.f, ev.Day != day)
	if ev.Day != day {
		ev.newDay(day)
		j.ladder = s.ladder(j.stratum, ev.Known.Days == 0)
	}
	before := *ev
	s.judge(j, ev)
	if j.rank > before.Blocked {
		until := j.f.LastEvent + s.ttl(ev.Repeats).Microseconds()
		ev.Blocked, ev.BlockedUntil, ev.BlockWindow = j.rank, until, j.f.WindowStart
		ev.BlockedToken = 0
		if j.takeover() {
			ev.BlockedToken = tokenOf(j.f)
		}
		s.decide(j, &before, ev, false, out)
		if j.rank == RankBlock && ev.Repeats < 255 {
			ev.Repeats++
		}
	} else if said > RankObserve {
		s.withdraw(j, ev, out)
	}
	trust := 1.0
	if j.rank >= RankChallenge {
		trust = 0 // a client under suspicion does not teach its own baseline
	} else if p, _ := j.ladder.calibration.PValue(j.combined); p < 0.05 {
		// What is merely unusual does, slowly: a benign client may be unlike the
		// others from its first day.
		trust = max(p/0.05, minTrust)
	}
	for _, family := range s.families {
		family.Learn(j.f, ev, trust)
	}
}

// minTrust is the weight with which an unusual but not suspicious window
// teaches a client's own baseline.
const minTrust = 0.2

// settle forgets the provisional verdict of a window and returns its rank.
func (ev *Evidence) settle(window int64) Rank {
	for i, p := range ev.Pending {
		if p.Window == window && p.Rank > RankObserve {
			ev.Pending[i] = Pending{}
			return p.Rank
		}
	}
	return RankObserve
}

func (s *Scorer) ttl(repeats uint8) time.Duration {
	ttl := s.cfg.Policy.BlockTTL
	for range repeats {
		if ttl *= 2; ttl >= s.cfg.Policy.MaxBlockTTL {
			return s.cfg.Policy.MaxBlockTTL
		}
	}
	return ttl
}

// leader is the channel with the most evidence.
func (j *judgement) leader() int {
	leader := 0
	for i := range j.evidence {
		if j.evidence[i]+logWeights[i] > j.evidence[leader]+logWeights[leader] {
			leader = i
		}
	}
	return leader
}

// onlyLooks tells whether nothing but values that look like code speak against the
// client, on an API that nobody has taught what its ordinary values look like.
func (j *judgement) onlyLooks() bool {
	if j.context.Learnt || j.leader() != ChannelPayload {
		return false
	}
	for c, e := range j.evidence {
		if c != ChannelPayload && e > 2*corroborates {
			return false
		}
	}
	return true
}

// takeover tells whether the verdict is that somebody else calls under the
// client's name.
func (j *judgement) takeover() bool { return !j.decoy && j.leader() == ChannelIdentity }

// tokenOf is the hash of the credential that a takeover is blocked by; 0 where
// there is none, or it is the client's name already.
func tokenOf(f *schemas.ClientFeatures) uint64 {
	if len(f.Credential) == 0 || bytes.HasPrefix(f.Client, credentialPrefix) {
		return 0
	}
	return xxhash.Sum64(f.Credential) | 1
}

var credentialPrefix = []byte(features.ClientCredential + ":")
