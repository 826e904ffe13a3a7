package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// ErrOpenListener refuses to listen where other machines can ask, without a
// token: the answers tell who is blocked and why.
var ErrOpenListener = errors.New("listening beyond loopback needs a token")

// HeaderToken carries the token of a listener. It is not Authorization, which on
// a forward-auth request is the client's.
const HeaderToken = "X-Weir-Token"

// ServerConfig configures a listener.
type ServerConfig struct {
	// Addr is host:port. Default: 127.0.0.1:8620.
	Addr string
	// Token is required of every request, in HeaderToken. Default: none, which
	// only a loopback address may have.
	Token string
	// AllowInsecure permits an address beyond loopback without a token.
	AllowInsecure bool
	// TLS is used if set.
	TLS *tls.Config
	// Logger receives errors of connections. Default: none.
	Logger *slog.Logger
}

// Mux routes the requests of the auth listener: /auth to auth, /v1/blocklist to
// feed. Either may be nil.
func Mux(auth *Auth, feed *Feed) http.Handler {
	mux := http.NewServeMux()
	if auth != nil {
		mux.Handle("/auth", auth)
	}
	if feed != nil {
		mux.Handle("/v1/blocklist", feed)
	}
	return mux
}

// CheckListen returns ErrOpenListener for an address that other machines can
// reach, unless there is a token or allowInsecure. A name other than localhost
// counts as reachable, whatever it resolves to today.
func CheckListen(addr, token string, allowInsecure bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", addr, err)
	}
	if token != "" || allowInsecure || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("listening on %q: %w", addr, ErrOpenListener)
}

// Listen checks the address and opens it.
func Listen(ctx context.Context, cfg ServerConfig) (net.Listener, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:8620"
	}
	if err := CheckListen(cfg.Addr, cfg.Token, cfg.AllowInsecure); err != nil {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", cfg.Addr, err)
	}
	if cfg.TLS != nil {
		ln = tls.NewListener(ln, cfg.TLS)
	}
	return ln, nil
}

// Serve answers requests on ln until ctx ends, then lets those under way finish
// for up to five seconds and returns nil. It closes ln.
func Serve(ctx context.Context, ln net.Listener, cfg ServerConfig, h http.Handler) error {
	if cfg.Logger == nil {
		cfg.Logger = discard()
	}
	if cfg.Token != "" {
		h = requireToken(cfg.Token, h)
	}
	srv := &http.Server{
		Handler: h,
		// The context of a stream ends with ctx, so that it does not hold up the
		// shutdown.
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close()
	}
	if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	}
	return nil
}

// requireToken compares hashes, so that the time taken tells nothing about the
// token, its length included.
func requireToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get(HeaderToken)))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "missing or wrong "+HeaderToken, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
