package simulate

import "strconv"

// scatterBits is the size of the space over which scattered numbers are
// spread. Multiplying by an odd constant modulo a power of two is a
// permutation, so two owners never meet in one number.
const (
	scatterBits = 26
	scatterMul  = 0x9e3779b1
)

// owned is the number of the j-th object of a user.
func (o *objects) owned(user, j uint64) uint64 {
	n := user*o.PerUser + j%o.PerUser
	if o.Scatter {
		n = n * scatterMul & (1<<scatterBits - 1)
	}
	return n
}

// appendID writes an object's number as the API writes its ids.
func (o *objects) appendID(dst []byte, n uint64) []byte {
	switch o.Style {
	case IDUUID:
		return appendUUID(dst, mix(n+o.Base), mix(n^o.Base<<1^0x5851f42d4c957f2d))
	case IDCode:
		dst = append(dst, "SKU-"...)
		n += o.Base
		for limit := uint64(100_000); limit > 1 && n < limit; limit /= 10 {
			dst = append(dst, '0')
		}
		return strconv.AppendUint(dst, n, 10)
	case IDWord:
		return append(dst, o.words[n%uint64(len(o.words))]...)
	}
	return strconv.AppendUint(dst, o.Base+n, 10)
}

const hexDigits = "0123456789abcdef"

// appendHex writes the low n hex digits of x.
func appendHex(dst []byte, x uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, hexDigits[x>>(4*i)&15])
	}
	return dst
}

func appendUUID(dst []byte, hi, lo uint64) []byte {
	dst = appendHex(dst, hi>>32, 8)
	dst = append(dst, '-')
	dst = appendHex(dst, hi>>16, 4)
	dst = append(dst, '-', '4')
	dst = appendHex(dst, hi, 3)
	dst = append(dst, '-')
	dst = append(dst, hexDigits[8+lo>>62])
	dst = appendHex(dst, lo>>48, 3)
	dst = append(dst, '-')
	return appendHex(dst, lo, 12)
}
