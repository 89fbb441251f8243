//go:build system

package systemtest

import (
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

const electionTTL = 10 * time.Second

// kept are locks that are held, each with somebody who waits for it: sessions that
// live all through a test.
type kept struct {
	c       *cluster
	names   []string
	before  []lockState
	holders []*process
	waiters []*process
	release []func()
}

func keep(c *cluster, n int) *kept {
	k := &kept{c: c}
	for i := range n {
		name := fmt.Sprintf("kept%d", i)
		holder, _, release := c.holdingRun(name, electionTTL.String())
		waiter := c.run("--ttl", electionTTL.String(), name, "--", "true")
		eventually(c.t, "somebody waits for "+name, func() bool { return len(c.show(name).Waiters) == 1 })
		k.names, k.before = append(k.names, name), append(k.before, c.show(name))
		k.holders, k.waiters, k.release = append(k.holders, holder), append(k.waiters, waiter), append(k.release, release)
	}
	return k
}

// check wants the same sessions, tokens and places as at the beginning; then ends all.
func (k *kept) check() {
	t := k.c.t
	t.Helper()
	for i, name := range k.names {
		after := k.c.show(name)
		if !slices.Equal(after.Holders, k.before[i].Holders) || !slices.Equal(after.Waiters, k.before[i].Waiters) {
			t.Errorf("%s: before %+v, after %+v", name, k.before[i], after)
		}
		k.release[i]()
	}
	for i := range k.names {
		for _, p := range []*process{k.holders[i], k.waiters[i]} {
			if code := p.wait(t); code != 0 {
				t.Errorf("%v exits %d:\n%s", p.cmd.Args, code, p.log.String())
			}
		}
	}
}

// An election every half TTL for two minutes costs no session that lives.
func TestElectionsEveryHalfTTL(t *testing.T) {
	c := startCluster(t)
	k := keep(c, 6)
	elections := 0
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); elections++ {
		next := time.Now().Add(electionTTL / 2)
		leader := c.leader()
		leader.kill()
		c.leader()
		leader.boot()
		time.Sleep(time.Until(next))
	}
	k.check()
	t.Logf("%d elections; %d sessions, none lost", elections, 2*len(k.names))
}

// A leader that is stopped for one and a half TTL costs no session: clients work
// through the others.
func TestStoppedLeaderCostsNoSession(t *testing.T) {
	c := startCluster(t)
	k := keep(c, 6)
	leader := c.leader()
	var others []string
	for _, n := range c.nodes {
		if n != leader {
			others = append(others, n.listen)
		}
	}
	leader.signal(syscall.SIGSTOP)
	stopped := time.Now()
	worked := 0
	for ; time.Since(stopped) < electionTTL*3/2; worked++ {
		if code := c.run("--endpoints", others[worked%2], "work", "--", "true").wait(t); code != 0 {
			t.Errorf("a run while the leader is stopped exits %d", code)
		}
	}
	leader.signal(syscall.SIGCONT)
	eventually(t, leader.id+" follows", func() bool {
		var s status
		return query(&s, "status", "--endpoints", leader.listen) == nil && s.Leader != "" && s.Leader != leader.id
	})
	k.check()
	t.Logf("%d runs meanwhile; %d sessions, none lost", worked, 2*len(k.names))
}

// A TTL that is under way at an election is neither shortened nor begun again.
func TestTTLAcrossElection(t *testing.T) {
	const ttl = 12 * time.Second
	c := startCluster(t)
	for round := range 3 {
		name := fmt.Sprintf("ttl%d", round)
		holder, _, _ := c.holdingRun(name, ttl.String())
		file := filepath.Join(t.TempDir(), "granted")
		next := c.run(name, "--", "sh", "-c", "date +%s%N > "+file)
		eventually(t, "the next one waits", func() bool { return len(c.show(name).Waiters) == 1 })
		holder.signal(syscall.SIGSTOP)
		var asked time.Time
		var left time.Duration
		eventually(t, "a quarter of the TTL is left", func() bool {
			asked = time.Now()
			left = c.expiresIn(name)
			return left < ttl/4
		})
		leader := c.leader()
		leader.kill()
		granted := grantedAfter(t, next, file)
		late := granted.Sub(asked.Add(left))
		t.Logf("round %d: %v were left when the leader %s died; the next was granted %v after that", round, left, leader.id, late)
		if late < 0 {
			t.Errorf("granted %v too early", -late)
		}
		if late > ttl*3/4 {
			t.Errorf("granted %v too late: the TTL was begun again", late)
		}
		leader.boot()
		holder.kill()
		eventually(t, leader.id+" is ready", func() bool { return leader.running() && c.alive() == 3 })
	}
}

// alive counts the nodes that the leader hears from.
func (c *cluster) alive() int {
	var s status
	if query(&s, "status", "--endpoints", c.endpoints()) != nil {
		return 0
	}
	n := 0
	for _, node := range s.Nodes {
		if node.Alive {
			n++
		}
	}
	return n
}

// expiresIn is what is left of a hold if nobody renews it.
func (c *cluster) expiresIn(name string) time.Duration {
	c.t.Helper()
	var s struct {
		Holders []struct {
			ExpiresInMS int64 `json:"expires_in_ms"`
		} `json:"holders"`
	}
	eventually(c.t, "the holder of "+name, func() bool {
		return query(&s, "show", name, "--endpoints", c.endpoints()) == nil && len(s.Holders) == 1
	})
	return time.Duration(s.Holders[0].ExpiresInMS) * time.Millisecond
}
