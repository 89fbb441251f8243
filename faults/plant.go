package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/lockd-io/lockd/faults/overlay"
)

// A fault is a small wrong change, and who must notice it.
type fault struct {
	name     string
	property string // what would be broken, by its number if it has one
	file     string // from the module's root
	old, new string // old must be in the file exactly once
	pkg      string // the package whose tests guard it, as in ./fsm
	test     string // regexp of the tests, as for go test -run
}

// A verdict tells how a fault was caught.
type verdict struct {
	test string // the first test that failed
	took time.Duration
}

// testTimeout ends a test that a fault has made hang; that is red as well.
const testTimeout = 2 * time.Minute

// A garden is a module to plant faults in, and a directory beside it for what
// that needs. One goroutine at a time may use it.
type garden struct {
	root    string
	scratch string
	green   map[[2]string]error // by package and test: without any fault
	sound   map[string]string   // by package: its tests, built without any fault
}

func newGarden(root string) (*garden, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "faults")
	if err != nil {
		return nil, err
	}
	return &garden{root: root, scratch: scratch, green: map[[2]string]error{}, sound: map[string]string{}}, nil
}

func (g *garden) close() { _ = os.RemoveAll(g.scratch) }

// plant runs f's tests without and with f. The error says why f does not
// count as caught.
func (g *garden) plant(ctx context.Context, f fault) (verdict, error) {
	planted, err := overlay.Change{File: f.file, Old: f.old, New: f.new}.Write(g.root, g.scratch)
	if err != nil {
		return verdict{}, err
	}
	if err := g.baseline(ctx, f); err != nil {
		return verdict{}, err
	}
	binary := filepath.Join(g.scratch, "planted.test")
	err = g.build(ctx, binary, f.pkg, planted)
	if err != nil {
		return verdict{}, fmt.Errorf("does not compile: %w", err)
	}
	start := time.Now()
	out, err := g.run(ctx, binary, f)
	took := time.Since(start)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return verdict{}, fmt.Errorf("%s -run '%s' stayed green", f.pkg, f.test)
	case !errors.As(err, &exit):
		return verdict{}, err
	}
	return verdict{test: firstFailure(out), took: took}, nil
}

// baseline sees once per package and pattern that the tests are there and
// green: red must be the fault's doing.
func (g *garden) baseline(ctx context.Context, f fault) error {
	key := [2]string{f.pkg, f.test}
	if err, known := g.green[key]; known {
		return err
	}
	g.green[key] = g.runUnchanged(ctx, f)
	return g.green[key]
}

func (g *garden) runUnchanged(ctx context.Context, f fault) error {
	binary, built := g.sound[f.pkg]
	if !built {
		binary = filepath.Join(g.scratch, fmt.Sprintf("sound%d.test", len(g.sound)))
		if err := g.build(ctx, binary, f.pkg, ""); err != nil {
			return fmt.Errorf("%s does not compile without the fault: %w", f.pkg, err)
		}
		g.sound[f.pkg] = binary
	}
	out, err := g.run(ctx, binary, f)
	switch {
	case err != nil:
		return fmt.Errorf("%s -run '%s' is red without the fault: %w\n%s", f.pkg, f.test, err, out)
	case strings.Contains(out, "no tests to run"):
		return fmt.Errorf("%s has no test like '%s'", f.pkg, f.test)
	}
	return nil
}

// build compiles the tests of a package, apart from running them, so that a
// mutant that does not compile is never taken for a red test.
func (g *garden) build(ctx context.Context, binary, pkg, planted string) error {
	args := []string{"test", "-c", "-o", binary}
	if planted != "" {
		args = append(args, "-overlay", planted)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = g.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// run starts the tests in their package's directory, as go test does.
func (g *garden) run(ctx context.Context, binary string, f fault) (string, error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run", f.test, "-test.timeout", testTimeout.String(),
		"-test.failfast", "-test.count=1")
	cmd.Dir = filepath.Join(g.root, filepath.FromSlash(f.pkg))
	cmd.WaitDelay = time.Second // what a failed test left running may hold the pipe
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstFailure names the innermost test that failed first, or how the test
// binary died.
func firstFailure(out string) string {
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`).FindAllStringSubmatch(out, -1)
	name := "the test binary's death"
	for _, m := range failed {
		if name == "the test binary's death" || strings.HasPrefix(m[1], name+"/") {
			name = m[1]
		}
	}
	if strings.Contains(out, "panic: test timed out") {
		name += " (timed out)"
	}
	return name
}
