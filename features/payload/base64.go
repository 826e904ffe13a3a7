package payload

// minBase64 is the shortest text that is tried as base64: shorter ones decode to
// printable bytes by chance.
const minBase64 = 16

var base64Digit = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = int8(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// judgeBase64 judges what value says in base64, if it says anything: the first
// bytes must decode to printable ones, which random tokens do not.
func (d *Detector) judgeBase64(s *Scratch, value []byte, depth int) bool {
	end := len(value)
	for end > 0 && value[end-1] == '=' {
		end--
	}
	if len(value)-end > 2 || end < minBase64 || end%4 == 1 {
		return false
	}
	value = value[:end]
	var head [12]byte
	if n := unbase64(head[:], value[:16]); n < 12 || !printable(head[:]) {
		return false
	}
	out := s.layers[depth][:]
	n := unbase64(out, value)
	if n < end*3/4 {
		return false
	}
	odd := 0
	for _, c := range out[:n] {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			odd++
		}
	}
	if odd*20 > n {
		return false
	}
	d.judge(s, out[:n], depth+1, isText)
	return true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// unbase64 decodes to the first byte that is no digit.
func unbase64(dst, src []byte) int {
	n := 0
	var acc uint32
	bits := 0
	for _, c := range src {
		v := base64Digit[c]
		if v < 0 {
			break
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			dst[n] = byte(acc >> bits)
			n++
		}
	}
	return n
}
