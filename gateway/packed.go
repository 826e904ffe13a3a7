package gateway

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// packed is one entry in a single immutable string: a fixed header, then the
// value as the record's key spells it, verdict id, attack and reason. An entry
// whose canonical id differs from its value ends with the id and its length.
//
// One string per entry costs one allocation while a follower reads the log and
// one object for the garbage collector to mark. It is a string and not a slice
// because its parts can be handed out as substrings, without copying and without
// a reader being able to change them.
type packed string

// Offsets in packed, little endian.
const (
	packedExpires    = 0  // int64, µs
	packedCreated    = 8  // int64, µs
	packedOffset     = 16 // int64, position in the log
	packedConfidence = 24 // float64 bits
	packedAction     = 32 // one byte: index in packedActions, and packedHasID
	packedValueLen   = 33 // uint16
	packedIDLen      = 35 // uint16
	packedAttackLen  = 37 // uint16
	packedHeader     = 39 // the reason is what remains
)

// packedHasID marks an entry that ends with its id.
const packedHasID = 0x80

var packedActions = [...]schemas.Action{
	schemas.ActionObserve, schemas.ActionThrottle, schemas.ActionChallenge,
	schemas.ActionBlock, schemas.AllowAction,
}

// actionCode is the index in packedActions, -1 for an unknown action.
func actionCode(a schemas.Action) int {
	for i, known := range packedActions {
		if a == known {
			return i
		}
	}
	return -1
}

// appendPacked appends the packed form of an entry to dst. id is the canonical
// form of value. The caller has checked the action and that no part is longer
// than 65535 bytes.
func appendPacked(dst, value, id []byte, offset int64, e *rawEntry) []byte {
	action := byte(actionCode(e.action))
	respelt := string(value) != string(id)
	if respelt {
		action |= packedHasID
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.expires))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.created))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(offset))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.confidence))
	dst = append(dst, action)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(value)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.verdictID)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.attack)))
	dst = append(dst, value...)
	dst = append(dst, e.verdictID...)
	dst = append(dst, e.attack...)
	dst = append(dst, e.reason...)
	if respelt {
		dst = append(dst, id...)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(id)))
	}
	return dst
}

func (p packed) u64(i int) uint64 {
	_ = p[i+7]
	return uint64(p[i]) | uint64(p[i+1])<<8 | uint64(p[i+2])<<16 | uint64(p[i+3])<<24 |
		uint64(p[i+4])<<32 | uint64(p[i+5])<<40 | uint64(p[i+6])<<48 | uint64(p[i+7])<<56
}

func (p packed) u16(i int) int { return int(p[i]) | int(p[i+1])<<8 }

func (p packed) expires() int64         { return int64(p.u64(packedExpires)) }
func (p packed) offset() int64          { return int64(p.u64(packedOffset)) }
func (p packed) action() schemas.Action { return packedActions[p[packedAction]&^packedHasID] }
func (p packed) value() string {
	return string(p[packedHeader : packedHeader+p.u16(packedValueLen)])
}

// id is the canonical form of the value: what lookups ask for.
func (p packed) id() string {
	if p[packedAction]&packedHasID == 0 {
		return p.value()
	}
	return string(p[p.end() : len(p)-2])
}

// end is where the reason ends.
func (p packed) end() int {
	if p[packedAction]&packedHasID == 0 {
		return len(p)
	}
	return len(p) - 2 - p.u16(len(p)-2)
}

// entry unpacks without allocating: the text aliases p.
func (p packed) entry() schemas.BlockEntry {
	id := packedHeader + p.u16(packedValueLen)
	attack := id + p.u16(packedIDLen)
	reason := attack + p.u16(packedAttackLen)
	return schemas.BlockEntry{
		VerdictID:  string(p[id:attack]),
		Action:     p.action(),
		Attack:     string(p[attack:reason]),
		Confidence: math.Float64frombits(p.u64(packedConfidence)),
		Reason:     string(p[reason:p.end()]),
		Created:    time.UnixMicro(int64(p.u64(packedCreated))).UTC(),
		ExpiresAt:  time.UnixMicro(p.expires()).UTC(),
	}
}
