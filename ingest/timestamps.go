package ingest

// Times are microseconds since 1970 UTC.
const (
	microsecond = 1
	second      = 1_000_000 * microsecond
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
	// maxTime is what an encoded event can hold: nanoseconds in 64 bits.
	maxTime = (1<<63 - 1) / 1000
)

// daysFromCivil counts the days from 1970-01-01 to a date of the Gregorian
// calendar.
func daysFromCivil(y, m, d int64) int64 {
	// Years start in March here, so that the leap day is the last of its year.
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

func daysInMonth(y, m int64) int64 {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// two reads two digits; a value over 99 says that they are none.
func two(b []byte) int64 {
	a, c := b[0]-'0', b[1]-'0'
	if a > 9 || c > 9 {
		return 1 << 20
	}
	return int64(a)*10 + int64(c)
}

// month numbers an English month abbreviation; 0 if it is none.
func month(b []byte) int64 {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for i := 0; i < len(names); i += 3 {
		if b[0] == names[i] && b[1] == names[i+1] && b[2] == names[i+2] {
			return int64(i/3) + 1
		}
	}
	return 0
}

// clfClock reads access-log time stamps, "02/Jan/2006:15:04:05 -0700". Lines of
// one file mostly share day and zone, so it remembers the last ones it worked
// out.
type clfClock struct {
	date [11]byte
	zone [5]byte
	base int64 // midnight of date in zone
}

// parse reads one time stamp, with an optional fraction after the seconds.
func (c *clfClock) parse(b []byte) (int64, bool) {
	if len(b) < 26 || b[11] != ':' || b[14] != ':' || b[17] != ':' {
		return 0, false
	}
	h, m, s := two(b[12:]), two(b[15:]), two(b[18:])
	if h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	rest := b[20:]
	var micros int64
	if rest[0] == '.' || rest[0] == ',' {
		var n int
		if micros, n = fraction(rest[1:]); n == 0 {
			return 0, false
		}
		rest = rest[1+n:]
	}
	if len(rest) != 6 || rest[0] != ' ' {
		return 0, false
	}
	if c.base == 0 || [11]byte(b[:11]) != c.date || [5]byte(rest[1:]) != c.zone {
		base, ok := clfMidnight(b[:11], rest[1:])
		if !ok {
			return 0, false
		}
		c.base = base
		copy(c.date[:], b)
		copy(c.zone[:], rest[1:])
	}
	return c.base + h*hour + m*minute + s*second + micros, true
}

func clfMidnight(date, zone []byte) (int64, bool) {
	d, m := two(date), month(date[3:])
	y := two(date[7:])*100 + two(date[9:])
	if date[2] != '/' || date[6] != '/' || m == 0 || y < 1970 || y > 9999 || d < 1 || d > daysInMonth(y, m) {
		return 0, false
	}
	offset, ok := zoneOffset(zone)
	return daysFromCivil(y, m, d)*day - offset, ok
}

// zoneOffset reads +hhmm or +hh:mm.
func zoneOffset(b []byte) (int64, bool) {
	if len(b) == 6 && b[3] == ':' {
		b = append(append(make([]byte, 0, 5), b[:3]...), b[4:]...)
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, m := two(b[1:]), two(b[3:])
	if h > 23 || m > 59 {
		return 0, false
	}
	offset := h*hour + m*minute
	if b[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// fraction reads the digits of a fraction of a second and tells how many there
// were; those below a microsecond are cut.
func fraction(b []byte) (micros int64, n int) {
	scale := int64(100_000)
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		micros += int64(b[n]-'0') * scale
		scale /= 10
		n++
	}
	return micros, n
}

// parseRFC3339 reads "2006-01-02T15:04:05.999999999Z07:00"; a space may stand
// for the T, and the zone's colon may be missing.
func parseRFC3339(b []byte) (int64, bool) {
	if len(b) < 20 || b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	if b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return 0, false
	}
	y, mo, d := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	h, m, s := two(b[11:]), two(b[14:]), two(b[17:])
	if y < 1970 || y > 9999 || mo < 1 || mo > 12 || d < 1 || d > daysInMonth(y, mo) || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	t := daysFromCivil(y, mo, d)*day + h*hour + m*minute + s*second
	rest := b[19:]
	if rest[0] == '.' || rest[0] == ',' {
		micros, n := fraction(rest[1:])
		if n == 0 {
			return 0, false
		}
		t += micros
		rest = rest[1+n:]
	}
	if len(rest) == 1 && (rest[0] == 'Z' || rest[0] == 'z') {
		return t, true
	}
	offset, ok := zoneOffset(rest)
	return t - offset, ok
}
