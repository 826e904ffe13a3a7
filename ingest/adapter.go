// Package ingest turns what gateways write about their calls into events: one
// adapter per log format, the pseudonyms that keep secrets out of everything
// downstream, and fast readers for log files. Sources that receive events over
// a network live in subpackages.
package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// Names of the formats that New knows.
const (
	FormatCanonical = "canonical"    // one canonical JSON event per line
	FormatCombined  = "combined"     // Apache and nginx access logs: common, combined, with vhost or extra fields
	FormatEPA       = "epa"          // host [DD:HH:MM:SS] "request" status bytes
	FormatNginxJSON = "nginx-json"   // nginx log_format with escape=json
	FormatCaddy     = "caddy"        // Caddy's structured access log
	FormatTraefik   = "traefik"      // Traefik's JSON access log
	FormatHAProxy   = "haproxy-json" // HAProxy log-format writing JSON
	FormatAuto      = "auto"         // not an adapter: stands for Detect
)

// ErrUnknownFormat says that no adapter has the name asked for.
var ErrUnknownFormat = errors.New("unknown log format")

// Adapter reads one gateway's log format. An Adapter is not safe for concurrent
// use: it owns scratch memory, so every goroutine takes its own from New.
type Adapter interface {
	// Name is the format's name as New accepts it.
	Name() string
	// Parse fills ev, which the caller has Reset, from one line without its
	// line break. Text of ev may alias line and the adapter's scratch: it is
	// valid until line changes or the next Parse, whichever is first. On error
	// ev is half filled and must not be used; schemas.ReasonOf tells the class.
	Parse(line []byte, ev *schemas.Event) error
}

// Options of an adapter. The zero value is usable: pseudonyms are then made
// with a key that nobody else has.
type Options struct {
	// Key makes the pseudonyms of users, credentials and sessions. Default: a
	// random key of this adapter, so that pseudonyms of two adapters differ.
	Key Key

	// Tenant, Gateway and API are given to events whose record names none. An
	// event left with neither API nor host gets API "default".
	Tenant, Gateway, API string
	// GatewayType is given to formats that several gateways write (combined,
	// epa, canonical). Default: unknown.
	GatewayType string

	// BodySamples lets canonical events keep their body sample, cut to 4 KiB.
	// Default: it is dropped.
	BodySamples bool
	// HashCanonical pseudonymises user, credential, session and login_user of
	// canonical events too, for producers that send them in clear. Default:
	// they are taken to be pseudonyms already.
	HashCanonical bool
	// SessionCookies are the cookie names that carry a session id.
	// Default: the names that common frameworks use.
	SessionCookies []string

	// ExtraUnit is the unit of a whole number after the user agent of a
	// combined line: "us" (Apache %D), "ms" or "s" (Apache %T). Default: such a
	// number is ignored; one with a decimal point is always seconds.
	ExtraUnit string
	// BaseMonth is the month of epa logs, whose dates have only a day: the
	// first instant of that month in the log's time zone.
	// Default: 1995-08-01 00:00 -0400.
	BaseMonth time.Time
	// MaxLine bounds a line, bytes. Default: 1 MiB.
	MaxLine int
}

// DefaultMaxLine is the longest line that is parsed, bytes.
const DefaultMaxLine = 1 << 20

// parser is what each format implements. It leaves its text in line or in
// f.scratch, which the caller empties when it is done with the event.
type parser interface {
	parse(line []byte, f *filler) error
}

// format is one entry of the table of formats.
type format struct {
	name string
	make func(*Options) (parser, error)
	json bool // one JSON object per record
	// gateway is the gateway type of the format's events, if only one writes it.
	gateway string
}

// formats lists every format in the order that Detect prefers when two read a
// sample equally well: the narrow ones first, canonical last because it ignores
// fields that it does not know.
func formats() []format {
	return []format{
		{FormatNginxJSON, newNginx, true, "nginx"},
		{FormatCaddy, newCaddy, true, "caddy"},
		{FormatTraefik, newTraefik, true, "traefik"},
		{FormatHAProxy, newHAProxy, true, "haproxy"},
		{FormatEPA, newEPA, false, ""},
		{FormatCombined, newCombined, false, ""},
		{FormatCanonical, newCanonical, true, ""},
	}
}

// alias resolves other names by which users know a format.
func alias(name string) string {
	switch name {
	case "common", "clf", "apache", "nginx":
		return FormatCombined
	case "haproxy":
		return FormatHAProxy
	case "json", "ndjson":
		return FormatCanonical
	}
	return name
}

// Names lists the formats that New knows, without their aliases.
func Names() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

func lookup(name string) (format, error) {
	want := alias(name)
	for _, f := range formats() {
		if f.name == want {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("%w: %q; known are %s", ErrUnknownFormat, name, strings.Join(Names(), ", "))
}

// Canonicalize returns the name of a format given by that name or an alias:
// common and clf are combined, json is canonical. The error is ErrUnknownFormat.
func Canonicalize(name string) (string, error) {
	f, err := lookup(name)
	return f.name, err
}

// IsJSON tells whether a record of the named format is a JSON object, so that
// records may also come as an array. The error is ErrUnknownFormat.
func IsJSON(name string) (bool, error) {
	f, err := lookup(name)
	return f.json, err
}

// New returns an adapter of the named format for one goroutine. The error is
// ErrUnknownFormat or says which option is invalid.
func New(name string, opts Options) (Adapter, error) {
	return newAdapter(name, opts)
}

func newAdapter(name string, opts Options) (*adapter, error) {
	f, err := lookup(name)
	if err != nil {
		return nil, err
	}
	if opts.MaxLine <= 0 {
		opts.MaxLine = DefaultMaxLine
	}
	if opts.Key.IsZero() {
		if opts.Key, err = RandomKey(); err != nil {
			return nil, err
		}
	}
	if opts.SessionCookies == nil {
		opts.SessionCookies = defaultSessionCookies()
	}
	a := &adapter{name: f.name}
	a.fill = filler{
		opts: opts, hasher: NewHasher(opts.Key),
		tenant: []byte(opts.Tenant), gateway: []byte(opts.Gateway), api: []byte(opts.API),
		gatewayType: []byte(cmp.Or(f.gateway, opts.GatewayType)),
	}
	if a.parser, err = f.make(&a.fill.opts); err != nil {
		return nil, fmt.Errorf("making the %s adapter: %w", f.name, err)
	}
	return a, nil
}

// adapter adds to a parser what all formats share: limits, scratch, defaults.
type adapter struct {
	name   string
	parser parser
	fill   filler
}

// Name implements Adapter.
func (a *adapter) Name() string { return a.name }

// Parse implements Adapter.
func (a *adapter) Parse(line []byte, ev *schemas.Event) error {
	a.fill.scratch = a.fill.scratch[:0]
	return a.parseInto(line, ev)
}

// parseInto parses without giving up the scratch of earlier events, for batches
// that hold many of them.
func (a *adapter) parseInto(line []byte, ev *schemas.Event) error {
	f := &a.fill
	if len(line) > f.opts.MaxLine {
		return errTooLarge
	}
	f.begin(ev)
	if err := a.parser.parse(line, f); err != nil {
		return err
	}
	return f.finish()
}
