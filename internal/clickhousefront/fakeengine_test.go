package clickhousefront

import (
	"strings"
	"sync"
)

// fakeEngine records statements and answers them from a function.
type fakeEngine struct {
	mu     sync.Mutex
	log    []string
	answer func(sql, format string) (Result, error)
}

func (e *fakeEngine) Query(sql, format string, params []Param) (Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range params {
		sql += " [" + p.Name + "=" + p.Value + "]"
	}
	e.log = append(e.log, sql)
	if e.answer == nil || strings.HasPrefix(sql, "SELECT name FROM system.settings") {
		return Result{}, nil
	}
	return e.answer(sql, format)
}

func (e *fakeEngine) Close() error { return nil }

// statements returns what was run since the last call.
func (e *fakeEngine) statements() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	log := e.log
	e.log = nil
	return log
}
