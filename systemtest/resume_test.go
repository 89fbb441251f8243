//go:build system

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// resumerEnv makes the test binary a Go program with a session file: "begin"
// acquires, "resume" goes on with what a process before it had.
const (
	resumerEnv     = "LOCKD_SYSTEMTEST_RESUMER"
	resumerFileEnv = "LOCKD_SYSTEMTEST_SESSION_FILE"
	resumerURLEnv  = "LOCKD_SYSTEMTEST_URL"
)

// TestResumerProgram is that program; it is run by others, never by itself.
func TestResumerProgram(t *testing.T) {
	mode := os.Getenv(resumerEnv)
	if mode == "" {
		return // not this time
	}
	client, err := lockapi.Open(t.Context(), os.Getenv(resumerURLEnv), lockapi.Options{
		TTL: 10 * time.Second, SessionFile: os.Getenv(resumerFileEnv),
	})
	if err != nil {
		t.Fatal(err)
	}
	if mode == "begin" {
		beginning(t, client)
	} else {
		resuming(t, client)
	}
}

// beginning holds four names in three kinds, waits for a fifth, and is killed.
func beginning(t *testing.T, client *lockapi.Client) {
	both, err := client.All(lockapi.Exclusive("a"), lockapi.Shared("b")).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	permits, err := client.Semaphore("rooms", 3).Acquire(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := client.Mutex("alone").WithOwner("me").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go client.Mutex("queued").Acquire(context.Background())
	for _, g := range []*lockapi.Grant{both, permits, alone} {
		fmt.Printf("holds %s %d\n", g.Name, g.Token)
	}
	fmt.Printf("session %d\n", client.Session())
	select {} // until it is killed
}

// resuming says what it finds, goes on waiting, and says when it is fenced.
func resuming(t *testing.T, client *lockapi.Client) {
	resumed, err := client.Resume(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range resumed.Grants {
		fmt.Printf("holds %s %d\n", g.Name, g.Token)
	}
	fmt.Printf("session %d\n", client.Session())
	for _, w := range resumed.Waits {
		fmt.Printf("waits for %s\n", w.Wants()[0].Name)
		go func() {
			if g, err := w.Acquire(context.Background()); err == nil {
				fmt.Printf("granted %s %d\n", g.Name, g.Token)
			}
		}()
	}
	<-resumed.Grants[0].Context().Done()
	fmt.Printf("lost, fenced %v\n", errors.Is(context.Cause(resumed.Grants[0].Context()), lockapi.ErrFenced))
	if _, err := client.Mutex("more").TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrFenced) {
		t.Errorf("a fenced client acquires: %v", err)
	}
}

func resumer(t *testing.T, c *cluster, mode, file string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestResumerProgram$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), resumerEnv+"="+mode, resumerFileEnv+"="+file, resumerURLEnv+"=lockd://"+c.endpoints())
	p := start(t, cmd)
	eventually(t, mode+": the program has its session", func() bool {
		if !p.running() {
			t.Fatalf("%s: the program has ended:\n%s", mode, p.out.String())
		}
		return strings.Contains(p.out.String(), "session ")
	})
	return p
}

// linesOf are the lines of what a program said that begin so.
func linesOf(p *process, prefix string) (lines []string) {
	for line := range strings.Lines(p.out.String()) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// A client is killed and comes back: it has its session, what it held with the same
// tokens, and its place in the queue. A copy of its file is another process with the
// same session: the last one goes on, the one before is fenced.
func TestResume(t *testing.T) {
	c := startCluster(t)
	holder, _, release := c.holdingRun("queued", "10s")
	file := filepath.Join(t.TempDir(), "session")
	first := resumer(t, c, "begin", file)
	eventually(t, "it waits", func() bool { return len(c.show("queued").Waiters) == 1 })
	place := c.show("queued").Waiters[0]
	behind := filepath.Join(t.TempDir(), "behind")
	next := c.run("queued", "--", "sh", "-c", "echo $LOCKD_TOKEN > "+behind)
	eventually(t, "somebody waits behind it", func() bool { return len(c.show("queued").Waiters) == 2 })

	first.kill()
	second := resumer(t, c, "resume", file)
	for _, what := range []string{"session ", "holds "} {
		before, after := strings.Join(linesOf(first, what), "\n"), strings.Join(linesOf(second, what), "\n")
		if before != after || before == "" {
			t.Errorf("before it was killed:\n%s\nafter it came back:\n%s", before, after)
		}
	}
	if waiters := c.show("queued").Waiters; len(waiters) != 2 || waiters[0] != place {
		t.Errorf("it waited at %+v, and the queue is %+v", place, waiters)
	}
	release()
	if code := holder.wait(t); code != 0 {
		t.Fatalf("the holder exits %d:\n%s", code, holder.log.String())
	}
	eventually(t, "it is granted what it waited for", func() bool { return len(linesOf(second, "granted queued")) == 1 })
	if fileExists(behind) || !next.running() {
		t.Error("who waited behind it was granted before it")
	}

	copied := filepath.Join(t.TempDir(), "session")
	writeFile(t, copied, readFile(t, file))
	third := resumer(t, c, "resume", copied)
	if code := second.wait(t); code != 0 || len(linesOf(second, "lost, fenced true")) != 1 {
		t.Errorf("the program whose session was taken over exits %d and says:\n%s", code, second.out.String())
	}
	if got := len(linesOf(third, "holds ")); got != 4 {
		t.Errorf("the last process holds %d grants, not 4:\n%s", got, third.out.String())
	}
	t.Logf("it was\n%sand came back as\n%s", first.out.String(), second.out.String())
	third.kill()
	if code := next.wait(t); code != 0 { // by the TTL of the session that is gone
		t.Errorf("who waited behind exits %d", code)
	}
}

// Power fails as soon as a lock is held: the session file is on the disk, and whoever
// resumes has the lock. (The cluster is on other machines, and goes on.)
func TestSessionFileOutlivesAPowerCut(t *testing.T) {
	c := startCluster(t)
	d := newDisk(t)
	open := func() *lockapi.Client {
		client, err := lockapi.Open(t.Context(), "lockd://"+c.endpoints(),
			lockapi.Options{TTL: time.Minute, SessionFile: filepath.Join(d.dir, "session")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		return client
	}
	grant, err := open().Mutex("kept").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.cut()
	must(t, "umount", d.dir)
	must(t, "mount", "-o", "loop,commit=600", d.after, d.dir)
	found, err := open().Resume(t.Context())
	if err != nil || len(found.Grants) != 1 || found.Grants[0].Token != grant.Token {
		t.Errorf("after the cut: %+v, %v", found, err)
	}
}
