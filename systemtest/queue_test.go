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

// A line is how ten wait for one lock: what each asks for beside the common name,
// and in which groups those are granted who are still there, in order.
type line struct {
	name    string
	holder  []string             // flags and names
	flags   func(i int) []string // of the i-th waiter, and names
	granted [][]string
}

func lines() []line {
	alone := [][]string{{"1"}, {"2"}, {"4"}, {"6"}, {"8"}, {"9"}, {"10"}}
	permit := []string{"--permits", "1", "--limit", "1", "queue"}
	return []line{
		{"exclusive", []string{"queue"}, func(int) []string { return []string{"queue"} }, alone},
		{"semaphore of one", permit, func(int) []string { return permit }, alone},
		{"two names", []string{"queue"}, func(i int) []string { return []string{fmt.Sprintf("own%d", i), "queue"} }, alone},
		{"readers among writers", []string{"queue"}, func(i int) []string {
			if writer := i == 1 || i == killed || i == 8; writer {
				return []string{"queue"}
			}
			return []string{"--shared", "queue"}
		}, [][]string{{"1"}, {"2", "4"}, {"6"}, {"8"}, {"9", "10"}}},
	}
}

// Of the ten, one gets SIGINT, one kill -9, and one gives up.
const interrupted, killed, impatient = 3, 5, 7

// Ten wait in a known order; some leave the queue, and the leader is killed while
// they wait. The rest are granted in order, readers next to each other together.
func TestQueueSurvivesItsWaitersAndItsLeader(t *testing.T) {
	for _, l := range lines() {
		t.Run(l.name, func(t *testing.T) { queueOfTen(t, l) })
	}
}

func queueOfTen(t *testing.T, l line) {
	const ttl = 5 * time.Second
	c := startCluster(t)
	dir := t.TempDir()
	order := filepath.Join(dir, "order")
	release := filepath.Join(dir, "release")
	holder := c.run(append(l.holder, "--", "sh", "-c", fmt.Sprintf("while [ ! -e %s ]; do sleep 0.05; done", release))...)
	eventually(t, "the holder holds", func() bool { return len(c.show("queue").Holders) == 1 })

	waiters := make([]*process, 11)
	for i := 1; i <= 10; i++ {
		args := []string{"--ttl", ttl.String()}
		if i == impatient {
			args = append(args, "--wait", "1s")
		}
		args = append(args, l.flags(i)...)
		waiters[i] = c.run(append(args, "--", "sh", "-c", fmt.Sprintf("echo %d $(date +%%s%%N) >> %s", i, order))...)
		eventually(t, fmt.Sprintf("waiter %d stands in the queue", i), func() bool {
			// The impatient one may be gone again when the next has come.
			s := c.show("queue")
			return len(s.Waiters) >= i || i >= impatient && len(s.Waiters) >= i-1
		})
	}
	if code := waiters[impatient].wait(t); code != 75 {
		t.Errorf("the impatient one exits %d, not 75:\n%s", code, waiters[impatient].log.String())
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
	granted(t, order, released, l.granted)
}

// granted wants the groups in the file one after the other.
func granted(t *testing.T, order string, released time.Time, want [][]string) {
	t.Helper()
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
	rest := got
	for _, group := range want {
		n := min(len(group), len(rest))
		next := slices.Sorted(slices.Values(rest[:n]))
		if !slices.Equal(next, slices.Sorted(slices.Values(group))) {
			t.Fatalf("granted %v, not in the order %v", got, want)
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		t.Errorf("granted %v, more than %v", got, want)
	}
}
