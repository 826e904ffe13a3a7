package schemas

import "time"

// maxTime is the last microsecond that still fits a count of nanoseconds in 64
// bits (2262-04-11T23:47:16.854775Z): no reader of an Event can overflow by
// converting its time.
const maxTime = (1<<63 - 1) / 1000

// parseTime reads RFC 3339 with any offset into microseconds since 1970 UTC;
// finer digits are dropped. It is as strict as time.Time.UnmarshalText, and
// besides refuses times outside 1970 and maxTime.
func parseTime(b []byte) (us int64, ok bool) {
	const shape = "2006-01-02T15:04:05"
	if len(b) < len(shape)+1 ||
		b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	century, ok1 := twoDigits(b[0:])
	year, ok2 := twoDigits(b[2:])
	month, ok3 := twoDigits(b[5:])
	day, ok4 := twoDigits(b[8:])
	hour, ok5 := twoDigits(b[11:])
	minute, ok6 := twoDigits(b[14:])
	second, ok7 := twoDigits(b[17:])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) {
		return 0, false
	}
	year += 100 * century
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	us = ((daysSince1970(year, month, day)*24+hour)*60+minute)*60 + second
	us *= 1_000_000
	b = b[len(shape):]

	if b[0] == '.' {
		i, unit := 1, int64(100_000)
		for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
			us += int64(b[i]-'0') * unit
			unit /= 10
		}
		if i == 1 {
			return 0, false
		}
		b = b[i:]
	}

	switch {
	case len(b) == 1 && b[0] == 'Z':
	case len(b) == len("+07:00") && (b[0] == '+' || b[0] == '-') && b[3] == ':':
		h, ok1 := twoDigits(b[1:])
		m, ok2 := twoDigits(b[4:])
		if !ok1 || !ok2 || h > 23 || m > 59 {
			return 0, false
		}
		offset := (h*60 + m) * 60_000_000
		if b[0] == '+' {
			offset = -offset
		}
		us += offset
	default:
		return 0, false
	}
	return us, us >= 0 && us <= maxTime
}

// appendTime writes microseconds since 1970 as RFC 3339 in UTC.
func appendTime(dst []byte, us int64) []byte {
	return time.UnixMicro(us).UTC().AppendFormat(dst, time.RFC3339Nano)
}

func twoDigits(b []byte) (int64, bool) {
	hi, lo := b[0]-'0', b[1]-'0'
	return int64(hi)*10 + int64(lo), hi <= 9 && lo <= 9
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days in the proleptic Gregorian calendar. It starts the
// year in March, so that the leap day is the last of its year and the lengths
// of the months before a given one follow a straight line.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	inYear := (153*(month-3)+2)/5 + day - 1
	const from0000To1970 = 719_468 // 0000-03-01 to 1970-01-01
	return year*365 + year/4 - year/100 + year/400 + inYear - from0000To1970
}
