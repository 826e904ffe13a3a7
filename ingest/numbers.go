package ingest

import (
	"math"
	"strconv"
)

// parseUint reads decimal digits; ok is false for anything else, for an empty
// text and for more than 18 digits.
func parseUint(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}

var pow10 = [...]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// maxScaled bounds scaled numbers: past the year 9999 in microseconds.
const maxScaled = 1 << 60

// parseScaled reads a decimal number and returns it times 10^shift, rounded half
// away from zero: shift 6 turns seconds into microseconds without the detour,
// and the error, of a binary fraction.
func parseScaled(b []byte, shift int) (n int64, ok bool) {
	i, neg := 0, false
	if len(b) > 0 && b[0] == '-' {
		neg, i = true, 1
	}
	start := i
	digits, frac, dot, up := 0, 0, false, false
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			// Digits below the unit wanted cannot matter, but for rounding.
			if dot && frac >= shift && frac >= 0 && shift >= 0 {
				if frac == shift {
					up = c >= '5'
				}
				frac++
				continue
			}
			if digits++; digits > 18 {
				return 0, false
			}
			n = n*10 + int64(c-'0')
			if dot {
				frac++
			}
		case c == '.' && !dot && i > start:
			dot = true
		case (c == 'e' || c == 'E') && i > start:
			return parseExponent(b, shift)
		default:
			return 0, false
		}
	}
	if i == start || b[i-1] == '.' {
		return 0, false
	}
	if shift >= 0 {
		frac = min(frac, shift)
	}
	switch d := shift - frac; {
	case d > 0:
		if n > maxScaled/pow10[d] {
			return 0, false
		}
		n *= pow10[d]
	case d < 0:
		if -d >= len(pow10) {
			return 0, false
		}
		n = (n + pow10[-d]/2) / pow10[-d]
	}
	if up {
		n++
	}
	if n > maxScaled {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}

// parseExponent is the rare notation, where a float is good enough.
func parseExponent(b []byte, shift int) (int64, bool) {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, false
	}
	f *= math.Pow(10, float64(shift))
	if math.IsNaN(f) || math.Abs(f) > maxScaled {
		return 0, false
	}
	return int64(math.Round(f)), true
}
