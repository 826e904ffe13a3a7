package composetest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// literals are the string literals of each folder's Go files, tests left out.
func literals(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			name := entry.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if found[dir] == nil {
			found[dir] = map[string]bool{}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					found[dir][text] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// exported reports whether a folder's sources hold a metric: its whole name, or
// the subsystem and the rest of the name, with or without the namespace before
// the subsystem.
func exported(folders map[string]map[string]bool, metric string) bool {
	rest := strings.TrimPrefix(metric, "weir_")
	for _, texts := range folders {
		if texts[metric] {
			return true
		}
		for i, c := range rest {
			if c != '_' {
				continue
			}
			subsystem, name := rest[:i], rest[i+1:]
			if texts[name] && (texts[subsystem] || texts["weir_"+subsystem+"_"]) {
				return true
			}
		}
	}
	return false
}

// known reports whether a name in a query is a metric, or a series of a
// histogram.
func known(folders map[string]map[string]bool, name string) bool {
	if exported(folders, name) {
		return true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && exported(folders, base) {
			return true
		}
	}
	return false
}

// checkQuery checks what can be told of a PromQL expression without a parser:
// its metrics exist and its brackets close.
func checkQuery(t *testing.T, folders map[string]map[string]bool, where, query string) {
	t.Helper()
	for _, name := range regexp.MustCompile(`\bweir_[a-z0-9_]+`).FindAllString(query, -1) {
		if !known(folders, name) {
			t.Errorf("%s: no source exports %s", where, name)
		}
	}
	var open []rune
	closing := map[rune]rune{')': '(', ']': '[', '}': '{'}
	for _, c := range query {
		switch c {
		case '(', '[', '{':
			open = append(open, c)
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != closing[c] {
				t.Errorf("%s: brackets do not match in %s", where, query)
				return
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: brackets do not close in %s", where, query)
	}
}

func TestMetricLookupTellsKnownFromUnknown(t *testing.T) {
	folders := map[string]map[string]bool{
		"a": {"weir": true, "stream": true, "records_total": true, "commit_seconds": true},
		"b": {"weir_sink_": true, "lag_seconds": true},
		"c": {"weir_whole_name": true},
	}
	for name, want := range map[string]bool{
		"weir_stream_records_total": true, "weir_stream_commit_seconds_bucket": true, "weir_sink_lag_seconds": true, "weir_whole_name": true,
		"weir_stream_lag_seconds": false, "weir_sink_records_total": false, "weir_stream": false, "weir_whole": false,
	} {
		if known(folders, name) != want {
			t.Errorf("known(%s) is not %v", name, want)
		}
	}
}

func TestAlertsNameRealMetrics(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions([]byte(read(t, "deploy/prometheus/alerts.yml")), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	folders := literals(t)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] {
				t.Errorf("alert %q is nameless or doubled", r.Alert)
			}
			seen[r.Alert] = true
			if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
				t.Errorf("%s: severity is %q", r.Alert, r.Labels["severity"])
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s does not say what to do", r.Alert)
			}
			if _, err := time.ParseDuration(r.For); err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
			checkQuery(t, folders, r.Alert, r.Expr)
		}
	}
	if len(seen) == 0 {
		t.Error("there are no alerts")
	}
}

func TestDashboardNamesRealMetrics(t *testing.T) {
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID         int
			Type       string
			Title      string
			Datasource struct{ UID string }
			GridPos    struct{ X, Y, W, H int }
			Targets    []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/dashboards/weir.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title == "" || len(dashboard.Panels) == 0 {
		t.Fatal("the dashboard is empty")
	}
	source := read(t, "deploy/grafana/provisioning/datasources/prometheus.yml")
	folders := literals(t)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("%s: panel id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %s overlaps %s or the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if !strings.Contains(source, "uid: "+p.Datasource.UID+"\n") {
			t.Errorf("%s: data source %q is not provisioned", p.Title, p.Datasource.UID)
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			checkQuery(t, folders, p.Title, target.Expr)
		}
	}
}

func TestPrometheusScrapesEveryRole(t *testing.T) {
	var file struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/prometheus.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var scraped []string
	for _, s := range file.ScrapeConfigs {
		for _, d := range s.DNS {
			scraped = append(scraped, d.Names...)
			if d.Port != 8640 {
				t.Errorf("port %d is not the admin listener's", d.Port)
			}
		}
	}
	for name := range weirServices(project(t)) {
		if !slices.Contains(scraped, name) {
			t.Errorf("%s is not scraped", name)
		}
	}
	for _, rules := range file.RuleFiles {
		if _, err := os.Stat(filepath.Join(root, "deploy/prometheus", rules)); err != nil {
			t.Error(err)
		}
	}
}
