// Command cmd serves ClickHouse's HTTP interface on a loopback port for the
// project's tests. scripts/services builds and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/clickhousefront"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8123", "address to serve HTTP on")
	library := flag.String("library", "", "path of libchdb.so")
	data := flag.String("data", "", "directory the database is kept in; created if missing")
	verbose := flag.Bool("verbose", false, "log every statement that is refused")
	flag.Parse()

	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *library, *data, logger); err != nil {
		logger.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, library, data string, logger *slog.Logger) (err error) {
	if library == "" || data == "" {
		return errors.New("both -library and -data are needed")
	}
	// The engine takes a relative path against its own idea of the directory.
	if data, err = filepath.Abs(data); err != nil {
		return fmt.Errorf("resolving the data directory: %w", err)
	}
	tempDir := filepath.Join(data, "incoming")
	// Rows of an insert that a kill interrupted were never acknowledged.
	if err := os.RemoveAll(tempDir); err != nil {
		return fmt.Errorf("clearing insert data: %w", err)
	}
	if err := os.MkdirAll(tempDir, 0o755); err != nil {
		return fmt.Errorf("creating the data directory: %w", err)
	}
	// Listening first makes a port in use fail before the slow part.
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	engine, err := clickhousefront.OpenLibrary(library, filepath.Join(data, "database"))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() {
		err = errors.Join(err, engine.Close())
	}()
	handler, err := clickhousefront.New(engine, tempDir, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logger.Info("serving", "addr", listener.Addr().String(), "data", data)
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	logger.Info("closing")
	// A running statement cannot be cancelled; it gets this long to end.
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return fmt.Errorf("waiting for requests to end: %w", err)
	}
	return nil
}
