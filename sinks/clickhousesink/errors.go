package clickhousesink

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/weir-dev/weir/sinks"
)

// transient are the server's error codes after which the same chunk may succeed.
var transient = map[int32]bool{
	159: true, // TIMEOUT_EXCEEDED
	202: true, // TOO_MANY_SIMULTANEOUS_QUERIES
	209: true, // SOCKET_TIMEOUT
	210: true, // NETWORK_ERROR
	236: true, // ABORTED: the server is shutting down
	241: true, // MEMORY_LIMIT_EXCEEDED
	242: true, // TABLE_IS_READ_ONLY: a replica without its keeper
	243: true, // NOT_ENOUGH_SPACE
	252: true, // TOO_MANY_PARTS: merges are behind
	285: true, // TOO_FEW_LIVE_REPLICAS
	319: true, // UNKNOWN_STATUS_OF_INSERT
	999: true, // KEEPER_EXCEPTION
}

// classed turns an error into a sinks.RetryError if the same call may succeed
// later. Parent is the context of the whole chunk: its end is no failure of the
// server.
func classed(parent context.Context, err error) error {
	if err == nil || parent.Err() != nil {
		return err
	}
	if code := retryCode(err); code != "" {
		return &sinks.RetryError{Code: code, Err: err}
	}
	return err
}

// retryCode names the class of an error that time heals, or "".
func retryCode(err error) string {
	if ex, ok := errors.AsType[*clickhouse.Exception](err); ok {
		if transient[ex.Code] {
			return strconv.Itoa(int(ex.Code))
		}
		return ""
	}
	if he, ok := errors.AsType[*clickhouse.HTTPError](err); ok {
		// Without an exception in it, a proxy or load balancer has answered.
		switch he.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout, http.StatusRequestTimeout:
			return fmt.Sprintf("http_%d", he.StatusCode)
		}
		return ""
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "" // it came as a network error, but no time heals it
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, clickhouse.ErrAcquireConnTimeout) {
		return "timeout"
	}
	for _, gone := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, driver.ErrBadConn,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, gone) {
			return "network"
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return "network"
	}
	return ""
}
