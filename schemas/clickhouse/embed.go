// Package clickhouse holds the ClickHouse schema of history as embedded
// migrations.
//
// A migration is a file NNN_name.sql of statements that end with a semicolon at
// the end of a line. All are run in order at every start of a sink, so each
// statement must be harmless when it has run before (CREATE ... IF NOT EXISTS,
// ALTER TABLE ... ADD COLUMN IF NOT EXISTS). A released file is never changed;
// a change is a new file. The operator's own changes, such as another TTL, stay.
//
// Tables: api_events (one row per call), client_features (one row per closed
// window of a client), verdicts, and api_1m (API health per minute, fed by a
// view). Every column has its comment in the table.
package clickhouse

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// Names of the tables.
const (
	TableEvents   = "api_events"
	TableFeatures = "client_features"
	TableVerdicts = "verdicts"
	TableMinutes  = "api_1m"
)

//go:embed *.sql
var files embed.FS

// Migration is one statement of one file.
type Migration struct {
	File      string // name of the file, for messages
	Statement string // without comments before it and the semicolon after it
}

// Migrations lists all statements in the order in which they must run.
func Migrations() ([]Migration, error) {
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	var all []Migration
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", name, err)
		}
		for _, s := range statements(string(text)) {
			all = append(all, Migration{File: name, Statement: s})
		}
	}
	return all, nil
}

// statements cuts a file at semicolons that end a line and drops comment lines.
func statements(text string) []string {
	var all []string
	var open []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n \t")
		if line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		rest, ends := strings.CutSuffix(line, ";")
		if open = append(open, rest); ends {
			all = append(all, strings.Join(open, "\n"))
			open = nil
		}
	}
	if len(open) > 0 {
		all = append(all, strings.Join(open, "\n"))
	}
	return all
}
