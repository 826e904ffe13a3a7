package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/weir-dev/weir/schemas"
)

// ErrEntry says that a blocklist record's value is not a usable BlockEntry.
var ErrEntry = errors.New("blocklist value is not a valid entry")

// maxValueBytes bounds one record's value: an entry is a few hundred bytes, and
// whatever is far larger is not an entry.
const maxValueBytes = 64 << 10

// rawEntry is a decoded BlockEntry whose text aliases the record it came from
// or the decoder's scratch. Times are microseconds since 1970.
type rawEntry struct {
	verdictID, attack, reason []byte
	action                    schemas.Action
	confidence                float64
	created, expires          int64
}

// zeroTime is time.Time{} in microseconds since 1970, what an absent time
// decodes to.
const zeroTime = -62135596800 * 1_000_000

// entryDecoder decodes BlockEntry values. It reuses its scratch: a result is
// valid until the next decode. Not safe for concurrent use.
type entryDecoder struct{ scratch []byte }

// decode reads a BlockEntry. The common shape goes through a scanner written
// for it, an order of magnitude faster than encoding/json, because a follower
// reads a million of them before it is ready; whatever the scanner does not
// know goes through encoding/json, which has the last word on what is valid.
func (d *entryDecoder) decode(value []byte, e *rawEntry) error {
	if len(value) > maxValueBytes {
		return fmt.Errorf("%w: %d bytes", ErrEntry, len(value))
	}
	if d.scan(value, e) {
		return nil
	}
	var b schemas.BlockEntry
	if err := json.Unmarshal(value, &b); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	*e = rawEntry{
		verdictID: []byte(b.VerdictID), attack: []byte(b.Attack), reason: []byte(b.Reason),
		action: b.Action, confidence: b.Confidence,
		created: b.Created.UnixMicro(), expires: b.ExpiresAt.UnixMicro(),
	}
	return nil
}

// Bits of the members seen, so that a repeated member falls back.
const (
	seenID = 1 << iota
	seenAction
	seenAttack
	seenConfidence
	seenReason
	seenCreated
	seenExpires
)

// scan decodes the compact form that encoding/json and the project's writers
// produce. False means "not that form", not "invalid".
func (d *entryDecoder) scan(v []byte, e *rawEntry) bool {
	*e = rawEntry{created: zeroTime, expires: zeroTime}
	d.scratch = d.scratch[:0]
	if len(v) < 2 || v[0] != '{' || v[len(v)-1] != '}' {
		return false
	}
	v = v[1:]
	seen := 0
	for {
		var name []byte
		var ok bool
		if name, v, ok = d.text(v); !ok || len(v) == 0 || v[0] != ':' {
			return false
		}
		v = v[1:]
		var bit int
		switch string(name) {
		case "verdict_id":
			bit = seenID
			e.verdictID, v, ok = d.text(v)
		case "action":
			bit = seenAction
			var action []byte
			action, v, ok = d.text(v)
			e.action = internAction(action)
		case "attack":
			bit = seenAttack
			e.attack, v, ok = d.text(v)
		case "confidence":
			bit = seenConfidence
			e.confidence, v, ok = number(v)
		case "reason":
			bit = seenReason
			e.reason, v, ok = d.text(v)
		case "created":
			bit = seenCreated
			e.created, v, ok = timestamp(v)
		case "expires_at":
			bit = seenExpires
			e.expires, v, ok = timestamp(v)
		default:
			return false
		}
		if !ok || seen&bit != 0 || len(v) == 0 {
			return false
		}
		seen |= bit
		switch {
		case v[0] == ',':
			v = v[1:]
		case v[0] == '}' && len(v) == 1:
			return true
		default:
			return false
		}
	}
}

// internAction avoids an allocation for the actions that exist.
func internAction(b []byte) schemas.Action {
	switch string(b) {
	case string(schemas.ActionBlock):
		return schemas.ActionBlock
	case string(schemas.ActionThrottle):
		return schemas.ActionThrottle
	case string(schemas.ActionChallenge):
		return schemas.ActionChallenge
	case string(schemas.ActionObserve):
		return schemas.ActionObserve
	case string(schemas.AllowAction):
		return schemas.AllowAction
	}
	return schemas.Action(b)
}

// text reads a JSON string at the start of v and returns what follows it.
func (d *entryDecoder) text(v []byte) (s, rest []byte, ok bool) {
	if len(v) == 0 || v[0] != '"' {
		return nil, nil, false
	}
	v = v[1:]
	ascii := true
	for i, c := range v {
		switch {
		case c == '"':
			if !ascii && !utf8.Valid(v[:i]) {
				return nil, nil, false
			}
			return v[:i], v[i+1:], true
		case c == '\\':
			return d.escaped(v, i)
		case c < 0x20:
			return nil, nil, false
		case c >= 0x80:
			ascii = false
		}
	}
	return nil, nil, false
}

// escaped continues text at the first backslash. encoding/json writes <, > and
// & as \u00XX by default, so escapes are ordinary in a reason.
func (d *entryDecoder) escaped(v []byte, at int) (s, rest []byte, ok bool) {
	start := len(d.scratch)
	d.scratch = append(d.scratch, v[:at]...)
	for i := at; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '"':
			s = d.scratch[start:len(d.scratch):len(d.scratch)]
			return s, v[i+1:], utf8.Valid(s)
		case c < 0x20:
			return nil, nil, false
		case c != '\\':
			d.scratch = append(d.scratch, c)
			continue
		}
		i++
		if i == len(v) {
			return nil, nil, false
		}
		switch v[i] {
		case '"', '\\', '/':
			d.scratch = append(d.scratch, v[i])
		case 'n':
			d.scratch = append(d.scratch, '\n')
		case 't':
			d.scratch = append(d.scratch, '\t')
		case 'r':
			d.scratch = append(d.scratch, '\r')
		case 'u':
			if len(v) < i+5 {
				return nil, nil, false
			}
			r, err := strconv.ParseUint(string(v[i+1:i+5]), 16, 16)
			// ParseUint takes an underscore only with base 0, so four hex
			// digits are all that passes. Surrogates are left to encoding/json.
			if err != nil || r >= 0xd800 && r < 0xe000 {
				return nil, nil, false
			}
			d.scratch = utf8.AppendRune(d.scratch, rune(r))
			i += 4
		default:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// number reads a JSON number in plain decimal notation.
func number(v []byte) (f float64, rest []byte, ok bool) {
	i := bytes.IndexAny(v, ",}")
	if i <= 0 || i > 24 {
		return 0, nil, false
	}
	digits := v[:i]
	// JSON has no leading zeros, signs or bare dots; what does not start
	// like "0." or "1" is left to encoding/json.
	switch {
	case i == 1:
	case digits[1] == '.' && i > 2:
	default:
		return 0, nil, false
	}
	for j, c := range digits {
		if (c < '0' || c > '9') && (j != 1 || c != '.') {
			return 0, nil, false
		}
	}
	f, err := strconv.ParseFloat(string(digits), 64)
	return f, v[i:], err == nil && !math.IsInf(f, 0)
}

// timestamp reads a quoted RFC 3339 time in UTC ("Z"), years 1970 to 9999, and
// returns microseconds since 1970, rounded down.
func timestamp(v []byte) (us int64, rest []byte, ok bool) {
	const shape = `"0000-00-00T00:00:00`
	if len(v) < len(shape)+2 {
		return 0, nil, false
	}
	for i := range len(shape) {
		if want := shape[i]; want == '0' {
			if v[i] < '0' || v[i] > '9' {
				return 0, nil, false
			}
		} else if v[i] != want {
			return 0, nil, false
		}
	}
	two := func(i int) int64 { return int64(v[i]-'0')*10 + int64(v[i+1]-'0') }
	year, month, day := two(1)*100+two(3), two(6), two(9)
	hour, minute, second := two(12), two(15), two(18)
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, nil, false
	}
	i := len(shape)
	var fraction int64
	if v[i] == '.' {
		i++
		n := 0
		for ; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
			if n < 6 {
				fraction = fraction*10 + int64(v[i]-'0')
			}
			n++
		}
		if n == 0 || n > 9 {
			return 0, nil, false
		}
		for ; n < 6; n++ {
			fraction *= 10
		}
	}
	if len(v) < i+2 || v[i] != 'Z' || v[i+1] != '"' {
		return 0, nil, false
	}
	us = ((daysSince1970(year, month, day)*24+hour)*60+minute)*60 + second
	return us*1_000_000 + fraction, v[i+2:], true
}

func leap(year int64) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if leap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts in years that begin on 1 March, so that a leap day is the
// last day of its year and needs no case of its own.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	const to1970 = 719468 // days from 0000-03-01 to 1970-01-01
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - to1970
}
