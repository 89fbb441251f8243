//go:build system

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	shells = 8
	rounds = 25
)

// countUnder lets eight shells each raise the number in a file 25 times, under
// a lock, and meanwhile does the faults. No run may fail, no rise may be lost.
func countUnder(t *testing.T, reach []string, faults func(progress func() int)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*process
	for range shells {
		script := `for i in $(seq 25); do "$@" run $REACH counter -- sh -c 'n=$(cat "$F"); echo $((n+1)) > "$F"' || exit 1; done`
		cmd := exec.Command("sh", "-c", script, "shell", binary)
		cmd.Env = append(os.Environ(), "F="+file, "REACH="+strings.Join(reach, " "))
		all = append(all, start(t, cmd))
	}
	faults(func() int { return int(number(t, nonEmpty(t, file))) })
	for i, p := range all {
		if code := p.wait(t); code != 0 {
			t.Errorf("shell %d: a run failed with %d:\n%s", i, code, p.log.String())
		}
	}
	if n := number(t, readFile(t, file)); n != shells*rounds {
		t.Errorf("the file says %d, not %d", n, shells*rounds)
	}
}

// nonEmpty reads the file between two writes.
func nonEmpty(t *testing.T, file string) string {
	t.Helper()
	var text string
	eventually(t, "a number in the file", func() bool {
		text = readFile(t, file)
		return strings.HasSuffix(text, "\n")
	})
	return text
}

// killLeaderTwice kills the leader at a quarter and at a half of the way, and
// restarts it a second later.
func killLeaderTwice(c *cluster, progress func() int) {
	for _, at := range []int{50, 100} {
		eventually(c.t, "progress", func() bool { return progress() >= at })
		leader := c.leader()
		leader.kill()
		c.t.Logf("killed the leader %s at %d", leader.id, progress())
		time.Sleep(time.Second)
		leader.boot()
	}
}

// Must hold: exclusion and no failed run while leaders die.
func TestCounterWhileLeadersDie(t *testing.T) {
	c := startCluster(t)
	countUnder(t, []string{"--endpoints", c.endpoints()}, func(progress func() int) { killLeaderTwice(c, progress) })
}

// The same, with a node that comes back through an installed snapshot.
func TestCounterWithInstalledSnapshot(t *testing.T) {
	c := startCluster(t, "--snapshot-interval", "1s", "--trailing-logs", "16")
	away := c.followers()[0]
	away.kill()
	countUnder(t, []string{"--endpoints", c.endpoints()}, func(progress func() int) {
		eventually(t, "progress", func() bool { return progress() >= 100 })
		before := away.said("snapshot restored")
		away.boot()
		eventually(t, away.id+" installs a snapshot", func() bool { return away.said("snapshot restored") > before })
		t.Logf("%s came back through a snapshot at %d", away.id, progress())
		leader := c.leader()
		leader.kill()
		t.Logf("killed the leader %s at %d", leader.id, progress())
		time.Sleep(time.Second)
		leader.boot()
	})
}

// The same, with client connections that are reset at random.
func TestCounterThroughResets(t *testing.T) {
	c := startCluster(t)
	var through []string
	var proxies []*proxy
	for _, n := range c.nodes {
		p := startProxy(t, n.listen, 300*time.Millisecond)
		proxies = append(proxies, p)
		through = append(through, p.address())
	}
	reach := []string{"--backend", "lockd://" + strings.Join(through, ",") + "?spread=1"}
	countUnder(t, reach, func(progress func() int) { killLeaderTwice(c, progress) })
	resets := 0
	for _, p := range proxies {
		resets += p.count()
	}
	t.Logf("%d connections were reset", resets)
	if resets == 0 {
		t.Error("no connection was reset: the test tested nothing")
	}
}
