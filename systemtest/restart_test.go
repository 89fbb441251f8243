//go:build system

package systemtest

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdingRun runs a child that writes its token and holds until it is told.
func (c *cluster) holdingRun(name, ttl string) (p *process, token uint64, release func()) {
	c.t.Helper()
	dir := c.t.TempDir()
	file, stop := filepath.Join(dir, "token"), filepath.Join(dir, "stop")
	p = c.run("--ttl", ttl, name, "--", "sh", "-c",
		fmt.Sprintf(`echo $LOCKD_TOKEN > %s.new; mv %s.new %s; while [ ! -e %s ]; do sleep 0.05; done`, file, file, file, stop))
	eventually(c.t, "the child runs under "+name, func() bool { return fileExists(file) })
	return p, number(c.t, readFile(c.t, file)), func() { writeFile(c.t, stop, "") }
}

func (c *cluster) killAll() {
	for _, n := range c.nodes {
		n.signal(syscall.SIGKILL)
	}
	for _, n := range c.nodes {
		n.kill()
	}
}

func (c *cluster) bootAll() {
	for _, n := range c.nodes {
		n.boot()
	}
}

// All nodes die with kill -9 while a lock is held: the hold and its token are
// still there, and the next token is greater.
func TestHoldSurvivesRestartOfAllNodes(t *testing.T) {
	c := startCluster(t)
	holder, token, release := c.holdingRun("kept", "30s")
	before := c.show("kept")
	c.killAll()
	c.bootAll()
	c.leader()
	after := c.show("kept")
	if len(after.Holders) != 1 || after.Holders[0].Token != before.Holders[0].Token ||
		after.Holders[0].Session != before.Holders[0].Session {
		t.Fatalf("before %+v, after %+v", before.Holders, after.Holders)
	}
	if got := number(t, after.Holders[0].Token); got != token {
		t.Errorf("the child has token %d, the cluster says %d", token, got)
	}
	release()
	if code := holder.wait(t); code != 0 {
		t.Fatalf("the holder exits %d:\n%s", code, holder.log.String())
	}
	out := filepath.Join(t.TempDir(), "next")
	if code := c.run("kept", "--", "sh", "-c", "echo $LOCKD_TOKEN > "+out).wait(t); code != 0 {
		t.Fatalf("the next run exits %d", code)
	}
	if next := number(t, readFile(t, out)); next <= token {
		t.Errorf("the next token %d is not greater than %d", next, token)
	} else {
		t.Logf("token %d before and after, %d next", token, next)
	}
}

// With an outage longer than the TTL the client has given up before anybody
// else is granted.
func TestOutageLongerThanTTL(t *testing.T) {
	const ttl = 3 * time.Second
	c := startCluster(t)
	dir := t.TempDir()
	alive, granted := filepath.Join(dir, "alive"), filepath.Join(dir, "granted")
	holder := c.run("--ttl", ttl.String(), "outage", "--", "sh", "-c",
		fmt.Sprintf(`while :; do date +%%s%%N > %s.new; mv %s.new %s; sleep 0.02; done`, alive, alive, alive))
	eventually(t, "the child runs", func() bool { return fileExists(alive) })
	next := c.run("outage", "--", "sh", "-c", "date +%s%N > "+granted)
	eventually(t, "the next one waits", func() bool { return len(c.show("outage").Waiters) == 1 })
	c.killAll()
	time.Sleep(2 * ttl) // the outage itself
	if code := holder.wait(t); code != 74 {
		t.Errorf("the holder exits %d, not 74:\n%s", code, holder.log.String())
	}
	c.bootAll()
	if code := next.wait(t); code != 0 {
		t.Fatalf("the next one exits %d:\n%s", code, next.log.String())
	}
	lastAlive, firstGranted := number(t, readFile(t, alive)), number(t, readFile(t, granted))
	if lastAlive >= firstGranted {
		t.Errorf("the old holder's child lived until %d, the next was granted at %d", lastAlive, firstGranted)
	}
	t.Logf("the next was granted %v after the last sign of life of the old holder's child",
		time.Duration(firstGranted-lastAlive))
	if s := strings.TrimSpace(holder.log.String()); s != "" {
		t.Logf("the holder said: %s", s)
	}
}
