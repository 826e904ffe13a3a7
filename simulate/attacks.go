package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate/injections"
)

// attackKind is one entry of the catalogue.
type attackKind struct {
	name     string
	variants []string // the first is the default
	needs    []Role
	build    func(g *Generator, in *instance)
	// fits says whether an API that has the roles can suffer a variant, and how
	// well; nil fits everything.
	fits func(a *api, variant string) fitness
	// label is the attack that labels name, if not name.
	label string
	// posture says that the API is at fault and its callers are not.
	posture bool
	// framing says that the calls claim identities of others.
	framing bool
}

type fitness uint8

const (
	unfit fitness = iota
	passable
	ideal
)

// catalogue is in the order in which Attacks lists it.
func catalogue() []attackKind {
	return []attackKind{
		{name: schemas.AttackCredentialStuffing, variants: []string{"single", "distributed", "thin"}, needs: []Role{RoleLogin}, build: buildStuffing},
		{name: schemas.AttackSlowLogin, variants: []string{"list", "one-user"}, needs: []Role{RoleLogin}, build: buildSlowLogin},
		{name: schemas.AttackObjectEnumeration, variants: []string{"sequential", "random"}, needs: []Role{RoleItem}, build: buildEnumeration},
		{name: schemas.AttackScraping, variants: []string{"user", "ip"}, needs: []Role{RoleCatalogue, RoleProduct}, build: buildScraping},
		{name: schemas.AttackProbing, variants: []string{"paths", "fuzz"}, build: buildProbing},
		{name: schemas.AttackSlowProbing, variants: []string{"paths"}, build: buildProbing},
		{name: schemas.AttackFunctionProbing, variants: []string{"user"}, needs: []Role{RoleAdminUsers}, build: buildFunctionProbing},
		{name: schemas.AttackExtremeClient, variants: []string{"user", "consumer"}, build: buildExtreme},
		{name: schemas.AttackIntervalAbuse, variants: []string{"user", "consumer"}, needs: []Role{RoleVerify}, build: buildInterval},
		{name: schemas.AttackDataExfiltration, variants: []string{"user", "boiling-frog"}, needs: []Role{RoleDownload}, build: buildExfiltration},
		{name: schemas.AttackAccountTakeover, variants: []string{"stolen-token", "cookie", "password"}, needs: []Role{RoleSubmit}, build: buildTakeover, fits: keepsCookies},
		{name: schemas.AttackSlowExfiltration, variants: []string{"user"}, needs: []Role{RoleDownload}, build: buildSlowExfiltration},
		{name: schemas.AttackDataDestruction, variants: []string{"delete", "overwrite"}, needs: []Role{RoleRemove, RoleUpdate}, build: buildDestruction},
		{name: schemas.AttackDataInjection, variants: []string{"bulk", "oversize"}, needs: []Role{RoleSubmit}, build: buildDataInjection},
		{name: schemas.AttackCodeInjection, variants: injections.Classes(), build: buildCodeInjection},
		{name: schemas.AttackExpensiveCalls, variants: []string{"user"}, needs: []Role{RoleReport}, build: buildExpensive},
		{name: schemas.AttackDistributedDoS, variants: []string{"shared-fingerprint", "one-provider", "residential"}, build: buildDoS, fits: isSearched},
		{name: schemas.AttackSequenceAbuse, variants: []string{"skip", "reorder"}, needs: []Role{RoleSubmit}, build: buildSequence},
		{name: schemas.AttackExcessiveExposure, variants: []string{"user"}, needs: []Role{RoleList}, build: buildExposure},
		{name: schemas.AttackRequestManipulation, variants: []string{"parameters", "types", "verbs", "duplicates", "headers"}, build: buildManipulation},
		{name: schemas.AttackDecoyHit, variants: []string{"user", "ip"}, build: buildDecoy, fits: hasDecoys},
		{name: schemas.AttackMisconfiguration, variants: []string{"open-route", "plain-http", "verbose-errors"}, needs: []Role{RoleList}, build: buildPosture, posture: true},
	}
}

// framings are attacks that try to have somebody else blocked.
func framings() []attackKind {
	return []attackKind{
		{name: "framing-xff", variants: []string{"ip"}, needs: []Role{RoleLogin}, build: buildFraming, label: schemas.AttackCredentialStuffing, framing: true},
		{name: "framing-login", variants: []string{"ip"}, needs: []Role{RoleLogin}, build: buildFraming, label: schemas.AttackCredentialStuffing, framing: true},
		{name: "framing-consumer", variants: []string{"ip"}, build: buildFraming, label: schemas.AttackProbing, framing: true},
	}
}

func namesOf(kinds []attackKind) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Attacks lists the names of the catalogue that AttackSpec.Name may have, in a
// fixed order.
func Attacks() []string { return namesOf(catalogue()) }

// Framings lists the further names that AttackSpec.Name may have: attacks whose
// aim is that somebody else is blocked for them. Generator.Victims says who that
// would be.
func Framings() []string { return namesOf(framings()) }

// Variants lists the variants of an attack or a framing, the default first; nil
// if there is no such attack.
func Variants(attack string) []string {
	for _, k := range append(catalogue(), framings()...) {
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
	victims []schemas.Entity
}

// attackUsers is the number of the first person who is an attacker; strangers
// are names tried at logins that nobody has.
const (
	attackUsers = 1 << 22
	strangers   = 1 << 40
)

func (g *Generator) addAttacks() error {
	kinds := append(catalogue(), framings()...)
	for i, spec := range g.cfg.Attacks {
		at := slices.IndexFunc(kinds, func(k attackKind) bool { return k.name == spec.Name })
		if at < 0 {
			return fmt.Errorf("%w: %q, want one of %v or %v", ErrUnknownAttack, spec.Name, Attacks(), Framings())
		}
		kind := kinds[at]
		variant := spec.Variant
		if variant == "" {
			variant = kind.variants[0]
		}
		if !slices.Contains(kind.variants, variant) {
			return fmt.Errorf("%w: %s has no variant %q, want one of %v", ErrUnknownAttack, spec.Name, variant, kind.variants)
		}
		target := g.sufferer(spec.API, &kind, variant)
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
		in := build()
		g.label(in, &kind)
		g.victims = append(g.victims, in.victims...)
		g.agents = append(g.agents, build().agents...)
	}
	return nil
}

// target is the first API that has the roles, or the one named if it has them.
func (g *Generator) target(name string, needs []Role) *api {
	for _, a := range g.apis {
		if (name == "" || string(a.name) == name) && a.has(needs...) {
			return a
		}
	}
	return nil
}

// sufferer is the API that an attack is for: the one named, or the first of
// those that suffer it best.
func (g *Generator) sufferer(name string, kind *attackKind, variant string) *api {
	var best *api
	var most fitness
	for _, a := range g.apis {
		if name != "" && string(a.name) != name || !a.has(kind.needs...) {
			continue
		}
		fit := ideal
		if kind.fits != nil {
			fit = kind.fits(a, variant)
		}
		if fit > most {
			best, most = a, fit
		}
	}
	return best
}

// label runs an instance's hostile agents to their end and notes whom their
// calls will be attributed to, and when.
func (g *Generator) label(in *instance, kind *attackKind) {
	name := kind.label
	if name == "" {
		name = kind.name
	}
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
			if kind.framing {
				// Whom the call claims to be is not who is to be blocked for it.
				ev.User, ev.Consumer, ev.Credential, ev.Session = nil, nil, nil, nil
			}
			key = features.AppendClientKey(key[:0], ev)
			if kind.posture {
				key = append(append(key[:0], "api:"...), ev.API...)
			}
			t := time.UnixMicro(ev.Time).UTC()
			i, ok := byKey[string(key)]
			if !ok {
				e := schemas.SplitEntity(string(key))
				i = len(g.labels)
				byKey[string(key)] = i
				g.labels = append(g.labels, schemas.Label{EntityType: e.Type, Entity: e.Value, Attack: name, Start: t, End: t})
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
