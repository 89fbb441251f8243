//go:build jepsen

package jepsen_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/rig"
	"github.com/lockd-io/lockd/jepsen/workload"
)

var (
	seed   = flag.Uint64("seed", 0, "of the faults and of what clients do; 0 is a random one")
	lasts  = flag.Duration("lasts", time.Minute, "how long clients work, for each workload")
	hours  = flag.Float64("hours", 0, "go through all workloads again and again, for this long, each time with the next seed")
	only   = flag.String("only", "", "regexp of the faults that there are to be")
	lockd  = flag.String("lockd", "", "the lockd to maltreat; it is built if empty")
	kept   = flag.String("report", "", "directory for histories, logs and what was done; a temporary one if empty")
	enough = flag.Bool("enough", false, "fail if less was tried than a whole run has to")
)

// TestSuite lets clients work while the cluster is maltreated, and wants an order
// of all that befell them, nodes that agree, and everybody served once it is left
// alone.
func TestSuite(t *testing.T) {
	choose()
	dir := *kept
	if dir == "" {
		dir = t.TempDir()
	}
	binary := lockdBinary(t)
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer done()
	var all figures
	began := time.Now()
	for round := 0; ctx.Err() == nil; round++ {
		for i, name := range workload.Workloads() {
			where := filepath.Join(dir, name)
			if *hours > 0 {
				where = filepath.Join(dir, fmt.Sprint(*seed), name)
			}
			good := t.Run(name, func(t *testing.T) {
				run := trial{t: t, dir: where, binary: binary, workload: name, number: i}
				run.maltreat(ctx, &all)
			})
			if good && *hours > 0 { // what shows nothing need not be kept for hours
				if err := os.RemoveAll(where); err != nil {
					t.Error(err)
				}
			}
		}
		t.Logf("%v: %v", time.Since(began).Round(time.Second), &all)
		if time.Since(began).Hours() >= *hours {
			break
		}
		*seed++
	}
	if *enough && ctx.Err() == nil {
		all.enough(t)
	}
}

// choose makes up a seed, if there is none.
func choose() {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) >> 12
	}
}

func lockdBinary(t *testing.T) string {
	t.Helper()
	if *lockd != "" {
		return *lockd
	}
	binary := filepath.Join(t.TempDir(), "lockd")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/lockd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// possible are the faults that -only lets through and this machine can have. What
// it can't is told.
func possible(t *testing.T, r *rig.Rig) (some []rig.Fault, missing []string) {
	t.Helper()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rig.Faults() {
		if !pattern.MatchString(f.Name) {
			continue
		}
		if err := f.Possible(r); err != nil {
			missing = append(missing, "NOT TRIED, this machine can't: "+err.Error())
			t.Log(missing[len(missing)-1])
			continue
		}
		some = append(some, f)
	}
	if len(some) == 0 {
		t.Fatalf("no fault is called %q, or none is possible", *only)
	}
	return some, missing
}

func ready(t *testing.T, r *rig.Rig) {
	t.Helper()
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	if err := r.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}
