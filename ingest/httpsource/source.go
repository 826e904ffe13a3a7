// Package httpsource takes events in over HTTP: canonical ones as JSON or
// Protobuf, and gateways' own log lines. A request is answered when Kafka has
// every record of it.
package httpsource

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/ingest/publish"
)

// Config of the source. The zero value serves with the defaults named.
type Config struct {
	// Options of the adapters. Set Key, or pseudonyms change with every start.
	Options ingest.Options
	// Token that clients must send as "Authorization: Bearer <token>".
	// Default: none is asked for, which is for loopback only.
	Token string

	// MaxCompressed bounds a compressed body as sent. Default: 8 MiB.
	MaxCompressed int64
	// MaxBody bounds a body, decompressed. Default: 64 MiB.
	MaxBody int64
	// MaxRatio bounds how much a body may grow when decompressed, once it has
	// grown past 1 MiB. Default: 250.
	MaxRatio int64
	// Memory bounds the bodies held at any time, together. Default: 256 MiB. A
	// request that finds it used up is answered 503.
	Memory int64
	// PublishTimeout bounds the wait for Kafka. Default: 35 s, which leaves the
	// producer its own 30 s.
	PublishTimeout time.Duration
	// MaxDeadLetters bounds the dead letters of one request; more refusals are
	// only counted. Default: 1000.
	MaxDeadLetters int
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxCompressed, 8<<20)
	setDefault(&c.MaxBody, 64<<20)
	setDefault(&c.MaxRatio, 250)
	setDefault(&c.Memory, 256<<20)
	setDefault(&c.PublishTimeout, 35*time.Second)
	setDefault(&c.MaxDeadLetters, 1000)
}

func setDefault[T ~int | ~int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Source is the HTTP source. It is safe for concurrent use.
type Source struct {
	cfg     Config
	pub     publish.Publisher
	log     *slog.Logger
	metrics *metrics
	token   [sha256.Size]byte
	memory  *semaphore.Weighted
	readers map[string]*sync.Pool // of *reader, by format
}

// New returns a source that publishes through pub. The error is an invalid
// option or a metric registered twice.
func New(cfg Config, pub publish.Publisher, log *slog.Logger, reg prometheus.Registerer) (*Source, error) {
	cfg.setDefaults()
	if cfg.Options.Key.IsZero() {
		key, err := ingest.RandomKey()
		if err != nil {
			return nil, err
		}
		cfg.Options.Key = key
	}
	s := &Source{
		cfg: cfg, pub: pub, log: log, token: sha256.Sum256([]byte(cfg.Token)),
		memory: semaphore.NewWeighted(cfg.Memory), readers: make(map[string]*sync.Pool),
	}
	for _, format := range ingest.Names() {
		// The first shows that the options are good, so that none fails later.
		first, err := newReader(format, cfg.Options)
		if err != nil {
			return nil, err
		}
		pool := &sync.Pool{New: func() any {
			r, err := newReader(format, cfg.Options)
			if err != nil {
				return err
			}
			return r
		}}
		pool.Put(first)
		s.readers[format] = pool
	}
	var err error
	if s.metrics, err = newMetrics(reg); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler serves POST /v1/events and POST /v1/ingest/{format}.
func (s *Source) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, ingest.FormatCanonical)
	})
	mux.HandleFunc("POST /v1/ingest/{format}", func(w http.ResponseWriter, r *http.Request) {
		format, err := ingest.Canonicalize(r.PathValue("format"))
		if err != nil {
			s.fail(w, http.StatusNotFound, "unknown format; known are "+strings.Join(ingest.Names(), ", "))
			return
		}
		s.serve(w, r, format)
	})
	if s.cfg.Token == "" {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
			s.fail(w, http.StatusUnauthorized, "bearer token missing or wrong")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// authorized compares digests, so that the time it takes tells neither the
// token's length nor how much of it was right.
func (s *Source) authorized(r *http.Request) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// Serve answers requests on ln until ctx ends, then finishes those in flight for
// at most 25 seconds. It closes ln.
func (s *Source) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60*time.Second + s.cfg.PublishTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 25*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	err := server.Serve(ln)
	if !errors.Is(err, http.ErrServerClosed) {
		if !stop() {
			return errors.Join(fmt.Errorf("serving events: %w", err), <-stopped)
		}
		return fmt.Errorf("serving events: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("stopping the event listener: %w", err)
	}
	return nil
}
