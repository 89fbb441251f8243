//go:build planted

package jepsen_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/faults/overlay"
)

var (
	chosen = flag.String("planted", "", "regexp of the faults to plant")
	tries  = flag.Int("tries", 3, "how often each is to be caught, each time with another seed and an empty cluster")
)

// A planted fault is a small wrong change of lockd, and what of the suite sees it.
// It is in one build for one test, and in no file of the tree.
type planted struct {
	name string
	overlay.Change
	workload string
	trouble  string        // regexp of the rig's faults; "" is a cluster on loopback that is left in peace
	clients  bool          // the clients have it, and the nodes do not
	patience time.Duration // of clients; 0 is long
	paused   bool          // clients are two processes, of which one is stopped now and then
}

// command is what a person would type.
func (p *planted) command() string {
	text := "lockd jepsen --workload " + p.workload
	if p.trouble != "" {
		// In a table of Markdown a bar is escaped, even in code.
		text = fmt.Sprintf("make jepsen WORKLOAD=%s ONLY=\"%s\"", p.workload, strings.ReplaceAll(p.trouble, "|", `\|`))
	}
	if p.patience > 0 {
		text += fmt.Sprintf(" --patience %v", p.patience)
	}
	text = "`" + text + "`"
	if p.paused {
		text += " twice, with `--resource`; one is stopped now and then"
	}
	return text
}

// rounds are for how long clients work until they are heard. A cluster that is
// maltreated needs a while to be hurt, and to come to itself again.
func (p *planted) rounds() []time.Duration {
	all := []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute}
	switch {
	case p.trouble != "":
		return all[2:]
	case p.paused: // a pause seldom falls where it hurts
		return append(all, time.Minute, time.Minute, time.Minute)
	}
	return all
}

// TestPlanted plants faults in lockd, one at a time, and wants the suite to see
// each, in processes and by what clients are answered, and nothing without them.
// What it prints is a table.
func TestPlanted(t *testing.T) {
	pattern, err := regexp.Compile(*chosen)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(plantedFaults(), func(p planted) bool { return !pattern.MatchString(p.name) })
	if len(all) == 0 {
		t.Fatalf("no fault is called %q", *chosen)
	}
	scratch := t.TempDir()
	sound := filepath.Join(scratch, "sound")
	build(t, sound, "")
	green := make(map[string]bool)
	for _, p := range all {
		if what := p.command(); !green[what] {
			green[what] = true
			t.Run("nothing/"+what, func(t *testing.T) { unplanted(t, p, sound) })
		}
	}
	fmt.Println("| broken | in | command | caught after | how it shows |\n|---|---|---|---|---|")
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) { caught(t, p, sound, filepath.Join(scratch, "planted")) })
	}
}

// build makes a lockd, with what an overlay describes.
func build(t *testing.T, binary, description string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-overlay", description, "-o", binary, "../cmd/lockd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// unplanted sees that what is to catch a fault is quiet without one.
func unplanted(t *testing.T, p planted, sound string) {
	b := begin(t, p, sound, sound, 1)
	for _, round := range p.rounds()[:2] {
		if shows := b.round(t, round); shows != "" {
			t.Fatalf("without any fault: %s\n%s", shows, b.last(t))
		}
	}
}

// caught plants the fault and lets clients work until it shows, a few times.
func caught(t *testing.T, p planted, sound, binary string) {
	description, err := p.Write("..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	build(t, binary, description)
	nodes, clients := binary, sound
	if p.clients {
		nodes, clients = sound, binary
	}
	var sum time.Duration
	var how []string
	for seed := 1; seed <= *tries; seed++ {
		b := begin(t, p, nodes, clients, seed)
		shows := ""
		for _, round := range p.rounds() {
			sum += round
			if shows = b.round(t, round); shows != "" {
				break
			}
		}
		b.end(t)
		if shows == "" {
			t.Fatalf("seed %d: not caught", seed)
		}
		if !slices.Contains(how, shows) {
			how = append(how, shows)
		}
	}
	mean := sum / time.Duration(*tries)
	fmt.Printf("| %s | `%s` | %s | %v | %s |\n", p.name, p.File, p.command(), mean.Round(time.Second), strings.Join(how, "; "))
}

// A bout is clients at work on a cluster that may have a fault.
type bout struct {
	planted
	nodes   nodes  // nil once it is over
	dir     string // each node's log is NODE/log
	clients string // the binary
	seed    int
	rounds  int
}

// nodes are a cluster, of one kind or the other.
type nodes interface {
	Endpoints() string
	// Among is a command that reaches the nodes.
	Among(ctx context.Context, args ...string) *exec.Cmd
	// Ready waits until every node has caught up with a leader.
	Ready(ctx context.Context) error
	Close() error
}

func begin(t *testing.T, p planted, binary, clients string, seed int) *bout {
	t.Helper()
	b := &bout{planted: p, clients: clients, seed: seed, dir: t.TempDir()}
	if p.trouble != "" {
		b.nodes = maltreated(t, b.dir, binary)
	} else {
		b.nodes = onLoopback(t, b.dir, binary)
	}
	t.Cleanup(func() { b.end(t) })
	if err := b.ready(); err != nil {
		t.Fatalf("%v\n%s", err, b.last(t))
	}
	return b
}

// end is idempotent.
func (b *bout) end(t *testing.T) {
	t.Helper()
	if b.nodes == nil {
		return
	}
	if err := b.nodes.Close(); err != nil {
		t.Error(err)
	}
	b.nodes = nil
}

// readyMax: an election takes a second or two.
const readyMax = 30 * time.Second

func (b *bout) ready() error {
	ctx, done := context.WithTimeout(context.Background(), readyMax)
	defer done()
	return b.nodes.Ready(ctx)
}

// logs are what each of the nodes has said.
func (b *bout) logs(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*", "log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs in %s: %v", b.dir, err)
	}
	for _, file := range files {
		said, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		all = append(all, string(said))
	}
	return all
}

// last are the last lines of each of the logs.
func (b *bout) last(t *testing.T) (text string) {
	t.Helper()
	for _, said := range b.logs(t) {
		lines := strings.Split(strings.TrimSpace(said), "\n")
		text += strings.Join(lines[max(0, len(lines)-10):], "\n") + "\n\n"
	}
	return text
}
