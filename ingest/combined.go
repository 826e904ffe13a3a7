package ingest

import "bytes"

// combined reads Apache's and nginx's access logs: the common log format, with
// referer and user agent or without, with a virtual host before it or extra
// fields after it.
type combined struct {
	clock clfClock
	// extraShift turns a whole number among the extra fields into microseconds:
	// the power of ten, or -1 to ignore such a number.
	extraShift int
}

func newCombined(o *Options) (parser, error) {
	shift, err := unitShift(o.ExtraUnit)
	return &combined{extraShift: shift}, err
}

func (c *combined) parse(line []byte, f *filler) error {
	line = trimWrapping(line)
	// No field before the request can hold a bare quote, so the first one opens
	// the request. A user name may hold brackets, so the time is what stands
	// between the last one and the quote.
	quote := bytes.IndexByte(line, '"')
	if quote < 6 || line[quote-1] != ' ' || line[quote-2] != ']' {
		return errNoMatch
	}
	var open int
	if quote >= 29 && line[quote-29] == '[' {
		open = quote - 29 // the usual 26 characters
	} else if open = bytes.LastIndexByte(line[:quote], '['); open < 0 {
		return errNoMatch
	}
	err := c.callers(line[:open], f)
	if err != nil {
		return err
	}
	stamp := line[open+1 : quote-2]
	t, ok := c.clock.parse(stamp)
	if !ok {
		if t, ok = parseRFC3339(stamp); !ok {
			return errBadTime
		}
	}
	f.ev.Time = t

	request, rest, ok := cutRequest(line[quote+1:])
	if !ok {
		return errNoMatch
	}
	f.setRequestLine(f.unescapeLog(request))
	if rest, err = f.setStatusBytes(rest); err != nil {
		return err
	}
	c.trailer(rest, f)
	return nil
}

// trimWrapping takes away what surrounds a line: white space, and the quotes of
// an exporter that wrapped it in a column.
func trimWrapping(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] <= ' ' {
		line = line[:len(line)-1]
	}
	if len(line) > 1 && line[0] == '"' {
		line = line[1:]
		line = bytes.TrimSuffix(line, []byte(`"`))
	}
	return line
}

// callers reads "host ident user " and "vhost:port host ident user ".
func (c *combined) callers(b []byte, f *filler) error {
	host, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(host) == 0 {
		return errNoMatch
	}
	ident, user, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return errNoMatch
	}
	if name, ok := vhost(host); ok {
		// ident is then the client and the user text starts with ident.
		if _, after, more := bytes.Cut(user, []byte(" ")); more && len(after) > 0 {
			f.setText(&f.ev.Host, name)
			host, user = ident, after
		}
	}
	f.setText(&f.ev.ClientIP, host)
	if n := len(user); n > 0 && user[n-1] == ' ' {
		user = user[:n-1]
	}
	if len(user) > 1 || len(user) == 1 && user[0] != '-' {
		f.setUser(f.unescapeLog(user))
	}
	return nil
}

// vhost tells "name:port" from a client address.
func vhost(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b, ':')
	if i <= 0 || i+1 == len(b) || len(b)-i > 6 {
		return nil, false
	}
	for _, d := range b[i+1:] {
		if d < '0' || d > '9' {
			return nil, false
		}
	}
	return b[:i], true
}

// cutRequest splits at the quote that closes the request. A server that does not
// escape quotes leaves bare ones inside: the closing one is followed by a status.
func cutRequest(b []byte) (request, rest []byte, ok bool) {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return nil, nil, false
		}
		at += i
		if !escaped(b[:at]) && startsStatus(b[at+1:]) {
			return b[:at], b[at+2:], true
		}
		at++
	}
}

// escaped tells whether what follows b is escaped: after an odd run of backslashes.
func escaped(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

func startsStatus(b []byte) bool {
	return len(b) >= 2 && b[0] == ' ' && (b[1] == '-' || b[1] >= '0' && b[1] <= '9')
}

// setStatusBytes reads "status bytes" and returns what follows the space after.
func (f *filler) setStatusBytes(b []byte) (rest []byte, err error) {
	status, rest, _ := bytes.Cut(b, []byte(" "))
	switch {
	case len(status) == 3:
		n, ok := parseUint(status)
		if !ok {
			return nil, errBadStatus
		}
		f.ev.Status = n
	case len(status) != 1 || status[0] != '-':
		return nil, errBadStatus
	}
	size, rest, _ := bytes.Cut(rest, []byte(" "))
	if n, ok := parseUint(size); ok {
		f.ev.RespBytes = n
	} else if len(size) == 1 && size[0] == '-' {
		f.ev.RespBytes = 0 // what %b writes when no body was sent
	} else {
		return nil, errBadBytes
	}
	return rest, nil
}

// trailer reads referer, user agent and whatever the operator added.
func (c *combined) trailer(b []byte, f *filler) {
	if len(b) > 0 && b[0] == '"' {
		var value []byte
		value, b = cutQuoted(b[1:])
		if len(value) > 1 {
			f.addHeader(nameReferer, f.maskURL(f.urlText(f.unescapeLog(value))))
		}
		if len(b) > 0 && b[0] == '"' {
			value, b = cutQuoted(b[1:])
			if len(value) > 1 || len(value) == 1 && value[0] != '-' {
				f.ev.UserAgent = f.text(f.unescapeLog(value))
			}
		}
	}
	for len(b) > 0 {
		var value []byte
		if b[0] == '"' {
			value, b = cutQuoted(b[1:])
			c.quotedExtra(value, f)
			continue
		}
		value, b, _ = bytes.Cut(b, []byte(" "))
		c.bareExtra(value, f)
	}
}

// cutQuoted returns a quoted value, without its opening quote, and what follows
// it. A line cut short by a transport ends inside: the value is then the rest.
func cutQuoted(b []byte) (value, rest []byte) {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return b, nil
		}
		at += i
		if !escaped(b[:at]) && (at+1 == len(b) || b[at+1] == ' ') {
			return b[:at], bytes.TrimLeft(b[at+1:], " ")
		}
		at++
	}
}

// quotedExtra takes a list of addresses for the forwarded-for header, and a
// number for a time.
func (c *combined) quotedExtra(value []byte, f *filler) {
	if len(f.ev.XFF) == 0 && isAddressList(value) {
		f.ev.XFF = value
		return
	}
	c.bareExtra(value, f)
}

func isAddressList(b []byte) bool {
	separators := 0
	for _, c := range b {
		switch {
		case c == '.' || c == ':':
			separators++
		case c == ',' || c == ' ' || hexDigit(c) < 16:
		default:
			return false
		}
	}
	return separators >= 2
}

// bareExtra takes the first time as the request's and the second as the
// backend's, or the time that a name=value pair says it is.
func (c *combined) bareExtra(value []byte, f *filler) {
	field := &f.ev.DurationUS
	if *field >= 0 {
		field = &f.ev.UpstreamUS
	}
	if i := bytes.IndexByte(value, '='); i > 0 {
		switch string(value[:i]) {
		case "rt", "request_time":
			field = &f.ev.DurationUS
		case "urt", "upstream_response_time":
			field = &f.ev.UpstreamUS
		default:
			return
		}
		value = bytes.Trim(value[i+1:], `"`)
	} else if *field >= 0 {
		return
	}
	shift := 6
	if bytes.IndexByte(value, '.') < 0 {
		if shift = c.extraShift; shift < 0 {
			return
		}
	}
	if us, ok := parseScaled(value, shift); ok && us >= 0 {
		*field = us
	}
}
