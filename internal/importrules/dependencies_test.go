package importrules

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// required are the modules that go.mod names.
func required(t *testing.T) []string {
	t.Helper()
	var modules []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z][^\s]*\.[^\s]*) v[0-9]`).FindAllStringSubmatch(document(t, "go.mod"), -1) {
		modules = append(modules, m[1])
	}
	if len(modules) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	return modules
}

func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// moduleOf is the module that holds a package: the longest one whose path it
// starts with.
func moduleOf(importPath string, modules []string) string {
	best := ""
	for _, m := range modules {
		if within(importPath, []string{m}) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

func TestDependenciesAreListedAndWithinBudget(t *testing.T) {
	contributing, decision := document(t, "CONTRIBUTING.md"), document(t, "docs/decisions/0001-dependencies.md")
	modules := required(t)

	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+\\.[^`]+/[^`]+)` \\|").FindAllStringSubmatch(contributing, -1) {
		listed = append(listed, m[1])
		if !strings.Contains(decision, "`"+m[1]+"`") {
			t.Errorf("docs/decisions/0001-dependencies.md gives no reason for %s", m[1])
		}
		if !slices.Contains(modules, m[1]) {
			t.Errorf("CONTRIBUTING.md lists %s, which go.mod does not require", m[1])
		}
	}
	limit := regexp.MustCompile(`At most (\d+) modules`).FindStringSubmatch(contributing)
	if limit == nil {
		t.Fatal("CONTRIBUTING.md names no budget")
	}
	if n, err := strconv.Atoi(limit[1]); err != nil || len(listed) > n {
		t.Errorf("%d dependencies are listed, the budget is %s", len(listed), limit[1])
	}
	if !strings.Contains(decision, "at most "+limit[1]+",") {
		t.Errorf("docs/decisions/0001-dependencies.md names another budget than %s", limit[1])
	}

	missing := map[string]string{}
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			if isStandard(p) || within(p, []string{module}) {
				continue
			}
			m := moduleOf(p, modules)
			if m == "" {
				m = p
			}
			if !slices.Contains(listed, m) {
				missing[m] = s.path
			}
		}
	}
	for m, path := range missing {
		t.Errorf("%s is imported by %s and not listed in CONTRIBUTING.md", m, path)
	}
}
