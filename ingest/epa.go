package ingest

import (
	"bytes"
	"fmt"
	"time"
)

// epa reads the oldest web logs still passed around: host, a time stamp without
// month, year or zone, the request with its quotes as they came, status, bytes.
type epa struct {
	base int64 // first instant of the base month
	days int64 // days in it
}

func newEPA(o *Options) (parser, error) {
	base := o.BaseMonth
	if base.IsZero() {
		base = time.Date(1995, time.August, 1, 0, 0, 0, 0, time.FixedZone("", -4*3600))
	}
	y, m, _ := base.Date()
	first := time.Date(y, m, 1, 0, 0, 0, 0, base.Location())
	if first.UnixMicro() < 0 {
		return nil, fmt.Errorf("base month %s is before 1970", first.Format("2006-01"))
	}
	return &epa{base: first.UnixMicro(), days: daysInMonth(int64(y), int64(m))}, nil
}

func (e *epa) parse(line []byte, f *filler) error {
	line = trimWrapping(line)
	// host [DD:HH:MM:SS] "
	host, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(host) == 0 || len(rest) < 16 || rest[0] != '[' || string(rest[12:15]) != `] "` {
		return errNoMatch
	}
	stamp := rest[1:12]
	if stamp[2] != ':' || stamp[5] != ':' || stamp[8] != ':' {
		return errNoMatch
	}
	d, h, m, s := two(stamp), two(stamp[3:]), two(stamp[6:]), two(stamp[9:])
	if d < 1 || d > e.days || h > 23 || m > 59 || s > 60 {
		return errBadTime
	}
	f.ev.Time = e.base + (d-1)*day + h*hour + m*minute + s*second
	f.setText(&f.ev.ClientIP, host)

	// Nothing follows the two numbers, and the request may hold bare quotes: its
	// end is the last one.
	rest = rest[15:]
	end := bytes.LastIndexByte(rest, '"')
	if end < 0 || end+1 >= len(rest) || rest[end+1] != ' ' {
		return errNoMatch
	}
	f.setRequestLine(rest[:end])
	rest, err := f.setStatusBytes(rest[end+2:])
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errNoMatch
	}
	return nil
}

// unitShift is the power of ten from a unit to microseconds; -1 for no unit.
func unitShift(unit string) (int, error) {
	switch unit {
	case "":
		return -1, nil
	case "us":
		return 0, nil
	case "ms":
		return 3, nil
	case "s":
		return 6, nil
	}
	return 0, fmt.Errorf("unit %q of the extra field is none of us, ms, s", unit)
}
