package features

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// steppers are clients of the learnt API that take its routes in a random order, in
// windows of many calls: a switch falls into the middle of them.
func steppers(t *testing.T) []timed {
	t.Helper()
	var routes []string
	for route := range learnHabits(t).APIs["shop"].norms() {
		routes = append(routes, route)
	}
	slices.Sort(routes)
	if len(routes) < 2 {
		t.Fatalf("routes %q", routes)
	}
	var out []timed
	for i := range 3000 {
		e := schemas.NewEvent()
		e.ID, e.Time = fmt.Appendf(nil, "e%d", i), start+int64(i)*second/8
		e.API, e.User, e.Status = []byte("shop"), fmt.Appendf(nil, "u%d", i%7), 200
		method, path, _ := cut(routes[(i*i/7)%len(routes)])
		e.Method, e.Path = []byte(method), []byte(path)
		e.DurationUS = int64(20_000 + i%5*90_000)
		out = append(out, timed{e.Time, e})
	}
	return out
}

func (a *LearntAPI) norms() map[string]bool {
	out := map[string]bool{}
	for _, n := range a.Norms {
		out[n.Route] = true
	}
	return out
}

func cut(route string) (method, path string, ok bool) {
	for i := range route {
		if route[i] == ' ' {
			return route[:i], route[i+1:], true
		}
	}
	return "", "", false
}

// A switch of knowledge in the middle of windows is the same for an extractor that
// was there and one that was restored before or after it.
func TestKnowledgeIsSwappedAtItsPlace(t *testing.T) {
	known, err := NewKnowledge(learnHabits(t), []Decoy{{API: "*", Route: "/secret"}})
	if err != nil {
		t.Fatal(err)
	}
	events := shuffle(steppers(t), second, 3)
	at := len(events)/2 + 3
	play := func(restoreAt int) []string {
		x, err := New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{}
		for i, ev := range events {
			if i == at {
				x.SetKnowledge(known)
			}
			if i == restoreAt {
				next, err := New(testConfig())
				if err != nil {
					t.Fatal(err)
				}
				if i >= at {
					next.SetKnowledge(known)
				}
				for shard := range next.cfg.Shards {
					if err := next.RestoreSnapshot(shard, x.AppendSnapshot(nil, shard), int64(i)); err != nil {
						t.Fatal(err)
					}
				}
				x = next
			}
			x.Apply(ev.e, ev.t, int64(i), r)
		}
		x.Flush(r)
		return append(slices.Clone(r.early), r.final...)
	}
	want := play(-1)
	for _, restoreAt := range []int{at - 40, at - 1, at, at + 1, at + 40} {
		if got := play(restoreAt); !slices.Equal(got, want) {
			t.Errorf("restored at record %d, %+d from the switch: other records", restoreAt, restoreAt-at)
		}
	}
	normed := 0
	for _, text := range want {
		var f schemas.ClientFeatures
		if err := f.DecodeProto([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if f.Final && f.NormedCalls > 0 {
			normed++
			if f.WindowEnd <= events[at].t-second {
				t.Errorf("a window that was over before the switch knows norms")
			}
		}
	}
	if normed == 0 {
		t.Error("no window knows norms")
	}
	x, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	x.SetKnowledge(nil)
	if got := x.Apply(events[0].e, events[0].t, 0, &recorder{}); got != Applied {
		t.Errorf("without knowledge: outcome %d", got)
	}
}
