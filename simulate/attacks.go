package simulate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// attackKind is one entry of the catalogue.
type attackKind struct {
	name     string
	variants []string // the first is the default
	needs    []Role
	build    func(g *Generator, in *instance)
}

// catalogue is in the order in which Attacks lists it.
func catalogue() []attackKind {
	return []attackKind{
		{schemas.AttackCredentialStuffing, []string{"single", "distributed", "thin"}, []Role{RoleLogin}, buildStuffing},
		{schemas.AttackSlowLogin, []string{"list", "one-user"}, []Role{RoleLogin}, buildSlowLogin},
		{schemas.AttackObjectEnumeration, []string{"sequential", "random"}, []Role{RoleItem}, buildEnumeration},
		{schemas.AttackScraping, []string{"user", "ip"}, []Role{RoleCatalogue, RoleProduct}, buildScraping},
		{schemas.AttackProbing, []string{"paths", "fuzz"}, nil, buildProbing},
		{schemas.AttackSlowProbing, []string{"paths"}, nil, buildProbing},
		{schemas.AttackFunctionProbing, []string{"user"}, []Role{RoleAdminUsers}, buildFunctionProbing},
		{schemas.AttackExtremeClient, []string{"user", "consumer"}, nil, buildExtreme},
		{schemas.AttackIntervalAbuse, []string{"user", "consumer"}, []Role{RoleVerify}, buildInterval},
		{schemas.AttackDataExfiltration, []string{"user"}, []Role{RoleDownload}, buildExfiltration},
	}
}

// Attacks lists the names that AttackSpec.Name may have, in a fixed order.
func Attacks() []string {
	var names []string
	for _, k := range catalogue() {
		names = append(names, k.name)
	}
	return names
}

// Variants lists the variants of an attack, the default first; nil if there is
// no such attack.
func Variants(attack string) []string {
	for _, k := range catalogue() {
		if k.name == attack {
			return slices.Clone(k.variants)
		}
	}
	return nil
}

// EveryAttack is one AttackSpec for each variant of each attack, in the order of
// the catalogue: the first begins at first, each of the others apart later.
// Specs that no API of a restricted world can suffer are for the caller to drop.
func EveryAttack(first, apart time.Duration, intensity float64) []AttackSpec {
	var specs []AttackSpec
	for _, k := range catalogue() {
		for _, v := range k.variants {
			specs = append(specs, AttackSpec{Name: k.name, Variant: v, Start: first, Intensity: intensity})
			first += apart
		}
	}
	return specs
}

// instance is one AttackSpec while its agents are built.
type instance struct {
	spec    AttackSpec
	index   int
	api     *api
	variant string
	end     int64 // no calls at or after
	base    int   // agents of earlier instances
	agents  []*agent
}

// attackUsers is the number of the first person who is an attacker; strangers
// are names tried at logins that nobody has.
const (
	attackUsers = 1 << 22
	strangers   = 1 << 40
)

func (g *Generator) addAttacks() error {
	kinds := catalogue()
	for i, spec := range g.cfg.Attacks {
		at := slices.IndexFunc(kinds, func(k attackKind) bool { return k.name == spec.Name })
		if at < 0 {
			return fmt.Errorf("%w: %q, want one of %v", ErrUnknownAttack, spec.Name, Attacks())
		}
		kind := kinds[at]
		variant := spec.Variant
		if variant == "" {
			variant = kind.variants[0]
		}
		if !slices.Contains(kind.variants, variant) {
			return fmt.Errorf("%w: %s has no variant %q, want one of %v", ErrUnknownAttack, spec.Name, variant, kind.variants)
		}
		target := g.target(spec.API, kind.needs)
		if target == nil {
			return fmt.Errorf("%w: no API %q with routes %v for %s", ErrUnknownAttack, spec.API, kind.needs, spec.Name)
		}
		build := func() *instance {
			in := &instance{
				spec: spec, index: i, api: target, variant: variant,
				base: len(g.agents) - g.benign, end: g.end,
			}
			if spec.Duration > 0 {
				in.end = min(in.end, g.start+(spec.Start+spec.Duration).Microseconds())
			}
			kind.build(g, in)
			return in
		}
		// Agents are pure functions of the seed, so one set can be run to its
		// end for the labels and an equal one kept for the stream.
		g.label(build())
		g.agents = append(g.agents, build().agents...)
	}
	return nil
}

func (g *Generator) target(name string, needs []Role) *api {
	for _, a := range g.apis {
		if (name == "" || string(a.name) == name) && a.has(needs...) {
			return a
		}
	}
	return nil
}

// label runs an instance's hostile agents to their end and notes whom their
// calls will be attributed to, and when.
func (g *Generator) label(in *instance) {
	ev := schemas.NewEvent()
	byKey := make(map[string]int)
	var key []byte
	for _, a := range in.agents {
		if a.cover {
			continue
		}
		g.dice.pcg = &a.pcg
		a.at = a.act.begin(g, a, g.start+in.spec.Start.Microseconds())
		for a.at < g.end {
			g.step(a, ev)
			if !a.hostile {
				continue
			}
			key = features.AppendClientKey(key[:0], ev)
			t := time.UnixMicro(ev.Time).UTC()
			i, ok := byKey[string(key)]
			if !ok {
				e := schemas.SplitEntity(string(key))
				i = len(g.labels)
				byKey[string(key)] = i
				g.labels = append(g.labels, schemas.Label{EntityType: e.Type, Entity: e.Value, Attack: in.spec.Name, Start: t, End: t})
			}
			l := &g.labels[i]
			if t.Before(l.Start) {
				l.Start = t
			}
			if t.After(l.End) {
				l.End = t
			}
		}
	}
}

// add makes an agent with a stream of its own and puts the dice on it.
func (in *instance) add(g *Generator, id *identity) *agent {
	n := len(in.agents)
	a := &agent{id: id, attack: int32(in.index), index: uint32(in.base + n)}
	seedPCG(&a.pcg, g.cfg.Seed, domainAttack, uint64(in.index)<<32|uint64(n))
	g.dice.pcg = &a.pcg
	in.agents = append(in.agents, a)
	return a
}

// attackNetwork is a /24 of 250.0.0.0 to 253.255.255.0 that no benign client is
// in, and no other agent of the first 2^18.
func (in *instance) attackNetwork(g *Generator, a *agent) place {
	// An odd multiplier permutes the 18 bits.
	k := (uint64(a.index)*40503 + derive(g.cfg.Seed, domainAttack, 0)) & (1<<18 - 1)
	c := g.anyCountry()
	return place{
		addr:    v4(250<<24 + uint32(k)<<8 + uint32(2+g.dice.n(250))),
		country: c, asn: c.asn + int64(g.dice.n(4)),
	}
}

// hosted moves a place to a hosting provider.
func hosted(p place) place {
	p.asn = p.country.asn + 14
	return p
}

// insider makes an attacker who holds a valid account, with the ordinary life
// of that account beside the attack, from the start of the simulation.
func (in *instance) insider(g *Generator) *agent {
	id := &identity{}
	a := in.add(g, id)
	id.user = attackUsers + uint64(a.index)
	id.here = in.attackNetwork(g, a)
	id.browser = g.anyBrowser(g.desktops)

	life := in.add(g, id)
	life.cover, life.class = true, ClassHuman
	own := *id
	p := newPerson(g, life, nil)
	*id = own
	p.base, p.apis = id.here, [2]*api{in.api, in.api}
	p.roam, p.renew, p.forget = 0, 0, 0
	// About four visits a day, so that there is a life to compare with.
	p.gap = min(p.gap, 21_600/g.cfg.Activity)
	life.act = p
	return a
}

// company is an insider that is an application with a partner's ordinary life.
func (in *instance) company(g *Generator) *agent {
	id := &identity{}
	a := in.add(g, id)
	life := in.add(g, id)
	life.cover, life.class = true, ClassPartner
	p := newPartner(g, life, attackUsers+uint64(life.index))
	p.first = 1<<25 + uint64(life.index)*8192
	if in.api.has(RoleItem, RoleList, RoleSubmit) {
		p.api, p.walk, p.list, p.post = in.api, in.api.route(RoleItem), in.api.route(RoleList), in.api.route(RoleSubmit)
	}
	p.count, p.walkGap = min(p.count, 400), max(p.walkGap, .4)
	id.here = in.attackNetwork(g, life)
	life.act = p
	return a
}

// foe is what all hostile actors share.
type foe struct {
	api   *api
	auth  authority
	end   int64
	left  int     // hostile calls to make
	gap   float64 // median seconds between calls
	sigma float64
	cover float64 // chance that a call is an ordinary one instead
	delay float64 // seconds that the agent waits after the attack's start, at most
}

// newFoe scales an attack by its intensity: calls come intensity times as fast,
// there are sqrt(intensity) times as many, and below 1 up to 60 % of the calls
// are ordinary ones.
func newFoe(in *instance, auth authority, calls, gap, sigma float64) foe {
	i := in.spec.Intensity
	return foe{
		api: in.api, auth: auth, end: in.end, sigma: sigma,
		left: max(1, int(math.Round(calls*math.Sqrt(i)))), gap: gap / i,
		cover: min(max(.7*(1-i), 0), .6), delay: 2,
	}
}

func (f *foe) begin(g *Generator, a *agent, from int64) int64 {
	return f.within(from + int64(g.dice.float()*f.delay*second))
}

func (f *foe) within(t int64) int64 {
	if t >= f.end {
		return never
	}
	return t
}

// spent counts a hostile call and returns the time of the next one.
func (f *foe) spent(g *Generator, a *agent) int64 {
	a.hostile = true
	if f.left--; f.left <= 0 {
		return never
	}
	return f.within(a.at + g.dice.wait(f.gap, f.sigma))
}

// ordinary says whether this call is to be an ordinary one.
func (f *foe) ordinary(g *Generator) bool { return f.cover > 0 && g.dice.chance(f.cover) }

var (
	ordinaryReads = []Role{RoleSummary, RoleList, RoleItem, RoleParties, RoleHistory, RoleProduct}
	publicReads   = []Role{RoleCatalogue, RoleProduct, RoleSearch}
)

// read makes a call as any client might, with the answers that such a client
// gets, and reports false where the API has nothing for callers like this.
func (f *foe) read(g *Generator, a *agent, ev *schemas.Event) bool {
	d := g.dice
	roles := ordinaryReads
	if f.auth == nobody || f.auth == unmarked {
		roles = publicReads
	}
	from := d.n(len(roles))
	for i := range roles {
		r := f.api.route(roles[(from+i)%len(roles)])
		if r == nil {
			continue
		}
		q := request{api: f.api, route: r, auth: f.auth, page: 1 + d.n(2), object: d.Uint64() >> 8}
		if o := r.objects; o != nil {
			if o.PerUser > 0 {
				q.object = o.owned(a.id.user, q.object%max(1, o.PerUser/2))
			} else {
				q.object = d.zipf(o.Count)
			}
		}
		q.status = g.outcome(f.api, r, a.at, false)
		g.emit(a, &q, ev)
		return true
	}
	return false
}

// enter logs the attacker's own account in, as its owner would.
func (f *foe) enter(g *Generator, a *agent, ev *schemas.Event) int64 {
	q := request{api: f.api, route: f.api.route(RoleLogin), auth: nobody, login: a.id.user}
	q.status = q.route.ok
	g.emit(a, &q, ev)
	a.id.generation++
	return f.within(a.at + g.dice.wait(2, .5))
}
