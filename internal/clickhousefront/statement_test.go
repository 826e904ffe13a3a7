package clickhousefront

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDataInsertIsCutBeforeItsClauses(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want dataInsert
	}{
		{"INSERT INTO t FORMAT Native", dataInsert{"INSERT INTO t ", "", "Native", ""}},
		{"insert into d.t (a, b) settings async_insert=0 format CSV\n\n1", dataInsert{"insert into d.t (a, b) ", "settings async_insert=0 ", "CSV", "\n1"}},
		{"INSERT INTO t VALUES (1)", dataInsert{"INSERT INTO t ", "", "Values", " (1)"}},
		{"/* FORMAT X */ INSERT INTO `FORMAT` (`values`) -- SELECT\nFORMAT JSONEachRow {\"a\":1}",
			dataInsert{"/* FORMAT X */ INSERT INTO `FORMAT` (`values`) -- SELECT\n", "", "JSONEachRow", `{"a":1}`}},
		{"INSERT INTO t (select_id, format) FORMAT TSV", dataInsert{"INSERT INTO t (select_id, format) ", "", "TSV", ""}},
		{"INSERT INTO FUNCTION file('a SELECT', 'CSV') FORMAT TSV;\n1", dataInsert{"INSERT INTO FUNCTION file('a SELECT', 'CSV') ", "", "TSV", "1"}},
	} {
		got, ok := parseDataInsert(c.sql)
		if !ok {
			t.Errorf("%s: is not taken for an insert with data", c.sql)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(dataInsert{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sql, diff)
		}
	}
}

func TestOtherStatementsAreLeftAlone(t *testing.T) {
	for _, sql := range []string{
		"", "SELECT 1 FORMAT CSV", "INSERT INTO t SELECT 1", "INSERT INTO t (SELECT 1)", "INSERT INTO t (a) SELECT 1 FORMAT CSV",
		"INSERT INTO t WITH 1 AS x SELECT x", "INSERT INTO t FROM INFILE 'f' FORMAT CSV", "INSERT INTO t", "-- INSERT INTO t FORMAT CSV",
		"CREATE TABLE insert (values UInt8) ENGINE = Memory", "INSERT INTO t FORMAT 'x'",
	} {
		if got, ok := parseDataInsert(sql); ok {
			t.Errorf("%s: taken for %+v", sql, got)
		}
	}
}

func TestOwnFormatClauseWins(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":             "Native",
		"SELECT 1 FORMAT JSON": "JSON",
		"SELECT 1 SETTINGS max_threads=1 FORMAT TSV":  "TSV",
		"SELECT 'FORMAT JSON'":                        "Native",
		"SELECT 1 -- FORMAT JSON":                     "Native",
		"SELECT format('{} FORMAT JSON', 1)":          "Native",
		"SELECT 'it''s FORMAT JSON', 'a\\' FORMAT X'": "Native",
	} {
		if got := outputFormat(sql, "Native"); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
	}
}

// FuzzParseDataInsert checks that the cut loses no byte of the statement and
// that the path always ends up outside of a comment or string.
func FuzzParseDataInsert(f *testing.F) {
	for _, seed := range []string{
		"INSERT INTO t FORMAT Native", "INSERT INTO t (a) SETTINGS x='y' VALUES (1), ('FORMAT')", "INSERT INTO t (SELECT 1)",
		"insert into `a``b` -- c\n format CSV\n1,2", "INSERT/**/INTO t FORMAT", "INSERT INTO t ' FORMAT CSV", "INSERT INTO t ((((", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		outputFormat(sql, "Native")
		got, ok := parseDataInsert(sql)
		if !ok {
			return
		}
		if !strings.HasPrefix(sql, got.before+got.settings) || !strings.HasSuffix(sql, got.data) {
			t.Fatalf("%q was cut into %+v", sql, got)
		}
		again := got.fromFile("/dir/file")
		if _, ok := parseDataInsert(again); ok {
			t.Fatalf("%q became %q, which still wants data", sql, again)
		}
	})
}
