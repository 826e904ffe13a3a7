package schemas

// DecodeJSON reads an Event as one JSON object. Text aliases data, or a buffer
// of e where it had escapes, so e is valid only as long as data is neither
// changed nor reused, and until the next decode or Reset. The error is a
// *DecodeError, and e is then as after Reset. It allocates only to grow the
// buffers of e.
//
// Types are strict, null is the same as absent, and of a repeated name the
// last counts. Names are compared exactly. Fields that the schema does not
// name are checked to be JSON, and counted in UnknownFields. A missing time is
// not an error.
func (e *Event) DecodeJSON(data []byte) error {
	e.Reset()
	if len(data) > MaxEventBytes {
		return e.refuse(ReasonTooLarge, "", MaxEventBytes)
	}
	s := jsonScanner{data: data}
	if num, reason := e.jsonObject(&s); reason != "" {
		return e.refuse(reason, eventNames[num], s.pos)
	}
	return nil
}

// jsonObject reads the record. With a reason, num is the field at fault, or 0.
func (e *Event) jsonObject(s *jsonScanner) (num int, reason Reason) {
	if !s.take('{') {
		return 0, ReasonMalformedJSON
	}
	if !s.take('}') {
		for {
			if num, reason = e.jsonMember(s); reason != "" {
				return num, reason
			}
			if s.take('}') {
				break
			}
			if !s.take(',') {
				return 0, ReasonMalformedJSON
			}
		}
	}
	if s.space(); s.pos != len(s.data) {
		return 0, ReasonMalformedJSON
	}
	return 0, ""
}

func (e *Event) jsonMember(s *jsonScanner) (num int, reason Reason) {
	name, reason := e.jsonName(s)
	if reason != "" {
		return 0, reason
	}
	num = eventField(name)
	if num == 0 {
		e.UnknownFields++
		return 0, s.skip(2)
	}
	c := s.peek()
	if c == 'n' {
		if reason = s.literal("null"); reason == "" {
			e.clear(num)
		}
		return num, reason
	}
	if place := e.text(num); place != nil {
		if c != '"' {
			return num, s.wrongType()
		}
		start := s.pos
		raw, escaped, reason := s.str()
		if reason != "" {
			return num, reason
		}
		text := e.unescape(raw, escaped)
		if num == fieldBodySample && len(text) > MaxBodySampleBytes {
			s.pos = start
			return num, ReasonTooLarge
		}
		*place = text
		return num, ""
	}
	if place, limit := e.integer(num); place != nil {
		if c != '-' && (c < '0' || c > '9') {
			return num, s.wrongType()
		}
		start := s.pos
		v, reason := s.integer(limit)
		if reason == ReasonWrongType || reason == ReasonOutOfRange {
			s.pos = start
		}
		*place = v
		return num, reason
	}
	if num == fieldTime {
		return num, e.jsonTime(s, c)
	}
	return num, e.jsonMap(s, c, e.entries(num))
}

// jsonName reads a member's name and the colon.
func (e *Event) jsonName(s *jsonScanner) ([]byte, Reason) {
	if s.peek() != '"' {
		return nil, ReasonMalformedJSON
	}
	raw, escaped, reason := s.str()
	if reason != "" {
		return nil, reason
	}
	if !s.take(':') {
		return nil, ReasonMalformedJSON
	}
	return e.unescape(raw, escaped), ""
}

func (e *Event) jsonTime(s *jsonScanner, c byte) Reason {
	if c != '"' {
		return s.wrongType()
	}
	start := s.pos
	raw, escaped, reason := s.str()
	if reason != "" {
		return reason
	}
	us, ok := parseTime(e.unescape(raw, escaped))
	if !ok {
		s.pos = start
		return ReasonInvalidTime
	}
	e.Time = us
	return ""
}

// jsonMap reads an object of strings. An entry whose value is null is absent.
func (e *Event) jsonMap(s *jsonScanner, c byte, kvs *[]KV) Reason {
	if c != '{' {
		return s.wrongType()
	}
	*kvs = (*kvs)[:0] // of a repeated field the last counts
	s.pos++
	if s.take('}') {
		return ""
	}
	for n := 1; ; n++ {
		key, reason := e.jsonName(s)
		if reason != "" {
			return reason
		}
		if n > MaxMapEntries {
			return ReasonTooLarge
		}
		switch s.peek() {
		case '"':
			raw, escaped, reason := s.str()
			if reason != "" {
				return reason
			}
			*kvs = putEntry(*kvs, key, e.unescape(raw, escaped))
		case 'n':
			if reason := s.literal("null"); reason != "" {
				return reason
			}
			*kvs = dropEntry(*kvs, key)
		default:
			return s.wrongType()
		}
		if s.take('}') {
			return ""
		}
		if !s.take(',') {
			return ReasonMalformedJSON
		}
	}
}

// wrongType tells a value of another type from bytes that are no value at all,
// leaving pos at the value in the first case.
func (s *jsonScanner) wrongType() Reason {
	start := s.pos
	if reason := s.skip(2); reason != "" {
		return reason
	}
	s.pos = start
	return ReasonWrongType
}

// clear makes one field unknown.
func (e *Event) clear(num int) {
	if place := e.text(num); place != nil {
		*place = nil
	} else if place, _ := e.integer(num); place != nil {
		*place = Unknown
	} else if num == fieldTime {
		e.Time = 0
	} else {
		kvs := e.entries(num)
		*kvs = (*kvs)[:0]
	}
}

// dropEntry removes a key, keeping the order of the others.
func dropEntry(kvs []KV, key []byte) []KV {
	for i := range kvs {
		if string(kvs[i].Key) == string(key) {
			return append(kvs[:i], kvs[i+1:]...)
		}
	}
	return kvs
}
