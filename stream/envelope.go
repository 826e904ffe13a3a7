package stream

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A snapshot record holds a shard, or a chunk of one, in this form; integers
// are unsigned varints unless a size is given:
//
//	version  1 byte, snapshotVersion
//	hash     length, bytes                  Config.ConfigHash
//	set      8 bytes big endian             the same in all chunks of one snapshot
//	index    chunk number, from 0
//	count    number of chunks, at least 1
//	topics   number, then for each: name length, name, next, resume
//	data     length, bytes
//	crc      4 bytes big endian             CRC-32C of everything before it
//
// A snapshot of one chunk has the key <group>/<partition>/<shard>. One of
// several has the keys <group>/<partition>/<shard>/<slot>/<index>, where slot
// is a or b in turn: compaction then never removes a chunk of the last complete
// set in favour of one that a crash left incomplete.
const snapshotVersion = 1

// maxChunk keeps a chunk below the 1 MB that brokers and clients accept by
// default, with room for the envelope and batch overhead.
const maxChunk = 900 << 10

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// envelope is one snapshot record, decoded.
type envelope struct {
	configHash   string
	set          uint64
	index, count int
	next, resume map[string]int64
	data         []byte // aliases the record it was decoded from
}

// appendTo encodes e. next and resume must have the same keys.
func (e *envelope) appendTo(dst []byte) []byte {
	begin := len(dst)
	dst = append(dst, snapshotVersion)
	dst = appendString(dst, e.configHash)
	dst = binary.BigEndian.AppendUint64(dst, e.set)
	dst = binary.AppendUvarint(dst, uint64(e.index))
	dst = binary.AppendUvarint(dst, uint64(e.count))
	dst = binary.AppendUvarint(dst, uint64(len(e.next)))
	for _, topic := range slices.Sorted(maps.Keys(e.next)) {
		dst = appendString(dst, topic)
		dst = binary.AppendUvarint(dst, uint64(e.next[topic]))
		dst = binary.AppendUvarint(dst, uint64(e.resume[topic]))
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.data)))
	dst = append(dst, e.data...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[begin:], crcTable))
}

// decodeEnvelope decodes a snapshot record. The result aliases b.
func decodeEnvelope(b []byte) (envelope, error) {
	var e envelope
	if len(b) == 0 {
		return e, fmt.Errorf("%w: empty record", ErrSnapshotCorrupt)
	}
	if b[0] != snapshotVersion {
		return e, fmt.Errorf("%w: %d, this program knows %d", ErrSnapshotVersion, b[0], snapshotVersion)
	}
	if len(b) < 5 {
		return e, fmt.Errorf("%w: %d bytes", ErrSnapshotCorrupt, len(b))
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, crcTable) != sum {
		return e, fmt.Errorf("%w: checksum differs", ErrSnapshotCorrupt)
	}
	d := decoder{b: body[1:]}
	e.configHash = string(d.bytes())
	e.set = d.uint64()
	e.index, e.count = int(d.varint(1<<20)), int(d.varint(1<<20))
	topics := int(d.varint(1 << 10))
	e.next, e.resume = make(map[string]int64, topics), make(map[string]int64, topics)
	for range topics {
		topic := string(d.bytes())
		next, resume := int64(d.varint(1<<62)), int64(d.varint(1<<62))
		if d.bad || resume > next {
			return e, fmt.Errorf("%w: offsets of topic %q", ErrSnapshotCorrupt, topic)
		}
		e.next[topic], e.resume[topic] = next, resume
	}
	e.data = d.bytes()
	if d.bad || len(d.b) != 0 || e.count < 1 || e.index >= e.count || len(e.next) != topics {
		return e, fmt.Errorf("%w: fields do not fit", ErrSnapshotCorrupt)
	}
	return e, nil
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// decoder reads fields until one does not fit; from then on it reads zeros and
// is bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) varint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > limit {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	if d.bad || len(d.b) < 8 {
		d.bad = true
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.varint(1 << 31)
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// snapshotKey identifies a snapshot record within its group and partition.
type snapshotKey struct {
	shard int
	slot  byte // 0 for a snapshot of one chunk, else 'a' or 'b'
	index int  // chunk number, 0 for a snapshot of one chunk
}

func (k snapshotKey) appendTo(dst []byte, group string, partition int32) []byte {
	dst = append(dst, group...)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(partition), 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(k.shard), 10)
	if k.slot != 0 {
		dst = append(dst, '/', k.slot, '/')
		dst = strconv.AppendInt(dst, int64(k.index), 10)
	}
	return dst
}

// parseSnapshotKey returns false for a key of another group or partition: the
// state topic may be shared.
func parseSnapshotKey(key, group string, partition int32) (k snapshotKey, ok bool) {
	rest, ok := strings.CutPrefix(key, group+"/"+strconv.Itoa(int(partition))+"/")
	if !ok {
		return k, false
	}
	number := func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= 0 && strconv.Itoa(n) == s
	}
	parts := strings.Split(rest, "/")
	switch {
	case len(parts) == 1:
	case len(parts) == 3 && (parts[1] == "a" || parts[1] == "b"):
		k.slot = parts[1][0]
		if k.index, ok = number(parts[2]); !ok {
			return k, false
		}
	default:
		return k, false
	}
	k.shard, ok = number(parts[0])
	return k, ok
}
