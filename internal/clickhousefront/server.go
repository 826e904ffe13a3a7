// Package clickhousefront serves ClickHouse's HTTP interface from the
// ClickHouse engine that libchdb embeds. The project's tests use it to talk
// to the real engine, through the same client library as in production, on
// machines where no ClickHouse server can be installed.
//
// It covers what clickhouse-go needs over HTTP: statements in the URL or the
// body, results in any output format (Native in the protocol revision the
// client asks for), inserts in any input format, settings and query
// parameters in the URL, both kinds of compression, and errors with
// ClickHouse's codes. Requests run one at a time. There is no access control:
// any user and password are accepted, so it must listen on loopback only.
//
// Not covered: external tables, sessions (temporary tables are shared by all
// requests), cancelling a running statement, and columns of the types
// EncodeNative refuses.
package clickhousefront

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Server is the HTTP handler. Use New.
type Server struct {
	session *session
	tempDir string
	logger  *slog.Logger
}

// New makes a handler over engine, which it uses until the last request ends
// and does not close. Insert data is kept in tempDir while a request runs.
func New(engine Engine, tempDir string, logger *slog.Logger) (*Server, error) {
	s, err := newSession(engine)
	if err != nil {
		return nil, err
	}
	return &Server{session: s, tempDir: tempDir, logger: logger}, nil
}

// ServeHTTP answers /ping and statements sent to /.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		writeOk(w)
		return
	case "/", "":
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet && r.URL.Query().Get("query") == "" {
		writeOk(w)
		return
	}
	if err := s.serveQuery(w, r); err != nil {
		s.writeError(w, err)
	}
}

func writeOk(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	// A client that left before the answer is its own business.
	_, _ = io.WriteString(w, "Ok.\n")
}

func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request) error {
	options, err := parseOptions(r)
	if err != nil {
		return err
	}
	body, err := requestBody(r.Body, r.Header.Get("Content-Encoding"), options.decompress)
	if err != nil {
		return err
	}
	if options.query == "" {
		// The statement is the body itself, rows of an INSERT included.
		text, err := io.ReadAll(body)
		if err != nil {
			return bodyError(err)
		}
		options.query, body = string(text), bytes.NewReader(nil)
	}

	q := request{
		sql:      options.query,
		format:   options.format,
		database: options.database,
		settings: options.settings,
		params:   options.params,
	}
	if insert, ok := parseDataInsert(options.query); ok {
		path, err := s.spool(io.MultiReader(strings.NewReader(insert.data), body))
		if err != nil {
			return err
		}
		defer s.remove(path)
		q.sql = insert.fromFile(path)
	} else {
		rest, err := io.ReadAll(body)
		if err != nil {
			return bodyError(err)
		}
		q.sql += string(rest)
		q.format = outputFormat(q.sql, options.format)
	}

	result, err := s.session.run(r.Context(), q)
	if err != nil {
		return err
	}
	if q.format == "Native" {
		if result.Data, err = EncodeNative(nil, result.Data, options.revision); err != nil {
			return err
		}
	}
	return s.writeResult(w, result, q.format, options)
}

// spool writes an insert's rows to a file for the engine to read: it takes
// rows from a file or from inside the statement, and the latter ends at the
// first line break.
func (s *Server) spool(rows io.Reader) (path string, err error) {
	f, err := os.CreateTemp(s.tempDir, "insert-*.data")
	if err != nil {
		return "", fmt.Errorf("creating a file for the rows: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			s.remove(f.Name())
		}
	}()
	if _, err := io.Copy(f, rows); err != nil {
		return "", bodyError(err)
	}
	return f.Name(), nil
}

func (s *Server) remove(path string) {
	if err := os.Remove(path); err != nil {
		s.logger.Warn("insert data was left behind", "path", path, "err", err)
	}
}

// bodyError classes a failure to read the body: the data came damaged or
// incomplete, so nothing of it was inserted.
func bodyError(err error) error {
	return newException(codeCannotDecompress, "CANNOT_DECOMPRESS", "Cannot read the request body: %v", err)
}

func (s *Server) writeResult(w http.ResponseWriter, result Result, format string, o options) error {
	data := result.Data
	if o.compress {
		var err error
		if data, err = compressBlocks(data, o.compressMethod); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", contentType(format))
	h.Set("X-ClickHouse-Format", format)
	if o.queryID != "" {
		h.Set("X-ClickHouse-Query-Id", o.queryID)
	}
	h.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","written_rows":"%d"}`, result.ReadRows, result.WrittenRows))
	// An empty body stays without encoding: clients take a length of zero as
	// a result without rows.
	if o.encoding == "" || len(data) == 0 {
		h.Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
		return nil
	}
	var encoded bytes.Buffer
	if err := encodeResponse(&encoded, data, o.encoding); err != nil {
		return fmt.Errorf("encoding the response: %w", err)
	}
	h.Set("Content-Encoding", o.encoding)
	_, _ = w.Write(encoded.Bytes())
	return nil
}

func (s *Server) writeError(w http.ResponseWriter, err error) {
	var exception *Exception
	if !errors.As(err, &exception) {
		exception = parseException(err.Error())
	}
	s.logger.Debug("statement was refused", "code", exception.Code, "err", exception.Text)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(exception.Code))
	w.WriteHeader(httpStatus(exception.Code))
	_, _ = io.WriteString(w, exception.Text+"\n")
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case format == "Native", format == "RowBinary", format == "Parquet":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}

// options is what a request asks for besides the data in its body.
type options struct {
	query, database, format, queryID string
	// revision is the protocol revision of Native output, 0 for the file form.
	revision uint64
	// compress and decompress are ClickHouse's own block compression of the
	// response and the request; encoding is the HTTP one of the response.
	compress, decompress     bool
	compressMethod, encoding string
	settings                 []setting
	params                   []Param
}

// interfaceParams are URL parameters of the HTTP interface itself that need
// no action here; all other unknown names are settings.
var interfaceParams = map[string]bool{
	"user": true, "password": true, "quota_key": true, "role": true, "stacktrace": true,
	"session_id": true, "session_timeout": true, "session_check": true, "close_session": true,
	"buffer_size": true, "wait_end_of_query": true, "framing": true,
}

func parseOptions(r *http.Request) (options, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return options{}, newException(codeSyntaxError, "SYNTAX_ERROR", "Cannot parse the URL: %v", err)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return options{}, newException(codeNotImplemented, "NOT_IMPLEMENTED", "External tables are not supported")
	}
	o := options{
		database: r.Header.Get("X-ClickHouse-Database"),
		format:   r.Header.Get("X-ClickHouse-Format"),
	}
	httpCompression := false
	for name, all := range values {
		value := all[len(all)-1]
		switch name {
		case "query":
			o.query = value
		case "database":
			o.database = value
		case "default_format":
			o.format = value
		case "query_id":
			o.queryID = value
		case "client_protocol_version":
			if o.revision, err = strconv.ParseUint(value, 10, 64); err != nil {
				return options{}, newException(codeSyntaxError, "SYNTAX_ERROR", "Bad client_protocol_version %q", value)
			}
		case "compress":
			o.compress = enabled(value)
		case "decompress":
			o.decompress = enabled(value)
		case "enable_http_compression":
			httpCompression = enabled(value)
		default:
			if interfaceParams[name] {
				continue
			}
			if param, ok := strings.CutPrefix(name, "param_"); ok {
				o.params = append(o.params, Param{Name: param, Value: value})
				continue
			}
			if name == "readonly" && value != "0" {
				// It could not be taken back for the next request.
				return options{}, newException(codeNotImplemented, "NOT_IMPLEMENTED", "The readonly setting is not supported")
			}
			if name == "network_compression_method" {
				o.compressMethod = value
			}
			o.settings = append(o.settings, setting{name: name, value: value})
		}
	}
	if o.format == "" {
		o.format = "TabSeparated"
	}
	if !isFormatName(o.format) {
		return options{}, newException(codeUnknownFormat, "UNKNOWN_FORMAT", "Unknown format %s", o.format)
	}
	if httpCompression {
		o.encoding = responseEncoding(r.Header.Get("Accept-Encoding"))
	}
	return o, nil
}

func isFormatName(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}

func enabled(value string) bool { return value == "1" || strings.EqualFold(value, "true") }
