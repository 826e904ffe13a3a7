package pipeline

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/schemas"
)

// detect judges a file and returns the clients that were blocked.
func detect(t *testing.T, path string, o FileOptions) (*Summary, []string, []*schemas.Verdict) {
	t.Helper()
	key, err := ingest.NewKey([]byte("a key that only the tests know"))
	if err != nil {
		t.Fatal(err)
	}
	o.Parse.Key = key
	var blocked []string
	var verdicts []*schemas.Verdict
	o.Verdict = func(v *schemas.Verdict) error {
		verdicts = append(verdicts, v)
		if v.Action == schemas.ActionBlock && !slices.Contains(blocked, v.Entity.Value) {
			blocked = append(blocked, v.Entity.Value)
		}
		return nil
	}
	s, err := DetectFiles(t.Context(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, blocked, verdicts
}

// accessLog writes a combined log: visitors that read pages, and an address that
// tries names of files that are not there.
func accessLog(t *testing.T, prober string) string {
	t.Helper()
	var b strings.Builder
	start := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	line := func(at time.Duration, ip, path string, status int) {
		fmt.Fprintf(&b, "%s - - [%s] \"GET %s HTTP/1.1\" %d 512 \"-\" \"Mozilla/5.0 Firefox/140.0\"\n",
			ip, start.Add(at).Format("02/Jan/2006:15:04:05 -0700"), path, status)
	}
	for i := range 600 {
		at := time.Duration(i) * 7 * time.Second
		line(at, fmt.Sprintf("198.51.100.%d", i%40), fmt.Sprintf("/articles/%d", i%25), 200)
		if i >= 300 && i < 330 && prober != "" {
			line(at, prober, fmt.Sprintf("/admin%d.php", i), 404)
		}
	}
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProberIsBlockedAndVisitorsAreNot(t *testing.T) {
	path := accessLog(t, "203.0.113.9")
	s, blocked, verdicts := detect(t, path, FileOptions{})
	if !slices.Equal(blocked, []string{"203.0.113.9"}) {
		t.Errorf("blocked %v, want the prober alone", blocked)
	}
	if s.Lines != 630 || s.Parsed != 630 || s.Clients != 41 || s.PeakRSSBytes <= 0 || s.EventsPerSecond <= 0 {
		t.Errorf("summary %+v", s)
	}
	n := 0
	for _, byAttack := range s.Verdicts {
		for _, k := range byAttack {
			n += k
		}
	}
	if n != len(verdicts) {
		t.Errorf("summary counts %d verdicts, %d were given", n, len(verdicts))
	}
}

func TestALogThatIsPutTogetherTwiceGivesTheSameVerdicts(t *testing.T) {
	path := accessLog(t, "203.0.113.9")
	_, _, once := detect(t, path, FileOptions{})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A day apart from itself, backwards: another log begins.
	later := strings.ReplaceAll(string(text), "04/May/2026", "05/May/2026")
	twice := filepath.Join(t.TempDir(), "twice.log")
	if err := os.WriteFile(twice, []byte(later+string(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, both := detect(t, twice, FileOptions{})
	if s.Restarts != 1 {
		t.Errorf("%d restarts, want 1", s.Restarts)
	}
	if len(both) != 2*len(once) {
		t.Errorf("%d verdicts over two days, %d over one", len(both), len(once))
	}
	ids := map[string]bool{}
	for _, v := range both {
		ids[v.ID] = true
	}
	for _, v := range once {
		if !ids[v.ID] {
			t.Errorf("verdict %s is not repeated", v.ID)
		}
	}
}

func TestTrainingOnALogMakesItsHabitsNormal(t *testing.T) {
	var b strings.Builder
	start := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	for i := range 6000 {
		// Every client of this site asks for one missing thing in two.
		status := 200 + 204*(i/20%2)
		fmt.Fprintf(&b, "198.51.%d.%d - - [%s] \"GET /things/%d HTTP/1.1\" %d 512 \"-\" \"curl/8.5\"\n",
			i%20, i%20, start.Add(time.Duration(i)*3*time.Second).Format("02/Jan/2006:15:04:05 -0700"), i%90, status)
	}
	path := filepath.Join(t.TempDir(), "site.log")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, cold, _ := detect(t, path, FileOptions{})
	s, warm, _ := detect(t, path, FileOptions{Train: []string{path}})
	if len(cold) == 0 {
		t.Fatal("the prior alone blocks nobody here: the test shows nothing")
	}
	if len(warm) != 0 {
		t.Errorf("%d clients blocked after learning that half of all calls miss, %d before", len(warm), len(cold))
	}
	if !strings.HasPrefix(s.Model, "trained@") {
		t.Errorf("model %q", s.Model)
	}
}

func TestTrainingNeedsTraffic(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.log")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := DetectFiles(t.Context(), []string{accessLog(t, "")}, FileOptions{Train: []string{empty}})
	if err == nil {
		t.Error("training on an empty log gave no error")
	}
}

// TestRealLogs reads the public access logs where they are at hand.
func TestRealLogs(t *testing.T) {
	dir := os.Getenv("WEIR_DATASETS")
	if dir == "" {
		t.Skip("WEIR_DATASETS is not set: the real access logs were not read")
	}
	for name, path := range unpack(t, filepath.Join(dir, "access-logs.tar.xz")) {
		if strings.Contains(name, "auth") || strings.HasSuffix(name, ".md") {
			continue // no access log
		}
		s, blocked, _ := detect(t, path, FileOptions{})
		t.Logf("%-32s %6d lines, %5d clients, %d refused, blocked: %d", name, s.Lines, s.Clients, s.Lines-s.Parsed, len(blocked))
		if float64(s.Parsed) < 0.999*float64(s.Lines) {
			t.Errorf("%s: %d of %d lines parsed", name, s.Parsed, s.Lines)
		}
		scanner := strings.Contains(name, "acunetix")
		switch {
		case scanner && len(blocked) != 1:
			t.Errorf("%s: the scanner was not blocked", name)
		case !scanner && len(blocked)*100 > s.Clients:
			t.Errorf("%s: %d of %d clients blocked, more than one in a hundred", name, len(blocked), s.Clients)
		}
	}
}

func unpack(t *testing.T, archive string) map[string]string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	x, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	dir := t.TempDir()
	for r := tar.NewReader(x); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		path := filepath.Join(dir, fmt.Sprint(len(files)))
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, r); err != nil { //nolint:gosec // a data set named by the developer
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		files[h.Name] = path
	}
}

func TestDetectStopsWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := DetectFiles(ctx, []string{accessLog(t, "")}, FileOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
