package simulate

import (
	"strconv"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// FloodGenerator yields a cardinality flood; see Flood.
type FloodGenerator struct {
	seed     uint64
	n        int
	start    int64
	duration float64

	next   int
	second bool // the key at next has a second request to make
	seq    uint64
	buf    []byte
}

// Flood is traffic that does nothing but use up identities: n distinct client
// keys (addresses), each of which makes one request, or for every third a
// second one before the next key appears. Keys are spread evenly over the
// duration, in order of time. The first 2^24 addresses are in 10.0.0.0/8, the
// rest in 2001:db8::/32.
func Flood(seed uint64, n int, start time.Time, duration time.Duration) *FloodGenerator {
	return &FloodGenerator{
		seed: seed, n: n, start: start.UnixMicro(),
		duration: float64(duration.Microseconds()), buf: make([]byte, 0, 256),
	}
}

var floodPaths = [][]byte{
	[]byte("/v1/summary"), []byte("/v1/accounts"), []byte("/v1/payees"), []byte("/v1/cards"),
}

// Next fills ev with the next event and returns true, or returns false after
// the last. Text in ev is valid until the next call.
func (f *FloodGenerator) Next(ev *schemas.Event) bool {
	if f.next >= f.n {
		return false
	}
	h := derive(f.seed, domainFlood, uint64(f.next))
	position := float64(f.next)
	if f.second {
		position += .5
	}
	ev.Reset()
	f.buf = strconv.AppendUint(append(f.buf[:0], "flood-"...), f.seq, 10)
	ev.ID = f.buf
	from := len(f.buf)
	f.buf = appendFloodAddress(f.buf, f.seed, uint64(f.next))
	ev.ClientIP = f.buf[from:]
	ev.Time = f.start + int64(f.duration*position/float64(f.n))
	ev.API, ev.Method, ev.Scheme = bankName, getMethod, https
	ev.Path = floodPaths[h%uint64(len(floodPaths))]
	ev.Status, ev.ReqBytes, ev.RespBytes, ev.DurationUS = 401, 0, 120, int64(1000+h>>32%4000)
	f.seq++
	if f.second = !f.second && h>>8%3 == 0; !f.second {
		f.next++
	}
	return true
}

var (
	bankName  = []byte("bank")
	getMethod = []byte("GET")
)

// appendFloodAddress gives every k another address. The multiplier is odd, so
// that it permutes the 24 bits of 10.0.0.0/8.
func appendFloodAddress(dst []byte, seed, k uint64) []byte {
	const bits = 24
	if k < 1<<bits {
		return v4(10<<24 | uint32((k*scatterMul+seed)&(1<<bits-1))).AppendTo(dst)
	}
	dst = append(dst, "2001:db8:"...)
	dst = appendPlainHex(dst, k>>32&0xffff)
	dst = append(dst, ':')
	dst = appendPlainHex(dst, k>>16&0xffff)
	dst = append(dst, ':')
	dst = appendPlainHex(dst, k&0xffff)
	return append(dst, "::1"...)
}

func appendPlainHex(dst []byte, x uint64) []byte { return strconv.AppendUint(dst, x, 16) }
