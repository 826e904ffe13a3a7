package ingest

import "github.com/weir-dev/weir/schemas"

// Reasons of adapters beside those that package schemas defines. An adapter's
// every refusal is a *schemas.DecodeError with one of this bounded set, so that
// schemas.ReasonOf names it and it is fit for a metric label.
const (
	ReasonNoMatch      schemas.Reason = "no_match"      // not a line of this format
	ReasonBadStatus    schemas.Reason = "bad_status"    // a status that is not three digits
	ReasonBadNumber    schemas.Reason = "bad_number"    // a number that is none, or out of range
	ReasonMissingField schemas.Reason = "missing_field" // without a field that every record of the format has
)

// Refusals that name no field of their own are shared, so that a flood of
// garbage costs no allocations. They are never written to.
var (
	errNoMatch   = refused(ReasonNoMatch, "")
	errTooLarge  = refused(schemas.ReasonTooLarge, "")
	errTooDeep   = refused(schemas.ReasonTooDeep, "")
	errMalformed = refused(schemas.ReasonMalformedJSON, "")
	errEmpty     = refused(schemas.ReasonEmpty, "")
	errBadTime   = refused(schemas.ReasonInvalidTime, "time")
	errBadStatus = refused(ReasonBadStatus, "status")
	errBadBytes  = refused(ReasonBadNumber, "resp_bytes")
)

func refused(reason schemas.Reason, field string) *schemas.DecodeError {
	return &schemas.DecodeError{Reason: reason, Field: field}
}
