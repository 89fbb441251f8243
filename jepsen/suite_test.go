//go:build jepsen

package jepsen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/report"
	"github.com/lockd-io/lockd/jepsen/rig"
)

var (
	seed  = flag.Uint64("seed", 0, "of the faults and of what clients do; 0 is a random one")
	lasts = flag.Duration("lasts", time.Minute, "how long clients work, for each workload")
	only  = flag.String("only", "", "regexp of the faults that there are to be")
	lockd = flag.String("lockd", "", "the lockd to maltreat; it is built if empty")
	kept  = flag.String("report", "", "directory for histories, logs and what was done; a temporary one if empty")
)

// TestSuite lets clients work while the cluster is maltreated, and wants an order
// of all that befell them, and everybody served once it is left alone.
func TestSuite(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) >> 12
	}
	dir := *kept
	if dir == "" {
		dir = t.TempDir()
	}
	binary := *lockd
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "lockd")
		if out, err := exec.Command("go", "build", "-o", binary, "../cmd/lockd").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, workload := range []string{"mixed", "mutex", "rwlock", "semaphore", "all", "engine"} {
		t.Run(workload, func(t *testing.T) { maltreat(t, filepath.Join(dir, workload), binary, workload) })
	}
}

func maltreat(t *testing.T, dir, binary, workload string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := rig.New(dir, binary, 3, "--snapshot-bytes", "100000", "--trailing-logs", "16")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	ready(t, r)

	ttl := "1s" // short, so that many expire
	if workload == "engine" {
		ttl = "4s" // its clients mean to keep what they hold
	}
	var result, said bytes.Buffer
	clients := r.Client(context.Background(), "jepsen", "--endpoints", r.Endpoints(), "--workload", workload, "--seed", fmt.Sprint(*seed),
		"--time", lasts.String(), "--clients", "12", "--ttl", ttl, "--patience", "2s", "--out", filepath.Join(dir, "history"), "--json")
	clients.Stdout, clients.Stderr = &result, &said
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	trouble, done := context.WithTimeout(context.Background(), *lasts-15*time.Second)
	defer done()
	n := rig.Nemesis{Rig: r, Faults: faults(t), Seed: *seed, Hold: 4 * time.Second, Rest: 2 * time.Second,
		Tell: func(text string) { t.Log(text) }}
	began := time.Now()
	events, err := n.Run(trouble)
	if err != nil {
		t.Errorf("the nemesis: %v", err)
	}
	ready(t, r)
	ended := clients.Wait()
	if ended != nil {
		t.Errorf("the clients: %v\n%s", ended, said.String())
	}
	var got struct {
		Verdict    string
		Began      time.Time
		Operations int
		Witnessed  int
		Outcomes   map[string]int
		Findings   []string
	}
	if err := json.Unmarshal(result.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, result.String())
	}
	if got.Verdict != "pass" {
		t.Errorf("%s", result.String())
	}
	page := report.Page{Title: "lockd, " + workload, Verdict: got.Verdict, Findings: got.Findings}
	for _, e := range events {
		offset := began.Sub(got.Began)
		page.Faults = append(page.Faults, report.Fault{Name: e.Fault, To: e.To, Begin: int64(offset + e.Begin), End: int64(offset + e.End)})
	}
	kinds := map[string]bool{}
	for _, e := range events {
		kinds[e.Fault] = true
	}
	fact := fmt.Sprintf("seed %d: %s: %d operations, %d by their positions as well, %d faults of %d kinds; %v",
		*seed, got.Verdict, got.Operations, got.Witnessed, len(events), len(kinds), got.Outcomes)
	t.Log(fact)
	page.Facts = append(page.Facts, fact, logged(t, r))
	draw(t, dir, page)
}

// logged is what the nodes' logs tell of the run.
func logged(t *testing.T, r *rig.Rig) string {
	t.Helper()
	count := func(text string) (sum int) {
		for _, n := range r.Nodes {
			k, err := n.Said(text)
			if err != nil {
				t.Error(err)
			}
			sum += k
		}
		return sum
	}
	fact := fmt.Sprintf("%d lives of nodes, %d reigns, %d snapshots restored or installed", count("msg=started"), count("msg=leading"), count(`msg="snapshot restored"`))
	t.Log(fact)
	return fact
}

// draw writes the report beside the history, where there is one.
func draw(t *testing.T, dir string, page report.Page) {
	t.Helper()
	if file, err := os.Open(filepath.Join(dir, "history", "history.jsonl")); err == nil {
		defer file.Close()
		if page.History, err = history.Load(file); err != nil {
			t.Error(err)
		}
	}
	out, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := page.Write(out); err != nil {
		t.Error(err)
	}
}

// faults are those that -only lets through.
func faults(t *testing.T) []rig.Fault {
	t.Helper()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(rig.Faults(), func(f rig.Fault) bool { return !pattern.MatchString(f.Name) })
	if len(all) == 0 {
		t.Fatalf("no fault is called %q", *only)
	}
	return all
}

func ready(t *testing.T, r *rig.Rig) {
	t.Helper()
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	if err := r.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}
