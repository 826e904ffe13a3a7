package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *updateGolden {
		if err := os.MkdirAll("testdata", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference.\ngot:\n%s", path, got)
	}
}

// explaining runs a command and returns what it prints.
func explaining(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// aVerdict has something in every part that is explained.
func aVerdict() *schemas.Verdict {
	at := time.Date(2026, 3, 2, 10, 20, 31, 0, time.UTC)
	return &schemas.Verdict{
		ID: "3f2a9c41d07be8856b1f0c2d9a4e7710", Time: at, Tenant: "default",
		Entity: schemas.Entity{Type: "user", Value: "u1"}, Linked: []schemas.Entity{{Type: "ip", Value: "203.0.113.7"}},
		API: "bank", Attack: schemas.AttackCodeInjection, Action: schemas.ActionBlock, Enforced: true,
		Confidence: 0.99999, PValue: 1.3e-5, Calibration: schemas.Calibration{Kind: "conformal", N: 40_000, Stratum: "user", Alpha: 1e-4},
		Explanation: schemas.Explanation{
			Features: []schemas.FeatureExplanation{
				{Name: "attack_values", Observed: 5, Expected: 0.006, High: 2.58, Contribution: 0.8, Baseline: "prior", N: 250_052},
				{Name: "response_bytes_15m", Observed: 2.5e9, Expected: 12_345, Low: 800, High: 90_000, Contribution: 0.2, Baseline: "self", N: 61},
			},
			Sequence: "GET /login > POST /transfer, a step with a probability of 0.0002", Payload: `sqli: "' or 1=1 --" in query q, 99 % sure`,
			Cohort:         "AS 64500 with one fingerprint, 90 % of the excess",
			Counterfactual: "With at most 2 calls with such values it would not have been blocked.",
			Text:           "user u1 sent bank 5 calls with values that look like attacks (last: sqli, query q). Blocked for 1h: none of 40,000 benign client-days looked like this.",
		},
		EventIDs: []string{"e1", "e2"}, Model: "prior@0123456789ab",
		WindowStart: at.Truncate(10 * time.Second), WindowEnd: at.Truncate(10 * time.Second).Add(10 * time.Second), ExpiresAt: at.Add(time.Hour),
	}
}

func verdictFile(t *testing.T, lines ...any) string {
	t.Helper()
	var b bytes.Buffer
	for _, l := range lines {
		if s, ok := l.(string); ok {
			b.WriteString(s + "\n")
			continue
		}
		if err := json.NewEncoder(&b).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "verdicts.ndjson")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerdictOfAFileIsExplained(t *testing.T) {
	v := aVerdict()
	early := *v
	early.Provisional, early.Action = true, schemas.ActionThrottle
	other := *v
	other.ID = "another"
	path := verdictFile(t, &early, &other, "", v, &other)
	out, err := explaining(t, "explain", "--verdicts", path, "-o", "table", v.ID)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "explain", out)
	out, err = explaining(t, "explain", "--verdicts", path, v.ID) // no terminal: JSON
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Verdict schemas.Verdict
		Attack  struct {
			Title, Remedy string
			OWASP, MITRE  []string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict.ID != v.ID || got.Verdict.Action != v.Action || got.Attack.Title != "Code injection" || got.Attack.Remedy == "" || len(got.Attack.OWASP) == 0 || len(got.Attack.MITRE) == 0 {
		t.Errorf("as JSON: %+v", got)
	}
}

func TestVerdictThatCannotBeExplained(t *testing.T) {
	path := verdictFile(t, aVerdict())
	if _, err := explaining(t, "explain", "--verdicts", path, "unheard-of"); !errors.Is(err, errNoVerdict) {
		t.Errorf("no such verdict: error %v", err)
	}
	for name, args := range map[string][]string{
		"no file":        {"explain", "--verdicts", path + ".gone", "x"},
		"no JSON":        {"explain", "--verdicts", verdictFile(t, "{"), "x"},
		"no verdict":     {"explain"},
		"two verdicts":   {"explain", "a", "b"},
		"no log files":   {"explain", "--entity", "ip:203.0.113.7"},
		"no entity":      {"explain", "--entity", "203.0.113.7", path},
		"no such model":  {"explain", "--entity", "ip:203.0.113.7", "--model", path + ".gone", path},
		"no such format": {"explain", "--entity", "ip:203.0.113.7", "--format", "smoke", path},
		"no such output": {"explain", "--verdicts", path, "-o", "smoke", "x"},
	} {
		if out, err := explaining(t, args...); err == nil {
			t.Errorf("%s: no error, but\n%s", name, out)
		}
	}
}

func TestWhatAVerdictRestsOnIsSaid(t *testing.T) {
	for want, change := range map[string]func(*schemas.Verdict){
		"a rule, not on statistics":            func(v *schemas.Verdict) { v.Calibration.Kind = scoring.Rule },
		"fitted tail (extrapolated)":           func(v *schemas.Verdict) { v.Calibration.Kind = scoring.Extrapolated },
		"the 205 windows of the API before":    func(v *schemas.Verdict) { v.Calibration.Stratum, v.Calibration.N = "crowd", 205 },
		"at most 0.0001 of benign client-days": func(*schemas.Verdict) {},
		"block, held by hold-out":              func(v *schemas.Verdict) { v.Enforced, v.Held = false, scoring.HeldOut },
		"block, not enforced":                  func(v *schemas.Verdict) { v.Enforced = false },
		"none: it was withdrawn":               func(v *schemas.Verdict) { v.Withdrawn = true },
		"block, before its window closed":      func(v *schemas.Verdict) { v.Provisional = true },
		"user u1 sent bank":                    func(v *schemas.Verdict) { v.Attack = "unheard-of"; v.Explanation.Features = nil },
	} {
		v := aVerdict()
		change(v)
		var b bytes.Buffer
		printVerdict(&b, v)
		if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, want) {
			t.Errorf("%q is not said in\n%s", want, b.String())
		}
	}
}

func TestVerdictOfTheTopicIsExplained(t *testing.T) {
	const topic = "weir.verdicts"
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	v := aVerdict()
	early := *v
	early.Action = schemas.ActionThrottle
	other := *v
	other.ID = "another"
	write := func(ctx context.Context, partition int32, body []byte) {
		if err := cl.ProduceSync(ctx, &kgo.Record{Partition: partition, Value: body}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i, each := range []*schemas.Verdict{&other, &early, v, &other} {
		body, err := json.Marshal(each)
		if err != nil {
			t.Fatal(err)
		}
		write(t.Context(), int32(i/3*2), body)
	}
	write(t.Context(), 0, []byte("no verdict at all"))
	out, err := explaining(t, "explain", "--brokers", fake.ListenAddrs()[0], "-o", "table", v.ID)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "explain", out)
	if _, err := explaining(t, "explain", "--brokers", fake.ListenAddrs()[0], "unheard-of"); !errors.Is(err, errNoVerdict) {
		t.Errorf("no such verdict: error %v", err)
	}
}

// modelFile is a small model whose numbers are no more than plausible, so that what
// is printed does not change with the prior that is shipped.
func modelFile(t *testing.T) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	days := func() []scoring.Scores {
		out := make([]scoring.Scores, 5000)
		for i := range out {
			for k := range out[i] {
				out[i][k] = rng.ExpFloat64()
			}
		}
		return out
	}
	b := &scoring.Behaviour{
		Windows: 12_000, Clients: 800, Requests: scoring.Counts{Mean: 3, Between: 2, Size: 2}, Objects: scoring.Counts{Mean: 2, Between: 1, Size: 3},
		Writes: scoring.Counts{Mean: 1.5, Between: 0.5, Size: 3}, Volume: scoring.Moments{Mean: 2, Between: 0.5, Within: 0.5},
		Bytes: scoring.Moments{Mean: 8, Between: 1, Within: 1}, Load: scoring.Moments{Mean: 1, Between: 0.5, Within: 0.5},
		Uploads: scoring.Moments{Mean: 5, Between: 2, Within: 1}, Entropy: scoring.Moments{Mean: 3, Between: 0.25, Within: 0.1}, EntropyFloor: 2.2,
		DayShift: 0.05,
	}
	for i, r := range scoring.ShareBounds {
		b.Bounds[i] = (r.Low + r.High) / 2
	}
	m := &scoring.Model{
		Name: "small", Strata: map[string]*scoring.Behaviour{scoring.Pooled: b},
		Calibration: map[string]*scoring.Calibration{scoring.Pooled: scoring.NewCalibration(days(), days())},
	}
	path := filepath.Join(t.TempDir(), "model")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := m.Write(f); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines are the calls of an address: some that find nothing, the rest answered.
func lines(address string, from time.Time, calls, missing int, user string) string {
	var b strings.Builder
	for i := range calls {
		status, path := 200, "/items"
		if i < missing {
			status, path = 404, fmt.Sprintf("/old/%c", 'a'+i%26)
		}
		fmt.Fprintf(&b, `{"time":%q,"api":"bank","method":"GET","path":%q,"status":%d,"client_ip":%q,"resp_bytes":900%s}`+"\n",
			from.Add(time.Duration(i)*4*time.Second).Format(time.RFC3339), path, status, address, user)
	}
	return b.String()
}

func TestEntityIsExplainedByDayAndAPI(t *testing.T) {
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	log := filepath.Join(t.TempDir(), "events.ndjson")
	text := strings.ReplaceAll(lines("203.0.113.7", day, 12, 5, ""), "bank", "shop") + lines("198.51.100.4", day.Add(time.Hour), 6, 0, `,"user":"u7"`) +
		lines("203.0.113.7", day.Add(2*time.Hour), 40, 38, "")
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	model := modelFile(t)
	out, err := explaining(t, "explain", "--entity", "ip:203.0.113.7", "--model", model, "-o", "table", log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "Not acted on") || !strings.Contains(out, "Acted on: block for probing") {
		t.Errorf("neither API is judged as it should be:\n%s", out)
	}
	checkGolden(t, "explain-entity", out)
	out, err = explaining(t, "explain", "--entity", "ip:203.0.113.7", "--model", model, log)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Entity schemas.Entity
		Days   []clientDay
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Days) != 2 || got.Days[0].Calls != 12 || len(got.Days[0].Verdicts) != 0 || len(got.Days[1].Verdicts) == 0 ||
		len(got.Days[0].Families) != len(scoring.FamilyNames()) || got.Days[0].Peak.Combined <= 0 {
		t.Errorf("as JSON: %.500s", out)
	}
	// Where nobody called under that name, it is said who called from there.
	out, err = explaining(t, "explain", "--entity", "ip:198.51.100.4", "--model", model, "-o", "table", log)
	if err != nil || !strings.Contains(out, "No calls of ip:198.51.100.4") || !strings.Contains(out, "user:u7") {
		t.Errorf("error %v, printed\n%s", err, out)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.00612: "0.00612", 14: "14", 999.4: "999", 12_345.6: "12346", 2.5e9: "2.5e+09", -0.2231: "-0.223"} {
		if got := figure(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}
