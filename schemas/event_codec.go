package schemas

// Decode reads an Event in the encoding that contentType names (the value of
// HeaderContentType; parameters are ignored), or without one in the encoding
// that its first byte shows. See DecodeJSON and DecodeProto for what e then
// holds. An empty record is refused with ReasonEmpty.
func (e *Event) Decode(contentType string, data []byte) error {
	if len(data) == 0 {
		e.Reset()
		return &DecodeError{Reason: ReasonEmpty}
	}
	switch encodingOf(contentType, data) {
	case encodingJSON:
		return e.DecodeJSON(data)
	case encodingProtobuf:
		return e.DecodeProto(data)
	}
	e.Reset()
	return &DecodeError{Reason: ReasonUnknownContentType, Field: HeaderContentType}
}

// refuse leaves e with every field unknown, so that nobody can use half of a
// record, and builds the error.
func (e *Event) refuse(reason Reason, field string, offset int) error {
	e.Reset()
	return &DecodeError{Reason: reason, Field: field, Offset: offset}
}
