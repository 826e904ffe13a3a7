package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHealthIsTheStatus(t *testing.T) {
	for status, healthy := range map[int]bool{200: true, 204: true, 404: false, 503: false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := check(t.Context(), srv.URL); (err == nil) != healthy {
			t.Errorf("status %d: error is %v", status, err)
		}
		srv.Close()
	}
}

func TestHealthFailsWithoutAnAnswer(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := check(ctx, srv.URL); err == nil {
		t.Error("healthy without an answer")
	}
	if err := check(t.Context(), "http://127.0.0.1:0/"); err == nil {
		t.Error("healthy without a server")
	}
}
