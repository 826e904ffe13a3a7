package features

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// habits are the calls of clients who list, read and then change an object, and
// of an application that does nothing but read.
func habits(yield func(*schemas.Event)) {
	rng := rand.New(rand.NewPCG(3, 4))
	e := schemas.NewEvent()
	call := func(user string, at int64, method, path string, took, size int64) {
		e.Reset()
		e.API, e.Method, e.Path, e.Status = []byte("shop"), []byte(method), []byte(path), 200
		if user == "app" {
			e.Consumer = []byte(user)
		} else {
			e.User = []byte(user)
		}
		e.Time = at
		e.DurationUS = int64(float64(took) * math.Exp(rng.NormFloat64()*.2))
		e.RespBytes = int64(float64(size) * math.Exp(rng.NormFloat64()*.1))
		yield(e)
	}
	for visit := range 10 {
		for u := range 40 {
			at := start + int64(visit)*7200*second + int64(u)*60*second
			user := fmt.Sprint("u", u)
			call(user, at, "GET", "/orders", 20_000, 3000)
			call(user, at+second, "GET", fmt.Sprint("/orders/", u*100+visit), 10_000, 800)
			call(user, at+2*second, "PUT", fmt.Sprint("/orders/", u*100+visit), 30_000, 100)
			call("app", at+3*second, "GET", fmt.Sprint("/orders/", u*100+visit), 10_000, 800)
		}
	}
}

func learnHabits(t *testing.T) *Learnt {
	t.Helper()
	l := NewKnowledgeLearner(RouteRules{})
	habits(l.Observe)
	learnt := l.Learnt()
	return &learnt
}

func TestNormsAreMomentsOfLogarithms(t *testing.T) {
	learnt := learnHabits(t)
	norms := map[string]RouteNorm{}
	for _, n := range learnt.APIs["shop"].Norms {
		norms[n.Route] = n
	}
	list := norms["GET /orders"]
	if list.N != 400 || math.Abs(list.Duration.Mean-math.Log(20_000)) > .05 || math.Abs(list.Duration.SD-.2) > .03 ||
		math.Abs(list.Response.Mean-math.Log(3001)) > .05 || list.Request.SD != 0 {
		t.Errorf("norm %+v", list)
	}
	// An application's 400 calls within a visit are one vote a quarter of an hour.
	if n := norms["GET /orders/{int}"].N; n < 400 || n > 450 {
		t.Errorf("%d votes on a route that an application calls all the time", n)
	}
}

func TestKnowledgeSurvivesJSON(t *testing.T) {
	learnt := learnHabits(t)
	if !reflect.DeepEqual(learnt, learnHabits(t)) {
		t.Error("the same calls taught something else")
	}
	data, err := json.Marshal(learnt)
	if err != nil {
		t.Fatal(err)
	}
	var back Learnt
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, learnt) {
		t.Error("JSON changed what was learnt")
	}
}

// knowing runs calls through an extractor that knows the habits and returns the
// records of a client.
func knowing(t *testing.T, client string, calls func(yield func(*schemas.Event))) []schemas.ClientFeatures {
	t.Helper()
	cfg := testConfig()
	var err error
	if cfg.Knowledge, err = NewKnowledge(learnHabits(t), []Decoy{{"shop", "/internal/backup"}, {"*", "/.hidden/{int}"}}); err != nil {
		t.Fatal(err)
	}
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out finals
	out.client = client
	offset := int64(0)
	calls(func(e *schemas.Event) {
		x.Apply(e, e.Time, offset, &out)
		offset++
	})
	x.Flush(&out)
	return out.records
}

// finals keeps the final records of one client.
type finals struct {
	client  string
	records []schemas.ClientFeatures
}

func (f *finals) Features(r *schemas.ClientFeatures) {
	if r.Final && string(r.Client) == f.client {
		kept := *r
		for _, b := range []*[]byte{&kept.RareStep, &kept.SkippedStep, &kept.Decoy, &kept.Credential} {
			*b = append([]byte(nil), *b...)
		}
		f.records = append(f.records, kept)
	}
}
func (*finals) Aggregate(*schemas.Aggregate) {}

func TestCallsAreComparedWithTheirRoutesNorms(t *testing.T) {
	for _, tc := range []struct {
		name             string
		took, resp, req  int64
		slow, large, big uint32
	}{
		{name: "usual", took: 20_000, resp: 3000},
		{name: "a bad spell", took: 80_000, resp: 3000},
		{name: "slow", took: 200_000, resp: 3000, slow: 1},
		{name: "far too much", took: 20_000, resp: 60_000, large: 1},
		{name: "a body where none is usual", took: 20_000, resp: 3000, req: 1 << 20},
	} {
		got := knowing(t, "user:m", func(yield func(*schemas.Event)) {
			e := schemas.NewEvent()
			e.API, e.User, e.Method, e.Path, e.Status, e.Time = []byte("shop"), []byte("m"), []byte("GET"), []byte("/orders"), 200, start
			e.DurationUS, e.RespBytes, e.ReqBytes = tc.took, tc.resp, tc.req
			yield(e)
		})
		if len(got) != 1 || got[0].NormedCalls != 1 || got[0].SlowCalls != tc.slow || got[0].LargeResponses != tc.large || got[0].LargeRequests != tc.big {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

func TestStepsAreJudgedByWhatOthersOfTheKindDo(t *testing.T) {
	play := func(client []byte, kind func(*schemas.Event), paths ...string) schemas.ClientFeatures {
		got := knowing(t, string(client), func(yield func(*schemas.Event)) {
			e := schemas.NewEvent()
			for i, p := range paths {
				e.Reset()
				e.API, e.Status, e.Time = []byte("shop"), 200, start+int64(i)*second
				e.Method, e.Path = []byte(p[:3]), []byte(p[4:])
				kind(e)
				yield(e)
			}
		})
		if len(got) != 1 {
			t.Fatalf("%d records", len(got))
		}
		return got[0]
	}
	user := func(e *schemas.Event) { e.User = []byte("m") }
	usual := play([]byte("user:m"), user, "GET /orders", "GET /orders/7", "PUT /orders/7")
	if usual.Steps != 3 || usual.Surprise > -.2 || usual.Prerequisites == 0 || usual.Skipped != 0 {
		t.Errorf("the usual way: %+v", usual)
	}
	odd := play([]byte("user:m"), user, "PUT /orders/7", "GET /orders", "PUT /orders/8", "GET /orders")
	if odd.Skipped != 2 || string(odd.SkippedStep) != "PUT /orders/{int} without GET /orders/{int}" {
		t.Errorf("without the list: %d skipped, %q", odd.Skipped, odd.SkippedStep)
	}
	if odd.Steps != 4 || odd.Surprise < 1 || odd.RareStepP > .05 || len(odd.RareStep) == 0 {
		t.Errorf("the wrong way: %d steps, %.2f nats, %q %v", odd.Steps, odd.Surprise, odd.RareStep, odd.RareStepP)
	}
	app := play([]byte("consumer:app"), func(e *schemas.Event) { e.Consumer = []byte("app") }, "GET /orders/7", "PUT /orders/7")
	if app.Prerequisites != 0 || app.Steps != 0 {
		t.Errorf("an application is judged by people's ways: %+v", app)
	}
}

func TestDecoysAreFoundByWhateverMethod(t *testing.T) {
	for _, tc := range []struct {
		api, method, path string
		want              string
	}{
		{"shop", "GET", "/internal/backup", "GET /internal/backup"},
		{"shop", "POST", "/internal/backup/", "POST /internal/backup"},
		{"bank", "GET", "/internal/backup", ""},
		{"bank", "GET", "/.hidden/7", "GET /.hidden/{int}"},
		{"shop", "GET", "/internal/backups", ""},
	} {
		got := knowing(t, "user:m", func(yield func(*schemas.Event)) {
			e := schemas.NewEvent()
			e.API, e.User, e.Method, e.Path, e.Status, e.Time = []byte(tc.api), []byte("m"), []byte(tc.method), []byte(tc.path), 404, start
			yield(e)
		})
		if len(got) != 1 || string(got[0].Decoy) != tc.want || (got[0].DecoyHits == 1) != (tc.want != "") || got[0].DayDecoyHits != got[0].DecoyHits {
			t.Errorf("%s %s on %s: decoy %q, %d hits", tc.method, tc.path, tc.api, got[0].Decoy, got[0].DecoyHits)
		}
	}
}
