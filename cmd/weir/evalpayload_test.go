package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func evalPayload(t *testing.T, args ...string) (out, errors string, err error) {
	t.Helper()
	c := newEvalPayloadCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	var o, e bytes.Buffer
	c.SetOut(&o)
	c.SetErr(&e)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func payloadFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEvalPayloadCountsByTypeAndScoresEachLine(t *testing.T) {
	file := payloadFile(t,
		`{"payload":"1' UNION SELECT username, password FROM users -- ","label":1,"type":"sqli"}`,
		`{"payload":"<script>alert(document.cookie)</script>","label":1,"type":"xss"}`,
		`this is no JSON`,
		`{"payload":"green shoes","label":0,"type":"benign"}`,
		`{"method":"POST","url":"/v1/orders?page=2","headers":{"Content-Type":"application/json"},"body":"{\"name\":\"Anna\"}","label":0,"type":"benign"}`,
		`{"method":"GET","url":"/v1/orders?id=1%27%20or%20%271%27%3D%271%27%20--%20"}`,
	)
	scores := filepath.Join(t.TempDir(), "scores")
	out, errs, err := evalPayload(t, file, "-o", "json", "--scores", scores)
	if err != nil {
		t.Fatal(err)
	}
	var got payloadSummary
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.N != 5 || got.Refused != 1 || got.Threshold <= 0 || got.Threshold > 1 || got.Micros <= 0 {
		t.Errorf("summary %+v", got)
	}
	want := map[string]payloadType{"sqli": {1, 1}, "xss": {1, 1}, "benign": {2, 0}, "unlabelled": {1, 1}}
	if fmt.Sprint(got.ByType) != fmt.Sprint(want) {
		t.Errorf("by type %v, want %v", got.ByType, want)
	}
	if !strings.Contains(errs, "line 3: ") || !strings.Contains(errs, "1 lines refused, 5 used") {
		t.Errorf("errors %q", errs)
	}
	text, err := os.ReadFile(scores)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 6 || lines[2] != "nan" {
		t.Fatalf("scores %q", lines)
	}
	for i, flagged := range map[int]bool{0: true, 1: true, 3: false, 4: false, 5: true} {
		s, err := strconv.ParseFloat(lines[i], 64)
		if err != nil || s < 0 || s > 1 || (s >= got.Threshold) != flagged {
			t.Errorf("line %d scores %s, flagged should be %v", i+1, lines[i], flagged)
		}
	}
}

func TestEvalPayloadTableShowsWhatIsFoundAtTheRateAskedFor(t *testing.T) {
	file := payloadFile(t,
		`{"payload":"1' UNION SELECT username, password FROM users -- ","label":1,"type":"sqli"}`,
		`{"payload":"green shoes","label":0}`)
	out, errs, err := evalPayload(t, file, "-o", "table", "--fpr", "0.01")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AT 1 % FPR", "sqli", "100.00 %", "benign", "2 lines", "AUC 1.00000"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %q:\n%s", want, out)
		}
	}
	if errs != "" {
		t.Errorf("errors %q", errs)
	}
	// Without benign labels no rate of false alarms is known.
	out, _, err = evalPayload(t, payloadFile(t, `{"payload":"a"}`), "-o", "table")
	if err != nil || strings.Contains(out, "benign") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEvalPayloadLearnsStructure(t *testing.T) {
	var train []string
	for i := range 60 {
		train = append(train, fmt.Sprintf(`{"method":"GET","url":"/v1/orders?page=%d&size=%d"}`, i%7, 10*(i%3)))
	}
	train = append(train, `{"method":"GET","url":"/v1/orders?page=drop&debug=yes","label":1}`)
	odd := payloadFile(t, `{"method":"GET","url":"/v1/orders?page=drop&debug=yes","type":"odd"}`, `{"method":"GET","url":"/v1/orders?page=3&size=20","type":"fine"}`)
	flagged := func(args ...string) (n map[string]payloadType) {
		t.Helper()
		out, _, err := evalPayload(t, append(args, "-o", "json")...)
		if err != nil {
			t.Fatal(err)
		}
		var got payloadSummary
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		return got.ByType
	}
	if got := flagged(odd); got["odd"].Flagged != 0 || got["fine"].Flagged != 0 {
		t.Errorf("without training %v", got)
	}
	scores := func(args ...string) []string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "s")
		flagged(append(args, "--scores", path)...)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	learnt := scores(odd, "--train", payloadFile(t, train...))
	oddScore, err := strconv.ParseFloat(learnt[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	fineScore, err := strconv.ParseFloat(learnt[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if oddScore <= 3*fineScore+0.1 {
		t.Errorf("learnt from 60 calls, the odd call scores %g, a usual one %g", oddScore, fineScore)
	}
}

func TestEvalPayloadRefusesWhatItCannotUse(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, _, err := evalPayload(t, args...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v gives %v, want %q", args, err, want)
		}
	}
	bad := payloadFile(t, "x", "y")
	good := payloadFile(t, `{"payload":"a"}`)
	f("no usable line, 2 refused", bad)
	f("no usable line, 0 refused", payloadFile(t))
	f("no such file", filepath.Join(t.TempDir(), "none"))
	f("no usable line", good, "--train", bad)
	f("nothing to learn from", good, "--train", payloadFile(t, `{"payload":"a","label":1}`))
	f("--fpr", good, "--fpr", "1")
	f("unknown output", good, "-o", "xml")
	f("creating the scores", good, "--scores", filepath.Join(t.TempDir(), "no", "file"))
}
