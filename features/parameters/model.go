package parameters

import (
	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

// Model is what a Learner knew at one moment. It is immutable and safe for
// concurrent use.
type Model struct {
	apis   map[uint64]*apiModel
	routes map[uint64]*routeModel
	paths  map[uint64]struct{} // API and path template, of any method
}

// apiModel judges routes.
type apiModel struct {
	name     string // tenant, NUL, API
	calls    uint32
	routes   int
	newRoute float64 // ln p of a call to a route not seen before
	headers  *routeModel
}

// routeModel judges one route.
type routeModel struct {
	name     string // "METHOD template"
	calls    uint32
	familiar bool // enough different clients called it
	known    bool // and often enough to judge by
	unknown  float64
	format   float64 // ln p of a new body format
	formats  []uint64
	example  string // the commonest format
	sized    bool
	smallest uint8 // octaves of body sizes
	largest  uint8
	size     float64  // ln p of a body two octaves out of them
	hashes   []uint64 // of location and name
	params   []paramModel
	required [2]uint64          // parameters that nearly every call brings: without and with a body
	after    [maxOrdered]uint16 // parameters that never come before this one
	order    [maxOrdered]float64
	info     []paramInfo
}

// paramModel judges the values of one parameter. Logarithms of tail
// probabilities: the mass of everything at least as unlikely.
type paramModel struct {
	loc      Location
	known    bool // enough different clients sent it
	form     bodyKind
	missing  float32
	repeat   float32
	value    float32 // ln p of a value that is no member
	pattern  float32 // ln p of a pattern not seen
	number   float32 // an octave out of the range
	low      uint8   // range of number bins
	high     uint8
	numbers  bool
	rare     charset // classes that cost anything
	types    [numTypes]float32
	lengths  [numLengths]float32
	chars    [numClasses]float32
	members  []uint64 // hashes of the values of an enumeration
	patterns []uint64 // where the parameter has few
}

// minCalls is how often a route must have been called to be Known.
const minCalls = 10

func (l Location) hash(name []byte) uint64 {
	return xxhash.Sum64(name) ^ uint64(l)*0x9e3779b97f4a7c15
}

// apiHash is the key of an event's API.
func apiHash(e *schemas.Event) uint64 {
	api := e.API
	if len(api) == 0 {
		api = e.Host
	}
	if len(e.Tenant) == 0 {
		return defaultTenant ^ mix(xxhash.Sum64(api))
	}
	return xxhash.Sum64(e.Tenant) ^ mix(xxhash.Sum64(api))
}

var defaultTenant = xxhash.Sum64String("default")

func routeHash(api uint64, route []byte) uint64 { return mix(api) ^ xxhash.Sum64(route) }

// pathOf is the template of a route, without the method.
func pathOf(route []byte) []byte {
	for i, c := range route {
		if c == ' ' {
			return route[i+1:]
		}
	}
	return route
}

// Result is what a Model says of one request.
type Result struct {
	// Values is how many parameters were judged, headers among them.
	Values int
	// Violations is how many of them, and how much else, is improbable (p < 0.01).
	Violations int
	// Worst is the least probable, by its weight; its Kind is KindNone where
	// there is nothing to tell.
	Worst Violation
	// LogP is ln p of the request, never above 0. With n parameters judged, and of
	// each the weighted least p, it is the lesser of ln(n p1) and ln(n(n-1)/2 p2^2)
	// of the least p1 and the second least p2, plus ln 2: one thing that hardly
	// ever happens, or two that seldom do.
	LogP float64
	// Known tells that the route was seen often enough for LogP to mean much.
	Known bool
}

// Violation is one thing about a request that the model did not expect.
type Violation struct {
	Name     []byte // the parameter; empty where the request as a whole is meant
	Location Location
	Kind     Kind
	LogP     float64 // ln p under the model
	Value    []byte  // decoded; aliases the event or the Scratch
	Expected Expected
}

// Expected leads from a violation to what was expected, for Explain.
type Expected struct {
	route uint64 // key of the route, or of the API for its headers
	param int16  // place in the route's parameters, or -1
}
