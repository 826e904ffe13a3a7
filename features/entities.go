package features

import (
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
	kindASN
	kindJA4
	kindUser
	kindCredential
	kindAPI
)

var entityTypes = [...][]byte{
	[]byte(schemas.EntityIP), []byte(schemas.EntityNetwork), []byte(schemas.EntityASN), []byte(schemas.EntityJA4),
	[]byte(schemas.EntityUser), []byte(schemas.EntityCredential), []byte(schemas.EntityAPI),
}

// entityHops is the window of each kind, in hops. What many clients share is
// few and its changes matter within seconds; an address or a user is nearly as
// many as clients are, and its windows would otherwise be most of the output.
var entityHops = [...]int64{
	kindIP: 6, kindNetwork: 6, kindASN: 1, kindJA4: 1, kindUser: 6, kindCredential: 6, kindAPI: 1,
}

// entityWindow is the length of a kind's windows, µs.
func (x *Extractor) entityWindow(kind uint8) int64 { return entityHops[kind] * x.cfg.Hop }

// aggregate counts an event under each entity it names; it tells whether any
// shard still needed it.
func (x *Extractor) aggregate(e *schemas.Event, o *observation, tenant, api []byte, offset int64) bool {
	client := xxhash.Sum64(x.client)
	count := func(kind uint8, name []byte) bool {
		return len(name) > 0 && x.countEntity(kind, name, o, tenant, api, client, offset)
	}
	touched := count(kindIP, e.ClientIP)
	if len(e.ClientIP) > 0 {
		x.network = AppendNetwork(x.network[:0], e.ClientIP)
		touched = count(kindNetwork, x.network) || touched
	}
	if e.ASN > 0 {
		var buf [20]byte
		touched = count(kindASN, strconv.AppendInt(buf[:0], e.ASN, 10)) || touched
	}
	touched = count(kindJA4, e.JA4) || touched
	// The client key itself is judged from its own windows; a wider or another
	// identity of the same call is not.
	if len(e.User) == 0 {
		touched = count(kindUser, e.LoginUser) || touched
	} else {
		touched = count(kindCredential, e.Credential) || touched
	}
	return count(kindAPI, api) || touched
}

func (x *Extractor) countEntity(kind uint8, name []byte, o *observation, tenant, api []byte, client uint64, offset int64) bool {
	hash := x.cfg.Seed.hash(&x.key, tenant, name, entityTypes[kind])
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
			var buf [24]byte
			name = strconv.AppendUint(append(buf[:0], OverflowEntity...), hash.Lo%uint64(len(x.shards)), 10)
			key = entityKey{x.cfg.Seed.hash(&x.key, tenant, name, entityTypes[kind]), start, kind}
			if i, ok = t.index[key]; !ok {
				i = x.addCell(t, key, kind, name, tenant, api)
			}
		} else {
			i = x.addCell(t, key, kind, name, tenant, api)
		}
	}
	t.cells[i].count(o, client, api)
	return true
}

func (x *Extractor) addCell(t *entityTable, key entityKey, kind uint8, name, tenant, api []byte) int32 {
	var c *entityCell
	if n := len(t.free); n > 0 {
		c, t.free = t.free[n-1], t.free[:n-1]
	} else {
		c = new(entityCell)
	}
	p := &c.partial
	registers, latency := registersOf(kind), p.Latency[:0]
	*p = schemas.Aggregate{
		Tenant:     append(p.Tenant[:0], tenant...),
		EntityType: entityTypes[kind], Entity: append(p.Entity[:0], name...), API: append(p.API[:0], api...),
		WindowStart: key.hop, WindowEnd: key.hop + x.entityWindow(kind), Source: x.cfg.Source,
		Clients:       zeroed(p.Clients, registers),
		FailedClients: zeroed(p.FailedClients, registers),
		LoginUsers:    zeroed(p.LoginUsers, registers),
		Latency:       latency,
	}
	c.key = key
	i := int32(len(t.cells))
	t.cells = append(t.cells, c)
	t.index[key] = i
	return i
}

func registersOf(kind uint8) int {
	if kind == kindAPI {
		return apiRegisters
	}
	return smallRegisters
}

func zeroed(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	b = b[:n]
	clear(b)
	return b
}

func (c *entityCell) count(o *observation, client uint64, api []byte) {
	p := &c.partial
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
		} else if o.loginUser != 0 && o.status/100 == 2 {
			AddRegister(p.LoginUsers, o.loginUser)
		}
	}
	if o.reqBytes > 0 {
		p.ReqBytes += uint64(o.reqBytes)
	}
	if o.respBytes > 0 {
		p.RespBytes += uint64(o.respBytes)
	}
	AddRegister(p.Clients, client)
	if o.flags&(isLoginFailure|isDenied) != 0 {
		AddRegister(p.FailedClients, client)
	}
	if c.key.kind == kindAPI && o.duration > 0 {
		b := min(max(int(2*math.Log2(float64(o.duration))), 0), latencyBuckets-1)
		for len(p.Latency) <= b {
			p.Latency = append(p.Latency, 0)
		}
		p.Latency[b]++
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
