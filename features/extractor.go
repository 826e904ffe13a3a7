package features

import (
	"errors"
	"fmt"

	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// Config sizes an Extractor. All durations are in microseconds of event time.
type Config struct {
	Hop      int64 // window length; divides a day
	Lateness int64 // how far behind the newest event one may arrive
	Clients  int   // client slots of this partition; beyond it the least recently seen are evicted
	Entities int   // entity aggregates kept open; beyond it calls are counted under OverflowEntity
	Shards   int   // independent parts of the state, snapshotted one at a time
	Source   int32 // number of the events partition, stamped on aggregates
	Seed     Seed
	// Knowledge is what was learnt of the APIs. Default: nothing.
	Knowledge *Knowledge
	// FinalOnly emits no early records: for input that nobody waits for.
	FinalOnly bool
}

// DefaultConfig is a hop of 10 s, 2 s of lateness, and room for 125,000 clients.
func DefaultConfig() Config {
	return Config{
		Hop: 10 * second, Lateness: 2 * second, Clients: 125_000, Entities: 65_536, Shards: 64,
		Seed: Seed{K0: 0x7765697273746174, K1: 0x652d736565642d31},
	}
}

// ErrConfig says that a Config cannot work.
var ErrConfig = errors.New("features configuration")

func (c Config) validate() error {
	switch {
	case c.Hop <= 0 || day%c.Hop != 0:
		return fmt.Errorf("%w: hop of %d µs does not divide a day", ErrConfig, c.Hop)
	case c.Lateness < 0:
		return fmt.Errorf("%w: negative lateness", ErrConfig)
	case c.Shards <= 0 || c.Clients < c.Shards || c.Entities < c.Shards:
		return fmt.Errorf("%w: %d clients and %d entities over %d shards", ErrConfig, c.Clients, c.Entities, c.Shards)
	}
	return nil
}

// Emitter receives what an Extractor computes. Records and their text are valid
// only during the call.
type Emitter interface {
	Features(*schemas.ClientFeatures)
	Aggregate(*schemas.Aggregate)
}

// Outcome tells what became of an event.
type Outcome uint8

// Outcomes of Apply.
const (
	Applied Outcome = iota
	Late            // behind the watermark; its window is closed
	Skipped         // already part of the restored state of every shard it touches
)

// Extractor is the state of one events partition. It has one owner and no
// locks. It is a pure function of the sequence of Apply and Advance calls, and
// what it emits as final depends only on the set of events, not on their order
// within the allowed lateness.
type Extractor struct {
	cfg    Config
	shards []*shard
	progress
	restored int      // shards loaded by RestoreSnapshot
	oldest   progress // of those
	call     routeCall
	key      []byte
	client   []byte
	network  []byte
	text     []byte
	inspector
	record  schemas.ClientFeatures
	partial schemas.Aggregate
	// Counters since the Extractor was made; they do not influence its output.
	Stats Stats
}

// progress is how far event time has come.
type progress struct {
	newest int64 // newest event time seen, µs; the watermark is Lateness behind it
	closed int64 // hops that end at or before this are closed
	marked int64 // the last mark emitted
}

// Stats counts what an Extractor did.
type Stats struct {
	Applied, Late, Early, Final, Evicted, Overflow uint64
}

// New returns an empty Extractor.
func New(cfg Config) (*Extractor, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Knowledge == nil {
		cfg.Knowledge = noKnowledge()
	}
	x := &Extractor{cfg: cfg, shards: make([]*shard, cfg.Shards), inspector: inspector{parameters: parameters.NewScratch(), seed: cfg.Seed}}
	for i := range x.shards {
		x.shards[i] = newShard(cfg)
	}
	return x, nil
}

// Watermark is the event time, µs, before which no event is accepted any more.
func (x *Extractor) Watermark() int64 { return x.newest - x.cfg.Lateness }

// Clients is the number of clients held.
func (x *Extractor) Clients() int {
	n := 0
	for _, s := range x.shards {
		n += s.slots.Len()
	}
	return n
}

func (x *Extractor) shardOf(k slab.Key) *shard { return x.shards[k.Lo%uint64(len(x.shards))] }

// ClientKey is the client key of the last applied event; valid until the next.
func (x *Extractor) ClientKey() []byte { return x.client }

// Apply takes one event, read at the given log offset. t is its event time in
// µs after clamping; e is not kept.
func (x *Extractor) Apply(e *schemas.Event, t, offset int64, out Emitter) Outcome {
	if t < x.Watermark() {
		x.Stats.Late++
		return Late
	}
	x.Advance(t, out)

	x.cfg.Knowledge.routes.match(&x.call, e)
	o := observe(e, t, &x.call)
	tenant, api := e.Tenant, e.API
	if len(tenant) == 0 {
		tenant = defaultTenant
	}
	if len(api) == 0 {
		api = e.Host
	}
	x.client = AppendClientKey(x.client[:0], e)
	x.cfg.Knowledge.judge(&o, e, api, x.call.template)
	x.cfg.Knowledge.inspect(&x.inspector, &o, e, api, x.call.template)

	key := x.cfg.Seed.hash(&x.key, tenant, x.client, api)
	touched := false
	if sh := x.shardOf(key); offset >= sh.resume {
		touched = true
		x.observe(sh, key, e, &o, tenant, api, out)
	}
	if x.aggregate(e, &o, key, tenant, api, offset) {
		touched = true
	}
	if !touched {
		return Skipped
	}
	x.Stats.Applied++
	return Applied
}

var defaultTenant = []byte(schemas.DefaultTenant)

// Advance tells that event time has reached t µs, as an event or a tick says,
// and closes the hops that the watermark passes.
func (x *Extractor) Advance(t int64, out Emitter) {
	if t <= x.newest {
		return
	}
	x.newest = t
	wm := x.Watermark()
	end := wm - wm%x.cfg.Hop // newest hop boundary at or before the watermark
	if wm < 0 || end <= x.closed {
		return
	}
	x.closed = end
	for _, sh := range x.shards {
		x.closeClients(sh, end, out)
		x.closeEntities(sh, end, out)
	}
	if end > x.marked {
		x.marked = end
		x.partial = schemas.Aggregate{WindowStart: end - x.cfg.Hop, WindowEnd: end, Source: x.cfg.Source}
		out.Aggregate(&x.partial)
	}
}

// Flush closes every open hop, as the end of the input does.
func (x *Extractor) Flush(out Emitter) {
	if x.newest > 0 {
		longest := 6 * x.cfg.Hop // entityHops
		x.Advance(x.newest-x.newest%longest+longest+x.cfg.Lateness, out)
	}
}

// shard is the part of the state that is snapshotted together.
type shard struct {
	// resume is the log offset from which records count for this shard; earlier
	// ones are already in it.
	resume   int64
	slots    *slab.Slab[clientState]
	residue  residueTable
	open     []*openClient // clients with an open hop, in the order they opened
	dead     int           // of those, evicted ones not yet swept
	freeOpen []*openClient
	freeHop  []*openHop
	entities entityTable
}

// clientState is what the slab holds per client and API.
type clientState struct {
	slot slot
	open *openClient // nil unless the client has an open hop
}

func newShard(cfg Config) *shard {
	return &shard{
		slots:    slab.New[clientState](cfg.Clients / cfg.Shards),
		residue:  newResidueTable(cfg.Clients / cfg.Shards),
		entities: newEntityTable(cfg.Entities / cfg.Shards),
	}
}
