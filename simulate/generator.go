package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// warmUp is how long before Start the benign clients begin, so that the first
// minute already has sessions under way.
const warmUp = 45 * minute

// Source yields events one at a time. Next fills ev and reports whether there
// was one; the text in ev is valid until the next call.
type Source interface {
	Next(ev *schemas.Event) bool
}

// Generator yields the events of a simulation in order of event time; events
// of equal time come in order of the client. It is not safe for concurrent use.
type Generator struct {
	cfg        Config
	start, end int64
	apis       []*api // of the world, then of the launches
	open       []*api // of the world: those that any client may use
	desktops   []browser
	hands      []browser
	apps       [][]browser // by API
	scripts    []browser
	bots       []browser
	probes     []browser
	scanners   []browser

	agents []*agent // benign first, then attackers and their cover
	benign int
	queue  queue
	labels []schemas.Label
	// victims are whom framings want blocked.
	victims []schemas.Entity

	dice  *dice
	buf   []byte
	surge float64 // greatest factor of the surges, at least 1

	outages []outage
	deploys []deploy
	waves   []wave
	classes map[string]Class // of ClassOf; nil until it is asked
}

// agent is one thing that calls. Nothing but its own act draws from pcg.
type agent struct {
	at    int64 // time of the next call
	pcg   rand.PCG
	act   actor
	id    *identity
	class Class // of benign agents
	index uint32
	seq   uint32
	// attack is the index of the AttackSpec, or -1; cover tells the ordinary
	// life of an attacker's account from the attack itself.
	attack  int32
	cover   bool
	hostile bool // the call just made is part of the attack
}

// actor is the behaviour of an agent.
type actor interface {
	// begin returns the time of the first call, not before from.
	begin(g *Generator, a *agent, from int64) int64
	// call makes the call that is due at a.at and returns the time of the next.
	call(g *Generator, a *agent, ev *schemas.Event) int64
}

// never is later than any simulation.
const never = 1 << 62

// New prepares a simulation. Attack labels and the keys of benign clients are
// known from then on. Errors wrap ErrConfig, ErrWorld or ErrUnknownAttack.
func New(cfg Config) (*Generator, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, fmt.Errorf("preparing simulation: %w", err)
	}
	g := &Generator{
		cfg: cfg, start: cfg.Start.UnixMicro(), dice: newDice(), surge: 1,
		desktops: browsers(desktopAgents, "h2"), hands: browsers(handAgents, "h2"),
		scripts: browsers(scriptAgents, "h1"), bots: browsers(botAgents, "h2"),
		probes: browsers(probeAgents, "00"), scanners: browsers(scannerAgents, "h1"),
		buf: make([]byte, 0, 1024),
	}
	g.end = g.start + cfg.Duration.Microseconds()
	for _, s := range cfg.Surges {
		g.surge = max(g.surge, s.Factor)
	}
	world := World{APIs: slices.Clone(cfg.World.APIs)}
	for _, l := range cfg.Launches {
		world.APIs = append(world.APIs, l.API)
	}
	if g.apis, err = compileWorld(world); err != nil {
		return nil, fmt.Errorf("preparing simulation: %w", err)
	}
	g.open = g.apis[:len(cfg.World.APIs)]
	for _, schedule := range []func() error{g.addOutages, g.addDeploys, g.addWaves} {
		if err := schedule(); err != nil {
			return nil, fmt.Errorf("preparing simulation: %w", err)
		}
	}
	for _, a := range world.APIs {
		g.apps = append(g.apps, browsers(appAgents(a.Name), "h2"))
	}
	people := newPopulation(g, cfg.Mix)
	g.agents = make([]*agent, 0, cfg.Clients)
	for i := range cfg.Clients {
		g.agents = append(g.agents, people.spawn(i))
	}
	if err := g.addExtras(); err != nil {
		return nil, fmt.Errorf("preparing simulation: %w", err)
	}
	g.benign = len(g.agents)
	if err := g.addAttacks(); err != nil {
		return nil, fmt.Errorf("preparing simulation: %w", err)
	}
	g.enqueue()
	return g, nil
}

// enqueue finds every agent's first call inside the simulated time.
func (g *Generator) enqueue() {
	scratch := schemas.NewEvent()
	for i, a := range g.agents {
		g.dice.pcg = &a.pcg
		from := g.start - warmUp
		if a.attack >= 0 {
			from = g.start
			if !a.cover {
				from += g.cfg.Attacks[a.attack].Start.Microseconds()
			}
		}
		a.at = a.act.begin(g, a, from)
		for a.at < g.start {
			g.step(a, scratch)
		}
		if a.at < g.end {
			g.queue = append(g.queue, entry{a.at, uint32(i)})
		}
	}
	g.queue.build()
}

// step lets an agent make the call that is due.
func (g *Generator) step(a *agent, ev *schemas.Event) {
	g.dice.pcg = &a.pcg
	g.buf = g.buf[:0]
	ev.Reset()
	a.hostile = false
	next := a.act.call(g, a, ev)
	a.seq++
	a.at = max(next, a.at+1)
}

// Next fills ev with the next event and returns true, or returns false at the
// end. Text in ev is valid until the next call of Next.
func (g *Generator) Next(ev *schemas.Event) bool {
	if len(g.queue) == 0 {
		return false
	}
	a := g.agents[g.queue[0].agent]
	g.step(a, ev)
	if g.cfg.ClockSkew > 0 && a.attack < 0 {
		ev.Time += g.skew(a)
	}
	if a.at < g.end {
		g.queue.replaceFirst(a.at)
	} else {
		g.queue.dropFirst()
	}
	return true
}

// skew is by how much the clock of an agent's gateway is wrong.
func (g *Generator) skew(a *agent) int64 {
	h := derive(g.cfg.Seed, domainSkew, uint64(a.index))
	if h%50 != 0 {
		return 0
	}
	most := g.cfg.ClockSkew.Microseconds()
	return int64(h>>8%uint64(2*most+1)) - most
}

// Labels returns one label per attack instance and hostile entity, with the
// times of its first and last hostile call, in order of the AttackSpecs. The
// caller owns the slice. Attacks that would begin after the end have none.
func (g *Generator) Labels() []schemas.Label {
	return append([]schemas.Label(nil), g.labels...)
}

// Victims lists whom the framings among the AttackSpecs try to have blocked, in
// their order: none of them may be. The caller owns the slice.
func (g *Generator) Victims() []schemas.Entity {
	return append([]schemas.Entity(nil), g.victims...)
}

// Client is one benign client, for reports.
type Client struct {
	Key   string // the client key of its authenticated calls, or of all of them
	Class Class
	API   string // where it calls, or where it calls most
}

// Clients lists the benign clients in order of their index: Config.Clients, then
// those of crowds and launches. People also appear
// under other keys: that of their device while they log in or browse
// anonymously, and those of anonymous sessions; Origin tells whose an event is.
func (g *Generator) Clients() []Client {
	out := make([]Client, g.benign)
	ev := schemas.NewEvent()
	var key []byte
	for i, a := range g.agents[:g.benign] {
		home := a.act.(resident)
		api, auth := home.home()
		ev.Reset()
		g.buf = g.buf[:0]
		g.fillIdentity(ev, api, a.id, auth)
		key = features.AppendClientKey(key[:0], ev)
		out[i] = Client{Key: string(key), Class: a.class, API: string(api.name)}
	}
	return out
}

// resident is an actor of the benign population.
type resident interface {
	home() (*api, authority)
}

// Origin is who made an event.
type Origin struct {
	Class  Class  // of a benign client; empty for attackers
	Attack string // of an attacker; empty for benign clients
	// Cover says that the event belongs to the ordinary life of an account
	// that an attacker holds.
	Cover bool
	Index int // of the benign client, or of the AttackSpec
}

// Origin tells from an event's id who made it. It is false for an id that is
// not of this generator.
func (g *Generator) Origin(id []byte) (Origin, bool) {
	const prefix = "sim-"
	if len(id) < len(prefix) || string(id[:len(prefix)]) != prefix {
		return Origin{}, false
	}
	id = id[len(prefix):]
	attacker := len(id) > 0 && id[0] == 'a'
	if attacker {
		id = id[1:]
	}
	n, i := 0, 0
	for ; i < len(id) && i < 9 && id[i] >= '0' && id[i] <= '9'; i++ {
		n = n*10 + int(id[i]-'0')
	}
	if i == 0 || i == len(id) || id[i] != '-' {
		return Origin{}, false
	}
	if attacker {
		n += g.benign
	} else if n >= g.benign {
		return Origin{}, false
	}
	if n >= len(g.agents) {
		return Origin{}, false
	}
	a := g.agents[n]
	if attacker {
		return Origin{Attack: g.cfg.Attacks[a.attack].Name, Cover: a.cover, Index: int(a.attack)}, true
	}
	return Origin{Class: a.class, Index: n}, true
}

func (g *Generator) appendEventID(dst []byte, a *agent) []byte {
	dst = append(dst, "sim-"...)
	if a.attack >= 0 {
		dst = append(dst, 'a')
	}
	dst = strconv.AppendUint(dst, uint64(a.index), 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, uint64(a.seq), 10)
}
