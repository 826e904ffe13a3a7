package scoring

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weir-dev/weir/internal/slab"
)

const snapshotVersion = 2

// ErrSnapshot says that a snapshot cannot be read: torn, or of another version.
var ErrSnapshot = errors.New("scoring snapshot")

// AppendSnapshot appends one shard's evidence to dst.
func (s *Scorer) AppendSnapshot(dst []byte, shard int) []byte {
	sh := &s.shards[shard]
	dst = append(dst, snapshotVersion, byte(len(s.cfg.Model.Version)))
	dst = append(dst, s.cfg.Model.Version...)
	dst = binary.AppendUvarint(dst, uint64(sh.clients.Len()))
	sh.clients.All(func(k slab.Key, isProtected bool, ev *Evidence) bool {
		dst = binary.LittleEndian.AppendUint64(dst, k.Hi)
		dst = binary.LittleEndian.AppendUint64(dst, k.Lo)
		flag := byte(0)
		if isProtected {
			flag = 1
		}
		dst = ev.append(append(dst, flag))
		return true
	})
	if shard == 0 {
		dst = s.guard.append(dst)
	}
	return dst
}

// RestoreSnapshot loads one shard; records at offsets below resume are in it.
// Evidence gathered under another model is kept: a model changes what windows
// mean from now on, not what was seen.
func (s *Scorer) RestoreSnapshot(shard int, data []byte, resume int64) error {
	torn := fmt.Errorf("%w: shard %d is torn", ErrSnapshot, shard)
	if len(data) < 2 || data[0] != snapshotVersion {
		return fmt.Errorf("%w: shard %d: want version %d", ErrSnapshot, shard, snapshotVersion)
	}
	version := int(data[1])
	if data = data[2:]; len(data) < version {
		return torn
	}
	n, k := binary.Uvarint(data[version:])
	if k <= 0 {
		return torn
	}
	data = data[version+k:]
	clients := slab.New[Evidence](s.cfg.Clients / s.cfg.Shards)
	for range n {
		if len(data) < 17 {
			return torn
		}
		key := slab.Key{Hi: binary.LittleEndian.Uint64(data), Lo: binary.LittleEndian.Uint64(data[8:])}
		isProtected := data[16] == 1
		var ev Evidence
		rest, err := ev.decode(data[17:])
		if err != nil || clients.Peek(key) != nil {
			return torn
		}
		data = rest
		*clients.Put(key, nil) = ev
		if isProtected {
			clients.Promote(key)
		}
	}
	if shard == 0 {
		if err := s.guard.restore(data); err != nil {
			return err
		}
	} else if len(data) > 0 {
		return torn
	}
	s.shards[shard] = scorerShard{resume: resume, clients: clients}
	return nil
}

func appendInt(b []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(v)) }

func takeInt(b []byte) (int64, []byte) { return int64(binary.LittleEndian.Uint64(b)), b[8:] }
