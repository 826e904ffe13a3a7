package clickhousefront

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newTestServer(t *testing.T, answer func(sql, format string) (Result, error)) (*Server, *fakeEngine, string) {
	t.Helper()
	engine, dir := &fakeEngine{answer: answer}, t.TempDir()
	server, err := New(engine, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	engine.statements()
	return server, engine, dir
}

func post(s *Server, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPingNeedsNoEngine(t *testing.T) {
	s, engine, _ := newTestServer(t, nil)
	for _, path := range []string{"/ping", "/"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 200 || w.Body.String() != "Ok.\n" {
			t.Errorf("%s: got %d %q", path, w.Code, w.Body)
		}
	}
	if log := engine.statements(); log != nil {
		t.Errorf("the engine was asked %q", log)
	}
}

func TestRequestSurroundsStatementWithItsSettings(t *testing.T) {
	s, engine, _ := newTestServer(t, nil)
	post(s, "/?database=web`s&max_threads=2&query_id=x&param_n=5&user=u", strings.NewReader("SELECT {n:UInt8}"))
	want := []string{"USE `web\\`s`", "SET max_threads = '2'", "SELECT {n:UInt8} [n=5]", "SET max_threads = DEFAULT"}
	if diff := cmp.Diff(want, engine.statements()); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	post(s, "/?database=web`s", strings.NewReader("SELECT 1"))
	if diff := cmp.Diff([]string{"SELECT 1"}, engine.statements()); diff != "" {
		t.Errorf("second request in the same database (-want +got):\n%s", diff)
	}
}

func TestSettingNameCannotCarrySQL(t *testing.T) {
	s, engine, _ := newTestServer(t, nil)
	w := post(s, "/?"+"a%3D1%2Cb=1", strings.NewReader("SELECT 1"))
	if w.Code != http.StatusNotFound || w.Header().Get("X-ClickHouse-Exception-Code") != "115" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for _, sql := range engine.statements() {
		if strings.HasPrefix(sql, "SET") {
			t.Errorf("ran %s", sql)
		}
	}
}

func TestInsertRowsAreReadFromFileThatIsGoneAfterwards(t *testing.T) {
	infile := regexp.MustCompile(`FROM INFILE '([^']+)'`)
	var rows string
	s, _, dir := newTestServer(t, func(sql, _ string) (Result, error) {
		m := infile.FindStringSubmatch(sql)
		if m == nil {
			return Result{}, nil
		}
		data, err := os.ReadFile(m[1])
		rows = string(data)
		return Result{WrittenRows: 2}, err
	})
	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	if _, err := zw.Write([]byte("3;\n4\n")); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target, body, encoding, want string
	}{
		{"/?query=INSERT+INTO+t+FORMAT+CSV", "1;\n2\n", "", "1;\n2\n"},
		{"/", "INSERT INTO t FORMAT CSV\n1;\n2\n", "", "1;\n2\n"},
		{"/?query=INSERT+INTO+t+FORMAT+CSV", gz.String(), "gzip", "3;\n4\n"},
		{"/?query=INSERT+INTO+t+VALUES+(1),", "(2)", "", " (1),(2)"},
	} {
		rows = ""
		w := post(s, c.target, strings.NewReader(c.body), "Content-Encoding", c.encoding)
		if w.Code != 200 || rows != c.want {
			t.Errorf("%s: engine read %q, want %q (%d %s)", c.target, rows, c.want, w.Code, w.Body)
		}
		if got := w.Header().Get("X-ClickHouse-Summary"); !strings.Contains(got, `"written_rows":"2"`) {
			t.Errorf("summary is %s", got)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDamagedBodyInsertsNothing(t *testing.T) {
	s, engine, dir := newTestServer(t, nil)
	w := post(s, "/?query=INSERT+INTO+t+FORMAT+CSV&decompress=1", strings.NewReader("certainly not a compressed block of data"))
	if w.Code == 200 || w.Header().Get("X-ClickHouse-Exception-Code") != "271" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if log := engine.statements(); log != nil {
		t.Errorf("the engine ran %q", log)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestErrorsCarryCodeAndStatus(t *testing.T) {
	var engineErr error
	s, _, _ := newTestServer(t, func(string, string) (Result, error) { return Result{}, engineErr })
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{parseException("Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)"), "60", 404},
		{parseException("Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)"), "62", 400},
		{parseException("Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"), "252", 500},
		{parseException("gone wrong"), "1001", 500},
		{errors.New("disk is full"), "1001", 500},
	} {
		engineErr = c.err
		w := post(s, "/", strings.NewReader("SELECT 1"))
		if w.Code != c.status || w.Header().Get("X-ClickHouse-Exception-Code") != c.code || !strings.HasPrefix(w.Body.String(), "Code: "+c.code+". ") {
			t.Errorf("%v: got %d, code %s, %q", c.err, w.Code, w.Header().Get("X-ClickHouse-Exception-Code"), w.Body)
		}
	}
}

func TestUnsupportedRequestsAreRefused(t *testing.T) {
	s, engine, _ := newTestServer(t, nil)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"external tables": post(s, "/", strings.NewReader("x"), "Content-Type", "multipart/form-data; boundary=x"),
		"readonly":        post(s, "/?readonly=1", strings.NewReader("SELECT 1")),
		"format name":     post(s, "/?default_format=No+Such", strings.NewReader("SELECT 1")),
		"other path":      post(s, "/play", strings.NewReader("SELECT 1")),
	} {
		if w.Code < 400 {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
	if log := engine.statements(); log != nil {
		t.Errorf("the engine ran %q", log)
	}
}

func TestWaitingRequestGivesUpWithItsClient(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	s, engine, _ := newTestServer(t, func(sql, _ string) (Result, error) {
		if sql == "SELECT slow" {
			close(started)
			<-finish
		}
		return Result{}, nil
	})
	slow := make(chan int)
	go func() { slow <- post(s, "/", strings.NewReader("SELECT slow")).Code }()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.session.run(ctx, request{sql: "SELECT late"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("waiting request returned %v", err)
	}
	close(finish)
	if code := <-slow; code != 200 {
		t.Errorf("slow request got %d", code)
	}
	for _, sql := range engine.statements() {
		if sql == "SELECT late" {
			t.Error("the abandoned statement ran")
		}
	}
}
