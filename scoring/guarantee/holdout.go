package guarantee

import "github.com/dchest/siphash"

// HeldOut tells whether a would-be block is let through in order to learn
// whether it would have been right: the share of verdict ids that a keyed hash
// picks. The same id is held out again and again, and who does not know the key
// cannot choose an id that is. A share of 0, the default, holds nothing out.
func HeldOut(key [2]uint64, verdict []byte, share float64) bool {
	return Uniform(key, verdict) < share
}

// Uniform is a number in [0, 1) that an id and a key determine (SipHash-2-4): the
// chance of everything here that needs some, the same in every replay.
func Uniform(key [2]uint64, id []byte) float64 {
	return float64(siphash.Hash(key[0], key[1], id)>>11) / (1 << 53)
}
