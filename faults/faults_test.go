package main

import (
	"context"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/faults/overlay"
)

// patient is a module with one property and a test of it.
func patient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/patient\n\ngo 1.26.0\n",
		"p/p.go": "package p\n\nfunc Double(i int) int {\n\treturn 2 * i\n}\n\n// p p\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc TestDouble(t *testing.T) {\n" +
			"\tt.Run(\"three\", func(t *testing.T) {\n\t\tif Double(3) != 6 {\n\t\t\tt.Fatal()\n\t\t}\n\t})\n}\n\n" +
			"func TestRed(t *testing.T) { t.Fatal() }\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPlant: only a green test that turns red catches a fault; every mistake
// in the table is told apart from that.
func TestPlant(t *testing.T) {
	dir := patient(t)
	good := fault{name: "triples", property: "doubling", file: "p/p.go", old: "2 * i", new: "3 * i", pkg: "./p", test: "TestDouble"}
	with := func(change func(*fault)) []fault {
		f := good
		change(&f)
		return []fault{f}
	}
	for _, c := range []struct {
		name   string
		faults []fault
		only   string
		prints string
		fails  string
	}{
		{"caught", []fault{good}, "", "TestDouble/three", ""},
		{"green", with(func(f *fault) { f.new = "i * 2" }), "", "stayed green", "1 of 1"},
		{"not compiling", with(func(f *fault) { f.new = "2 *" }), "", "does not compile", "1 of 1"},
		{"not found", with(func(f *fault) { f.old = "4 * i" }), "", "0 times", "1 of 1"},
		{"found twice", with(func(f *fault) { f.old = "p" }), "", "times in p/p.go", "1 of 1"},
		{"no test", with(func(f *fault) { f.test = "TestTriple" }), "", "no test like", "1 of 1"},
		{"red anyway", with(func(f *fault) { f.test = "TestRed" }), "", "red without the fault", "1 of 1"},
		{"none chosen", []fault{good}, "quadruple", "", "no fault is called like"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			err := plantAll(context.Background(), dir, c.faults, c.only, &out)
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if !strings.Contains(out.String(), c.prints) {
				t.Errorf("no %q in:\n%s", c.prints, &out)
			}
		})
	}
}

// Every fault of the table can be planted where the code is now, and the tests that
// are to catch it are there: that the code has moved on is found before anybody
// plants hundreds of them.
func TestTableIsOfThisCode(t *testing.T) {
	const root = ".."
	dir := t.TempDir()
	for _, f := range table() {
		if _, err := (overlay.Change{File: f.file, Old: f.old, New: f.new}).Write(root, dir); err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "changed.go"), nil, 0); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		top, _, _ := strings.Cut(f.test, "/") // of its subtests only the test itself is known
		match, err := regexp.Compile(top)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		paths, err := filepath.Glob(filepath.Join(root, f.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(paths, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && slices.ContainsFunc(testName.FindAllSubmatch(text, -1), func(m [][]byte) bool { return match.Match(m[1]) })
		}) {
			t.Errorf("%s: no test of %s matches %q", f.name, f.pkg, f.test)
		}
	}
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
