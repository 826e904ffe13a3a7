package gateway

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-dev/weir/schemas"
)

// Response headers of the forward-auth answer.
const (
	HeaderAction  = "X-Weir-Action"  // throttle, challenge, block; allow where an allowance lifted a block
	HeaderReason  = "X-Weir-Reason"  // one sentence, printable ASCII
	HeaderVerdict = "X-Weir-Verdict" // verdict id
	HeaderExpires = "X-Weir-Expires" // RFC 3339, UTC
)

// Matcher decides about callers; a *Blocklist is one.
type Matcher interface {
	Match(id Identity) Decision
	IsReady() bool
}

// AuthConfig configures an Auth. Header names are in any case; an empty name is
// a header that is not read.
//
// A gateway must set, or clear, every header named here: one that it passes on
// as the client sent it lets the client choose who to be. Hence only the
// address, which gateways set by habit, has a name by default.
type AuthConfig struct {
	// TrustedPeers are the gateways: from any other peer the socket's address is
	// the client, and no identity header is read. Default: loopback.
	TrustedPeers []netip.Prefix
	// AddressHeaders carry the client's address; the first that is present
	// counts. Of a list, as in X-Forwarded-For, it is the last address that is
	// no trusted peer. Default: X-Real-IP. A trusted peer that sends none leaves
	// the address unknown: its own is not the client's.
	AddressHeaders []string

	// UserHeader, ConsumerHeader, SessionHeader and JA4Header carry what the
	// gateway knows of the caller, ASNHeader the number of the autonomous system of
	// its address. Default: none.
	UserHeader, ConsumerHeader, SessionHeader, JA4Header, ASNHeader string
	// APIHeader carries the API that is called, as events name it; entries about
	// cohorts match by it. Without the header the API is the X-Forwarded-Host, as
	// an event without an API is its host's. Default: none.
	APIHeader string
	// SessionCookies are cookies that hold a session id, read when SessionHeader
	// gave none and HashSession is set. Default: none.
	SessionCookies []string
	// CredentialHeaders carry the caller's own secrets; every one present is
	// checked. Of Authorization the scheme is left out. Read from any peer, and
	// only with HashCredential. Default: Authorization, X-Api-Key.
	CredentialHeaders []string

	// HashUser, HashCredential and HashSession turn a secret into the pseudonym
	// that events carry: the same function, under the same key, as where events
	// are taken in. They must be safe for concurrent use and must not keep their
	// argument. Default: nil, which takes users and sessions as pseudonyms
	// already and ignores credentials and cookies.
	HashUser, HashCredential, HashSession func([]byte) []byte

	// FailClosed denies until the list has been read. Default: callers pass, so
	// that starting weir stops no traffic.
	FailClosed bool

	// Logger receives trouble. Default: none.
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none.
	Registerer prometheus.Registerer
	// Now is the clock for Retry-After. Default: time.Now.
	Now func() time.Time
}

// Auth answers a gateway's question whether a call may pass: 200 if it may, 403
// with the reason if not. Only these two, because nginx's auth_request passes on
// 2xx, denies on 401 and 403, and turns anything else, 503 included, into an
// error of its own; "not ready" under FailClosed is therefore a 403 too.
//
// Throttle and challenge pass with X-Weir-Action set: slowing down and asking
// back is the gateway's part.
type Auth struct {
	cfg     AuthConfig
	list    Matcher
	callers *callerReader
	metrics authMetrics
}

// NewAuth returns the handler of GET /auth. Any method is accepted: gateways
// repeat the client's.
func NewAuth(list Matcher, cfg AuthConfig) (*Auth, error) {
	if cfg.Logger == nil {
		cfg.Logger = discard()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Auth{cfg: cfg, list: list, callers: newCallerReader(&cfg)}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "weir", Subsystem: "auth", Name: "requests_total",
		Help: "Forward-auth answers, by what was decided.",
	}, []string{"decision"})
	a.metrics = authMetrics{
		pass: requests.WithLabelValues("pass"), unready: requests.WithLabelValues("not_ready"),
		allow:     requests.WithLabelValues(string(schemas.AllowAction)),
		throttle:  requests.WithLabelValues(string(schemas.ActionThrottle)),
		challenge: requests.WithLabelValues(string(schemas.ActionChallenge)),
		block:     requests.WithLabelValues(string(schemas.ActionBlock)),
		nameless: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "weir", Subsystem: "auth", Name: "no_address_total",
			Help: "Questions of a trusted peer that named no client address.",
		}),
	}
	return a, register(cfg.Registerer, requests, a.metrics.nameless)
}

// authMetrics are resolved once; resolving a label costs more than a lookup.
type authMetrics struct {
	pass, unready, allow, throttle, challenge, block, nameless prometheus.Counter
}

// ServeHTTP implements http.Handler. A caller about whom nothing is known costs
// no allocation here.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.list.IsReady() {
		a.metrics.unready.Inc()
		if !a.cfg.FailClosed {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.Header()["Retry-After"] = retrySoon
		deny(w, Decision{Action: schemas.ActionBlock, Entry: schemas.BlockEntry{
			Reason: "the blocklist is still being read",
		}})
		return
	}
	c := a.callers.get()
	known := c.read(a.callers, r)
	d := a.list.Match(c.id)
	a.callers.put(c)
	if !known {
		a.metrics.nameless.Inc()
	}
	if d.Action == "" {
		a.metrics.pass.Inc()
		w.WriteHeader(http.StatusOK)
		return
	}
	a.answer(w, d)
}

var retrySoon = []string{"1"}

func (a *Auth) answer(w http.ResponseWriter, d Decision) {
	h := w.Header()
	if d.Entry.VerdictID != "" {
		h[HeaderVerdict] = []string{printable(d.Entry.VerdictID)}
	}
	h[HeaderExpires] = []string{d.Entry.ExpiresAt.Format(time.RFC3339)}
	switch d.Action {
	case schemas.ActionBlock:
		a.metrics.block.Inc()
		left := max(1, int64(d.Entry.ExpiresAt.Sub(a.cfg.Now()).Seconds()))
		h["Retry-After"] = []string{strconv.FormatInt(left, 10)}
		deny(w, d)
		return
	case schemas.ActionChallenge:
		a.metrics.challenge.Inc()
	case schemas.ActionThrottle:
		a.metrics.throttle.Inc()
	default:
		a.metrics.allow.Inc()
	}
	describe(h, d)
	w.WriteHeader(http.StatusOK)
}

func describe(h http.Header, d Decision) {
	h[HeaderAction] = []string{string(d.Action)}
	h[HeaderReason] = []string{printable(d.Entry.Reason)}
	h["Cache-Control"] = []string{"no-store"}
}

// denial is the body of a 403.
type denial struct {
	Action    schemas.Action `json:"action"`
	Reason    string         `json:"reason"`
	VerdictID string         `json:"verdict_id,omitempty"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
}

func deny(w http.ResponseWriter, d Decision) {
	h := w.Header()
	describe(h, d)
	h["Content-Type"] = []string{"application/json"}
	body, err := json.Marshal(denial{d.Action, d.Entry.Reason, d.Entry.VerdictID, d.Entry.ExpiresAt})
	if err != nil {
		body = []byte("{}") // strings and a time of four-digit years always marshal
	}
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(append(body, '\n')) // the gateway has gone; nothing to tell it
}

// printable makes text fit for a header: at most 256 bytes of printable ASCII.
func printable(s string) string {
	if len(s) > 256 {
		s = s[:256]
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			b := []byte(s)
			for i, c := range b {
				if c < 0x20 || c > 0x7e {
					b[i] = '?'
				}
			}
			return string(b)
		}
	}
	return s
}
