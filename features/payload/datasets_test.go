package payload

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/weir-dev/weir/schemas"
)

// lines calls f with every line of an xz file of the data sets.
func lines(t *testing.T, name string, f func([]byte)) {
	t.Helper()
	if raceDetector {
		t.Skip("one goroutine: measured without the race detector")
	}
	dir := os.Getenv("WEIR_DATASETS")
	if dir == "" {
		t.Skip("WEIR_DATASETS is unset: real traffic is not measured")
	}
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := xz.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		f(sc.Bytes())
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

type labelled struct {
	Source, Type string
	Label        int
	Payload      string
}

func payloads(t *testing.T) []labelled {
	t.Helper()
	var rows []labelled
	lines(t, "payloads.jsonl.xz", func(b []byte) {
		var r labelled
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	})
	return rows
}

// TestPayloadLists reports the shares found at the shipped threshold and at 0.1 %
// of the benign values of HttpParams' test part, with the shipped prior alone and
// after learning from the benign values of its training part.
func TestPayloadLists(t *testing.T) {
	rows := payloads(t)
	prior := shipped(t)
	learnt, err := prior.Learn(func(yield func([]byte) bool) {
		for i := range rows {
			if r := &rows[i]; r.Source == "httpparams-train" && r.Label == 0 && !yield([]byte(r.Payload)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*Detector{"prior": prior, "learnt": learnt} {
		t.Run(name, func(t *testing.T) { measureLists(t, d, rows) })
	}
}

func measureLists(t *testing.T, d *Detector, rows []labelled) {
	s := new(Scratch)
	cells := map[string][]float64{}
	for i := range rows {
		r := &rows[i]
		key := r.Source + " " + r.Type
		if r.Label == 0 {
			key += " (benign)"
		}
		cells[key] = append(cells[key], d.Value(s, []byte(r.Payload)).Confidence)
	}
	const test = "httpparams-test "
	at := thresholdOf(append([]float64(nil), cells[test+"norm (benign)"]...), len(cells[test+"norm (benign)"]), 0.001)
	at = min(at, d.DefaultThreshold())
	share := func(c []float64, th float64) float64 {
		n := 0
		for _, x := range c {
			if x >= th {
				n++
			}
		}
		return float64(n) / float64(len(c))
	}
	var keys []string
	all := []float64(nil)
	for k, c := range cells {
		keys = append(keys, k)
		if strings.HasPrefix(k, test) && !strings.HasSuffix(k, "(benign)") {
			all = append(all, c...)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		t.Logf("%-45s n %6d  at the shipped threshold %.4f  at 0.1 %% %.4f", k, len(cells[k]), share(cells[k], d.DefaultThreshold()), share(cells[k], at))
	}
	t.Logf("HttpParams test, all attacks: at the shipped threshold %.4f, at 0.1 %% %.4f", share(all, d.DefaultThreshold()), share(all, at))
	if got := share(all, d.DefaultThreshold()); got < 0.99 {
		t.Errorf("recall %.4f", got)
	}
	if got := share(cells[test+"norm (benign)"], d.DefaultThreshold()); got > 0.001 {
		t.Errorf("false alarms %.4f", got)
	}
}

type browsed struct {
	Method, URL string
	Headers     map[string]string
	Data        string
}

func (r *browsed) event() *schemas.Event {
	e := schemas.NewEvent()
	path, query, _ := strings.Cut(r.URL, "?")
	e.Method, e.Path, e.Query = []byte(r.Method), []byte(path), []byte(query)
	var keys []string
	for k := range r.Headers {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if strings.EqualFold(k, "user-agent") {
			e.UserAgent = []byte(r.Headers[k])
		} else {
			e.Headers = append(e.Headers, schemas.KV{Key: []byte(strings.ToLower(k)), Value: []byte(r.Headers[k])})
		}
	}
	e.BodySample = []byte(r.Data[:min(len(r.Data), 4096)])
	return e
}

// TestBrowsing reports how many real benign requests are taken for attacks, and
// how many attacks are found when they stand in a parameter of such a request.
func TestBrowsing(t *testing.T) {
	var attacks []labelled
	for _, r := range payloads(t) {
		if r.Label == 1 && !strings.HasPrefix(r.Source, "httpparams") && len(r.Payload) < 2000 {
			attacks = append(attacks, r)
		}
	}
	d, s := shipped(t), new(Scratch)
	dice := rand.New(rand.NewPCG(1, 2))
	n, alarms, planted, found := 0, 0, 0, 0
	bySource := map[string]*[2]int{}
	lines(t, "legit-browsing.jsonl.xz", func(b []byte) {
		var r browsed
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		e := r.event()
		n++
		if f, _, _, _ := d.Request(s, e); f.Confidence >= d.DefaultThreshold() {
			alarms++
			return
		}
		if n%4 == 0 && len(e.Query) > 0 && strings.Contains(string(e.Query), "=") {
			attack := attacks[dice.IntN(len(attacks))]
			count := bySource[attack.Source]
			if count == nil {
				count = new([2]int)
				bySource[attack.Source] = count
			}
			pairs := strings.Split(string(e.Query), "&")
			i := dice.IntN(len(pairs))
			name, _, _ := strings.Cut(pairs[i], "=")
			pairs[i] = name + "=" + queryEscape(attack.Payload)
			e.Query = []byte(strings.Join(pairs, "&"))
			planted++
			count[0]++
			if f, _, _, _ := d.Request(s, e); f.Confidence >= d.DefaultThreshold() {
				found++
				count[1]++
			}
		}
	})
	t.Logf("browsing: %d of %d requests above the shipped threshold, %.3f %%", alarms, n, 100*float64(alarms)/float64(n))
	t.Logf("attacks in browsing requests: %d of %d found, %.2f %%", found, planted, 100*float64(found)/float64(planted))
	for source, c := range bySource {
		t.Logf("  of %s: %d of %d, %.2f %%", source, c[1], c[0], 100*float64(c[1])/float64(c[0]))
	}
	if alarms*1000 > 3*n {
		t.Error("more than 0.3 % of real requests are alarms")
	}
}

func queryEscape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if isWord[c] {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
		}
	}
	return b.String()
}
