package clickhouse

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestStatementsAreCutAtLineEndsOnly(t *testing.T) {
	got := statements("-- a;\nCREATE x\n(\n  a String COMMENT 'one; two'\n);\r\n\n-- b\nCREATE y;\nSELECT 1")
	want := []string{"CREATE x\n(\n  a String COMMENT 'one; two'\n)", "CREATE y", "SELECT 1"}
	if !slices.Equal(got, want) {
		t.Errorf("statements %q\nwant %q", got, want)
	}
}

func TestEveryMigrationMayRunAgainAndDeduplicates(t *testing.T) {
	all, err := Migrations()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	repeatable := regexp.MustCompile(`^(CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE \w+ (ADD|DROP|MODIFY|COMMENT) \w+ IF (NOT )?EXISTS)`)
	uncommented := regexp.MustCompile(`(?m)^    [a-z]\w* +[A-Z][^\n]*$`)
	for _, m := range all {
		if !repeatable.MatchString(m.Statement) {
			t.Errorf("%s: cannot run twice: %.60s", m.File, m.Statement)
		}
		if !strings.HasPrefix(m.Statement, "CREATE TABLE") {
			continue
		}
		if !strings.Contains(m.Statement, "non_replicated_deduplication_window") {
			t.Errorf("%s: a repeated insert would double rows: no deduplication window", m.File)
		}
		for _, line := range uncommented.FindAllString(m.Statement, -1) {
			if !strings.Contains(line, "COMMENT '") {
				t.Errorf("%s: column without a comment: %s", m.File, line)
			}
		}
	}
}
