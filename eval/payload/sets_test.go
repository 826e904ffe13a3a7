package payload

import (
	"os"
	"strings"
	"testing"
)

func datasets(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(DatasetsEnv)
	if dir == "" {
		t.Skipf("%s is unset: no data sets", DatasetsEnv)
	}
	return dir
}

func TestDataSetsHaveTheirRows(t *testing.T) {
	dir := datasets(t)
	lists, err := Lists(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	count := func(name string, rows []*Request, attacks, benign int) {
		t.Helper()
		a, b := 0, 0
		for _, r := range rows {
			switch r.Label {
			case Attack:
				a++
			case Benign:
				b++
			}
		}
		if a != attacks || b != benign {
			t.Errorf("%s has %d attacks and %d benign rows, want %d and %d", name, a, b, attacks, benign)
		}
	}
	count("HttpParams train", lists["httpparams-train"], 7777, 12870)
	count("HttpParams test", lists["httpparams-test"], 3893, 6434)
	count("libinjection", lists["libinjection"], 18452, 421)
	if os.Getenv("WEIR_FULL") == "" {
		return // the rest takes longer than a test should
	}
	c, err := ReadCSIC(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	count("CSIC training", c.Training, 0, 36000)
	count("CSIC normal", c.Normal, 0, 36000)
	count("CSIC anomalous", c.Anomalous, 25065, 0)
	atrdf, err := ReadATRDF(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	count("ATRDF", atrdf, 2264, 2018)
	crs, err := ReadCRS(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(crs) < 3000 {
		t.Errorf("%d CRS tests", len(crs))
	}
	n := 0
	if err := Browsing(t.Context(), dir, func(*Request) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	if n != 130582 {
		t.Errorf("%d browsing requests, want 130582", n)
	}
}

func TestRawRequestsKeepWhatWasSent(t *testing.T) {
	rows, err := rawRequests(strings.NewReader("GET http://h/a b?x=1 HTTP/1.1\r\nHost: h\r\n\r\n\r\n" +
		"POST http://h/p HTTP/1.1\r\ncontent-length: 7\r\n\r\na=1\n\nb\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 {
		t.Fatalf("%d requests, want 3", len(rows))
	}
	if rows[0].URL != "http://h/a b?x=1" || rows[0].Header("host") != "h" {
		t.Errorf("first request is %+v", rows[0])
	}
	if rows[1].Body != "a=1\n\nb\r" {
		t.Errorf("body %q", rows[1].Body)
	}
	for _, bad := range []string{"nonsense\r\n", "GET / HTTP/1.1\r\nnocolon\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nx"} {
		if _, err := rawRequests(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCRSTestsAreReadFromYAML(t *testing.T) {
	rows, err := crsTests([]byte(`
rule_id: 1
tests:
  - test_id: 1
    stages:
      - input: {method: POST, uri: /post, headers: {Host: h, X-N: 1}, data: "v=1"}
        output: {log: {expect_ids: [1]}}
  - test_id: 2
    stages:
      - input: {headers: {Host: h}}
        output: {log: {no_expect_ids: [1]}}
  - test_id: 3
    stages:
      - input: {encoded_request: "R0VU"}
        output: {log: {expect_ids: [1]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Label != Attack || rows[1].Label != Benign {
		t.Fatalf("rows %+v", rows)
	}
	if rows[0].Header("content-type") != "application/x-www-form-urlencoded" || rows[0].Body != "v=1" || rows[0].Header("X-N") != "1" {
		t.Errorf("first row %+v", rows[0])
	}
	if rows[1].Method != "GET" || rows[1].URL != "/" {
		t.Errorf("second row %+v", rows[1])
	}
}
