package payload

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

func shipped(t *testing.T) *Subject {
	t.Helper()
	s, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func score(t *testing.T, s *Subject, r *Request) float64 {
	t.Helper()
	scores, _, err := s.Score(t.Context(), []*Request{r})
	if err != nil {
		t.Fatal(err)
	}
	if scores[0] < 0 || scores[0] > 1 {
		t.Fatalf("%+v scores %g", r, scores[0])
	}
	return scores[0]
}

func TestShippedDetectorJudgesStringsAndRequests(t *testing.T) {
	s := shipped(t)
	if s.Threshold <= 0 || s.Threshold > 1 {
		t.Fatalf("threshold %g", s.Threshold)
	}
	const attack = "1' UNION SELECT name, password FROM users -- "
	f := func(flagged bool, r *Request) {
		t.Helper()
		if got := score(t, s, r); got >= s.Threshold != flagged {
			t.Errorf("%+v scores %g at threshold %g, flagged should be %v", r, got, s.Threshold, flagged)
		}
	}
	f(true, &Request{Payload: attack})
	f(false, &Request{Payload: "green shoes"})
	f(false, &Request{Payload: ""})
	for _, slot := range Slots(&Request{URL: "/a?q=x&r=y"}) {
		f(true, slot.Put(&Request{Method: "GET", URL: "/a?q=x&r=y"}, attack))
	}
	body := &Request{Method: "POST", URL: "/a", Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"a":"b","c":[{"d":"e"}]}`}
	f(false, body)
	for _, slot := range Slots(body) {
		f(true, slot.Put(body, attack))
	}
}

// calls are benign calls of one API.
func calls(n int) []*Request {
	var rows []*Request
	for i := range n {
		rows = append(rows, &Request{Method: "GET", URL: fmt.Sprintf("/v1/orders?page=%d&size=%d", i*7%13, 10*(i%3)), Headers: map[string]string{"Host": "api"}})
	}
	return rows
}

func TestLearntStructureFlagsWhatNoCallEverWas(t *testing.T) {
	s, err := shipped(t).Learn(calls(3000))
	if err != nil {
		t.Fatal(err)
	}
	host := map[string]string{"Host": "api"}
	f := func(flagged bool, url string) {
		t.Helper()
		if got := score(t, s, &Request{Method: "GET", URL: url, Headers: host}); got >= s.Threshold != flagged {
			t.Errorf("%s scores %g at threshold %g, flagged should be %v", url, got, s.Threshold, flagged)
		}
	}
	f(false, "/v1/orders?page=3&size=20")
	f(true, "/v1/orders?page=none&size=20")
	f(true, "/v1/orders?page=3&size=20&debug=yes")
	f(true, "/v1/orders?size=20&page=3&page=4&role=admin")
	f(true, "/v1/internal")
	f(true, "/v1/orders?page=3&size=20%27%20or%20%271%27%3d%271")
}

func TestFewRequestsMakeNoHardLimit(t *testing.T) {
	few, err := shipped(t).Learn(calls(10))
	if err != nil {
		t.Fatal(err)
	}
	// A size that ten calls happened not to show.
	if got := score(t, few, &Request{Method: "GET", URL: "/v1/orders?page=12&size=40", Headers: map[string]string{"Host": "api"}}); got >= few.Threshold {
		t.Errorf("a benign call scores %g after ten", got)
	}
	if _, err := shipped(t).Learn(nil); !errors.Is(err, ErrNothingToLearn) {
		t.Errorf("nothing to learn gives %v", err)
	}
}

func TestOddityMeetsTheThresholdAtTheLimit(t *testing.T) {
	for _, threshold := range []float64{0.05, 0.5, 0.93} {
		s := &structure{limit: 7, threshold: threshold}
		if got := s.oddity(7); math.Abs(got-threshold) > 1e-12 {
			t.Errorf("oddity %g at the limit, want %g", got, threshold)
		}
		last := -1.0
		for _, surprise := range []float64{0, 1, 6.9, 7, 7.1, 100, math.Inf(1)} {
			got := s.oddity(surprise)
			if got <= last || got < 0 || got > 1 {
				t.Errorf("oddity %g of %g after %g", got, surprise, last)
			}
			last = got
		}
	}
}

func TestShippedDetectorOnHTTPParams(t *testing.T) {
	lists, err := Lists(t.Context(), datasets(t))
	if err != nil {
		t.Fatal(err)
	}
	s := shipped(t)
	rows := lists["httpparams-test"]
	scores, each, err := s.Score(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	scored := &Scored{Subject: s, Rows: rows, Scores: scores, Each: each}
	table := scored.Table(SetHTTPParams, Threshold(scored.Part(Benign), 0.001), SettingROC)
	if table.Attacks.Rate() < 0.99 || table.Benign.Rate() > 0.001 {
		t.Errorf("%v of the attacks are found at %v false alarms", table.Attacks, table.Benign)
	}
}
