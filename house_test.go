// Package lockd_test holds the rules of the house: who may import whom, and
// what no file may contain. Read house_test.go first; it is the map.
package lockd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lockd-io/lockd"

// A room is a directory of the module with all beneath it that is not a room
// itself. It imports rooms of lower rows only, and of other people's modules
// only those that it names. Inside a room a package and its ancestors may
// know each other; siblings may not.
type room struct {
	row    int
	path   string
	others []string // import paths, each with all beneath it
}

var house = []room{
	{5, "systemtest", []string{"golang.org/x/sys/unix"}},
	{5, "jepsen", nil},
	{5, "faults", nil},
	{5, "examples", nil},

	{4, "cmd/lockd", []string{"github.com/prometheus/client_golang", "github.com/spf13/cobra", "github.com/spf13/pflag", "go.yaml.in/yaml/v3",
		"golang.org/x/sys/unix", "golang.org/x/term", "google.golang.org/grpc"}},

	// What judges lock services is for lockd jepsen, too; what maltreats them is above it.
	{4, "jepsen/rig", []string{"golang.org/x/sys/unix"}},
	{4, "systemtest/console", []string{"golang.org/x/sys/unix"}},
	// Both who plants faults under tests and who plants them under the suite.
	{4, "faults/overlay", nil},
	{3, "jepsen/verdict", []string{"github.com/anishathalye/porcupine"}},
	{2, "jepsen/model", nil},
	{2, "jepsen/report", nil},
	{2, "jepsen/workload", nil},
	{1, "jepsen/history", []string{"golang.org/x/sys/unix"}},

	{3, "cluster", []string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "go.etcd.io/bbolt",
		"github.com/hashicorp/go-hclog", "github.com/hashicorp/memberlist", "golang.org/x/sys/unix"}},
	{3, "lockapi/mem", nil},
	{3, "lockapi/remote", []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},

	{2, "transport", []string{"google.golang.org/grpc", "google.golang.org/protobuf", "golang.org/x/sys/unix"}},
	{2, "lockapi/backendtest", nil},

	{1, "lockapi", []string{"golang.org/x/sys/unix"}},

	{0, "fsm", []string{"github.com/google/btree"}},
}

// onlyCluster may be imported by cluster alone, tests included.
var onlyCluster = []string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb", "github.com/hashicorp/raft-wal",
	"github.com/hashicorp/memberlist", "github.com/boltdb/bolt", "go.etcd.io/bbolt"}

// TestImports holds the house against its table. Tests may use any backend,
// but nobody else's Raft.
func TestImports(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir == "." {
			continue // the rules themselves
		}
		from := roomOf(f.dir)
		if from == nil {
			t.Errorf("%s: package %s has no room in the table of house_test.go", f.path, f.dir)
			continue
		}
		for _, spec := range f.ast.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if why := refusal(from, f, p); why != "" {
				t.Errorf("%s imports %s: %s", f.path, p, why)
			}
		}
	}
}

// refusal says why from must not import p, or nothing.
func refusal(from *room, f *source, p string) string {
	if from.path != "cluster" && under(p, onlyCluster) {
		return "only cluster may"
	}
	if dir, ours := strings.CutPrefix(p, module+"/"); ours {
		return refusalOfOurs(from, f, dir)
	}
	first, _, _ := strings.Cut(p, "/")
	if f.test || !strings.Contains(first, ".") || under(p, from.others) {
		return ""
	}
	return "not among what " + from.path + " may import of others"
}

func refusalOfOurs(from *room, f *source, dir string) string {
	to := roomOf(dir)
	switch {
	case to == nil:
		return "no such room"
	case to == from && f.test, to == from && related(f.dir, dir), to != from && to.row < from.row:
		return ""
	case to == from:
		return "siblings in " + from.path + " do not know each other"
	case to.row == 5:
		return "nobody imports row 5"
	case f.test:
		return ""
	}
	return from.path + " is in row " + strconv.Itoa(from.row) + ", " + to.path + " in row " + strconv.Itoa(to.row)
}

// TestTableOfRooms sees that the table has no room twice.
func TestTableOfRooms(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range house {
		if seen[r.path] {
			t.Errorf("%s stands in the table twice", r.path)
		}
		seen[r.path] = true
	}
}

// roomOf finds the innermost room that contains the directory.
func roomOf(dir string) *room {
	var best *room
	for i := range house {
		r := &house[i]
		if under(dir, []string{r.path}) && (best == nil || len(r.path) > len(best.path)) {
			best = r
		}
	}
	return best
}

func related(a, b string) bool { return under(a, []string{b}) || under(b, []string{a}) }

// under tells whether p is one of the roots or beneath one.
func under(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return p == root || strings.HasPrefix(p, root+"/")
	})
}

// A source is one parsed Go file of the module.
type source struct {
	path      string // from the module's root, with slashes
	dir       string
	test      bool
	generated bool
	lines     int
	fset      *token.FileSet
	ast       *ast.File
}

// at names a place in the file for a message.
func (f *source) at(n ast.Node) string { return f.fset.Position(n.Pos()).String() }

// sources parses every Go file of the module, whatever its build tags.
func sources(t *testing.T) []*source {
	t.Helper()
	var found []*source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(p, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, filepath.ToSlash(p), text, parser.ParseComments)
		if err != nil {
			return err
		}
		found = append(found, &source{
			path: filepath.ToSlash(p), dir: path.Dir(filepath.ToSlash(p)),
			test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(file),
			lines: strings.Count(string(text), "\n"), fset: fset, ast: file,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// skipDir leaves out what is not of this module.
func skipDir(p, name string) error {
	if p == "." {
		return nil
	}
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// TestRefusals: the rule itself can refuse.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		file, imports string
		test, refused bool
	}{
		{file: "lockapi", imports: module + "/fsm"},
		{file: "fsm", imports: module + "/lockapi", refused: true},
		{file: "fsm", imports: "github.com/spf13/cobra", refused: true},
		{file: "fsm", imports: "pgregory.net/rapid", test: true},
		{file: "lockapi", imports: module + "/lockapi/mem", refused: true},
		{file: "lockapi", imports: module + "/lockapi/mem", test: true},
		{file: "cluster", imports: module + "/lockapi/mem", refused: true},
		{file: "cluster", imports: "github.com/hashicorp/raft"},
		{file: "transport", imports: "github.com/hashicorp/raft", test: true, refused: true},
		{file: "transport/rpc", imports: module + "/transport"},
		{file: "transport/rpc", imports: module + "/transport/web", refused: true},
		{file: "cmd/lockd", imports: module + "/jepsen", test: true, refused: true},
		{file: "jepsen", imports: module + "/cluster"},
	} {
		why := refusal(roomOf(c.file), &source{dir: c.file, test: c.test}, c.imports)
		if (why != "") != c.refused {
			t.Errorf("%s imports %s (test: %v): refusal %q", c.file, c.imports, c.test, why)
		}
	}
}
