// Package parameters learns what the requests of an API look like and judges
// each request against it: which routes there are, which parameters they take
// in query, path, form, JSON body and headers, and of each parameter the type,
// the length, the range, the set of values, the characters, whether it may be
// absent, repeated or come in another order. After C. Kruegel and G. Vigna,
// "Anomaly detection of web-based attacks" (CCS 2003), with predictive
// probabilities in place of their bounds, so that ten requests are of use.
//
// A Learner gathers counts from events, in any order of batches and mergeable;
// a Model is what those counts say, immutable and safe for concurrent use. The
// counts of a parameter are shrunk to a prior that other parameters of the same
// API made, and theirs to one that is part of this package.
//
// Poisoning is made slow: only calls that succeeded teach, a client has one
// vote in 15 minutes on each parameter, and a name, a type, a character class, a
// length or a value counts as normal only after three different clients.
package parameters

// Location is where in a request a parameter stands.
type Location uint8

// The locations. Cookies are headers.
const (
	Query  Location = iota + 1 // after the '?'
	Path                       // fills a place such as {id} of the route
	Form                       // body, application/x-www-form-urlencoded
	JSON                       // body, named by its path: items[].price
	Header                     // judged per API, not per route
)

var locationNames = [...]string{"", "query", "path", "form", "json", "header"}

// String names the location.
func (l Location) String() string {
	if int(l) < len(locationNames) {
		return locationNames[l]
	}
	return ""
}

// Kind is what about a request is unlike what was learnt.
type Kind uint8

// The kinds of violation.
const (
	KindNone        Kind = iota
	KindUnknown          // a parameter that the route does not take
	KindMissing          // a parameter that comes with every call, absent
	KindType             // text where there was a number
	KindLength           // longer or shorter
	KindRange            // a number out of the range
	KindEnum             // a value out of a small set
	KindCharacters       // characters that the parameter never held
	KindOrder            // parameters in an order that no client uses
	KindDuplicate        // a parameter given twice
	KindContentType      // another body format, or one that does not parse
	KindMethod           // a known path, called by another method
	KindRoute            // a path that the API does not have
	KindSize             // a body of another size
	KindPattern          // letters, digits and marks in another order
	numKinds
)

var kindNames = [numKinds]string{"", "unknown-parameter", "missing-parameter", "type", "length", "range",
	"enum", "characters", "order", "duplicate", "content-type", "method", "unknown-route", "body-size", "pattern"}

// String names the kind.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return ""
}

// kindWeight is ln of the share of the request's error budget that a kind gets
// (weighted Bonferroni): clients of one API differ in the order of parameters
// and in headers for reasons of their own, so those need more.
var kindWeight = [numKinds]float64{
	KindMissing:   -0.2, // a parameter by another name is better called unknown
	KindOrder:     -2,
	KindSize:      -2,
	KindLength:    -0.5,
	KindDuplicate: -1,
}

// headerWeight is the same for whatever is odd about a header.
const headerWeight = -2.0

// Type is the narrowest syntactic type that a value has.
type Type uint8

// The types, narrow ones first. A value of a narrow type is also one of each
// wider type that holds it: 12 is a fine Token.
const (
	TypeEmpty Type = iota
	TypeBool
	TypeInt
	TypeFloat
	TypeUUID
	TypeDate
	TypeEmail
	TypeURL
	TypeHex
	TypeJWT
	TypeWord // letters, '_' and '-': what members of an enumeration look like
	TypeBase64
	TypeToken // letters, digits and "_-.:"
	TypeText  // anything else
	numTypes
)

var typeNames = [numTypes]string{"empty", "a boolean", "an integer", "a number", "a UUID", "a date",
	"an e-mail address", "a URL", "hexadecimal", "a JWT", "a word", "base64", "a token", "free text"}

// String names the type as a sentence needs it.
func (t Type) String() string {
	if t < numTypes {
		return typeNames[t]
	}
	return ""
}

// wider lists, as bits, the types that hold every value of a type.
var wider = [numTypes]uint16{
	TypeEmpty:  1<<TypeEmpty | 1<<TypeText,
	TypeBool:   1<<TypeBool | 1<<TypeWord | 1<<TypeToken | 1<<TypeText,
	TypeInt:    1<<TypeInt | 1<<TypeFloat | 1<<TypeHex | 1<<TypeToken | 1<<TypeText,
	TypeFloat:  1<<TypeFloat | 1<<TypeText,
	TypeUUID:   1<<TypeUUID | 1<<TypeToken | 1<<TypeText,
	TypeDate:   1<<TypeDate | 1<<TypeText,
	TypeEmail:  1<<TypeEmail | 1<<TypeText,
	TypeURL:    1<<TypeURL | 1<<TypeText,
	TypeHex:    1<<TypeHex | 1<<TypeBase64 | 1<<TypeToken | 1<<TypeText,
	TypeJWT:    1<<TypeJWT | 1<<TypeText,
	TypeWord:   1<<TypeWord | 1<<TypeToken | 1<<TypeText,
	TypeBase64: 1<<TypeBase64 | 1<<TypeText,
	TypeToken:  1<<TypeToken | 1<<TypeText,
	TypeText:   1 << TypeText,
}
