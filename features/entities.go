package features

import (
	"bytes"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// OverflowEntity begins the names under which entities of a type that found no
// room are counted together: "*0", "*1", …, one for each shard that overflowed.
const OverflowEntity = "*"

const (
	smallRegisters = 64  // HyperLogLog registers of most entities: ±13 %
	apiRegisters   = 256 // of an API: ±6.5 %
	latencyBuckets = 56  // half-octaves from 1 µs to 4.5 minutes
)

// entityTable holds the aggregates of the open hops of one shard.
type entityTable struct {
	index    map[entityKey]int32
	cells    []*entityCell // in the order they were first seen
	free     []*entityCell
	capacity int
}

type entityKey struct {
	key  slab.Key
	hop  int64
	kind uint8
}

// entityCell is one entity in one hop, as this partition saw it.
type entityCell struct {
	key     entityKey
	partial schemas.Aggregate
}

func newEntityTable(capacity int) entityTable {
	return entityTable{index: make(map[entityKey]int32), capacity: capacity}
}

// Kinds of entities, as indexes of entityTypes.
const (
	kindIP = iota
	kindNetwork
	kindCohort
	kindUser
	kindCredential
	kindAPI
	kindRoute
)

var entityTypes = [...][]byte{
	[]byte(schemas.EntityIP), []byte(schemas.EntityNetwork), []byte(schemas.EntityCohort),
	[]byte(schemas.EntityUser), []byte(schemas.EntityCredential), []byte(schemas.EntityAPI), []byte(schemas.EntityRoute),
}

// entityHops is the window of each kind, in hops. What many clients share is
// few and its changes matter within seconds; an address or a user is nearly as
// many as clients are, and its windows would otherwise be most of the output.
var entityHops = [...]int64{
	kindIP: 6, kindNetwork: 6, kindCohort: 1, kindUser: 6, kindCredential: 6, kindAPI: 1, kindRoute: 6,
}

// newcomer is how long after its first call on an API a client counts as new
// there, µs. It is far above any lateness: whether a client is new then does not
// depend on the order in which its first calls arrive.
const newcomer = 3600 * second

// entityWindow is the length of a kind's windows, µs.
func (x *Extractor) entityWindow(kind uint8) int64 { return entityHops[kind] * x.cfg.Hop }

// entityCall is what a call adds to the entities it names.
type entityCall struct {
	*observation
	client     uint64 // hash of the client key
	fresh      bool   // the client is new on the API
	identified bool
	plain      bool
}

// aggregate counts an event of the client with the given slab key under each
// entity it names; it tells whether any shard still needed it.
func (x *Extractor) aggregate(e *schemas.Event, o *observation, key slab.Key, tenant, api []byte, offset int64) bool {
	call := entityCall{
		observation: o, client: xxhash.Sum64(x.client),
		identified: len(e.User)+len(e.Consumer)+len(e.Credential)+len(e.Session) > 0,
		plain:      string(e.Scheme) == "http",
	}
	if state := x.shardOf(key).slots.Peek(key); state != nil {
		call.fresh = state.slot.first == 0 || o.time-state.slot.first < newcomer
	}
	count := func(kind uint8, name []byte) bool {
		return len(name) > 0 && x.countEntity(kind, name, &call, tenant, api, offset)
	}
	touched := count(kindIP, e.ClientIP)
	if len(e.ClientIP) > 0 {
		x.network = AppendNetwork(x.network[:0], e.ClientIP)
		touched = count(kindNetwork, x.network) || touched
	}
	var buf [128]byte
	touched = count(kindCohort, AppendCohort(buf[:0], e.ASN, e.JA4, e.UserAgent)) || touched
	// The client key itself is judged from its own windows; a wider or another
	// identity of the same call is not.
	if len(e.User) == 0 {
		touched = count(kindUser, e.LoginUser) || touched
	} else {
		touched = count(kindCredential, e.Credential) || touched
	}
	if o.flags&(isStatic|isMissing) == 0 && o.status > 0 {
		// What does not exist has no posture, and callers make up its names.
		touched = count(kindRoute, x.call.template[:min(len(x.call.template), maxRoute)]) || touched
	}
	return count(kindAPI, api) || touched
}

const (
	maxRoute       = 512 // bytes of a route's name in aggregates
	maxFingerprint = 64  // bytes of a JA4 in cohorts: a JA4 has 36
)

// uaFingerprint begins a fingerprint that is a user agent's family.
const uaFingerprint = "ua:"

// AppendCohort appends the name of the cohort of a caller: network and
// fingerprint, as schemas.EntityCohort says. ASN is schemas.Unknown or 0 and the
// text empty where they are not known.
func AppendCohort(dst []byte, asn int64, ja4, userAgent []byte) []byte {
	if asn > 0 {
		dst = strconv.AppendInt(dst, asn, 10)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, '|')
	switch {
	case len(ja4) > 0:
		return append(dst, ja4[:min(len(ja4), maxFingerprint)]...)
	case len(userAgent) > 0:
		return append(append(dst, uaFingerprint...), UserAgentFamily(userAgent)...)
	}
	return append(dst, '-')
}

// entityHash is the key of an entity; the table tells kinds apart by itself.
func (x *Extractor) entityHash(kind uint8, name, tenant, api []byte) slab.Key {
	if kind == kindCohort || kind == kindRoute {
		return x.cfg.Seed.hash(&x.key, tenant, name, api)
	}
	return x.cfg.Seed.hash(&x.key, tenant, name, entityTypes[kind])
}

func (x *Extractor) countEntity(kind uint8, name []byte, o *entityCall, tenant, api []byte, offset int64) bool {
	hash := x.entityHash(kind, name, tenant, api)
	sh := x.shardOf(hash)
	if offset < sh.resume {
		return false
	}
	t := &sh.entities
	start := o.time - o.time%x.entityWindow(kind)
	key := entityKey{hash, start, kind}
	i, ok := t.index[key]
	if !ok {
		if len(t.cells) >= t.capacity {
			// Shards overflow one by one and so need names of their own: of two
			// records with one name, readers keep the later.
			x.Stats.Overflow++
			var buf [48]byte
			name = t.overflow(buf[:0], kind, name, hash.Lo%uint64(len(x.shards)))
			key = entityKey{x.entityHash(kind, name, tenant, api), start, kind}
			if i, ok = t.index[key]; !ok {
				i = x.addCell(t, key, kind, name, tenant, api)
			}
		} else {
			i = x.addCell(t, key, kind, name, tenant, api)
		}
	}
	t.cells[i].count(o, api)
	return true
}

// overflow appends the name under which an entity without room is counted. A
// cohort keeps its network while there is room for that: fingerprints are the
// caller's to make up, networks are not.
func (t *entityTable) overflow(dst []byte, kind uint8, name []byte, shard uint64) []byte {
	if kind == kindCohort {
		i := bytes.IndexByte(name, '|')
		if len(t.cells) >= 2*t.capacity || i > 20 {
			name, i = []byte("-"), 1
		}
		dst = append(append(dst, name[:i]...), '|')
	}
	return strconv.AppendUint(append(dst, OverflowEntity...), shard, 10)
}

func (x *Extractor) addCell(t *entityTable, key entityKey, kind uint8, name, tenant, api []byte) int32 {
	var c *entityCell
	if n := len(t.free); n > 0 {
		c, t.free = t.free[n-1], t.free[:n-1]
	} else {
		c = new(entityCell)
	}
	p := &c.partial
	latency, sizes := p.Latency[:0], sketchSizes[kind]
	*p = schemas.Aggregate{
		Tenant:     append(p.Tenant[:0], tenant...),
		EntityType: entityTypes[kind], Entity: append(p.Entity[:0], name...), API: append(p.API[:0], api...),
		WindowStart: key.hop, WindowEnd: key.hop + x.entityWindow(kind), Source: x.cfg.Source,
		Clients:       zeroed(p.Clients, sizes.clients),
		FailedClients: zeroed(p.FailedClients, sizes.failed),
		LoginUsers:    zeroed(p.LoginUsers, sizes.users),
		NewClients:    zeroed(p.NewClients, sizes.fresh),
		Latency:       latency,
	}
	c.key = key
	i := int32(len(t.cells))
	t.cells = append(t.cells, c)
	t.index[key] = i
	return i
}

// sketchSizes are the registers that a kind keeps, 0 for a sketch that nobody
// would read.
var sketchSizes = [...]struct{ clients, failed, users, fresh int }{
	kindIP:         {smallRegisters, smallRegisters, smallRegisters, 0},
	kindNetwork:    {smallRegisters, smallRegisters, smallRegisters, 0},
	kindCohort:     {smallRegisters, smallRegisters, 0, smallRegisters},
	kindUser:       {smallRegisters, smallRegisters, smallRegisters, 0},
	kindCredential: {smallRegisters, smallRegisters, smallRegisters, 0},
	kindAPI:        {apiRegisters, apiRegisters, apiRegisters, apiRegisters},
	kindRoute:      {},
}

func zeroed(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	b = b[:n]
	clear(b)
	return b
}

func (c *entityCell) count(o *entityCall, api []byte) {
	p, sizes := &c.partial, &sketchSizes[c.key.kind]
	if len(p.API) > 0 && string(p.API) != string(api) {
		p.API = p.API[:0] // the entity called several
	}
	p.Requests++
	switch o.status / 100 {
	case 2:
		p.Status2xx++
	case 4:
		p.Status4xx++
	case 5:
		p.Status5xx++
	}
	if o.flags&isDenied != 0 {
		p.AuthDenied++
	}
	if o.flags&isMissing != 0 {
		p.NotFound++
	}
	if o.flags&isLogin != 0 {
		p.LoginAttempts++
		if o.flags&isLoginFailure != 0 {
			p.LoginFailures++
		} else if class := o.status / 100; class == 2 || class == 3 {
			p.LoginSuccesses++
			if sizes.users > 0 && class == 2 && o.loginUser != 0 {
				AddRegister(p.LoginUsers, o.loginUser)
			}
		}
	}
	if o.reqBytes > 0 {
		p.ReqBytes += uint64(o.reqBytes)
	}
	if o.respBytes > 0 {
		p.RespBytes += uint64(o.respBytes)
	}
	if sizes.clients > 0 {
		AddRegister(p.Clients, o.client)
	}
	if sizes.failed > 0 && o.flags&(isLoginFailure|isDenied) != 0 {
		AddRegister(p.FailedClients, o.client)
	}
	if sizes.fresh > 0 && o.fresh {
		AddRegister(p.NewClients, o.client)
	}
	if c.key.kind == kindRoute {
		c.countPosture(o)
	}
	if c.key.kind == kindAPI && o.duration > 0 {
		b := min(max(int(2*math.Log2(float64(o.duration))), 0), latencyBuckets-1)
		for len(p.Latency) <= b {
			p.Latency = append(p.Latency, 0)
		}
		p.Latency[b]++
	}
}

// countPosture counts what says how well a route is kept.
func (c *entityCell) countPosture(o *entityCall) {
	p := &c.partial
	switch o.status / 100 {
	case 2:
		if o.identified {
			p.Identified++
		} else {
			p.Anonymous++
		}
		if o.plain { // a redirection to TLS is as it should be
			p.Plain++
		}
	case 4, 5:
		if o.respBytes >= 0 {
			p.Errors++
			if o.respBytes >= schemas.VerboseError {
				p.Verbose++
			}
		}
	}
}

// closeEntities emits the aggregates of every hop that ends at or before end.
func (x *Extractor) closeEntities(sh *shard, end int64, out Emitter) {
	t := &sh.entities
	kept := t.cells[:0]
	for _, c := range t.cells {
		if c.key.hop+x.entityWindow(c.key.kind) > end {
			t.index[c.key] = int32(len(kept))
			kept = append(kept, c)
			continue
		}
		delete(t.index, c.key)
		out.Aggregate(&c.partial)
		if len(t.free) < maxFree {
			t.free = append(t.free, c)
		}
	}
	clear(t.cells[len(kept):])
	t.cells = kept
}
