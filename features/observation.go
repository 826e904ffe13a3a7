package features

import (
	"bytes"
	"cmp"

	"github.com/cespare/xxhash/v2"
	"github.com/dchest/siphash"

	"github.com/weir-dev/weir/features/sequence"
	"github.com/weir-dev/weir/internal/slab"
	"github.com/weir-dev/weir/schemas"
)

// observation is what one call contributes to its client's state: small and
// free of pointers, so that the calls of an open window can be kept, put in
// event-time order and applied again.
type observation struct {
	time      int64  // µs since 1970
	tie       uint64 // hash of the event id: orders calls of one microsecond
	route     uint64
	object    uint64 // hash of the object id the call names; 0: none
	objectNum int64  // the id itself where it is an integer
	loginUser uint64
	device    uint64
	network   uint64
	reqBytes  int64 // schemas.Unknown when not reported
	respBytes int64
	duration  int64   // µs
	norm      float64 // ln of the route's typical duration in µs; 0: unknown
	status    int32
	flags     uint32
}

const (
	isMutation = 1 << iota
	isLogin
	isLoginFailure
	isDenied  // 401, 403
	isMissing // 404, 410
	hasObjectNum
	isStatic
	isRenewal // keeps a token or a session alive, and changes nothing else
	isDelete
	isDecoy
	hasNorms        // the route's norms are known
	isSlow          // far slower than the norm
	isLargeRequest  // far larger than the norm
	isLargeResponse // far larger than the norm
	isInspected     // values were looked at for code
	isPayloadHit    // a value looks like an attack
	isStructured    // the route's parameters are known
	isViolation     // and the call breaks their structure
)

// notable tells whether a call is evidence that should be judged at once.
func (o *observation) notable() bool {
	return o.flags&(isLoginFailure|isDenied|isMissing|isDecoy|isPayloadHit) != 0
}

// compare orders observations by event time and then by content, so that any
// arrival order sorts to the same sequence. Two observations that compare equal
// are interchangeable.
func (o *observation) compare(p *observation) int {
	return cmp.Or(
		cmp.Compare(o.time, p.time),
		cmp.Compare(o.tie, p.tie),
		cmp.Compare(o.route, p.route),
		cmp.Compare(o.object, p.object),
		cmp.Compare(o.objectNum, p.objectNum),
		cmp.Compare(o.loginUser, p.loginUser),
		cmp.Compare(o.device, p.device),
		cmp.Compare(o.network, p.network),
		cmp.Compare(o.status, p.status),
		cmp.Compare(o.respBytes, p.respBytes),
		cmp.Compare(o.reqBytes, p.reqBytes),
		cmp.Compare(o.duration, p.duration),
		cmp.Compare(o.flags, p.flags),
		cmp.Compare(o.norm, p.norm),
	)
}

// Seed keys the hash of client and entity names. Workers of one deployment must
// share it, or a client's state would not survive a move between them; keeping
// it secret stops an attacker from aiming for another client's slot.
type Seed struct{ K0, K1 uint64 }

// hash is the slab key of a (tenant, name, api) triple.
func (s Seed) hash(buf *[]byte, tenant, name, api []byte) slab.Key {
	b := append((*buf)[:0], tenant...)
	b = append(b, 0)
	b = append(b, name...)
	b = append(b, 0)
	b = append(b, api...)
	*buf = b
	hi, lo := siphash.Hash128(s.K0, s.K1, b)
	return slab.Key{Hi: hi, Lo: lo}
}

// nonZero keeps 0 free to mean "none".
func nonZero(h uint64) uint64 {
	if h == 0 {
		return 1
	}
	return h
}

// loginPaths are the last path words of calls that try a login, for gateways
// that report no login_user.
var loginPaths = [][]byte{
	[]byte("login"), []byte("signin"), []byte("sign-in"), []byte("sign_in"), []byte("logon"),
	[]byte("authenticate"), []byte("token"), []byte("wp-login.php"), []byte("login.php"),
	[]byte("xmlrpc.php"), []byte("session"), []byte("sessions"),
}

func isLoginPath(path []byte) bool { return endsIn(path, loginPaths) }

// renewalPaths are the last path words of calls that keep something alive. They
// come by the clock of whoever made the token, not of whoever uses it.
var renewalPaths = [][]byte{
	[]byte("refresh"), []byte("renew"), []byte("token"), []byte("tokens"), []byte("keepalive"), []byte("keep-alive"), []byte("heartbeat"), []byte("ping"),
}

func isRenewalPath(path []byte) bool { return endsIn(path, renewalPaths) }

// endsIn tells whether the last segment of a path is one of the words.
func endsIn(path []byte, words [][]byte) bool {
	path = bytes.TrimRight(path, "/")
	last := path[bytes.LastIndexByte(path, '/')+1:]
	for _, p := range words {
		if bytes.EqualFold(last, p) {
			return true
		}
	}
	return false
}

func isSafeMethod(m []byte) bool {
	switch string(m) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "":
		return true
	}
	return false
}

// staticSuffixes end the paths of what pages bring along. A page load asks for
// dozens of them at once, and for icons that do not exist; neither says anything
// of how a client uses an API.
var staticSuffixes = [][]byte{
	[]byte(".css"), []byte(".js"), []byte(".map"), []byte(".png"), []byte(".jpg"), []byte(".jpeg"), []byte(".gif"),
	[]byte(".ico"), []byte(".svg"), []byte(".webp"), []byte(".woff"), []byte(".woff2"), []byte(".ttf"), []byte(".eot"),
}

// isStaticPath tells whether a path names a static resource of a page.
func isStaticPath(path []byte) bool {
	i := bytes.LastIndexByte(path, '.')
	if i < 0 || len(path)-i > 6 || bytes.IndexByte(path, ';') >= 0 {
		return false
	}
	for _, s := range staticSuffixes {
		if bytes.EqualFold(path[i:], s) {
			return true
		}
	}
	return false
}

// observe derives the observation of an event at event time t. Template is the
// call's route, objects the path values it leaves open.
func observe(e *schemas.Event, t int64, call *routeCall) observation {
	o := observation{
		time: t, reqBytes: e.ReqBytes, respBytes: e.RespBytes, duration: e.DurationUS,
		status: int32(e.Status), route: sequence.Hash(call.template),
	}
	if len(e.ID) > 0 {
		o.tie = xxhash.Sum64(e.ID)
	}
	if !isSafeMethod(e.Method) {
		o.flags |= isMutation
		if string(e.Method) == "DELETE" {
			o.flags |= isDelete
		} else if isRenewalPath(e.Path) {
			o.flags |= isRenewal
		}
	}
	// A path that names an object, or hides one behind a parameter, is a call of
	// the API whatever it ends in.
	if o.flags&isMutation == 0 && call.object == 0 && len(e.Route) == 0 && isStaticPath(e.Path) {
		o.flags |= isStatic
		return o
	}
	switch e.Status {
	case 401, 403:
		o.flags |= isDenied
	case 404, 410:
		o.flags |= isMissing
	}
	if len(e.LoginUser) > 0 {
		o.loginUser = nonZero(xxhash.Sum64(e.LoginUser))
		o.flags |= isLogin
	} else if o.flags&isMutation != 0 && isLoginPath(e.Path) {
		o.flags |= isLogin
	}
	if o.flags&isLogin != 0 {
		switch e.Status {
		case 400, 401, 403, 404, 422, 423, 429:
			// A refused login counts as that alone: its 401 or 404 is how the
			// API says "wrong password", not a sign of probing.
			o.flags |= isLoginFailure
			o.flags &^= isDenied | isMissing
		}
	}
	if call.object != 0 {
		o.object = call.object
		if call.hasNum {
			o.objectNum, o.flags = call.num, o.flags|hasObjectNum
		}
	}
	if len(e.JA4) > 0 || len(e.UserAgent) > 0 {
		h := xxhash.Sum64(e.UserAgent)
		o.device = nonZero(h*31 + xxhash.Sum64(e.JA4))
	}
	if len(e.ClientIP) > 0 {
		var buf [64]byte
		o.network = nonZero(xxhash.Sum64(AppendNetwork(buf[:0], e.ClientIP)))
	}
	return o
}
