package scoring

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring/joint"
)

func written(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// smallModel is a whole model of few numbers.
func smallModel() *Model {
	c := testCalibration(60, 3)
	return &Model{
		Name: "small", Strata: map[string]*Behaviour{Pooled: testBehaviour(), "user": testBehaviour()},
		APIs:        map[string]map[string]*Behaviour{"bank": {"user": testBehaviour()}},
		Calibration: map[string]*Calibration{Pooled: c},
		Learnt:      features.Learnt{Routes: features.RouteRules{Collapsed: []features.CollapsedRoute{{Parent: "/blog"}}}},
	}
}

func TestModelRoundTrips(t *testing.T) {
	m := smallModel()
	data := written(t, m)
	got, err := ReadModel(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(m)
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) || got.Version == "" || len(got.Version) != 12 {
		t.Errorf("read back as %.300s", b)
	}
	if !bytes.Equal(written(t, got), data) {
		t.Error("the same model makes another file")
	}
}

func TestVersionFollowsTheContent(t *testing.T) {
	m, n := smallModel(), smallModel()
	n.Strata[Pooled].Bounds[ShareDenied] += 1e-9
	written(t, m)
	written(t, n)
	if m.Version == n.Version {
		t.Error("two models have one version")
	}
	n.Strata[Pooled].Bounds = m.Strata[Pooled].Bounds
	if written(t, n); m.Version != n.Version {
		t.Error("one model has two versions")
	}
}

func compressed(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTamperedModelIsRefused(t *testing.T) {
	m := smallModel()
	data := written(t, m)
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for name, file := range map[string][]byte{
		"no file":          nil,
		"no gzip":          body,
		"cut":              data[:len(data)/2],
		"not JSON":         compressed(t, []byte("{")),
		"no model":         compressed(t, []byte("{}")),
		"another format":   compressed(t, []byte(strings.Replace(text, `"format":2`, `"format":1`, 1))),
		"a changed number": compressed(t, []byte(strings.Replace(text, `"entropy_floor":2.2`, `"entropy_floor":1.2`, 1))),
		"another version":  compressed(t, []byte(strings.Replace(text, m.Version, "0123456789ab", 1))),
		"a bomb":           bytes.Repeat(compressed(t, make([]byte, 1<<20)), maxModelBytes>>20+1),
	} {
		if _, err := ReadModel(bytes.NewReader(file)); !errors.Is(err, ErrModel) {
			t.Errorf("%s: error %v, want ErrModel", name, err)
		}
	}
	for i := 0; i < len(data); i += 5 {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		if got, err := ReadModel(bytes.NewReader(bad)); err == nil && got.Version != m.Version {
			t.Errorf("byte %d changed: version %s was accepted", i, got.Version)
		}
	}
}

// A model with the right checksum may still hold numbers that no scorer can
// use: a broken trainer stamps what it made.
func TestModelThatMakesNoSenseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Model){
		"no pooled behaviour":         func(m *Model) { delete(m.Strata, Pooled) },
		"no pooled calibration":       func(m *Model) { delete(m.Calibration, Pooled) },
		"an empty stratum":            func(m *Model) { m.Strata["user"] = nil },
		"an empty API":                func(m *Model) { m.APIs["bank"]["user"] = nil },
		"an empty layer":              func(m *Model) { m.Calibration["user"] = nil },
		"a certain failure":           func(m *Model) { m.Strata["user"].Bounds[ShareLogin] = 1 },
		"an impossible failure":       func(m *Model) { m.APIs["bank"]["user"].Bounds[ShareWalk] = 0 },
		"a negative mean":             func(m *Model) { m.Strata["user"].Requests.Mean = -1 },
		"a size of zero":              func(m *Model) { m.Strata["user"].Objects.Size = 0 },
		"no writes":                   func(m *Model) { m.Strata["user"].Writes.Mean = 0 },
		"an empty mix":                func(m *Model) { m.Joint = map[string]*joint.Model{"user": nil} },
		"a mix of nothing":            func(m *Model) { m.Joint = map[string]*joint.Model{"user": {}} },
		"a negative variance":         func(m *Model) { m.Strata["user"].Requests.Between = -5 },
		"no client-days":              func(m *Model) { m.Calibration[Pooled].N = 0 },
		"more kept than there were":   func(m *Model) { m.Calibration[Pooled].N = 3 },
		"no evidence":                 func(m *Model) { m.Calibration[Pooled].Top = nil },
		"unsorted evidence":           func(m *Model) { top := m.Calibration[Pooled].Top; top[0], top[5] = top[5], top[0] },
		"a curve of points that miss": func(m *Model) { m.Calibration[Pooled].Tails[2].Y = nil },
		"a curve that falls":          func(m *Model) { m.Calibration[Pooled].Tails[2] = Tail{X: []float64{2, 1}, Y: []float64{1, 2}} },
		"a tail that grows":           func(m *Model) { m.Calibration[Pooled].Tails[2] = Tail{X: []float64{1, 2}, Y: []float64{2, 1}} },
	} {
		m := smallModel()
		change(m)
		if _, err := ReadModel(bytes.NewReader(written(t, m))); !errors.Is(err, ErrModel) {
			t.Errorf("%s: error %v, want ErrModel", name, err)
		}
	}
}

type failing struct{ after int }

func (w *failing) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestModelReportsWhatTheWriterSays(t *testing.T) {
	m := smallModel()
	for _, after := range []int{0, 5, len(written(t, m)) - 1} {
		if err := m.Write(&failing{after}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("after %d bytes: error %v", after, err)
		}
	}
}

func TestShippedPriorLoads(t *testing.T) {
	m, err := Prior()
	if err != nil {
		t.Fatal(err)
	}
	for _, stratum := range []string{"user", "consumer", "session", "device", "ip", Pooled} {
		b := m.Strata[stratum]
		if b == nil {
			t.Errorf("no behaviour of %q", stratum)
			continue
		}
		if b.Windows < 1000 || b.Clients < 50 {
			t.Errorf("%q: %d windows of %d clients", stratum, b.Windows, b.Clients)
		}
	}
	// The default policy's claims must be possible with what is shipped.
	s, err := New(Config{Model: m, Policy: DefaultPolicy(), Clients: 10, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, stratum := range []string{"user", "session", "device", "ip", "consumer"} {
		l := s.ladder([]byte(stratum), false)
		if !(0 < l.at[RankThrottle] && l.at[RankThrottle] <= l.at[RankChallenge] && l.at[RankChallenge] <= l.at[RankBlock] && l.at[RankBlock] < 1e6) {
			t.Errorf("%q (layer %q of %d client-days): thresholds %v", stratum, l.stratum, l.calibration.N, l.at)
		}
	}
}

func TestMostSpecificBehaviourIsUsed(t *testing.T) {
	m := smallModel()
	for _, tc := range []struct {
		api, stratum string
		want         *Behaviour
		learnt       bool
	}{
		{"bank", "user", m.APIs["bank"]["user"], true},
		{"bank", "ip", m.Strata[Pooled], false},
		{"shop", "user", m.Strata["user"], false},
		{"shop", "", m.Strata[Pooled], false},
	} {
		if got, learnt := m.behaviour([]byte(tc.api), []byte(tc.stratum)); got != tc.want || learnt != tc.learnt {
			t.Errorf("%s, %s: learnt %v", tc.api, tc.stratum, learnt)
		}
	}
}

func FuzzReadModelNeverPanics(f *testing.F) {
	good := written(f, smallModel())
	f.Add(good)
	f.Add(good[:len(good)/2])
	body, err := json.Marshal(smallModel())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	for _, body := range []string{`{}`, `null`, `{"format":2,"strata":{"*":null}}`, `{"format":2,"strata":{"*":{}},"calibration":{"*":null}}`, `[1e999]`} {
		f.Add(compressed(f, []byte(body)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Bodies are fuzzed as they are too, sealed as a trainer would: the
		// checksum would otherwise stop every change at the door.
		m := new(Model)
		if json.Unmarshal(data, m) == nil {
			var b bytes.Buffer
			if m.Write(&b) == nil {
				data = b.Bytes()
			}
		}
		m, err := ReadModel(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrModel) {
				t.Fatalf("error %v is not ErrModel", err)
			}
			return
		}
		s, err := New(Config{Model: m, Policy: DefaultPolicy(), Clients: 10, Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.Features(record(0, true, logins(30)), 0, new(decisions))
	})
}
