//go:build system

package systemtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	_ "github.com/lockd-io/lockd/lockapi/remote" // lockd://
)

// holderEnv makes the test binary a Go program that holds a lock and looks at
// its grant: what a user's program would be.
const holderEnv = "LOCKD_SYSTEMTEST_HOLDER"

// TestHolderProgram is that program; it is run by others, never by itself.
func TestHolderProgram(t *testing.T) {
	url := os.Getenv(holderEnv)
	if url == "" {
		return // not this time
	}
	client, err := lockapi.Open(t.Context(), url, lockapi.Options{TTL: pauseTTL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.WithoutCancel(t.Context()))
	grant, err := client.Mutex("paused").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("token %d\n", grant.Token)
	for grant.Valid() {
		fmt.Printf("valid until %d\n", grant.ValidUntil().UnixNano())
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Printf("lost at %d\n", time.Now().UnixNano())
}

const (
	pauseTTL = 3 * time.Second
	// marginOf pauseTTL: the client stops believing that much earlier.
	pauseMargin = 300 * time.Millisecond
)

// grantedAfter waits until the next in line has written when it was granted.
func grantedAfter(t *testing.T, next *process, file string) time.Time {
	t.Helper()
	if code := next.wait(t); code != 0 {
		t.Fatalf("the next in line exits %d:\n%s", code, next.log.String())
	}
	return time.Unix(0, int64(number(t, readFile(t, file))))
}

// A stopped Go program loses its lock no earlier than its TTL after its last
// acknowledged renewal was sent, and finds out on its first look.
func TestStoppedProgram(t *testing.T) {
	c := startCluster(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHolderProgram$", "-test.v")
	cmd.Env = append(os.Environ(), holderEnv+"=lockd://"+c.endpoints())
	holder := start(t, cmd)
	eventually(t, "the program holds", func() bool { return strings.Contains(holder.out.String(), "valid until") })
	file := filepath.Join(t.TempDir(), "granted")
	next := c.run("paused", "--", "sh", "-c", "date +%s%N > "+file)
	eventually(t, "the next one waits", func() bool { return len(c.show("paused").Waiters) == 1 })
	time.Sleep(2 * pauseTTL) // through several renewals

	holder.signal(syscall.SIGSTOP)
	stopped := time.Now()
	believed := lastBelief(t, holder)
	granted := grantedAfter(t, next, file)
	// The belief ends a margin before TTL after the renewal was first sent.
	earliest := believed.Add(pauseMargin)
	if granted.Before(earliest) {
		t.Errorf("granted %v before the holder's TTL was over", earliest.Sub(granted))
	}
	t.Logf("stopped; the next was granted %v later, %v after TTL since the last acknowledged renewal was sent",
		granted.Sub(stopped), granted.Sub(earliest))

	holder.signal(syscall.SIGCONT)
	holder.wait(t)
	if out := holder.out.String(); !strings.Contains(out, "lost at") {
		t.Errorf("the program did not find its grant lost:\n%s", tail(out, 5))
	}
	if belief := lastBelief(t, holder); !belief.Equal(believed) {
		t.Errorf("after the pause the program believed until %v again", belief)
	}
}

func lastBelief(t *testing.T, p *process) (last time.Time) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(p.out.String()))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "valid until "); ok && len(text) >= 19 {
			last = time.Unix(0, int64(number(t, text)))
		}
	}
	if last.IsZero() {
		t.Fatal("the program never believed")
	}
	return last
}

// A stopped `lockd run` loses its lock likewise; awake again it ends its child
// and exits 74.
func TestStoppedRun(t *testing.T) {
	c := startCluster(t)
	dir := t.TempDir()
	pid, file := filepath.Join(dir, "pid"), filepath.Join(dir, "granted")
	holder := c.run("--ttl", pauseTTL.String(), "stopped", "--", "sh", "-c",
		fmt.Sprintf("echo $$ > %s.new; mv %s.new %s; exec sleep 600", pid, pid, pid))
	eventually(t, "the child runs", func() bool { return fileExists(pid) })
	child := int(number(t, readFile(t, pid)))
	next := c.run("stopped", "--", "sh", "-c", "date +%s%N > "+file)
	eventually(t, "the next one waits", func() bool { return len(c.show("stopped").Waiters) == 1 })

	holder.signal(syscall.SIGSTOP)
	stopped := time.Now()
	granted := grantedAfter(t, next, file)
	// The last renewal may have been sent a third of the TTL, and a tenth of
	// that, before the stop.
	if earliest := stopped.Add(pauseTTL - pauseTTL*11/30); granted.Before(earliest) {
		t.Errorf("granted %v too early", earliest.Sub(granted))
	}
	t.Logf("stopped; the next was granted %v later", granted.Sub(stopped))
	holder.signal(syscall.SIGCONT)
	if code := holder.wait(t); code != 74 {
		t.Errorf("the stopped run exits %d, not 74:\n%s", code, holder.log.String())
	}
	eventually(t, "the child is gone", func() bool { return syscall.Kill(child, 0) != nil })
}

// A stopped leader that wakes never shows a holder older than an acknowledged
// change.
func TestStaleLeaderShowsNothingOld(t *testing.T) {
	c := startCluster(t)
	for round := range 3 {
		name := fmt.Sprintf("stale%d", round)
		_, _, release := c.holdingRun(name, "10s")
		old := c.leader()
		oldSession := c.show(name).Holders[0].Session
		old.signal(syscall.SIGSTOP)
		var others []string
		for _, n := range c.nodes {
			if n != old {
				others = append(others, n.listen)
			}
		}
		reach := strings.Join(others, ",")
		release()
		eventually(t, "the old hold is released", func() bool {
			var s lockState
			return query(&s, "show", name, "--endpoints", reach) == nil && len(s.Holders) == 0
		})
		// Ask the stopped one, then let it run: the question is the first
		// thing that it finds.
		asked := start(t, exec.Command(binary, "show", name, "--json", "--endpoints", old.listen))
		old.signal(syscall.SIGCONT)
		asked.wait(t)
		if strings.Contains(asked.out.String(), `"session":"`+oldSession+`"`) ||
			strings.Contains(asked.out.String(), `"session": "`+oldSession+`"`) {
			t.Errorf("the old leader shows the released hold: %s", asked.out.String())
		}
		t.Logf("round %d: %s, awake again, says %s", round, old.id, strings.Join(strings.Fields(asked.out.String()), ""))
		eventually(t, old.id+" follows", func() bool {
			var s status
			return query(&s, "status", "--endpoints", old.listen) == nil && s.Leader != ""
		})
	}
}
