package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/maphash"
)

// Kind separates pseudonyms by what they stand for, so that a user named like a
// session id is not taken for it. A user and a user name tried at a login share
// one kind, because whoever tries a name is compared with whoever owns it.
type Kind byte

// Kinds of secrets.
const (
	KindUser       Kind = 'u'
	KindCredential Kind = 'c'
	KindSession    Kind = 's'
)

// PseudonymLen is the length of a pseudonym: 16 bytes of HMAC-SHA-256, in hex.
const PseudonymLen = 32

// hashSlots bounds a Hasher's memory of recent pseudonyms (56 B each).
const hashSlots = 2048

// Hasher makes pseudonyms. It is not safe for concurrent use; it remembers
// recent ones, because most calls come from callers seen a moment ago.
type Hasher struct {
	mac   hash.Hash
	sum   [sha256.Size]byte
	kind  [1]byte
	seeds [2]maphash.Seed
	slots []hashSlot
}

// hashSlot remembers a secret by 128 bits of two independently seeded hashes,
// not by its text: a dump of the cache does not give the secret away, and a
// mix-up is out of reach, by accident or by choice of input.
type hashSlot struct {
	a, b uint64
	text [PseudonymLen]byte
}

// NewHasher returns a Hasher under key, which must not be the zero Key.
func NewHasher(key Key) *Hasher {
	return &Hasher{
		mac:   hmac.New(sha256.New, key.secret),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// Append appends the pseudonym of a secret to dst: PseudonymLen hex digits, the
// same for the same key, kind and secret everywhere.
func (h *Hasher) Append(dst []byte, kind Kind, secret []byte) []byte {
	if h.slots == nil {
		// Made on first use: most files hold nothing to hash.
		h.slots = make([]hashSlot, hashSlots)
	}
	a := maphash.Bytes(h.seeds[0], secret) ^ uint64(kind)*0x9E3779B97F4A7C15
	b := maphash.Bytes(h.seeds[1], secret)
	slot := &h.slots[a%hashSlots]
	if slot.a != a || slot.b != b || slot.text[0] == 0 {
		h.kind[0] = byte(kind)
		h.mac.Reset()
		h.mac.Write(h.kind[:])
		h.mac.Write(secret)
		sum := h.mac.Sum(h.sum[:0])
		slot.a, slot.b = a, b
		hex.Encode(slot.text[:], sum[:PseudonymLen/2])
	}
	return append(dst, slot.text[:]...)
}
