package eval

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// activeBlocks are the blocks in force, found by the calls that they refuse.
type activeBlocks struct {
	byKey map[string]*activeBlock // client keys and addresses
	// byEntry holds the same by key of the blocklist.
	byEntry map[string]*activeBlock
	now     time.Time      // of the newest call
	wide    []*activeBlock // cohorts: what many clients share
	all     []*activeBlock
	match   []*activeBlock
	part    []byte
}

// activeBlock is one entity's block.
type activeBlock struct {
	id, entity   string
	attack       string
	shared       bool // an address, a device or a cohort: more than one person may stand behind it
	conditions   []condition
	since, until time.Time
	hostile      int
	hit          bool
	people       map[string]bool // benign ones refused
}

func newActiveBlocks() activeBlocks {
	return activeBlocks{byKey: map[string]*activeBlock{}, byEntry: map[string]*activeBlock{}}
}

// condition is one property of the calls of a cohort.
type condition struct{ kind, value string }

// Kinds of conditions beside the entity types of the schema.
const (
	condAPI   = "api"
	condAgent = "ua"
)

// conditionsOf reads the entity of a verdict that is wider than one client; nil
// for clients.
func conditionsOf(v *schemas.Verdict) []condition {
	switch v.Entity.Type {
	case schemas.EntityNetwork, schemas.EntityASN, schemas.EntityJA4:
		return []condition{{condAPI, v.API}, {v.Entity.Type, v.Entity.Value}}
	case schemas.ScopeCohort:
		var out []condition // see schemas.AppendCohortValue
		for part := range strings.SplitSeq(v.Entity.Value, ",") {
			kind, value, _ := strings.Cut(part, "=")
			out = append(out, condition{kind, value})
		}
		return out
	}
	return nil
}

func (a *activeBlocks) holds(c condition, ev *schemas.Event) bool {
	switch c.kind {
	case schemas.EntityNetwork:
		a.part = features.AppendNetwork(a.part[:0], ev.ClientIP)
	case schemas.EntityASN:
		a.part = strconv.AppendInt(a.part[:0], ev.ASN, 10)
	case schemas.EntityJA4:
		return string(ev.JA4) == c.value
	case condAgent:
		// The family stands in where there is no fingerprint.
		return len(ev.JA4) == 0 && string(features.UserAgentFamily(ev.UserAgent)) == c.value
	case condAPI:
		return string(apiOf(ev)) == c.value
	default:
		return false
	}
	return string(a.part) == c.value
}

// add puts a block in force; one of the same entity is prolonged.
func (a *activeBlocks) add(v *schemas.Verdict, hit bool) {
	entity := v.Entity.String()
	if b := a.byKey[entity]; b != nil && !v.Time.After(b.until) {
		b.id, b.hit = v.ID, b.hit || hit
		if v.ExpiresAt.After(b.until) {
			b.until = v.ExpiresAt
		}
		return
	}
	b := &activeBlock{
		id: v.ID, entity: entity, attack: v.Attack, conditions: conditionsOf(v),
		since: v.Time, until: v.ExpiresAt, hit: hit, people: map[string]bool{},
	}
	b.shared = b.conditions != nil || v.Entity.Type == features.ClientIP || v.Entity.Type == features.ClientDevice
	a.byKey[entity] = b
	a.byEntry[schemas.BlockKey(v.Tenant, v.Entity.Type, v.Entity.Value)] = b
	a.all = append(a.all, b)
	if b.conditions != nil {
		a.wide = append(a.wide, b)
	}
}

// entry takes a change of the blocklist in: a block may be prolonged or lifted
// without a verdict of its own.
func (a *activeBlocks) entry(key string, e *schemas.BlockEntry) {
	b := a.byEntry[key]
	switch {
	case b == nil:
	case e != nil && e.Action == schemas.ActionBlock:
		b.until = e.ExpiresAt
	case a.now.Before(b.until):
		b.until = a.now
	}
}

// lift ends the block that a withdrawn verdict put in force.
func (a *activeBlocks) lift(v *schemas.Verdict) {
	if b := a.byKey[v.Entity.String()]; b != nil && b.id == v.ID {
		b.until = v.Time
	}
}

// of lists the blocks in force that refuse a call; the slice is reused.
func (a *activeBlocks) of(ev *schemas.Event, client []byte) []*activeBlock {
	a.match = a.match[:0]
	a.now = time.UnixMicro(ev.Time)
	if len(a.byKey) == 0 {
		return nil
	}
	at := a.now
	take := func(b *activeBlock) {
		if b != nil && at.After(b.since) && at.Before(b.until) {
			a.match = append(a.match, b)
		}
	}
	take(a.byKey[string(client)])
	if !bytes.HasPrefix(client, []byte(features.ClientIP+":")) {
		a.part = append(append(a.part[:0], features.ClientIP+":"...), ev.ClientIP...)
		take(a.byKey[string(a.part)])
	}
	for _, b := range a.wide {
		all := len(b.conditions) > 0
		for _, c := range b.conditions {
			all = all && a.holds(c, ev)
		}
		if all {
			take(b)
		}
	}
	return a.match
}

// refuse notes that a block refused a benign caller.
func (b *activeBlock) refuse(c Caller, key []byte) {
	if c.Person >= 0 {
		b.people[strconv.Itoa(c.Person)] = true
		return
	}
	b.people[string(key)] = true
}
