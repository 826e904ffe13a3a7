package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weir-dev/weir/eval/payload"
)

func TestCRSBlocksAttacksAndPassesBenignRows(t *testing.T) {
	s, err := crs()
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := s.New()
	if err != nil {
		t.Fatal(err)
	}
	browser := map[string]string{"Host": "h.example", "User-Agent": "Mozilla/5.0", "Accept": "*/*"}
	with := func(name, value string) map[string]string {
		h := map[string]string{name: value}
		for n, v := range browser {
			h[n] = v
		}
		return h
	}
	f := func(blocked bool, r *payload.Request) {
		t.Helper()
		got := scorer.Score(r)
		if (got >= s.Threshold) != blocked || got < 0 || got > 1 {
			t.Errorf("%+v scores %g, blocked should be %v", r, got, blocked)
		}
	}
	f(true, &payload.Request{Payload: "1' or '1'='1' -- "})
	f(true, &payload.Request{Payload: "<script>alert(1)</script>"})
	f(true, &payload.Request{Payload: "../../../../etc/passwd"})
	f(false, &payload.Request{Payload: "green shoes"})
	f(false, &payload.Request{Payload: ""})
	f(false, &payload.Request{Method: "GET", URL: "/a/b?c=d"})
	f(true, &payload.Request{Method: "GET", URL: "/a?q=%3Cscript%3Ealert(1)%3C/script%3E", Headers: browser})
	f(true, &payload.Request{Method: "POST", URL: "http://h.example/a", Headers: with("Content-Type", "application/json"), Body: `{"a":"<script>alert(1)</script>"}`})
	f(false, &payload.Request{Method: "POST", URL: "/a", Headers: with("Content-Type", "application/json"), Body: `{"a":"green"}`})
	f(true, &payload.Request{Method: "POST", URL: "/a", Headers: with("Content-Type", "application/json"), Body: `{"a":`}) // does not parse
	f(true, &payload.Request{Method: "POST", URL: "/a", Headers: with("Content-Type", "application/x-www-form-urlencoded"), Body: "a=1%27+or+%271%27%3D%271%27+--+"})
}

func TestRunWithoutDataSetsSaysSo(t *testing.T) {
	t.Setenv(payload.DatasetsEnv, "")
	var out, log bytes.Buffer
	err := run(t.Context(), nil, &out, &log)
	if err == nil || !strings.Contains(err.Error(), payload.DatasetsEnv) {
		t.Errorf("error %v", err)
	}
}
