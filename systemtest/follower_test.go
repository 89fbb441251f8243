//go:build system

package systemtest

import (
	"slices"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// latency is the median time of an acquire through one node.
func latency(t *testing.T, n *node, name string) time.Duration {
	t.Helper()
	client, err := lockapi.Open(t.Context(), "lockd://"+n.listen+"?spread=1", lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	var all []time.Duration
	for range 300 {
		begun := time.Now()
		grant, err := client.Mutex(name).Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, time.Since(begun))
		if err := grant.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// The leader returns outcomes over the forward stream, so that a client of a
// follower does not wait for the follower to learn of the commit (which takes
// up to 100 ms on an idle cluster).
func TestAcquireThroughFollower(t *testing.T) {
	c := startCluster(t)
	leader, follower := c.leader(), c.followers()[0]
	for round := range 3 {
		direct := latency(t, leader, "direct")
		forwarded := latency(t, follower, "forwarded")
		t.Logf("round %d: acquire p50 %v at the leader, %v at a follower: ratio %.2f",
			round, direct, forwarded, float64(forwarded)/float64(direct))
	}
}
