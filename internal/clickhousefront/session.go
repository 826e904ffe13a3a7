package clickhousefront

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// setting is one URL parameter that is a setting of the engine.
type setting struct{ name, value string }

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// session lets independent HTTP requests share the engine's only session:
// each runs alone, in its own database and with its own settings, and leaves
// nothing behind for the next.
type session struct {
	engine Engine
	// turn holds a token while no request is running.
	turn chan struct{}
	// Everything below is used only by the request whose turn it is. database
	// is the current one, empty when not known; baseline lists settings that
	// differed from their defaults when the session was opened.
	database string
	baseline map[string]bool
}

func newSession(engine Engine) (*session, error) {
	s := &session{engine: engine, turn: make(chan struct{}, 1)}
	changed, err := s.changedSettings()
	if err != nil {
		return nil, fmt.Errorf("reading the session's settings: %w", err)
	}
	s.baseline = make(map[string]bool, len(changed))
	for _, name := range changed {
		s.baseline[name] = true
	}
	s.turn <- struct{}{}
	return s, nil
}

// request is one statement and the surroundings it runs in.
type request struct {
	sql, format, database string
	settings              []setting
	params                []Param
}

// run waits for its turn and runs the statement. It returns ctx's error when
// the caller gives up before its turn; a statement that has started runs to
// its end.
func (s *session) run(ctx context.Context, q request) (Result, error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()

	if err := s.use(q.database); err != nil {
		return Result{}, err
	}
	if err := s.set(q.settings); err != nil {
		return Result{}, err
	}
	result, err := s.engine.Query(q.sql, q.format, q.params)
	return result, errors.Join(err, s.undo(q))
}

func (s *session) exec(sql string) error {
	_, err := s.engine.Query(sql, "Null", nil)
	return err
}

func (s *session) use(database string) error {
	if database == "" {
		database = "default"
	}
	if database == s.database {
		return nil
	}
	s.database = ""
	if err := s.exec("USE " + quoteName(database)); err != nil {
		return err
	}
	s.database = database
	return nil
}

func (s *session) set(settings []setting) error {
	if len(settings) == 0 {
		return nil
	}
	assignments := make([]string, len(settings))
	for i, v := range settings {
		if !settingName.MatchString(v.name) {
			return newException(codeUnknownSetting, "UNKNOWN_SETTING", "Unknown setting '%s'", v.name)
		}
		assignments[i] = v.name + " = " + quoteString(v.value)
	}
	// The engine applies all of a SET or nothing.
	return s.exec("SET " + strings.Join(assignments, ", "))
}

// undo takes back what the request changed in the session.
func (s *session) undo(q request) error {
	names := make([]string, 0, len(q.settings))
	for _, v := range q.settings {
		names = append(names, v.name)
	}
	switch firstWord(q.sql) {
	case "SET":
		// SET works for the rest of a session, and a request is one.
		changed, err := s.changedSettings()
		if err != nil {
			return err
		}
		for _, name := range changed {
			if !s.baseline[name] {
				names = append(names, name)
			}
		}
	case "USE", "DROP", "DETACH", "RENAME":
		s.database = ""
	}
	if len(names) == 0 {
		return nil
	}
	return s.exec("SET " + strings.Join(names, " = DEFAULT, ") + " = DEFAULT")
}

func (s *session) changedSettings() ([]string, error) {
	result, err := s.engine.Query("SELECT name FROM system.settings WHERE changed", "TabSeparated", nil)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(result.Data)), nil
}
