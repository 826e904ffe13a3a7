package importrules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weir-dev/weir"

// rule binds the non-test files of a folder and those below it.
type rule struct {
	folder string
	// only, if set, lists what may be imported beyond the standard library.
	only []string
	// never lists what may not be imported.
	never []string
	// pure forbids clocks and I/O.
	pure bool
}

var rules = []rule{
	{folder: "schemas", only: []string{module + "/schemas", "google.golang.org/protobuf"}},
	{
		folder: "features", pure: true,
		only: []string{
			module + "/schemas", module + "/features", module + "/internal/slab",
			"github.com/cespare/xxhash/v2", "github.com/dchest/siphash", "github.com/corazawaf/libinjection-go",
		},
	},
	{
		folder: "scoring", pure: true,
		only: []string{
			module + "/schemas", module + "/features", module + "/internal/slab", module + "/scoring/joint", module + "/scoring/guarantee",
			"github.com/cespare/xxhash/v2", "github.com/dchest/siphash", "gonum.org/v1/gonum",
		},
	},
	// Models and statistics know neither windows nor clients.
	{folder: "features/sequence", only: []string{"github.com/cespare/xxhash/v2"}},
	{folder: "features/payload", only: []string{module + "/schemas", "github.com/corazawaf/libinjection-go"}},
	{folder: "features/parameters", only: []string{module + "/schemas", module + "/features/payload", "github.com/cespare/xxhash/v2"}},
	{folder: "scoring/joint", only: []string{"gonum.org/v1/gonum"}},
	{folder: "scoring/guarantee", only: []string{"github.com/dchest/siphash", "gonum.org/v1/gonum"}},
	// What is simulated must not know how it is found.
	{folder: "simulate", never: []string{module + "/scoring", module + "/training", module + "/eval", module + "/pipeline"}},
	{folder: "stream", never: []string{module + "/schemas", module + "/features", module + "/scoring"}},
	{folder: "config", never: []string{module}},
	{folder: "internal/slab", only: []string{}},
	{folder: "", never: []string{module + "/cmd"}},
}

// impure packages would let time or the machine into what must be a function of
// the log alone.
var impure = []string{"os", "net", "net/http", "log", "log/slog", "crypto/rand", "math/rand", "database/sql"}

// clocks are the names of package time that read the wall clock or wait for it.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// source is one parsed Go file.
type source struct {
	path string // from the module's root, with slashes
	file *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// under reports whether the file lies in a folder or below it; "" is everything.
func (s source) under(folder string) bool {
	return folder == "" || strings.HasPrefix(s.path, folder+"/")
}

// imports are the file's import paths.
func (s source) imports() []string {
	paths := make([]string, len(s.file.Imports))
	for i, spec := range s.file.Imports {
		paths[i] = strings.Trim(spec.Path.Value, "\"`")
	}
	return paths
}

// clockUses are the uses of the wall clock in the file, as "time.Now".
func (s source) clockUses() []string {
	name := ""
	for _, spec := range s.file.Imports {
		if spec.Path.Value == `"time"` {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	var uses []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && name != "" && pkg.Name == name && slices.Contains(clocks, sel.Sel.Name) {
			uses = append(uses, "time."+sel.Sel.Name)
		}
		return true
	})
	return uses
}

// within reports whether an import path is one of the trees, or below one.
func within(importPath string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return importPath == tree || strings.HasPrefix(importPath, tree+"/")
	})
}

// isStandard reports whether a package is of the standard library: only other
// modules' paths start with a host name.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// violations are the ways in which a file breaks the rules.
func violations(s source) []string {
	var found []string
	for _, r := range rules {
		if !s.under(r.folder) || s.isTest() && r.folder != "" {
			continue
		}
		for _, p := range s.imports() {
			switch {
			case within(p, r.never):
				found = append(found, "imports "+p)
			case r.only != nil && !isStandard(p) && !within(p, r.only):
				found = append(found, "imports "+p)
			case r.pure && slices.Contains(impure, p):
				found = append(found, "imports "+p)
			}
		}
		if r.pure {
			for _, use := range s.clockUses() {
				found = append(found, "uses "+use)
			}
		}
	}
	return found
}

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			base := path.Base(rel)
			if rel != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path: rel, file: file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportsPointDownwards(t *testing.T) {
	all := sources(t)
	for _, s := range all {
		for _, v := range violations(s) {
			t.Errorf("%s %s", s.path, v)
		}
	}
	// A rule about a folder that is gone would hold for ever.
	for _, r := range rules {
		if !slices.ContainsFunc(all, func(s source) bool { return s.under(r.folder) && !s.isTest() }) {
			t.Errorf("the rule for %q binds no file", r.folder)
		}
	}
}

func TestRulesFindViolations(t *testing.T) {
	f := func(name, code string, want ...string) {
		t.Helper()
		file, err := parser.ParseFile(token.NewFileSet(), name, "package x\n"+code, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := violations(source{path: name, file: file}); !slices.Equal(got, want) {
			t.Errorf("%s: %q gives %q, want %q", name, code, got, want)
		}
	}
	f("features/x.go", `import "github.com/twmb/franz-go/pkg/kgo"`, "imports github.com/twmb/franz-go/pkg/kgo")
	f("features/x.go", `import "github.com/weir-dev/weir/scoring"`, "imports github.com/weir-dev/weir/scoring")
	f("features/x.go", `import "github.com/weir-dev/weir/schemas/weirv1"`)
	f("features/sub/x.go", `import "net/http"`, "imports net/http")
	f("features/x.go", `import "net/netip"`)
	f("features/x_test.go", `import "os"`)
	f("features/x.go", "import \"time\"\nvar x = time.Now()", "uses time.Now")
	f("scoring/x.go", "import clock \"time\"\nvar x = clock.Since", "uses time.Since")
	f("scoring/x.go", "import \"time\"\nvar x = time.Second")
	f("scoring/x.go", `import "gonum.org/v1/gonum/mathext"`)
	f("scoring/x.go", `import "github.com/weir-dev/weir/stream"`, "imports github.com/weir-dev/weir/stream")
	f("scoring/x.go", `import "github.com/weir-dev/weir/scoring/joint"`)
	f("scoring/x.go", `import "github.com/weir-dev/weir/scoring/crowd"`, "imports github.com/weir-dev/weir/scoring/crowd")
	f("scoring/joint/x.go", `import "github.com/weir-dev/weir/schemas"`, "imports github.com/weir-dev/weir/schemas")
	f("features/x.go", `import "github.com/weir-dev/weir/features/payload"`)
	f("features/payload/x.go", `import "github.com/weir-dev/weir/features"`, "imports github.com/weir-dev/weir/features")
	f("simulate/x.go", `import "github.com/weir-dev/weir/scoring"`, "imports github.com/weir-dev/weir/scoring")
	f("stream/x.go", `import "github.com/weir-dev/weir/schemas"`, "imports github.com/weir-dev/weir/schemas")
	f("stream/x_test.go", `import "github.com/weir-dev/weir/schemas"`)
	f("schemas/x.go", `import "github.com/weir-dev/weir/features"`, "imports github.com/weir-dev/weir/features")
	f("config/x.go", `import "github.com/weir-dev/weir/schemas"`, "imports github.com/weir-dev/weir/schemas")
	f("e2e/x_test.go", `import "github.com/weir-dev/weir/cmd/weir"`, "imports github.com/weir-dev/weir/cmd/weir")
	f("pipeline/x.go", `import "github.com/weir-dev/weir/cmd/weir"`, "imports github.com/weir-dev/weir/cmd/weir")
}
