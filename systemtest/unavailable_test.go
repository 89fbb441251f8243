//go:build system

package systemtest

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// All nodes hang until a client has lost what it held. Nobody can say then who holds
// what: whoever leaves his work to the holder, on ErrNotAcquired, 75 or 409, must not
// be told that there is one.
func TestSilenceIsNotSomebodyElse(t *testing.T) {
	c := startCluster(t)
	client, err := lockapi.Open(t.Context(), "lockd://"+c.endpoints(), lockapi.Options{TTL: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.WithoutCancel(t.Context()))
	held, err := client.Mutex("held").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Mutex("job").TryAcquire(ended); !errors.Is(err, context.Canceled) || errors.Is(err, lockapi.ErrNotAcquired) {
		t.Errorf("a context that had ended: %v", err)
	}
	waits := c.run("--wait", "20s", "held", "--", "true")
	eventually(t, "it stands in the queue", func() bool { return len(c.show("held").Waiters) == 1 })

	for _, n := range c.nodes {
		n.signal(syscall.SIGSTOP)
	}
	<-held.Context().Done()
	for _, name := range []string{"job", "held"} {
		for call, acquire := range map[string]func(context.Context) (*lockapi.Grant, error){
			"try": client.Mutex(name).TryAcquire, "acquire": client.Mutex(name).Acquire,
		} {
			timed, cancel := context.WithTimeout(t.Context(), time.Second)
			g, err := acquire(timed)
			cancel()
			if g != nil || errors.Is(err, lockapi.ErrNotAcquired) || !errors.Is(err, context.DeadlineExceeded) ||
				!errors.Is(err, lockapi.ErrUnavailable) {
				t.Errorf("%s of %q while nobody answers: %v, %v", call, name, g, err)
			}
		}
	}
	for _, p := range []*process{c.run("--wait", "0", "job", "--", "true"), waits} {
		if code := p.wait(t); code != 69 || strings.Contains(p.log.String(), "somebody else") {
			t.Errorf("%v exits with %d: %s", p.cmd.Args[3:], code, p.log.String())
		}
	}
	c.nodes[0].signal(syscall.SIGCONT) // it hears whoever asks, and has no leader
	if status, answer := curl(t, c.nodes[0], "/v1/locks/job/acquire", `{"max_hold_ms":60000}`); status != "503" && status != "504" {
		t.Errorf("over HTTP: %s %v", status, answer)
	}

	for _, n := range c.nodes {
		n.signal(syscall.SIGCONT)
	}
	grant, err := client.Mutex("job").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Mutex("job").TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) {
		t.Errorf("a lock that is held: %v", err)
	}
	if p := c.run("--wait", "0", "job", "--", "true"); p.wait(t) != 75 {
		t.Errorf("a lock that is held: %s", p.log.String())
	}
	if err := grant.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
