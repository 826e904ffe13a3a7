package clickhousefront

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrClosed is returned by queries after Close.
var ErrClosed = errors.New("engine is closed")

// library holds the C functions used. The result functions take the handle
// chdb_query_with_params_n returned and nothing else.
type library struct {
	connect      func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn    func(conn unsafe.Pointer)
	signals      func(enabled int32)
	query        func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	resultBuffer func(result unsafe.Pointer) unsafe.Pointer
	resultLength func(result unsafe.Pointer) uintptr
	resultError  func(result unsafe.Pointer) unsafe.Pointer
	rowsRead     func(result unsafe.Pointer) uint64
	rowsWritten  func(result unsafe.Pointer) uint64
	destroy      func(result unsafe.Pointer)
}

func loadLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	lib := &library{}
	for _, f := range []struct {
		name   string
		target any
	}{
		{"chdb_connect", &lib.connect},
		{"chdb_close_conn", &lib.closeConn},
		{"chdb_set_signal_handlers_enabled", &lib.signals},
		{"chdb_query_with_params_n", &lib.query},
		{"chdb_result_buffer", &lib.resultBuffer},
		{"chdb_result_length", &lib.resultLength},
		{"chdb_result_error", &lib.resultError},
		{"chdb_result_storage_rows_read", &lib.rowsRead},
		{"chdb_result_rows_written", &lib.rowsWritten},
		{"chdb_destroy_query_result", &lib.destroy},
	} {
		// RegisterLibFunc panics on a missing symbol, and an older library is
		// a user's mistake rather than ours.
		symbol, err := purego.Dlsym(handle, f.name)
		if err != nil {
			return nil, fmt.Errorf("library %s is not usable: %w", path, err)
		}
		purego.RegisterFunc(f.target, symbol)
	}
	return lib, nil
}

// Library is an Engine inside this process, loaded from libchdb.so.
//
// All calls into the library run on one OS thread: the engine keeps query
// state in thread-local storage, and the Go scheduler would otherwise spread
// it over every thread it owns.
type Library struct {
	calls chan func()
	// quit asks the engine thread to end, done tells that it has.
	quit, done chan struct{}
	once       sync.Once

	// lib and conn belong to the engine thread. conn points at the connection
	// handle, as chdb_close_conn wants it.
	lib  *library
	conn unsafe.Pointer
}

// OpenLibrary loads the library at path and opens the database kept in
// dataDir, which is created if it does not exist. A process can hold one open
// Library at a time.
func OpenLibrary(path, dataDir string) (*Library, error) {
	e := &Library{calls: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	opened := make(chan error)
	go e.loop(path, dataDir, opened)
	if err := <-opened; err != nil {
		return nil, err
	}
	// The sampling profiler interrupts threads with signals whose handlers
	// expect a C stack. A server, unlike this library, wants its SELECT.
	_, err := e.Query("SET query_profiler_real_time_period_ns = 0, query_profiler_cpu_time_period_ns = 0, implicit_select = 0", "Null", nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the session: %w", err), e.Close())
	}
	return e, nil
}

func (e *Library) loop(path, dataDir string, opened chan<- error) {
	runtime.LockOSThread()
	defer close(e.done)
	err := e.open(path, dataDir)
	opened <- err
	if err != nil {
		return
	}
	for {
		select {
		case call := <-e.calls:
			call()
		case <-e.quit:
			e.lib.closeConn(e.conn)
			return
		}
	}
}

func (e *Library) open(path, dataDir string) error {
	lib, err := loadLibrary(path)
	if err != nil {
		return err
	}
	saved, err := saveSignalHandlers()
	if err != nil {
		return err
	}
	// Without this call the engine takes over SIGSEGV and its like and sleeps
	// for minutes in them; with it, it resets them to the default action. The
	// Go runtime needs its own, so they are put back after connecting.
	lib.signals(0)

	argv := newCStrings([]string{"clickhouse", "--path=" + dataDir})
	defer argv.pins.Unpin()
	conn := lib.connect(int32(len(argv.pointers)-1), argv.address())
	if err := saved.restore(); err != nil {
		return err
	}
	if conn == nil {
		return fmt.Errorf("opening the database in %s: the engine gave no reason", dataDir)
	}
	e.lib, e.conn = lib, conn
	return nil
}

// Query implements Engine.
func (e *Library) Query(sql, format string, params []Param) (Result, error) {
	var (
		result Result
		err    error
	)
	finished := make(chan struct{})
	call := func() {
		defer close(finished)
		result, err = e.query(sql, format, params)
	}
	select {
	case e.calls <- call:
		<-finished
		return result, err
	case <-e.done:
		return Result{}, ErrClosed
	}
}

func (e *Library) query(sql, format string, params []Param) (Result, error) {
	names, values := make([]string, len(params)), make([]string, len(params))
	for i, p := range params {
		names[i], values[i] = p.Name, p.Value
	}
	texts := newCStrings([]string{sql, format})
	cNames, cValues := newCStrings(names), newCStrings(values)
	defer texts.pins.Unpin()
	defer cNames.pins.Unpin()
	defer cValues.pins.Unpin()

	handle := e.lib.query(*(*unsafe.Pointer)(e.conn),
		texts.pointers[0], texts.lengths[0], texts.pointers[1], texts.lengths[1],
		cNames.address(), cNames.lengthsAddress(), cValues.address(), cValues.lengthsAddress(), uintptr(len(params)))
	if handle == nil {
		return Result{}, parseException("the engine returned no result")
	}
	defer e.lib.destroy(handle)
	if text := e.lib.resultError(handle); text != nil {
		return Result{}, parseException(goString(text))
	}
	result := Result{ReadRows: e.lib.rowsRead(handle), WrittenRows: e.lib.rowsWritten(handle)}
	if n := e.lib.resultLength(handle); n > 0 {
		result.Data = append([]byte(nil), unsafe.Slice((*byte)(e.lib.resultBuffer(handle)), n)...)
	}
	return result, nil
}

// Close implements Engine. It waits for a running query.
func (e *Library) Close() error {
	e.once.Do(func() { close(e.quit) })
	<-e.done
	return nil
}

// cStrings is a list of strings as C takes it: pointers to NUL-terminated
// bytes, and the lengths without the NUL. The list ends with a nil pointer.
type cStrings struct {
	pins     runtime.Pinner
	pointers []unsafe.Pointer
	lengths  []uintptr
}

func newCStrings(list []string) *cStrings {
	c := &cStrings{pointers: make([]unsafe.Pointer, len(list)+1), lengths: make([]uintptr, len(list)+1)}
	for i, s := range list {
		b := append([]byte(s), 0)
		c.pins.Pin(&b[0])
		c.pointers[i], c.lengths[i] = unsafe.Pointer(&b[0]), uintptr(len(s))
	}
	c.pins.Pin(&c.pointers[0])
	c.pins.Pin(&c.lengths[0])
	return c
}

func (c *cStrings) address() unsafe.Pointer        { return unsafe.Pointer(&c.pointers[0]) }
func (c *cStrings) lengthsAddress() unsafe.Pointer { return unsafe.Pointer(&c.lengths[0]) }

func goString(p unsafe.Pointer) string {
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
