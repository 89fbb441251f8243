//go:build system

package systemtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ten wait in a known order; one gets SIGINT, one kill -9, one gives up, and
// the leader is killed while they wait. The rest are granted in order.
func TestQueueSurvivesItsWaitersAndItsLeader(t *testing.T) {
	const ttl = 5 * time.Second
	c := startCluster(t)
	dir := t.TempDir()
	order := filepath.Join(dir, "order")
	release := filepath.Join(dir, "release")
	holder := c.run("queue", "--", "sh", "-c", fmt.Sprintf("while [ ! -e %s ]; do sleep 0.05; done", release))
	eventually(t, "the holder holds", func() bool { return len(c.show("queue").Holders) == 1 })

	const interrupted, killed, impatient = 3, 5, 7
	waiters := make([]*process, 11)
	for i := 1; i <= 10; i++ {
		args := []string{"--ttl", ttl.String()}
		if i == impatient {
			args = append(args, "--wait", "1s")
		}
		args = append(args, "queue", "--", "sh", "-c", fmt.Sprintf("echo %d $(date +%%s%%N) >> %s", i, order))
		waiters[i] = c.run(args...)
		eventually(t, fmt.Sprintf("waiter %d stands in the queue", i), func() bool {
			// The impatient one may be gone again when the next has come.
			s := c.show("queue")
			return len(s.Waiters) >= i || i >= impatient && len(s.Waiters) >= i-1
		})
	}
	if code := waiters[impatient].wait(t); code != 75 {
		t.Errorf("the impatient one exits %d, not 75", code)
	}
	waiters[interrupted].signal(syscall.SIGINT)
	if code := waiters[interrupted].wait(t); code != 128+int(syscall.SIGINT) {
		t.Errorf("the interrupted one exits %d, not 130", code)
	}
	waiters[killed].kill()
	leader := c.leader()
	leader.kill()
	c.leader()
	eventually(t, "the interrupted one has left the queue", func() bool { return len(c.show("queue").Waiters) <= 8 })

	if out, err := exec.Command("touch", release).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	released := time.Now()
	if code := holder.wait(t); code != 0 {
		t.Errorf("the holder exits %d:\n%s", code, holder.log.String())
	}
	for _, i := range []int{1, 2, 4, 6, 8, 9, 10} {
		if code := waiters[i].wait(t); code != 0 {
			t.Errorf("waiter %d exits %d:\n%s", i, code, waiters[i].log.String())
		}
	}
	var got []string
	last := released.UnixNano()
	for line := range strings.Lines(readFile(t, order)) {
		var i string
		var at int64
		if _, err := fmt.Sscan(line, &i, &at); err != nil {
			t.Fatal(err)
		}
		t.Logf("waiter %s was granted %v after the one before", i, time.Duration(at-last))
		got, last = append(got, i), at
	}
	if want := []string{"1", "2", "4", "6", "8", "9", "10"}; !slices.Equal(got, want) {
		t.Errorf("granted %v, in this order, not %v", got, want)
	}
}
