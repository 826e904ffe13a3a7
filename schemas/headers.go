package schemas

import "bytes"

// Values of HeaderSchema: record name, slash, version.
const (
	SchemaEvent      = "event/1"
	SchemaFeatures   = "features/1"
	SchemaAggregate  = "aggregate/1"
	SchemaVerdict    = "verdict/1"
	SchemaBlockEntry = "blocklist/1"
	SchemaState      = "state/1"
	SchemaModel      = "model/1"
)

// CheckSchemaHeader compares the value of a record's HeaderSchema with what the
// reader can read. Want is one of the Schema constants, or a bare name that
// means version 1. An absent header (empty value) is version 1 of whatever the
// topic holds. The error is a *DecodeError: ReasonUnknownSchema for another
// record or a value that is not name/version, ReasonUnknownVersion for another
// version of the right one.
func CheckSchemaHeader(value []byte, want string) error {
	if len(value) == 0 || string(value) == want {
		return nil
	}
	name, version := splitSchema(want)
	i := bytes.IndexByte(value, '/')
	if i < 0 || string(value[:i]) != name {
		return &DecodeError{Reason: ReasonUnknownSchema, Field: HeaderSchema}
	}
	if string(value[i+1:]) != version {
		return &DecodeError{Reason: ReasonUnknownVersion, Field: HeaderSchema, Offset: i + 1}
	}
	return nil
}

func splitSchema(s string) (name, version string) {
	for i := range len(s) {
		if s[i] == '/' {
			return s[:i], s[i+1:]
		}
	}
	return s, "1"
}

// encoding of a record's value.
type encoding uint8

const (
	encodingUnknown encoding = iota
	encodingJSON
	encodingProtobuf
)

// encodingOf names the encoding of an Event from its content type, or from its
// first byte where there is none. '{' cannot begin a Protobuf Event: it would
// be the tag of a group, which proto3 does not have.
func encodingOf(contentType string, data []byte) encoding {
	if contentType == "" {
		if len(data) > 0 && data[0] == '{' {
			return encodingJSON
		}
		return encodingProtobuf
	}
	// Parameters such as charset change nothing: JSON is UTF-8.
	end := len(contentType)
	for i := range len(contentType) {
		if contentType[i] == ';' {
			end = i
			break
		}
	}
	for end > 0 && (contentType[end-1] == ' ' || contentType[end-1] == '\t') {
		end--
	}
	switch {
	case equalFold(contentType[:end], ContentTypeJSON):
		return encodingJSON
	case equalFold(contentType[:end], ContentTypeProtobuf):
		return encodingProtobuf
	}
	return encodingUnknown
}

// equalFold compares with a lower-case ASCII name.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
