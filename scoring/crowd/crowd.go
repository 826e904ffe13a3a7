// Package crowd judges what no single client shows: a flood, or a run of login
// tries, spread over so many clients that each stays below every limit.
//
// It reads the aggregates that extraction writes per API. For each API it keeps a
// baseline of calls, clients and logins, and of the shares that cohorts have in
// them: the callers of one network (ASN), of one fingerprint (JA4, or the user
// agent's family where there is none), and of both. A sequential test tells when
// the API as a whole, or a cohort, leaves its baseline; then the smallest set of
// cohorts that explains the excess is sought, and acted on only where next to
// nobody else would be hit.
//
// What is found: floods and login runs whose sources share a network or a tool.
// What is not: a flood from many networks with the fingerprints that the API's
// own callers have. It is reported for the API as a whole, and nobody is blocked.
//
// The package is pure. Results do not depend on how many source partitions the
// aggregates come from, nor on the order of their arrival: a window is judged
// when the marks of all sources have passed its end.
package crowd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// Model names the judge in verdicts.
const Model = "crowd@1"

// Config describes a Crowd. Numbers left zero take their defaults.
type Config struct {
	// Sources is how many partitions the events topic has: the marks of all of
	// them must arrive before a window is judged, so that a partition without
	// events must be ticked. Required.
	Sources int
	// Shards are the parts that are snapshotted one at a time. Default: 1.
	Shards int
	// Hop is the length of the windows, µs. Default: 10 s.
	Hop int64
	// Seed spreads APIs over shards.
	Seed features.Seed
	// APIs bounds how many APIs are followed. Default: 4096.
	APIs int

	// RunLength is the mean time between false alarms of one API's test, and of
	// all its cohorts' tests together. Default: 30 days.
	RunLength time.Duration
	// WarmUp is how many windows teach an API's baseline before anything is
	// judged. Default: 60.
	WarmUp int
	// MinExcess is the excess, calls a window, below which nothing is a flood.
	// Default: 20.
	MinExcess float64
	// MinClients is how many clients a cohort must have in a window to be judged:
	// fewer are each other families' affair. Default: 8.
	MinClients float64
	// CohortCollateral is the share of a cohort's clients that may be benign, by
	// its baseline; APICollateral the share of the API's benign clients that all
	// cohorts acted on may hold. Beyond them a cohort is challenged at most (up to
	// four times either) or only reported. Defaults: 0.05 and 0.005.
	CohortCollateral, APICollateral float64
	// TTL is how long an action holds unless renewed. Default: 10 minutes.
	TTL time.Duration
	// Shadow decides and explains, and enforces nothing; ShadowAPIs does so for
	// single APIs.
	Shadow     bool
	ShadowAPIs map[string]bool
}

func (c *Config) defaults() error {
	if c.Sources <= 0 {
		return fmt.Errorf("%w: %d sources", ErrConfig, c.Sources)
	}
	orDefault(&c.Shards, 1)
	orDefault(&c.Hop, 10_000_000)
	orDefault(&c.APIs, 4096)
	orDefault(&c.RunLength, 30*24*time.Hour)
	orDefault(&c.WarmUp, 60)
	orDefault(&c.MinExcess, 20)
	orDefault(&c.MinClients, 8)
	orDefault(&c.CohortCollateral, 0.05)
	orDefault(&c.APICollateral, 0.005)
	orDefault(&c.TTL, 10*time.Minute)
	if c.Shards < 0 || c.Hop <= 0 || c.APIs < 0 || c.RunLength <= 0 || c.TTL <= 0 || c.CohortCollateral > 1 || c.APICollateral > 1 {
		return fmt.Errorf("%w: a size, duration or share is out of range", ErrConfig)
	}
	return nil
}

func orDefault[T int | int64 | float64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// ErrConfig says that a Config cannot work.
var ErrConfig = errors.New("crowd configuration")

// Emitter receives decisions, as scoring.Emitter does. The verdict is valid only
// during the call; a nil entry lifts the block of key.
type Emitter interface {
	Verdict(*schemas.Verdict)
	Block(key string, entry *schemas.BlockEntry)
}

// Crowd is the state of the APIs of one partition. It has one owner and no locks.
type Crowd struct {
	cfg    Config
	shards []shard
	key    []byte
	judge  judging // scratch of the window at hand

	thresholdAPI, thresholdCell float64 // nats

	// Stats count what was left out; they do not influence results.
	Stats Stats
}

// Stats counts records that could not be used.
type Stats struct {
	Late     uint64 // of windows that were judged already
	Refused  uint64 // of sources that the Config does not know
	Overflow uint64 // of APIs or cohorts without room
}

// shard is a part of the APIs, with its own view of how far the sources are:
// after a restart the shards stand at different places of the log.
type shard struct {
	resume  int64
	marks   []int64 // by source: windows up to here are complete, µs
	barrier int64   // the least of marks; up to here everything is judged
	apis    map[string]*api
	order   []*api // by name
}

// New returns a Crowd that knows nothing yet. The error is ErrConfig.
func New(cfg Config) (*Crowd, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	c := &Crowd{cfg: cfg, shards: make([]shard, cfg.Shards)}
	for i := range c.shards {
		c.shards[i] = shard{marks: make([]int64, cfg.Sources), apis: map[string]*api{}}
	}
	hops := max(float64(cfg.RunLength.Microseconds())/float64(cfg.Hop), 2)
	c.thresholdAPI = cusumThreshold(hops, len(ratesAPI))
	tests := 0
	for _, n := range capacities {
		tests += n
	}
	c.thresholdCell = cusumThreshold(hops, tests)
	return c, nil
}

// APIs is the number of APIs followed.
func (c *Crowd) APIs() int {
	n := 0
	for i := range c.shards {
		n += len(c.shards[i].order)
	}
	return n
}

// Apply takes one aggregate or mark, read at the given log offset. Aggregates of
// entities that are not an API's are passed over. a is not kept.
func (c *Crowd) Apply(a *schemas.Aggregate, offset int64, out Emitter) {
	if a.Source < 0 || int(a.Source) >= c.cfg.Sources {
		c.Stats.Refused++
		return
	}
	if a.Mark() {
		for i := range c.shards {
			if sh := &c.shards[i]; offset >= sh.resume {
				c.mark(sh, a, out)
			}
		}
		return
	}
	if len(a.API) == 0 || !schemas.PerAPI(a.EntityType) {
		return
	}
	c.key = append(append(append(c.key[:0], a.Tenant...), 0), a.API...)
	sh := &c.shards[siphash.Hash(c.cfg.Seed.K0, c.cfg.Seed.K1, c.key)%uint64(len(c.shards))]
	if offset < sh.resume {
		return
	}
	if a.WindowEnd <= sh.barrier {
		c.Stats.Late++
		return
	}
	if p := c.api(sh, a); p != nil {
		c.hold(p, a)
	}
}

// mark notes how far a source is and judges what is complete.
func (c *Crowd) mark(sh *shard, a *schemas.Aggregate, out Emitter) {
	if a.WindowEnd <= sh.marks[a.Source] {
		return
	}
	sh.marks[a.Source] = a.WindowEnd
	barrier := slices.Min(sh.marks)
	if barrier <= sh.barrier {
		return
	}
	sh.barrier = barrier
	for _, p := range sh.order {
		c.advance(p, barrier, out)
	}
}

// api finds the state of an aggregate's API, or makes it; nil where there is no
// room. The key is in c.key.
func (c *Crowd) api(sh *shard, a *schemas.Aggregate) *api {
	if p := sh.apis[string(c.key)]; p != nil {
		return p
	}
	if len(sh.order) >= max(c.cfg.APIs/c.cfg.Shards, 16) && !sh.evict() {
		c.Stats.Overflow++
		return nil
	}
	p := newAPI(string(c.key), string(a.Tenant), string(a.API))
	sh.insert(p)
	return p
}

func (sh *shard) insert(p *api) {
	i, _ := slices.BinarySearchFunc(sh.order, p.key, func(q *api, key string) int { return strings.Compare(q.key, key) })
	sh.order = slices.Insert(sh.order, i, p)
	sh.apis[p.key] = p
}

// evict forgets the API that has been silent the longest, if one is asleep.
func (sh *shard) evict() bool {
	at := -1
	for i, p := range sh.order {
		if p.asleep() && len(p.pending) == 0 && (at < 0 || p.silent > sh.order[at].silent) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	delete(sh.apis, sh.order[at].key)
	sh.order = slices.Delete(sh.order, at, at+1)
	return true
}
