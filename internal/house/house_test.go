// Package house holds the rules of the house as tests: who may import whom, and what is not done here.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// table says which of gatehouse's packages each package may import; a package that is missing may not exist. Imports run
// downward: a wing (gateway, verify, memory) never imports another, and inside a wing only its first package knows the
// others. What a package needs of a peer it declares itself, and app plugs the peer in.
var table = map[string]string{
	"cmd/gatehouse": "cli",
	"cli":           "app api analyze config farm lab state supervisor trend watch words httpcheck icmpcheck tcpcheck",
	"app": `api config console procmem series state supervisor trend watch words
		edge farm policy schedule httpcheck icmpcheck tcpcheck`,

	"config":              "",
	"config/gen":          "config",
	"supervisor":          "api",
	"console":             "supervisor state farm watch trend words",
	"console/consoletest": "console supervisor state farm watch trend",

	"gateway/edge":   "policy farm state",
	"gateway/policy": "",
	"gateway/farm":   "state",

	"verify/schedule":  "state",
	"verify/httpcheck": "state reach",
	"verify/icmpcheck": "state reach",
	"verify/tcpcheck":  "state reach",

	"memory/watch":   "procmem series trend",
	"memory/analyze": "perflog trend",
	"memory/procmem": "",
	"memory/perflog": "",
	"memory/series":  "",
	"memory/trend":   "",

	"words": "trend",
	"reach": "state",
	"api":   "",
	"state": "",
	"lab":   "",
	"house": "",
}

// pure packages do no I/O beyond the reader that they are given.
var pure = []string{"memory/trend", "memory/perflog", "gateway/policy"}

const module = "gatehouse/"

// source is one Go file of the house, without tests.
type source struct {
	pkg, path string
	file      *ast.File
}

func sources(t *testing.T, root string) []source {
	t.Helper()
	var all []source
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		pkg = strings.TrimPrefix(strings.TrimPrefix(pkg, "../../"), "internal/")
		pkg = strings.TrimPrefix(pkg, "../")
		all = append(all, source{pkg, path, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func house(t *testing.T) []source {
	return append(sources(t, ".."), sources(t, "../../cmd")...)
}

// wing is the last part of a package's path, by which the table names it.
func last(pkg string) string { return pkg[strings.LastIndex(pkg, "/")+1:] }

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	used := map[string]bool{}
	for _, s := range house(t) {
		seen[s.pkg] = true
		allowed, known := table[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table", s.path, s.pkg)
			continue
		}
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			own, ok := strings.CutPrefix(imported, module)
			used[s.pkg+" "+last(own)] = true
			if ok && !slices.Contains(strings.Fields(allowed), last(own)) {
				t.Errorf("%s: %s may not import %s", s.path, s.pkg, imported)
			}
			if slices.Contains(pure, s.pkg) && (imported == "os" || imported == "net" || imported == "net/http") {
				t.Errorf("%s: %s is pure and may not import %s", s.path, s.pkg, imported)
			}
		}
	}
	for pkg, allowed := range table {
		if !seen[pkg] {
			t.Errorf("the table knows package %s, which is not there", pkg)
		}
		for _, name := range strings.Fields(allowed) {
			if !used[pkg+" "+name] {
				t.Errorf("the table allows %s to import %s, which it does not", pkg, name)
			}
		}
	}
}

// TestPackageComments: a stranger learns from its first file what a package is for.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range house(t) {
		if s.file.Doc != nil {
			documented[s.pkg] = true
		}
	}
	for pkg := range table {
		if !documented[pkg] {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// TestHabits: what is not done in the house.
func TestHabits(t *testing.T) {
	for _, s := range house(t) {
		test := strings.HasSuffix(s.path, "_test.go")
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init() runs before anybody asked for it", s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch name := pkg.Name + "." + selector.Sel.Name; {
			case name == "slog.Default" || name == "slog.SetDefault" || name == "prometheus.MustRegister":
				t.Errorf("%s: %s is state that nobody passed in", s.path, name)
			case name == "os.Exit" && !test && s.pkg != "cmd/gatehouse" && s.pkg != "config/gen":
				t.Errorf("%s: only main ends the process", s.path)
			case (name == "fmt.Println" || name == "fmt.Printf" || name == "fmt.Print") && !test && s.pkg != "config/gen":
				t.Errorf("%s: only cli prints, and to the writer that it was given", s.path)
			}
			return true
		})
	}
}
