//go:build jepsen

package jepsen_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/lockd-io/lockd/jepsen/verdict"
)

// leftAlone wants everybody served through every node once the clients are gone,
// nothing left of them once their sessions are over, and nodes that came to the
// same states.
func (run *trial) leftAlone() verdict.Agreed {
	t := run.t
	ready(t, run.rig)
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	for _, n := range run.rig.Nodes {
		out, err := run.rig.Client(ctx, "run", "--endpoints", n.Address, "--wait", "20s", "served/"+n.ID, "--", "true").CombinedOutput()
		if err != nil {
			t.Errorf("left alone, %s does not serve: %v: %s", n.ID, err, out)
		}
	}
	for _, n := range run.rig.Nodes {
		for !run.empty(ctx, n.Address) && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if ctx.Err() != nil {
		t.Errorf("left alone, locks, waiters or sessions of clients that are gone remain")
	}
	readers := make(map[string]io.Reader)
	for _, n := range run.rig.Nodes {
		file, err := os.Open(n.Journal)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		readers[n.ID] = file
	}
	agreed, err := verdict.Agree(readers)
	if err != nil {
		t.Fatal(err)
	}
	if agreed.Verdict != verdict.Pass {
		t.Errorf("the nodes' journals: %v %v", agreed.Verdict, agreed.Findings)
	}
	return agreed
}

// empty tells whether a node knows of no session, no hold and no waiter.
func (run *trial) empty(ctx context.Context, address string) bool {
	out, err := run.rig.Among(ctx, "curl", "-s", "-m", "2", "http://"+address+"/metrics").Output()
	if err != nil {
		return false
	}
	for _, gauge := range []string{"lockd_sessions", "lockd_grants", "lockd_waiters"} {
		if !strings.Contains(string(out), fmt.Sprintf("\n%s 0\n", gauge)) {
			return false
		}
	}
	return true
}
