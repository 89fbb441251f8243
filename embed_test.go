package lockd_test

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// embedded is what a program that embeds a node may link and require besides
// this module. A further line here is a cost to every user.
var embedded = []string{
	"github.com/armon/go-metrics",
	"github.com/boltdb/bolt", // raft-boltdb's migration of files from v1
	"github.com/fatih/color",
	"github.com/google/btree",
	"github.com/hashicorp/errwrap",
	"github.com/hashicorp/go-hclog",
	"github.com/hashicorp/go-immutable-radix",
	"github.com/hashicorp/go-metrics",
	"github.com/hashicorp/go-msgpack/v2",
	"github.com/hashicorp/go-multierror",
	"github.com/hashicorp/go-sockaddr",
	"github.com/hashicorp/golang-lru",
	"github.com/hashicorp/memberlist", // gossip; of it come errwrap, multierror, sockaddr, dns and seed
	"github.com/hashicorp/raft",
	"github.com/hashicorp/raft-boltdb/v2",
	"github.com/mattn/go-colorable",
	"github.com/mattn/go-isatty",
	"github.com/miekg/dns", // linked by memberlist, whose look-ups are not used
	"github.com/sean-/seed",
	"go.etcd.io/bbolt",
	"golang.org/x/mod",  // of dns's generators: required, not linked
	"golang.org/x/net",  // of dns
	"golang.org/x/sync", // of dns's tests: required, not linked
	"golang.org/x/sys",
	"golang.org/x/tools", // of dns's generators: required, not linked
}

// TestReadme builds the programs of README.md, as their reader would.
func TestReadme(t *testing.T) {
	programs := programsOf(t, "README.md")
	if len(programs) == 0 {
		t.Error("README.md shows no program")
	}
	for _, program := range programs {
		build(t, program)
	}
}

// TestEmbedding builds the program that docs/embedding.md shows, which is that of
// examples/embed, and measures what embedding a node costs it.
func TestEmbedding(t *testing.T) {
	const page = "docs/embedding.md"
	example, err := os.ReadFile("examples/embed/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if programs := programsOf(t, page); !slices.Equal(programs, []string{string(example)}) {
		t.Errorf("%s does not show the program of examples/embed, or shows others", page)
	}
	if lines := strings.Count(string(example), "\n"); lines > 40 {
		t.Errorf("the program that embeds a node has %d lines; 40 are to be enough", lines)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n    " + strings.Join(embedded, "\n    ") + "\n\n"; !strings.Contains(string(text), want) {
		t.Errorf("%s does not list what is linked:%s", page, want)
	}
	dir, binary := build(t, string(example))
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range info.Deps {
		if m.Path != module && !slices.Contains(embedded, m.Path) {
			t.Errorf("a program that embeds a node links %s", m.Path)
		}
	}
	for _, m := range required(t, dir) {
		if m != module && !slices.Contains(embedded, m) {
			t.Errorf("the go.mod of a program that embeds a node requires %s", m)
		}
	}
}

// programsOf lists the Go programs that a page shows.
func programsOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for i, part := range strings.Split(string(text), "```") {
		if program, isGo := strings.CutPrefix(part, "go\n"); isGo && i%2 == 1 {
			programs = append(programs, program)
		}
	}
	return programs
}

// build builds a program in a module of its own that finds this tree. It
// needs no network: what the program requires is what this module requires.
func build(t *testing.T, program string) (dir, binary string) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"main.go": program,
		"go.sum":  string(sums),
		"go.mod": "module example.com/program\n\ngo 1.26.0\n\nrequire " + module + " v0.0.0\n\nreplace " +
			module + " => " + root + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// -e: tidy also wants the tests of packages in between, whose modules
	// nobody here has; what it leaves out would fail the build.
	run(t, dir, "mod", "tidy", "-e")
	binary = filepath.Join(dir, "program")
	run(t, dir, "build", "-o", binary, ".")
	return dir, binary
}

// required lists the module paths of the tidied go.mod.
func required(t *testing.T, dir string) []string {
	t.Helper()
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(run(t, dir, "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	return paths
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	// What flags there are stay: with -race all that the program needs is built.
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOWORK=off", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
