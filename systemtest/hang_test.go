//go:build system

package systemtest

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The node that a waiter is attached to hangs, with its connections open. The next
// renewal at this TTL is minutes away: the waiter must hear of its grant by way of
// another node, long before.
func TestWaiterBehindANodeThatHangs(t *testing.T) {
	c := startCluster(t)
	done := filepath.Join(t.TempDir(), "done")
	holder := c.run("--ttl", "30m", "x", "--", "sh", "-c", "echo in; until test -e "+done+"; do sleep 0.1; done")
	eventually(t, "the lock is held", func() bool { return strings.Contains(holder.out.String(), "in") })
	waiter := c.run("--ttl", "30m", "x", "--", "echo", "granted")
	eventually(t, "somebody waits", func() bool { return len(c.show("x").Waiters) == 1 })
	leader := c.leader() // where both are attached
	leader.signal(syscall.SIGSTOP)
	defer leader.signal(syscall.SIGCONT)
	writeFile(t, done, "")
	begun := time.Now()
	eventually(t, "the waiter is granted the lock", func() bool { return strings.Contains(waiter.out.String(), "granted") })
	t.Logf("granted %v after the holder was told to end", time.Since(begun).Round(time.Millisecond))
	if code := holder.wait(t); code != 0 {
		t.Errorf("the holder exits %d: %s", code, holder.log.String())
	}
}
