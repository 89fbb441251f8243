//go:build jepsen

package jepsen_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/rig"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
)

// pausesFaults befall the cluster beside the pauses of its clients: those that end
// sessions and beliefs by themselves.
var pausesFaults = []string{"pause the leader", "kill the leader", "clients do not reach the leader"}

// TestPauses stops applications that are processes of their own while they hold the
// lock, and lets them go on when it may be another's. They may not be sure of it at
// one time, the resource that looks at tokens may lose nothing, and the one that does
// not must: else no pause fell where it hurts, and the run says nothing.
func TestPauses(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) >> 12
	}
	t.Run("pauses", pauses)
}

func pauses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pauses")
	if *kept != "" {
		dir = filepath.Join(*kept, "pauses")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := rig.New(dir, lockdBinary(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	faults, _ := possible(t, r)
	if *only == "" {
		faults = slices.DeleteFunc(faults, func(f rig.Fault) bool { return !slices.Contains(pausesFaults, f.Name) })
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	ready(t, r)

	resource, l := shareResource(t)
	tr := newTroupe(t, r, dir, l.Addr().String(), func() int {
		tally, _ := resource.Tally() // of this process: no error
		return tally.AtWork
	})
	ended := make(chan int, 1)
	go func() { ended <- trouble(t, r, faults) }()
	tr.perform()
	befell := <-ended
	ready(t, r)
	tr.finish()

	beliefs := tr.beliefs()
	for _, finding := range verdict.Apart(beliefs) {
		t.Error(finding)
	}
	tally, err := resource.Tally()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %v; %d beliefs of %d applications judged; %s; %d faults of the cluster",
		*seed, tally, len(beliefs), tr.clients(), tr.told(), befell)
	if tally.Lost() > 0 {
		t.Errorf("the fenced resource lost %d of %d updates", tally.Lost(), tally.Taken)
	}
	if tally.TwinLost() == 0 || tally.Refused == 0 {
		t.Error("no pause fell between a look at the lock and a write: it may all be luck; let it last longer")
	}
}

// shareResource serves a resource to other processes until the test has ended.
func shareResource(t *testing.T) (*workload.Resource, net.Listener) {
	t.Helper()
	l, err := workload.ListenAddress(filepath.Join(t.TempDir(), "resource"))
	if err != nil {
		t.Fatal(err)
	}
	resource, served := new(workload.Resource), make(chan error, 1)
	go func() { served <- resource.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return resource, l
}

// trouble is the cluster's own, until shortly before the end. It returns how many
// faults there were.
func trouble(t *testing.T, r *rig.Rig, faults []rig.Fault) int {
	some := *lasts - lastAct
	ctx, done := context.WithTimeout(context.Background(), some)
	defer done()
	n := rig.Nemesis{Rig: r, Faults: faults, Seed: *seed, Hold: 3 * time.Second, Rest: 12 * time.Second,
		Tell: func(text string) { t.Log(text) }}
	events, err := n.Run(ctx, some)
	if err != nil {
		t.Errorf("the nemesis: %v", err)
	}
	return len(events)
}
