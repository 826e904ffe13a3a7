package schemas

import (
	"errors"
	"fmt"
	"strings"
)

// Reason is a bounded vocabulary for why a record was refused: fit for metric
// labels and for the weir-reason header of the dead-letter topic.
type Reason string

// Reasons. All but ReasonLate come from this package's decoders.
const (
	ReasonEmpty              Reason = "empty"                // no bytes at all
	ReasonTooLarge           Reason = "too_large"            // record, body sample or map above its limit
	ReasonTooDeep            Reason = "too_deep"             // JSON nested beyond MaxDepth
	ReasonMalformedJSON      Reason = "malformed_json"       // not one JSON object
	ReasonMalformedProtobuf  Reason = "malformed_protobuf"   // not a Protobuf message
	ReasonInvalidUTF8        Reason = "invalid_utf8"         // text is not UTF-8
	ReasonInvalidTime        Reason = "invalid_time"         // time is not RFC 3339 or not in 1970..2262
	ReasonWrongType          Reason = "wrong_type"           // such as a string where an integer belongs
	ReasonOutOfRange         Reason = "out_of_range"         // an integer that the field cannot hold
	ReasonUnknownSchema      Reason = "unknown_schema"       // the record says that it is something else
	ReasonUnknownVersion     Reason = "unknown_version"      // a version that this build cannot read
	ReasonUnknownContentType Reason = "unknown_content_type" // neither JSON nor Protobuf
	ReasonLate               Reason = "late"                 // older than the allowed lateness
	ReasonOther              Reason = "other"                // what ReasonOf gives for foreign errors
)

// DecodeError says why a record was refused and where. Every error of this
// package's record decoders is a *DecodeError.
type DecodeError struct {
	Reason Reason
	Field  string // a field name of the schema, or empty
	Offset int    // byte offset into the record, as near as known
}

// Error implements error.
func (e *DecodeError) Error() string {
	what := strings.ReplaceAll(string(e.Reason), "_", " ")
	if e.Field == "" {
		return fmt.Sprintf("%s at byte %d", what, e.Offset)
	}
	return fmt.Sprintf("%s in field %s at byte %d", what, e.Field, e.Offset)
}

// ReasonOf is the reason that err carries, wrapped or not: "" for nil and
// ReasonOther for an error without one.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if de, ok := errors.AsType[*DecodeError](err); ok {
		return de.Reason
	}
	return ReasonOther
}
