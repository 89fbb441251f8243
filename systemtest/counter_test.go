//go:build system

package systemtest

import (
	"testing"
	"time"
)

// A trial is a cluster, the way in which clients reach it, and what is done to it
// while they work.
type trial struct {
	c      *cluster
	reach  []string
	faults func(progress func() int)
	after  func()
}

// trials are the faults that no workload may notice.
var trials = map[string]func(t *testing.T) trial{
	"leaders die":        leadersDie,
	"installed snapshot": installedSnapshot,
	"resets":             resets,
}

// TestCounter: every kind of lock excludes whom it is to exclude, and no run fails,
// under each of the faults.
func TestCounter(t *testing.T) {
	for _, workload := range workloads {
		for name, prepare := range trials {
			t.Run(workload.name+"/"+name, func(t *testing.T) {
				try := prepare(t)
				workload.run(t, try)
				if try.after != nil {
					try.after()
				}
			})
		}
	}
}

// leadersDie kills the leader at a quarter and at a half of the way, and restarts
// it a second later.
func leadersDie(t *testing.T) trial {
	c := startCluster(t)
	faults := func(progress func() int) { killLeaderTwice(c, progress) }
	return trial{c: c, reach: []string{"--endpoints", c.endpoints()}, faults: faults}
}

func killLeaderTwice(c *cluster, progress func() int) {
	for _, at := range []int{turns / 4, turns / 2} {
		eventually(c.t, "progress", func() bool { return progress() >= at })
		leader := c.leader()
		leader.kill()
		c.t.Logf("killed the leader %s at %d", leader.id, progress())
		time.Sleep(time.Second)
		leader.boot()
	}
}

// installedSnapshot has a node come back through an installed snapshot, and then
// the leader die.
func installedSnapshot(t *testing.T) trial {
	c := startCluster(t, "--snapshot-interval", "1s", "--trailing-logs", "16")
	away := c.followers()[0]
	away.kill()
	faults := func(progress func() int) {
		eventually(t, "progress", func() bool { return progress() >= turns/2 })
		before := away.said("snapshot restored")
		away.boot()
		eventually(t, away.id+" installs a snapshot", func() bool { return away.said("snapshot restored") > before })
		t.Logf("%s came back through a snapshot at %d", away.id, progress())
		leader := c.leader()
		leader.kill()
		t.Logf("killed the leader %s at %d", leader.id, progress())
		time.Sleep(time.Second)
		leader.boot()
	}
	return trial{c: c, reach: []string{"--endpoints", c.endpoints()}, faults: faults}
}

// resets has client connections reset at random, and leaders die.
func resets(t *testing.T) trial {
	c := startCluster(t)
	through := ""
	var proxies []*proxy
	for _, n := range c.nodes {
		p := startProxy(t, n.listen, 300*time.Millisecond)
		proxies = append(proxies, p)
		through += "," + p.address()
	}
	return trial{
		c: c, reach: []string{"--backend", "lockd://" + through[1:] + "?spread=1"},
		faults: func(progress func() int) { killLeaderTwice(c, progress) },
		after: func() {
			count := 0
			for _, p := range proxies {
				count += p.count()
			}
			t.Logf("%d connections were reset", count)
			if count == 0 {
				t.Error("no connection was reset: the test tested nothing")
			}
		},
	}
}
